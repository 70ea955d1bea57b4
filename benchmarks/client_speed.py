"""How close the LLM client comes to a server's speed, beside a bare loop over the OpenAI SDK.

A server in a process of its own answers each chat completion after 200 ms; n callers in flight
can have n calls in that time and no more. Then what 1,000 calls at 20 ms cost in CPU time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import openai
from _slow_server import SlowServer, serve, started

from autointerp.llm import ChatRequest, ClientOptions, Message, OpenAICompatible

SLOW_S, QUICK_S = 0.2, 0.02
IN_FLIGHT, CALLS_EACH, N_QUICK, QUICK_IN_FLIGHT = (10, 50, 200), 15, 1000, 20
PROMPT = ("rate each token " * 20, "the old stones sleep " * 200)
COMPLETION = {
    "id": "x",
    "object": "chat.completion",
    "created": 0,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "a label"},
            "finish_reason": "stop",
            "logprobs": None,
        }
    ],
    "usage": {"prompt_tokens": 900, "completion_tokens": 2, "total_tokens": 902},
}
_BODY = json.dumps(COMPLETION).encode()

Call = Callable[[int], Awaitable[object]]


class _Server(SlowServer):
    def answer(self, body: bytes) -> bytes:  # noqa: ARG002 - the same for all
        """The answer's body."""
        return _BODY


@dataclass(frozen=True)
class Run:
    """So many calls, done."""

    calls_s: float
    cpu_ms: float
    """Processor time of this process for a call."""


async def drive(call: Call, *, n_calls: int, in_flight: int) -> Run:
    """Calls by so many callers, each with one call after the other."""
    numbers = iter(range(n_calls))

    async def caller() -> None:
        for number in numbers:
            await call(number)

    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(caller() for _ in range(in_flight)))
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    return Run(n_calls / seconds, 1e3 * cpu / n_calls)


async def measure(url: str, *, in_flight: int, n_calls: int, rounds: int) -> list[list[Run]]:
    """Rounds of the bare SDK and of our client, in turn, with warm connections."""
    sdk = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
    ours = OpenAICompatible(url, "m", options=ClientOptions(max_in_flight=in_flight))
    turns = tuple(zip(("system", "user"), PROMPT, strict=True))

    async def bare(number: int) -> object:
        messages = [{"role": role, "content": text} for role, text in turns]
        return await sdk.chat.completions.create(
            model="m",
            messages=messages,  # type: ignore[arg-type]
            max_tokens=5,
            temperature=0,
            seed=number,
        )

    async def client(number: int) -> object:
        messages = (Message("system", PROMPT[0]), Message("user", PROMPT[1]))
        return await ours.reply(ChatRequest(messages, 5, seed=number))

    found: list[list[Run]] = [[], []]
    for number in range(rounds + 1):
        for place, call in enumerate((bare, client)):
            n = n_calls if number else in_flight
            run = await drive(call, n_calls=n, in_flight=in_flight)
            if number:
                found[place].append(run)
    await sdk.close()
    await ours.close()
    return found


def report(rounds: int) -> None:
    """Prints the table."""
    # Not for the server, which would wait for torch.
    from _parts import header

    print(header(), "\n")
    print("in flight  calls/s over ideal: SDK  client   client, rounds")
    with started(__file__, "--serve", str(SLOW_S)) as url:
        for n in IN_FLIGHT:
            coroutine = measure(url, in_flight=n, n_calls=CALLS_EACH * n, rounds=rounds)
            bare, client = (
                [run.calls_s * SLOW_S / n for run in runs] for runs in asyncio.run(coroutine)
            )
            shown = " ".join(f"{ratio:.3f}" for ratio in client)
            middle, best = statistics.median(bare), statistics.median(client)
            print(f"{n:9}  {middle:23.3f}  {best:6.3f}   {shown}", flush=True)
    with started(__file__, "--serve", str(QUICK_S)) as url:
        coroutine = measure(url, in_flight=QUICK_IN_FLIGHT, n_calls=N_QUICK, rounds=rounds)
        bare, client = ([run.cpu_ms for run in runs] for runs in asyncio.run(coroutine))
    middle, ours = statistics.median(bare), statistics.median(client)
    print(
        f"\nCPU a call, {N_QUICK:,} calls at {QUICK_S * 1e3:.0f} ms: SDK {middle:.2f} ms, ", end=""
    )
    print(f"client {ours:.2f} ms, over the SDK {ours - middle:+.2f} ms")


def main() -> None:
    """Serves, or measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", type=float, metavar="SECONDS", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        _Server.delay_s = arguments.serve
        asyncio.run(serve(_Server))
    else:
        report(arguments.rounds)


if __name__ == "__main__":
    main()

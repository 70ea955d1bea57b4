"""What services of other habits come to: the rows of ``tests/support/endpoint_cases.py``, by kind.

Each row is a fake service on loopback of which a new client asks three questions, one after
another, with two turns, temperature, seed, schema and log-probabilities; waits pass at once. A case
counts where all three are answered, or where all three fail in the class that they should and with
the service's words. Requests are those of the three questions with what finds out what the service
takes; those before are what is sent before the first question. ``--each`` prints every case that
does not count.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
import endpoint_cases as cases  # type: ignore[import-not-found]
from endpoint_client import TurningClock, client  # type: ignore[import-not-found]
from fake_endpoint import FakeEndpoint, Fault, is_probe  # type: ignore[import-not-found]

from autointerp.core.errors import RequestRefusedError, UpstreamError
from autointerp.llm import ChatReply, ChatRequest, JsonSchema, Message, PromptTooLongError
from autointerp.llm.answers import answer_of, find_object

SAID = "names of rivers"
SCHEMA = JsonSchema("explanation", '{"type": "object"}')
TURNS = (Message("system", "Be brief; write JSON."), Message("user", "some words " * 250))
QUESTION = ChatRequest(TURNS, 400, 0.7, 5, (), SCHEMA, None, 20)
_ALL = UpstreamError


@dataclass(frozen=True)
class Case:
    """One service, and what questions to it should come to."""

    name: str
    dress: Callable[[FakeEndpoint], object]
    """Makes a fake this service; an address that it gives is what is typed."""
    fails_with: type[Exception] | None = None
    """None where they should be answered."""
    said: str = ""
    """What is told of a failure."""
    question: ChatRequest = QUESTION
    headers: str = ""


@dataclass(frozen=True)
class Outcome:
    """What three questions to a service came to; ``n_before`` requests came before them."""

    is_right: bool
    found: str
    n_sent: int
    n_before: int


class _Counting(FakeEndpoint):  # type: ignore[misc]
    """A fake that knows how many tiny requests came before the first question."""

    n_before: int | None = None

    def answer(self, body: dict[str, Any], headers: Mapping[str, str]) -> Fault:
        if self.n_before is None and not is_probe(body):
            self.n_before = len(self.probes)
        return super().answer(body, headers)


def _where(fault: Fault, refused: cases.When = lambda _: True) -> Callable[[FakeEndpoint], object]:
    return lambda endpoint: setattr(
        endpoint, "dress", lambda body: fault if refused(body) else None
    )


def _at_first(fault: Fault, endpoint: FakeEndpoint) -> None:
    """The first question fails, and the next request, whatever it is."""
    since: list[cases.Body] = []

    def dress(body: cases.Body) -> Fault | None:
        if since or not is_probe(body):
            since.append(body)
        return fault if 1 <= len(since) <= 2 else None

    endpoint.dress = dress


def _passing() -> Iterator[Case]:
    faults = {one.name: one.fault for one in cases.FAILING if one.passes}
    faults |= {f"rate_{name}": fault for name, fault in {**cases.RATES, **cases.BARE}.items()}
    for name, fault in faults.items():
        yield Case(name, partial(_at_first, fault))


def _lasting() -> Iterator[Case]:
    for one in cases.FAILING:
        if not one.passes:
            yield Case(one.name, _where(one.fault), _ALL, one.said)
    for name, (words, made) in cases.USED_UP.items():
        yield Case(f"used_up_{name}", _where(made(words)), _ALL, words)
    for name, words in cases.LASTING.items():
        fault = cases.IN_DRESS["chat"](429, words, "error")
        yield Case(f"lasting_{name}", _where(fault), _ALL, words)


def _filters() -> Iterator[Case]:
    for one in cases.FILTERING:
        dress = _where(one.fault, lambda body: not is_probe(body))
        yield Case(one.name, dress, RequestRefusedError, one.said)


def _room() -> Iterator[Case]:
    for name, fault in cases.STARVING.items():
        yield Case(name, _where(fault, lambda body: 20 < int(body.get("max_tokens", 0)) < 2_000))
    longer = replace(QUESTION, messages=(Message("user", "some words " * 1_200),))
    faults = {name: fault for name, (fault, _) in cases.TOO_LONG.items()}
    for name, fault in {**faults, **cases.TOO_LONG_IN_ANY_WORDS}.items():
        dress = _where(fault, lambda body: len(str(body)) > 12_000)
        yield Case(name, dress, PromptTooLongError, "does not fit", longer)


KINDS: dict[str, Callable[[], Iterator[Case]]] = {
    "an option is refused": lambda: (
        Case(one.name, one.dress) for one in (*cases.REFUSING, *cases.LIMITING)
    ),
    "a service as it is": lambda: (
        Case(one.name, one.dress, headers=one.headers) for one in cases.SERVICES
    ),
    "a good answer in another body": lambda: (Case(one.name, one.dress) for one in cases.ANSWERING),
    "an error that passes when asked again, twice": _passing,
    "an error that lasts": _lasting,
    "a filter stops a prompt or a reply": _filters,
    "too little room for an answer or a prompt": _room,
}


async def _asked(case: Case, url: str, endpoint: _Counting) -> list[ChatReply | BaseException]:
    model = client(url, TurningClock(), negotiates=True, headers=case.headers)
    found: list[ChatReply | BaseException] = []
    for seed in range(3):
        # One after another: others would learn from the first while they wait.
        asked = model.reply(replace(case.question, seed=seed))
        found += await asyncio.gather(asked, return_exceptions=True)
        endpoint.n_before = len(endpoint.probes) if endpoint.n_before is None else endpoint.n_before
    await model.close()
    return found


def _is_right(case: Case, found: ChatReply | BaseException) -> bool:
    if case.fails_with is not None:
        is_so = isinstance(found, case.fails_with) and case.said in str(found)
        # The others are of one question.
        return is_so and isinstance(found, RequestRefusedError) == (case.fails_with is not _ALL)
    if not isinstance(found, ChatReply):
        return False
    text = answer_of(found)
    return find_object(text, "explanation", what="it").value["explanation"] == SAID


def outcome_of(case: Case) -> Outcome:
    """What three questions to this service come to."""
    with _Counting(lambda _: f'{{"explanation": "{SAID}"}}') as endpoint:
        typed = case.dress(endpoint)
        url = typed if isinstance(typed, str) else endpoint.base_url
        found = asyncio.run(_asked(case, url, endpoint))
        wrong = [one for one in found if not _is_right(case, one)]
        n_sent = len(endpoint.bodies) + len(endpoint.probes)
        return Outcome(not wrong, str(wrong[:1]), n_sent, endpoint.n_before or 0)


async def _stopped(name: str, url: str, endpoint: FakeEndpoint, *, answered: bool) -> str:
    """Requests and seconds until six questions at once have failed with what is refused to all."""
    world = TurningClock()
    model = client(url, world, negotiates=True, max_in_flight=2)
    if answered:
        await model.reply(QUESTION)
    n_before, slept = len(endpoint.bodies) + len(endpoint.probes), sum(world.slept)
    endpoint.dress = lambda _: cases.STOPPING[name]
    asked = (model.reply(replace(QUESTION, seed=seed)) for seed in range(6))
    found = await asyncio.gather(*asked, return_exceptions=True)
    await model.close()
    n_sent = len(endpoint.bodies) + len(endpoint.probes) - n_before
    is_right = all(isinstance(one, UpstreamError) and not one.retryable for one in found)
    return f"{n_sent} in {sum(world.slept) - slept:g} s" + ("" if is_right else " (goes on)")


def _print_stops() -> None:
    """Prints what is sent and waited for until a run stops, at first and in its midst."""
    print("| refused with | at first | in the midst of a run |\n|---|---|---|")
    for name in cases.STOPPING:
        told = []
        for answered in (False, True):
            with FakeEndpoint(lambda _: f'{{"explanation": "{SAID}"}}') as endpoint:
                url = endpoint.base_url
                told.append(asyncio.run(_stopped(name, url, endpoint, answered=answered)))
        print(f"| {name} | {' | '.join(told)} |", flush=True)


def _spread(counts: list[int]) -> str:
    return f"{median(counts):g} ({min(counts)} to {max(counts)})"


def main() -> None:
    """Prints a table."""
    if "--stops" in sys.argv:
        _print_stops()
    else:
        _print_kinds()


def _print_kinds() -> None:
    """Prints for each kind how many cases come to what they should, with how many requests."""
    prints_each = "--each" in sys.argv
    print("| kind | cases | requests | before the first question |\n|---|---|---|---|")
    for kind, made in KINDS.items():
        found = {case.name: outcome_of(case) for case in made()}
        n_right = sum(one.is_right for one in found.values())
        sent = _spread([one.n_sent for one in found.values()])
        before = _spread([one.n_before for one in found.values()])
        print(f"| {kind} | {n_right} of {len(found)} | {sent} | {before} |", flush=True)
        for name, one in found.items():
            if prints_each and not one.is_right:
                print(f"    {name}: {one.n_sent} requests, {one.found[:300]}")


if __name__ == "__main__":
    main()

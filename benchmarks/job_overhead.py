"""What a labelling job costs in CPU time beside what its LLM takes.

1,000 units of a small random model are labelled end to end, reply cache, cost log and labels on
disk, with an LLM that is a server in a process of its own and answers after 20 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import os
import pstats
import re
import tempfile
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

from _slow_server import SlowServer, serve, started

LATENCY_S, IN_FLIGHT, N_LAYERS, WIDTH, N_TOKENS = 0.02, 20, 2, 128, 16_384
_ROW = re.compile(r"^\d+: (.*)$", re.MULTILINE)


class _Server(SlowServer):
    delay_s = LATENCY_S

    def answer(self, body: bytes) -> bytes:
        """The answer's body."""
        return answer(json.loads(body))


def answer(body: dict[str, object]) -> bytes:
    """A chat completion: levels by the token alone, or an explanation by the prompt alone."""
    messages = body["messages"]
    assert isinstance(messages, list)
    question = str(messages[-1]["content"])
    rows = _ROW.findall(question) if "Neuron:" in question else []
    if rows:
        levels = [[_level(token) for token in json.loads(f"[{row}]")] for row in rows]
        text = json.dumps({"rows": levels})
    else:
        asked = f"{body.get('seed')} {question}".encode()
        text = json.dumps({"explanation": f"words such as {zlib.crc32(asked):x}"})
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    usage = {"prompt_tokens": len(question) // 4, "completion_tokens": len(text) // 2}
    made = {"id": "x", "object": "chat.completion", "model": "m"}
    return json.dumps({**made, "choices": [choice], "usage": usage}).encode()


def _level(token: str) -> int:
    number = zlib.crc32(token.encode())
    return number % 11 if number % 5 == 0 else 0


@dataclass(frozen=True)
class Cpu:
    """Processor time of all threads, in seconds."""

    user_s: float = 0.0
    system_s: float = 0.0

    @classmethod
    def now(cls) -> Cpu:
        """Since this process began."""
        times = os.times()
        return cls(times.user, times.system)

    def plus(self, more: Cpu) -> Cpu:
        """Both together."""
        return Cpu(self.user_s + more.user_s, self.system_s + more.system_s)

    def since(self, before: Cpu) -> Cpu:
        """What was added."""
        return Cpu(self.user_s - before.user_s, self.system_s - before.system_s)

    def a_call(self, n_calls: int) -> str:
        """Milliseconds for a call: user + system."""
        return f"{1e3 * self.user_s / n_calls:.2f} + {1e3 * self.system_s / n_calls:.2f}"


@dataclass(frozen=True)
class Run:
    """One job, done."""

    n_units: int
    n_ok: int
    n_calls: int
    wall_s: float
    ours: Cpu
    """Of this process, without reading text."""
    reading: Cpu
    """Running the subject model, and collecting what it gives."""


class _Reading:
    """Adds up the processor time of the stages that run the subject model, batch by batch."""

    def __init__(self) -> None:
        self.spent = Cpu()
        self._since = Cpu()

    def start(self, stage: str, total: int, unit: str) -> None:  # noqa: ARG002
        """A stage begins."""
        self._since = Cpu.now()

    def advance(self, stage: str, amount: int) -> None:  # noqa: ARG002
        """A batch is done."""
        if stage in {"collect", "records"}:
            now = Cpu.now()
            self.spent, self._since = self.spent.plus(now.since(self._since)), now

    def at(self, stage: str, place: str) -> None:
        """Likewise."""

    def note(self, message: str) -> None:
        """Likewise."""


def run(url: str, n_units: int, folder: Path) -> Run:
    """Labels so many units."""
    from _parts import random_gpt2, random_text

    from autointerp.core.config import Budget, ExplainConfig, JobSpec, ScoreConfig
    from autointerp.core.explanations import LabelStatus
    from autointerp.jobs import LabelJob, run_labels
    from autointerp.llm import ClientOptions
    from autointerp.settings import Settings
    from autointerp.store.labels import FolderLabelStore
    from autointerp.subjects import parse_units
    from autointerp.wiring.llms import JobBudget, open_llm
    from autointerp.wiring.tools import build_tools

    subject, corpus = random_gpt2(n_layers=N_LAYERS, width=WIDTH), random_text(N_TOKENS)
    last = n_units // N_LAYERS - 1
    spec = JobSpec(
        subject=subject.name,
        units=",".join(f"{layer}:0-{last}" for layer in range(N_LAYERS)),
        explain=ExplainConfig(explainers=("token_activation",), n_samples=2),
        score=ScoreConfig(scorers=("simulation",), n_heldout=12, n_validation=6, n_receipts=0),
        llm=url,
        llm_model="m",
    )
    settings = Settings(cache_dir=folder / "cache")
    options, job_budget = ClientOptions(max_in_flight=IN_FLIGHT), JobBudget(Budget(), folder)
    job = LabelJob(
        spec=spec,
        subject=subject,
        corpus=corpus,
        units=parse_units(spec.units, subject, seed=0),
        open_llm=lambda: open_llm(spec, settings, options=options, budget=job_budget),
        build_tools=lambda model, pool: build_tools(spec, model, pool=pool),
        at_once=IN_FLIGHT,
    )
    reading = _Reading()
    started, before = time.perf_counter(), Cpu.now()
    report = run_labels(job, FolderLabelStore(folder / "run"), progress=reading)
    wall, spent = time.perf_counter() - started, Cpu.now().since(before)
    n_ok = report.totals.n_by_status[LabelStatus.OK]
    n_calls = report.usage.requests
    return Run(
        report.totals.n_labels, n_ok, n_calls, wall, spent.since(reading.spent), reading.spent
    )


def report(n_units: int, profile: int) -> None:
    """Prints the table, and where the time went if that is asked for."""
    from _parts import header

    profiler = cProfile.Profile(time.process_time) if profile else None
    with started(__file__, "--serve") as url, tempfile.TemporaryDirectory() as folder:
        if profiler:
            profiler.enable()
        found = run(url, n_units, Path(folder))
        if profiler:
            profiler.disable()
    print(header(), "\n")
    print("                                CPU ms a call, user + system")
    print("units     ok    calls  calls/s         ours  reading text")
    print(
        f"{found.n_units:5,}  {found.n_ok:5,}  {found.n_calls:7,}  "
        f"{found.n_calls / found.wall_s:7.1f}  {found.ours.a_call(found.n_calls):>11}  "
        f"{found.reading.a_call(found.n_calls):>12}"
    )
    if profiler:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(profile)


def main() -> None:
    """Serves, or measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=1000, help="an even number, at most 1,024")
    parser.add_argument("--profile", type=int, default=0, metavar="N", help="show the N costliest")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve(_Server))
    else:
        report(arguments.units, arguments.profile)


if __name__ == "__main__":
    main()

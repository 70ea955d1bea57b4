"""Random faults while a job runs: does it end, is every label there once, is nothing paid twice.

Workers and the API are killed, the server of the queue is killed for seconds, the LLM's endpoint
hangs up for five. After every fault the next label is waited for, or the API's next answer: that is
the time to recover. A client follows every job through the API to its end.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import statistics
import subprocess
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
from _parts import free_port, header
from _service import Service, save_model, spec_of
from _slow_server import SlowServer, serve, started
from job_overhead import answer

import autointerp as ai
from autointerp.client import JobStatus
from autointerp.core.config import Budget, ExplainConfig, JobSpec, ScoreConfig
from autointerp.core.job_state import Job

LATENCY_S, LEASE_S, LLM_DOWN_S = 0.05, 5, 5.0
N_LAYERS, WIDTH = 6, 128
API = "kill -9 API"
Fault = Callable[[], None]


class Endpoint(SlowServer):
    """Writes down every answer; hangs up while a file stands there."""

    delay_s = LATENCY_S
    down: Path
    answered: Path

    @property
    def is_down(self) -> bool:
        """Whether connections are hung up."""
        return self.down.exists()

    def answer(self, body: bytes) -> bytes:
        """The answer's body."""
        return answer(json.loads(body))

    def told(self, body: bytes) -> None:
        """An answer was sent."""
        with self.answered.open("ab") as file:
            file.write(hashlib.sha256(body).hexdigest().encode() + b"\n")


class Faults:
    """The faults by name, each put right before it returns."""

    def __init__(self, service: Service, folder: Path, rng: random.Random, port: int) -> None:
        self._service, self._folder, self._rng, self._port = service, folder, rng, port
        self.by_name: dict[str, Fault] = {
            "kill -9 activations worker": lambda: self._restart("activations"),
            "kill -9 label worker": lambda: self._restart(rng.choice(("labels-0", "labels-1"))),
            "kill -9 child of a prefork label worker": self._kill_child,
            "kill -9 server, 1-8 s down": self._server_down,
            "LLM endpoint down 5 s": self._llm_down,
            API: self._kill_api,
        }

    def _restart(self, name: str) -> None:
        self._service.processes[name].kill()
        self._service.processes[name].wait()
        more = ("--pool", "prefork") if name == "labels-1" else ()
        self._service.start(name, *more)

    def _kill_api(self) -> None:
        self._service.processes["api"].kill()
        self._service.processes["api"].wait()
        self._service.start_api(self._port)

    def _kill_child(self) -> None:
        parent = self._service.processes["labels-1"].pid
        found = subprocess.run(
            ["pgrep", "-P", str(parent)], capture_output=True, text=True, check=False
        ).stdout.split()
        for pid in found[-1:]:
            subprocess.run(["kill", "-9", pid], check=False)

    def _server_down(self) -> None:
        pid = self._service.server.pid
        subprocess.run(["kill", "-9", str(pid)], check=False)
        time.sleep(self._rng.uniform(1, 8))
        self._service.server.start()

    def _llm_down(self) -> None:
        flag = self._folder / "llm-down"
        flag.touch()
        time.sleep(LLM_DOWN_S)
        flag.unlink()


def main() -> None:
    """Injects faults until there were enough, then waits for the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=20)
    parser.add_argument(
        "--units", type=int, default=512, help="of each job; jobs follow each other"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--llm", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.llm is not None:
        Endpoint.down, Endpoint.answered = asked.llm / "llm-down", asked.llm / "answered"
        asyncio.run(serve(Endpoint))
        return
    with tempfile.TemporaryDirectory() as name:
        run(Path(name), asked.faults, asked.units, random.Random(asked.seed))


def run(folder: Path, n_faults: int, n_units: int, rng: random.Random) -> None:
    """One run; prints its table."""
    model = save_model(folder / "random", n_layers=N_LAYERS, width=WIDTH)
    with started(__file__, "--llm", str(folder)) as url:
        settings = {"llm_base_url": url, "llm_model": "m", "lease_s": LEASE_S}
        with Service(folder, model, **settings) as service:
            recovered, followed = _disturbed(service, folder, n_faults, n_units, rng)
            _report(service, folder, recovered, [one.result() for one in followed])


def _disturbed(
    service: Service, folder: Path, n_faults: int, n_units: int, rng: random.Random
) -> tuple[dict[str, list[float]], list[Future[JobStatus]]]:
    service.start("activations")
    service.start("labels-0")
    service.start("labels-1", "--pool", "prefork")
    port = free_port()
    service.start_api(port)
    service.wait_for_workers(3)
    _until_answered(port)
    faults = Faults(service, folder, rng, port)
    recovered: defaultdict[str, list[float]] = defaultdict(list)
    names, jobs, followed = list(faults.by_name), list[Job](), list[Future[JobStatus]]()
    followers = ThreadPoolExecutor(64)
    n = 0
    while n < n_faults or not jobs or not service.job(jobs[-1].id).state.is_final:
        if not jobs or service.job(jobs[-1].id).state.is_final:
            jobs.append(
                service.job_service.submit(_spec(n_units, len(jobs)), Budget(), owner="bench")
            )
            followed.append(followers.submit(_follow, port, jobs[-1].id))
        if n < n_faults:
            time.sleep(rng.uniform(1, 4))
            fault = names[n % len(names)] if n < len(names) else rng.choice(names)
            faults.by_name[fault]()
            recovered[fault].append(
                _until_answered(port) if fault == API else _until_next(service, jobs[-1].id)
            )
            n += 1
        else:
            time.sleep(0.2)
    followers.shutdown()
    return recovered, followed


def _follow(port: int, job_id: str) -> JobStatus:
    """A job as a client saw it end, whose patience is that of a person at work."""
    with ai.Client(f"http://127.0.0.1:{port}", patience_s=120) as client:
        return client.wait(job_id)


def _until_answered(port: int) -> float:
    """Seconds until the API answers."""
    started = time.perf_counter()
    while True:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5).is_success:
                return time.perf_counter() - started
        except httpx.TransportError:
            time.sleep(0.05)


def _spec(n_units: int, seed: int) -> JobSpec:
    d_mlp = 4 * WIDTH
    parts = [
        f"{layer}:0-{min(d_mlp, n_units - layer * d_mlp) - 1}"
        for layer in range(-(-n_units // d_mlp))
    ]
    spec = spec_of(",".join(parts), n_tokens=65_536, llm="default", seed=seed)
    explain = ExplainConfig(explainers=("token_activation",), n_samples=1)
    score = ScoreConfig(scorers=("simulation",), n_heldout=12, n_validation=6, n_receipts=0)
    return spec.model_copy(update={"explain": explain, "score": score})


def _until_next(service: Service, job_id: str) -> float:
    """Seconds until something more is done than when the fault was put right; 0 if all was."""
    started = time.perf_counter()

    def progress() -> object:
        job = service.job(job_id)
        return job.state, job.counts, job.stages, job.requests

    before = progress()
    if service.job(job_id).state.is_final:
        return 0.0
    while progress() == before and time.perf_counter() - started < 120:
        time.sleep(0.05)
    return time.perf_counter() - started


def _report(
    service: Service, folder: Path, recovered: dict[str, list[float]], seen: list[JobStatus]
) -> None:
    print(header(), "\n")
    print("fault                                     n  seconds to go on: median   worst")
    for name, values in recovered.items():
        print(f"{name:40} {len(values):3}  {statistics.median(values):24.1f}  {max(values):6.1f}")
    ended = [service.job(job.id) for job in seen]
    n_total, n_events, n_twice = 0, 0, 0
    for job in ended:
        events = service.backend.jobs.events(job.id, limit=100_000)
        labels = Counter((e.data["unit"], e.data["side"]) for e in events if e.kind == "label")
        n_total += job.counts.total
        n_events += len(labels)
        n_twice += sum(count - 1 for count in labels.values())
    answers = Counter((folder / "answered").read_bytes().split())
    repeated = sum(count - 1 for count in answers.values())
    print()
    print("jobs:", ", ".join(f"{job.state} ({job.reason})" for job in ended))
    print("as a client saw them:", ", ".join(str(job.state) for job in seen))
    print(f"labels: {n_total:,} asked for, {n_events:,} there, {n_twice} counted twice")
    print(f"LLM: {sum(answers.values()):,} answers, {repeated} of them to a question asked before")


if __name__ == "__main__":
    main()

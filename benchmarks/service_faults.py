"""Random faults while a job runs: does it end, is every label there once, is nothing paid twice.

Workers are killed, the server of the queue is killed for seconds, the LLM's endpoint hangs up for
five. After every fault the next label is waited for: that is the time to recover.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

from _parts import header
from _service import Service, save_model, spec_of
from job_overhead import answer

from autointerp.core.config import ExplainConfig, JobSpec, Money
from autointerp.core.service import Job

LATENCY_S, LEASE_S, LLM_DOWN_S = 0.05, 5, 5.0
N_LAYERS, WIDTH = 6, 128
Fault = Callable[[], None]


class Endpoint(asyncio.Protocol):
    """Answers chat requests, writes down every answer, hangs up while a file stands there."""

    down: Path
    answered: Path

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody asks."""
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._received = transport, b""
        if self.down.exists():
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """A part of a question."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        if found and len(body) >= length:
            self._received = body[length:]
            asyncio.get_running_loop().call_later(LATENCY_S, self._answer, body[:length])

    def _answer(self, body: bytes) -> None:
        if self.down.exists():
            self._transport.abort()
        if self._transport.is_closing():
            return
        reply = answer(json.loads(body))
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self._transport.write(head % len(reply) + reply)
        with self.answered.open("ab") as file:
            file.write(b"%x\n" % hash(body))


async def serve_llm(folder: Path) -> None:
    """Prints its port and answers until it is ended."""
    Endpoint.down, Endpoint.answered = folder / "llm-down", folder / "answered"
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Endpoint, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class Faults:
    """The faults by name, each put right before it returns."""

    def __init__(self, service: Service, folder: Path, rng: random.Random) -> None:
        self._service, self._folder, self._rng = service, folder, rng
        self.by_name: dict[str, Fault] = {
            "kill -9 activations worker": lambda: self._restart("activations"),
            "kill -9 label worker": lambda: self._restart(rng.choice(("labels-0", "labels-1"))),
            "kill -9 child of a prefork label worker": self._kill_child,
            "kill -9 server, 1-8 s down": self._server_down,
            "LLM endpoint down 5 s": self._llm_down,
        }

    def _restart(self, name: str) -> None:
        self._service.processes[name].kill()
        self._service.processes[name].wait()
        more = ("--pool", "prefork") if name == "labels-1" else ()
        self._service.start(name, *more)

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
        asyncio.run(serve_llm(asked.llm))
        return
    with tempfile.TemporaryDirectory() as name:
        run(Path(name), asked.faults, asked.units, random.Random(asked.seed))


def run(folder: Path, n_faults: int, n_units: int, rng: random.Random) -> None:
    """One run; prints its table."""
    model = save_model(folder / "random", n_layers=N_LAYERS, width=WIDTH)
    command = [sys.executable, __file__, "--llm", str(folder)]
    environment = {"PYTHONHASHSEED": "0", "PATH": ""}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as llm:
        assert llm.stdout is not None
        url = f"http://127.0.0.1:{int(llm.stdout.readline())}/v1"
        settings = {"llm_base_url": url, "llm_model": "m", "lease_s": LEASE_S}
        try:
            with Service(folder, model, **settings) as service:
                recovered, jobs = _disturbed(service, folder, n_faults, n_units, rng)
                _report(service, folder, recovered, jobs)
        finally:
            llm.kill()


def _disturbed(
    service: Service, folder: Path, n_faults: int, n_units: int, rng: random.Random
) -> tuple[dict[str, list[float]], list[Job]]:
    service.start("activations")
    service.start("labels-0")
    service.start("labels-1", "--pool", "prefork")
    service.wait_for_workers(3)
    faults = Faults(service, folder, rng)
    recovered: defaultdict[str, list[float]] = defaultdict(list)
    names, jobs = list(faults.by_name), list[Job]()
    n = 0
    while n < n_faults or not jobs or not service.job(jobs[-1].id).state.is_final:
        if not jobs or service.job(jobs[-1].id).state.is_final:
            jobs.append(service.desk.submit(_spec(n_units, len(jobs)), Money(), owner="bench"))
        if n < n_faults:
            time.sleep(rng.uniform(1, 4))
            fault = names[n % len(names)] if n < len(names) else rng.choice(names)
            faults.by_name[fault]()
            recovered[fault].append(_until_next(service, jobs[-1].id))
            n += 1
        else:
            time.sleep(0.2)
    return recovered, jobs


def _spec(n_units: int, seed: int) -> JobSpec:
    d_mlp = 4 * WIDTH
    parts = [
        f"{layer}:0-{min(d_mlp, n_units - layer * d_mlp) - 1}"
        for layer in range(-(-n_units // d_mlp))
    ]
    spec = spec_of(",".join(parts), n_tokens=65_536, llm="default", seed=seed)
    explain = ExplainConfig(explainers=("token_activation",), n_samples=1)
    return spec.model_copy(update={"explain": explain})


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
    service: Service, folder: Path, recovered: dict[str, list[float]], jobs: list[Job]
) -> None:
    print(header(), "\n")
    print("fault                                     n  seconds to go on: median   worst")
    for name, values in recovered.items():
        print(f"{name:40} {len(values):3}  {statistics.median(values):24.1f}  {max(values):6.1f}")
    ended = [service.job(job.id) for job in jobs]
    n_total, n_events, n_twice = 0, 0, 0
    for job in ended:
        events = service.board.events(job.id, limit=100_000)
        labels = Counter((e.data["unit"], e.data["side"]) for e in events if e.kind == "label")
        n_total += job.counts.total
        n_events += len(labels)
        n_twice += sum(count - 1 for count in labels.values())
    answers = Counter((folder / "answered").read_bytes().split())
    repeated = sum(count - 1 for count in answers.values())
    print()
    print("jobs:", ", ".join(f"{job.state} ({job.reason})" for job in ended))
    print(f"labels: {n_total:,} asked for, {n_events:,} there, {n_twice} counted twice")
    print(f"LLM: {sum(answers.values()):,} answers, {repeated} of them to a question asked before")


if __name__ == "__main__":
    main()

"""What readers wait for while a job runs on the same cores, beside what they wait for without one.

The service is what ``serve --embedded`` starts: Valkey, the API and two workers under one
supervisor. Readers are another process. On a small random model one job reads text
(``collect``), and one labels units that are read meanwhile (``label``: both workers compute, and
with ``--llm embedded`` so do the LLM's servers). Each ``--nice`` is a service of its own, in turn
with the others: the first is the comparison, 0 shares the cores equally.
"""

from __future__ import annotations

import argparse
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
from _http_reader import Asked, read
from _parts import free_port
from _service import save_model, spec_of
from api_reads import put_records
from store_reads import MODEL, N_WORDS, filled_folder, make_words

from autointerp.core.config import JobSpec
from autointerp.core.job_state import Stage
from autointerp.orchestration.plan import QUEUES
from autointerp.serving.launch import is_ready
from autointerp.serving.supervisor import (
    ServiceProgram,
    Supervisor,
    api_program,
    settings_for,
    worker_program,
)
from autointerp.serving.valkey import Valkey
from autointerp.store.jobs import COLLECTION
from autointerp.store.jobs.redis_backend import redis_backend
from autointerp.store.redis_connection import RedisConnection

N_KEYS, N_LAYERS, WIDTH, FEW_TOKENS = 10, 6, 256, 4_096
PATIENCE_S = 300.0


@dataclass(frozen=True, slots=True)
class Running:
    """A service that takes jobs."""

    valkey: Valkey
    api: httpx.Client
    asked: Asked

    def submit(self, spec: JobSpec) -> str:
        """The id of the new job."""
        body = spec.model_dump(mode="json", exclude_unset=True)
        answer = self.api.post("/v1/jobs", json=body)
        answer.raise_for_status()
        return str(answer.json()["id"])

    def cancel(self, job_id: str) -> None:
        """Ends it."""
        self.api.post(f"/v1/jobs/{job_id}/cancel").raise_for_status()

    def wait_until_held(self, job_id: str, stage: Stage) -> None:
        """Returns when a worker does work of that stage, and has begun to compute."""
        backend = redis_backend(RedisConnection(self.valkey.url))
        until = time.monotonic() + PATIENCE_S
        while True:
            owner = backend.jobs.note(job_id, COLLECTION) if stage is Stage.COLLECT else job_id
            if owner and any(item.held_by for item in backend.queue.items(owner, stage)):
                break
            assert time.monotonic() < until, self.api.get(f"/v1/jobs/{job_id}").text
            time.sleep(0.1)
        time.sleep(2.0)


@contextmanager
def running(
    folder: Path, model: Path, asked: Asked, *, nice: int, apis: Sequence[ServiceProgram] = ()
) -> Iterator[Running]:
    """The service on the folder's labels."""
    valkey, logs = Valkey(folder / "valkey"), folder / "logs"
    address = f"http://127.0.0.1:{asked.port}"
    values = {
        "data_dir": folder,
        "cache_dir": folder / "cache",
        "store": f"json:{folder / 'labels'}",
        "artifacts": folder / "artifacts",
        "models": f"{MODEL}={model}",
        "api_keys": ",".join(asked.keys),
    }
    workers = [replace(worker_program(queue), nice=nice) for queue in QUEUES]
    supervisor = Supervisor(
        valkey,
        (*(apis or [api_program(host="127.0.0.1", port=asked.port)]), *workers),
        lambda url: settings_for(os.environ, redis_url=url, **values),
        logs,
    )
    ready = threading.Event()
    thread = threading.Thread(
        target=supervisor.run,
        kwargs={"ready": lambda: is_ready(valkey, address), "on_event": lambda _: ready.set()},
    )
    thread.start()
    headers = {"x-api-key": asked.keys[0]}
    try:
        assert ready.wait(PATIENCE_S), sorted(logs.glob("*.log"))
        with httpx.Client(base_url=address, headers=headers, timeout=60) as client:
            client.get(f"/v1/models/{MODEL}/labels").raise_for_status()
            yield Running(valkey, client, asked)
    finally:
        supervisor.stop()
        thread.join()


def report(what: str, service: Running, n_readers: Sequence[int]) -> None:
    """Prints a line at the rate, and one for each number of readers without a pause."""
    asked = service.asked
    ways = {f"{asked.rate:.0f}/s": asked}
    ways |= {f"{n} readers": replace(asked, rate=None, readers=n) for n in n_readers}
    for name, way in ways.items():
        load, found = os.getloadavg()[0], read(way)
        print(
            f"    {what:8} {name:10} p50 {found.p50:6.1f} p95 {found.p95:6.1f} "
            f"p99 {found.p99:6.1f} slowest {found.slowest:6.0f} ms, {found.per_s:4.0f}/s, "
            f"{found.errors} errors, load {load:.1f}",
            flush=True,
        )


def main() -> None:
    """Prints every service of every round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--readers", type=int, nargs="*", default=(10,), help="without a pause")
    parser.add_argument("--rate", type=float, default=5.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--tokens", type=int, default=600_000)
    parser.add_argument("--llm", choices=("none", "embedded"), default="none")
    parser.add_argument("--nice", type=int, nargs="*", default=(0, 5))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        model = save_model(folder / "random", n_layers=N_LAYERS, width=WIDTH)
        put_records(filled_folder(folder / "labels" / MODEL, options.labels, make_words(N_WORDS)))
        asked = Asked(
            port=free_port(),
            keys=tuple(secrets.token_hex(16) for _ in range(N_KEYS)),
            what="all",
            n_labels=options.labels,
            readers=5,
            seconds=options.seconds,
            rate=options.rate,
        )
        for seed in range(options.rounds * len(options.nice)):
            llm = options.llm
            nice = options.nice[seed % len(options.nice)]
            print(f"nice {nice}")
            with running(folder, model, asked, nice=nice) as service:
                report("no job", service, options.readers)
                for stage, n_tokens in ((Stage.COLLECT, options.tokens), (Stage.LABEL, FEW_TOKENS)):
                    # Another text each time, so that it is read again.
                    spec = spec_of("all", n_tokens=n_tokens + 64 * seed, llm=llm)
                    job_id = service.submit(spec.model_copy(update={"subject": MODEL}))
                    service.wait_until_held(job_id, stage)
                    report(stage.value, service, options.readers)
                    service.cancel(job_id)


if __name__ == "__main__":
    main()

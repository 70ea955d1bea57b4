"""The service in one process: jobs in memory, and a worker that is handed what is sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from memory_jobs import MemoryJobs
from memory_store import MemoryLabelStores

from autointerp.core.config import Budget, CorpusConfig, JobSpec
from autointerp.core.job_state import Job, WorkItem
from autointerp.dictionary import row_json
from autointerp.jobs.worker import LeaseTimes, Worker, WorkerDependencies
from autointerp.orchestration import JobService, schedule_job
from autointerp.settings import Settings
from autointerp.store.artifacts import Artifacts
from autointerp.store.jobs import JobBackend
from autointerp.store.labels import LabelStores
from autointerp.wiring.backends import Backends, build_job_service
from autointerp.wiring.workers import build_worker_dependencies

QUICK = LeaseTimes(lease_s=60.0, poll_s=0.05, stall_s=600.0)
SIMULATED = {
    "explain": {"explainers": ("token_activation", "token_lookup"), "n_samples": 2},
    "score": {"scorers": ("simulation",), "n_heldout": 12, "n_validation": 6, "n_receipts": 0},
}
"""What runs with an LLM where a test names nothing else: two answers, and levels of each token."""


def tiny_spec(texts: Path, **more: object) -> JobSpec:
    """Six units of the tiny model, without an LLM unless one is named; `SIMULATED` with one."""
    corpus = CorpusConfig(corpus=str(texts), n_tokens=2500, n_ctx=16)
    given = {"subject": "tiny", "units": "0:0-3,1:0-1", "corpus": corpus, "llm": "none"}
    for name, usual in SIMULATED.items() if more.get("llm", "none") != "none" else ():
        said = more.get(name, {})
        more[name] = {**usual, **said} if isinstance(said, dict) else said
    return JobSpec.model_validate({**given, **more})


class WorkerInProcess:
    """A job service and a worker that does what it sends."""

    def __init__(
        self,
        folder: Path,
        model: Path,
        texts: Path,
        *,
        backend: JobBackend | None = None,
        stores: Callable[[Artifacts], LabelStores] | None = None,
        artifacts: Artifacts | None = None,
        **settings: object,
    ) -> None:
        self.settings = Settings.model_validate(
            {
                "models": (f"tiny={model}",),
                "folders": (texts.parent,),
                "cache_dir": folder / "cache",
                "data_dir": folder,
                **settings,
            }
        )
        self.backend: JobBackend = backend or MemoryJobs().backend
        self.artifacts = artifacts or Artifacts(str(folder / "artifacts"))
        self.stores = stores(self.artifacts) if stores else MemoryLabelStores(row_json)
        self.sent: deque[WorkItem] = deque()
        self.backends = Backends(self.backend, self.artifacts, self.stores)
        self.job_service: JobService = build_job_service(
            self.settings, self.backends, send=self.sent.extend, send_request=lambda *_: None
        )
        self.dependencies: WorkerDependencies = replace(
            build_worker_dependencies(self.settings, self.backends, self.sent.extend), times=QUICK
        )
        self.worker = Worker(self.dependencies, name="one")

    def submit(self, spec: JobSpec, budget: Budget | None = None) -> Job:
        """Puts a job up."""
        return self.job_service.submit(spec, budget or Budget(), owner="local")

    def work(self, *, most: int = 1000) -> list[WorkItem]:
        """Does what was sent, and what is sent meanwhile; what was done."""
        done = []
        while self.sent and len(done) < most:
            item = self.sent.popleft()
            self.worker.do(item)
            done.append(item)
        return done

    def finished(self, spec: JobSpec) -> Job:
        """A job from beginning to end."""
        job = self.submit(spec)
        self.work()
        return self.found(job.id)

    def found(self, job_id: str) -> Job:
        """The job as it is now."""
        found = self.backend.jobs.get(job_id)
        assert found is not None
        return found

    def advance(self, jobs: Sequence[Job]) -> None:
        """As the reconciler does."""
        for job in jobs:
            schedule_job(self.backend, self.sent.extend, job.id)

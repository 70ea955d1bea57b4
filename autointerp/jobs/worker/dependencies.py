"""What a worker is given by wiring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from autointerp.core.config import CorpusConfig, JobSpec
from autointerp.core.ids import UnitId
from autointerp.core.job_state import Job
from autointerp.core.worker_metrics import WorkerMetrics
from autointerp.corpora import TokenCorpus
from autointerp.llm import ChatModel, CostLog
from autointerp.orchestration import Send
from autointerp.pipeline import Tools
from autointerp.store.artifacts import Artifacts
from autointerp.store.jobs import JobBackend
from autointerp.store.labels import LabelStores
from autointerp.subjects import SubjectModel


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """Of leases, in seconds."""

    lease_s: float = 15.0
    """A worker that does not renew its lease for so long is taken for dead."""
    poll_s: float = 1.0
    """Between two checks whether the work is still wanted."""
    stall_s: float = 1800.0
    """Work that finishes nothing for so long is given to somebody else. Longer than an LLM
    call with all its attempts may take."""


@dataclass(frozen=True, slots=True)
class WorkerDependencies:
    """Everything that a worker works with."""

    backend: JobBackend
    artifacts: Artifacts
    stores: LabelStores
    send: Send
    load_subject: Callable[[str, str], SubjectModel]
    """By the name that jobs use, and dtype."""
    load_corpus: Callable[[CorpusConfig, SubjectModel], TokenCorpus]
    check: Callable[[JobSpec], None]
    """Refuses explainers, scorers and LLMs that do not exist, before anything is paid for."""
    open_llm: Callable[[JobSpec, Job | None, CostLog], ChatModel | None]
    """The LLM of a spec; the job, where there is one, says what may be spent."""
    build_tools: Callable[[JobSpec, ChatModel | None, Sequence[UnitId]], Tools]
    """Takes the units among which some scorers find others."""
    at_once: Callable[[JobSpec], int]
    """Units that are worked on at the same time."""
    needs_subject: Callable[[JobSpec], bool]
    """Whether a tool of the job runs texts through the subject model."""
    metrics: Callable[[], WorkerMetrics]
    """Of LLM calls and GPUs, of this process."""
    folder: Path
    """For unfinished files; safe to delete."""
    most_units: int = 50_000
    """Units of one job."""
    times: LeaseTimes = LeaseTimes()

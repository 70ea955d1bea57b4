"""What a worker works with: what it is given by wiring, and what it keeps loaded."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from autointerp.activations import (
    DamagedSummaryError,
    Summary,
    UnitReader,
    load_summary,
    open_summary,
)
from autointerp.core import VERSION
from autointerp.core.config import Budget, CorpusConfig, JobSpec
from autointerp.core.errors import InputError, StorageError
from autointerp.core.files import storage_errors
from autointerp.core.ids import Side, UnitId
from autointerp.core.job_state import Job
from autointerp.core.progress import Progress
from autointerp.core.worker_metrics import WorkerMetrics
from autointerp.corpora import TokenCorpus
from autointerp.evidence import SubjectProbe
from autointerp.jobs.unit_inputs import RecordsReader, unit_reader
from autointerp.llm import ChatModel, CostLog, Spent
from autointerp.orchestration import Send
from autointerp.orchestration.plan import summary_name
from autointerp.pipeline import Tools
from autointerp.store.artifacts import Artifacts
from autointerp.store.jobs import JobBackend
from autointerp.store.labels import LabelStores
from autointerp.subjects import SubjectModel, neuron_layers
from autointerp.subjects.model_facts import shape_of_model


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
    open_llm: Callable[[JobSpec, Job | None, CostLog], ChatModel | None]
    """The LLM of a spec; the job, where there is one, says what may be spent."""
    build_tools: Callable[[JobSpec, ChatModel | None, Sequence[UnitId]], Tools]
    """Takes the units among which some scorers find others."""
    at_once: Callable[[JobSpec], int]
    """Units that are worked on at the same time."""
    units_left: Callable[[JobSpec, Budget, Spent, Spent | None], int]
    """For how many more units a budget lasts; takes what of it was spent, and what a unit was
    found to cost."""
    metrics: Callable[[], WorkerMetrics]
    """Of LLM calls and GPUs, of this process."""
    folder: Path
    """For unfinished files; safe to delete."""
    most_units: int = 50_000
    """Units of one job."""
    times: LeaseTimes = LeaseTimes()


MODELS = "models"
"""Owner of the notes that say what a subject model has."""


@dataclass(frozen=True, slots=True)
class LoadedJob:
    """What the records of a job are read with."""

    subject: SubjectModel
    corpus: TokenCorpus
    summary: Summary
    reader: UnitReader
    records: RecordsReader

    def side(self, unit: UnitId, planned: Side | None) -> Side:
        """The side that was planned, or the stronger one where that was left open."""
        return planned or self.reader.side(unit, two_sided=True)


class LoadedModels:
    """Keeps the last of each kind loaded, for the next work item of the same job."""

    def __init__(self, deps: WorkerDependencies) -> None:
        self._deps = deps
        self._subject: tuple[tuple[str, str], SubjectModel] | None = None
        self._corpus: tuple[tuple[str, str], TokenCorpus] | None = None
        self._asked_corpus: tuple[tuple[str, str], TokenCorpus] | None = None
        self._summary: tuple[str, Summary] | None = None
        self._reader: tuple[tuple[str, str], UnitReader] | None = None
        self._probe: SubjectProbe | None = None

    def subject(self, name: str, dtype: str) -> SubjectModel:
        """The subject model, loaded if it is not the last one."""
        if self._subject is None or self._subject[0] != (name, dtype):
            # The last one is dropped first: two may not fit the device.
            self._subject = self._probe = None
            subject = self._deps.load_subject(name, dtype)
            self._subject = ((name, dtype), subject)
            note = json.dumps(_facts(subject))
            for known_as in {name, subject.name}:
                self._deps.backend.jobs.put_note(MODELS, known_as, note)
        return self._subject[1]

    def has_subject(self, name: object, dtype: object) -> bool:
        """Whether the subject model is the one that is loaded."""
        return self._subject is not None and self._subject[0] == (name, dtype)

    def probe(self, spec: JobSpec) -> SubjectProbe:
        """Runs texts through the job's subject model."""
        subject = self.subject(spec.subject, spec.dtype)
        if self._probe is None:
            self._probe = SubjectProbe(subject)
        return self._probe

    def corpus(self, config: CorpusConfig, subject: SubjectModel) -> TokenCorpus:
        """The text, tokenized if it is not the last one."""
        key = (subject.tokenizer.name, config.digest)
        if self._corpus is None or self._corpus[0] != key:
            self._corpus = (key, self._deps.load_corpus(config, subject))
        return self._corpus[1]

    def corpus_beside(self, config: CorpusConfig, subject: SubjectModel) -> TokenCorpus:
        """The text of a request, without dropping that of a job, which may take long to read."""
        config = config.model_copy(update={"n_ctx": min(config.n_ctx, subject.max_n_ctx)})
        key = (subject.tokenizer.name, config.digest)
        for known in (self._corpus, self._asked_corpus):
            if known is not None and known[0] == key:
                return known[1]
        self._asked_corpus = (key, self._deps.load_corpus(config, subject))
        return self._asked_corpus[1]

    def job(self, spec: JobSpec, collection: str, progress: Progress) -> LoadedJob:
        """For the records of a job whose collection is whole."""
        subject = self.subject(spec.subject, spec.dtype)
        corpus = self.corpus(spec.corpus, subject)
        summary = self._summary_of(collection)
        key = (collection, spec.digest)
        if self._reader is None or self._reader[0] != key:
            self._reader = (key, unit_reader(summary, spec, corpus))
        reader = self._reader[1]
        # The records of a chunk go into its file, not into a store.
        records = RecordsReader(spec, subject, corpus, reader, store=None, progress=progress)
        return LoadedJob(subject, corpus, summary, reader, records)

    def _summary_of(self, collection: str) -> Summary:
        if self._summary is None or self._summary[0] != collection:
            self._summary = self._reader = None
            summary = fetched_summary(self._deps.artifacts, summary_name(collection))
            self._summary = (collection, summary)
        return self._summary[1]


def fetched_summary(artifacts: Artifacts, name: str) -> Summary:
    """The summary in an artifact; a damaged one is deleted, so that it is collected again.

    Raises:
        StorageError: it is not there, was damaged, could not be read now or is of another version.
    """
    problem = ""
    # A copy may be damaged where the artifact is not.
    for _ in range(1 if artifacts.is_local else 2):
        path = artifacts.fetch(name)
        try:
            return load_summary(path)
        except DamagedSummaryError as error:
            problem = str(error)
            with storage_errors(path):
                path.unlink(missing_ok=True)
        except InputError as error:
            # A worker of that version can read it: it stays, and the work is tried again.
            raise StorageError(str(error)) from error
    artifacts.delete(name)
    raise StorageError(f"{artifacts.where}/{name} is collected again: {problem}")


def checkpoint_of(usual: Path, progress: Progress) -> Path:
    """Where a shard is collected: beside a checkpoint of another version, which stays."""
    if not usual.is_file():
        return usual
    try:
        version = open_summary(usual).manifest.identity["package_version"]
        why = f"{usual} was collected by autointerp {version}" if version != VERSION else None
    except (DamagedSummaryError, LookupError):
        return usual
    except InputError as error:
        why = str(error)
    if why is None:
        return usual
    own = usual.with_name(f"{VERSION}-{usual.name}")
    progress.note(f"the shard is collected into {own}, as {why}, and is left as it is")
    return own


def _facts(subject: SubjectModel) -> dict[str, object]:
    hooks = [(u.hook, len(u.indices)) for u in neuron_layers(subject)[0]]
    shape = shape_of_model(subject.name, subject.bridge)
    return {
        "name": subject.name,
        "revision": subject.revision,
        "n_layers": subject.n_layers,
        "hooks": [
            {"hook": hook, "width": width, "two_sided": subject.two_sided(hook)}
            for hook, width in hooks
        ],
        "tokenizer": subject.tokenizer.name,
        "max_n_ctx": subject.max_n_ctx,
        "shape": None if shape is None else asdict(shape),
    }

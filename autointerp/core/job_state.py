"""A job of the service: its state, its counts, its work items."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum

from autointerp.core.config import Budget, JobSpec
from autointerp.core.errors import InputError

_NUMBER = re.compile(r"[0-9]{1,18}")
_BRIEF = 200  # characters


class JobState(StrEnum):
    """Where a job is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    """It is being stopped; work in progress is finished or given up."""
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    """It ended, and some labels failed or the budget did not reach them."""
    FAILED = "failed"
    """It could not be done, or all labels or all questions to its LLM failed; the reason says why.

    What rules labelled without the LLM stays.
    """
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens without a retry."""
        return self in {JobState.SUCCEEDED, JobState.PARTIAL, JobState.FAILED, JobState.CANCELLED}


class Stage(StrEnum):
    """The kinds of work that a job is cut into, in their order."""

    PLAN = "plan"
    """Resolve units and corpus; one item."""
    COLLECT = "collect"
    """Read a shard of the corpus through the subject; one item a shard, shared by jobs."""
    MERGE = "merge"
    """Put the shards together; one item, shared by jobs."""
    WINDOWS = "windows"
    """Run a part of the windows that any unit needs through the subject; where chunks share it."""
    RECORDS = "records"
    """Read the records of a chunk of units."""
    LABEL = "label"
    """Explain and score a chunk of units."""
    EVIDENCE = "evidence"
    """Answer what is asked of a chunk of units causally; of jobs that make no labels."""


@dataclass(frozen=True, slots=True, order=True)
class WorkItem:
    """A part of a job that one worker does at a time, and that may be done twice without harm."""

    owner: str
    """Job id, or the key of a collection that several jobs share."""
    stage: Stage
    number: int
    """0-based among the owner's items of that stage."""

    def __str__(self) -> str:
        return f"{self.owner}/{self.stage}/{self.number}"

    @classmethod
    def parse(cls, text: str) -> WorkItem:
        """The item written as ``owner/stage/number``.

        Raises:
            InputError: it is not written so.
        """
        parts = text.rsplit("/", 2)
        if len(parts) != 3 or parts[1] not in set(Stage) or not _NUMBER.fullmatch(parts[2]):
            raise InputError(f"invalid work item {text!r}: write owner/stage/number")
        return cls(parts[0], Stage(parts[1]), int(parts[2]))


@dataclass(frozen=True, slots=True)
class StageCount:
    """How far one stage of a job is."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class JobCounts:
    """Sides of units by how labelling ended; ``done`` is the sum of the four states.

    Of a job that asks for evidence units, which are ``ok`` or ``failed``.
    """

    total: int = 0
    """0 until the job is planned."""
    ok: int = 0
    dead: int = 0
    no_signal: int = 0
    failed: int = 0

    @property
    def done(self) -> int:
        """Labels that are committed."""
        return self.ok + self.dead + self.no_signal + self.failed


@dataclass(frozen=True, slots=True)
class StoredJobStatus:
    """How far one job is as the service sees it."""

    id: str
    """``job_`` and 26 characters that sort by time of submission."""
    budget: Budget
    owner: str
    """Name of the API key that submitted it, ``local`` where no keys are configured."""
    state: JobState
    created: float
    """Seconds since 1970, UTC; the server's clock, as the other moments."""
    started: float | None = None
    ended: float | None = None
    reason: str | None = None
    """Why it failed or is partial; None otherwise."""
    counts: JobCounts = field(default_factory=JobCounts)
    stages: Mapping[Stage, StageCount] = field(default_factory=dict)
    tokens: int = 0
    """Prompt and completion tokens spent."""
    usd: float | None = None
    """Dollars spent; None where the price is unknown."""
    requests: int = 0
    """Requests sent to the LLM."""
    generation: int = 0
    """How often it was retried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(StoredJobStatus):
    """One job: units are labelled, or causal evidence is asked of them."""

    spec: JobSpec
    """What to do; its `llm` is an alias of the server's allow-list, never a URL."""


@dataclass(frozen=True, slots=True)
class AskedBriefly:
    """What a job is about, short enough for lists."""

    subject: str
    units: str
    """The specification, cut to 200 characters."""
    llm: str
    corpus: str | None = None
    """None of jobs that an earlier version stored."""
    evidence: str | None = None
    """Which kind of evidence is asked for; None of a job that makes labels."""

    @classmethod
    def of(cls, spec: JobSpec) -> AskedBriefly:
        """The short form of a job's specification."""
        texts = (spec.subject, spec.units, spec.llm, spec.corpus.corpus)
        kind = None if spec.evidence is None else spec.evidence.kind.value
        subject, units, llm, corpus = map(briefly, texts)
        return cls(subject, units, llm, corpus, kind)


def briefly(text: str) -> str:
    """The text, cut to 200 characters."""
    return text if len(text) <= _BRIEF else f"{text[: _BRIEF - 3]}..."


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSummary(StoredJobStatus):
    """A job without its specification: what lists show and schedulers read."""

    asked: AskedBriefly

    @classmethod
    def of(cls, job: Job) -> JobSummary:
        """The summary of a job."""
        same = {of.name: getattr(job, of.name) for of in fields(StoredJobStatus)}
        return cls(asked=AskedBriefly.of(job.spec), **same)


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One thing that happened to a job, in the order of its id."""

    id: str
    """``milliseconds-number``, ascending within a job."""
    kind: str
    """``state``, ``stage``, ``label`` or ``note``."""
    data: Mapping[str, str | int | float | None]

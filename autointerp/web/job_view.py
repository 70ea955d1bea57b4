"""What the start and the page of a job show of jobs, from the jobs and their events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from autointerp.core.errors import InputError
from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import UnitId
from autointerp.core.job_state import Job, JobEvent, JobState, JobSummary, Stage, StoredJobStatus
from autointerp.core.sizes import time_text
from autointerp.web.page_links import Links
from autointerp.web.unit_lists import STATUS_WORDS

STATE_WORDS: Mapping[JobState, str] = {
    JobState.QUEUED: "waiting",
    JobState.RUNNING: "running",
    JobState.CANCELLING: "stopping",
    JobState.SUCCEEDED: "done",
    JobState.PARTIAL: "done in part",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
}
STAGE_WORDS: Mapping[Stage, str] = {
    Stage.PLAN: "units and text are looked up",
    Stage.COLLECT: "the text is read, a shard at a time",
    Stage.MERGE: "the shards are put together",
    Stage.WINDOWS: "windows that units need are run",
    Stage.RECORDS: "records of units are read",
    Stage.LABEL: "units are explained and scored",
    Stage.EVIDENCE: "units are held, put back, pushed or compared",
}
ACTIVATIONS = "activations"
WORKERS: Mapping[str, str] = {
    ACTIVATIONS: "python -m autointerp.workers activations",
    "labels": "python -m autointerp.workers labels",
}
"""The command that starts a worker, by queue."""
_N_NEWEST, _N_LINKS = 12, 5
_Told = Mapping[str, str | int | float | None]
"""What an event tells of a label."""


@dataclass(frozen=True, slots=True)
class JobLine:
    """One job in the list of jobs."""

    id: str
    state: JobState
    words: str
    done: int
    total: int
    share: int
    """Of its labels that are there, in percent."""
    money: str
    units: str
    subject: str

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return not self.state.is_final

    @classmethod
    def of(cls, job: JobSummary) -> JobLine:
        """The line of a job."""
        counts, asked = job.counts, job.asked
        return cls(
            id=job.id,
            state=job.state,
            words=STATE_WORDS[job.state],
            done=counts.done,
            total=counts.total,
            share=_share(job),
            money=money_of(job),
            units=asked.units,
            subject=asked.subject,
        )


@dataclass(frozen=True, slots=True)
class LabelledUnit:
    """A unit that a job has labelled."""

    name: str
    link: str
    text: str
    score: float | None


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Units that failed for the same reason."""

    reason: str
    n: int
    some: tuple[tuple[str, str], ...]
    """Names and links of the first of them."""


@dataclass(frozen=True, slots=True)
class JobView:
    """The page of a job."""

    job: Job
    failures: tuple[FailureGroup, ...]
    newest: tuple[LabelledUnit, ...]
    model: str
    """Under which its labels are listed."""
    has_labels: bool
    """Whether the model has any, or the job makes them."""
    is_whole: bool
    """Whether all events were read for failures and labels."""
    awaited: str | None
    """Why the LLM was waited for, the last time."""
    workers: Mapping[str, int]
    """Workers that are alive, by queue."""

    @property
    def words(self) -> str:
        """The state."""
        return STATE_WORDS[self.job.state]

    @property
    def noun(self) -> str:
        """What it makes of each unit."""
        return "label" if self.job.spec.evidence is None else "answer"

    @property
    def share(self) -> int:
        """Labels that are there, in percent."""
        return _share(self.job)

    @property
    def money(self) -> str:
        """What was spent."""
        return money_of(self.job)

    @property
    def stages(self) -> tuple[tuple[str, int, int], ...]:
        """In their order: what is done there, pieces that are done, pieces."""
        known = self.job.stages
        return tuple(
            (STAGE_WORDS[stage], known[stage].done, known[stage].total)
            for stage in Stage
            if stage in known and known[stage].total
        )

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return not self.job.state.is_final

    @property
    def can_retry(self) -> bool:
        """Whether something is left that could be run again."""
        return self.job.state.is_final and self.job.state is not JobState.SUCCEEDED

    @property
    def missing(self) -> tuple[str, ...]:
        """Commands of workers without which it does not go on."""
        needed = WORKERS if self.job.spec.evidence is None else {ACTIVATIONS: WORKERS[ACTIVATIONS]}
        lacking = [command for queue, command in needed.items() if not self.workers.get(queue)]
        return tuple(lacking) if self.is_open else ()

    def time_said(self, now: float) -> str:
        """How long it has taken, and what is left."""
        job = self.job
        if job.started is None:
            return "has not begun"
        elapsed = max(0.0, (job.ended or now) - job.started)
        left = job.counts.total - job.counts.done
        if job.state.is_final or not job.counts.done or not left:
            return time_text(elapsed)
        rest = elapsed / job.counts.done * left
        return f"{time_text(elapsed)}, about {time_text(rest)} left"

    @property
    def created(self) -> str:
        """When it was submitted."""
        return datetime.fromtimestamp(self.job.created, UTC).strftime("%Y-%m-%d %H:%M UTC")


def money_of(job: StoredJobStatus) -> str:
    """What a job has spent, with its limit: ``$0.12 of $1``."""
    limit = "" if job.budget.usd is None else f" of ${job.budget.usd:g}"
    if not job.requests:
        return "$0" + limit if limit else "nothing"
    if job.usd is None:
        return f"{job.tokens:,} tokens, dollars unknown"
    return f"{dollars(job.usd)}{limit}"


def dollars(usd: float) -> str:
    """``$0.0012``, ``$12.30``; ``$0`` where nothing was charged."""
    return "$0" if not usd else f"${usd:.4f}" if usd < 0.1 else f"${usd:,.2f}"


def last_by_unit(events: Iterable[JobEvent]) -> list[_Told]:
    """The last that was told of each side of a unit, the newest last."""
    found: dict[tuple[object, object], _Told] = {}
    for event in events:
        if event.kind == "label" and "unit" in event.data:
            key = (event.data["unit"], event.data.get("side"))
            found.pop(key, None)
            found[key] = event.data
    return list(found.values())


def failures_of(labels: Iterable[_Told], links: Links) -> tuple[FailureGroup, ...]:
    """Failed units by reason, the most frequent first."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for data in labels:
        if data.get("status") == LabelStatus.FAILED:
            name = _named(data, links)
            if name is not None:
                groups.setdefault(str(data.get("reason") or "no reason was told"), []).append(name)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    return tuple(FailureGroup(why, len(of), tuple(of[:_N_LINKS])) for why, of in ordered)


def newest_of(labels: list[_Told], links: Links) -> tuple[LabelledUnit, ...]:
    """The labels that came last, the newest first."""
    result = []
    for data in reversed(labels):
        name = _named(data, links)
        if name is None or data.get("status") == LabelStatus.FAILED:
            continue
        score = data.get("score")
        text = data.get("description") or data.get("reason") or _status_words(data)
        value = float(score) if isinstance(score, int | float) else None
        result.append(LabelledUnit(*name, str(text), value))
        if len(result) == _N_NEWEST:
            break
    return tuple(result)


def _status_words(data: _Told) -> str:
    status = str(data.get("status"))
    return STATUS_WORDS[LabelStatus(status)] if status in set(LabelStatus) else status


def _named(data: _Told, links: Links) -> tuple[str, str] | None:
    try:
        unit = UnitId.parse(str(data["unit"]))
    except InputError:
        return None
    sign = " -" if data.get("side") == "negative" else ""
    return f"{unit.short}{sign}", links.unit(unit)


def _share(job: StoredJobStatus) -> int:
    return 100 * job.counts.done // job.counts.total if job.counts.total else 0

"""Jobs as they travel."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from autointerp.api.schemas import Wire
from autointerp.api.schemas.evidence_schemas import EvidenceOptions
from autointerp.core.causal_evidence import EvidenceKind
from autointerp.core.causal_request import CausalRequest
from autointerp.core.config import (
    NO_LLM,
    Budget,
    CollectConfig,
    CorpusConfig,
    ExplainConfig,
    JobSpec,
    LlmOrder,
    ScoreConfig,
    SelectConfig,
)
from autointerp.core.job_fields import OPTION_PLACES, spelled_out
from autointerp.core.job_state import Job, JobState, JobSummary, Stage, StoredJobStatus

_OF_EVIDENCE: JsonDict = {"units": "layer:5", "evidence": {"kind": "ablation", "n_controls": 9}}
_SHORT_EXAMPLE: JsonDict = {"units": "5:0-19", "llm": "none", "corpus": "wiki", "tokens": 4000}
_TOKENS = {"exclusiveMinimum": 0, "maximum": 10**15}
_EXAMPLE: JsonDict = {"subject": "smollm2-135m", "units": "5:0-19,7:3", "llm": "none"}


class BudgetBody(Wire):
    """What the job's LLM may cost at most."""

    usd: float | None = Field(default=None, gt=0, le=1e9, description="Dollars.")
    tokens: int | None = Field(
        default=None, gt=0, le=10**15, description="Prompt and completion tokens together."
    )
    order: LlmOrder | None = Field(
        default=None,
        description="Which units the LLM labels before it ends: lookup (default: where the token "
        "table predicts most of the validation text), asked or random; the others by rules.",
    )

    def to_budget(self) -> Budget:
        """The budget as the job keeps it."""
        return Budget(usd=self.usd, tokens=self.tokens, order=self.order)


def _with_short_names(schema: JsonDict) -> None:
    """Names what `spelled_out` takes beside the fields."""
    schema["examples"] = [_EXAMPLE, _SHORT_EXAMPLE, _OF_EVIDENCE]
    known: Any = schema["properties"]
    name = {"type": "string", "maxLength": 20_000}
    known["corpus"]["anyOf"] = [{"$ref": known["corpus"].pop("$ref")}, name]
    for kind, limits in (("usd", {"exclusiveMinimum": 0, "maximum": 1e9}), ("tokens", _TOKENS)):
        known[f"budget_{kind}"] = {"type": "number" if kind == "usd" else "integer", **limits}
    for short, (place, *_) in OPTION_PLACES.items():
        if len(place) > 1 and short != "corpus":
            part = JobSpec.model_fields[place[0]].annotation
            fields: Any = part.model_json_schema()["properties"] if part is not None else {}
            # Who sends every default would say the same field twice.
            known[short] = {k: v for k, v in fields[place[1]].items() if k != "default"}


class JobRequest(Wire):
    """A job: labels of units, or causal evidence of them.

    What is left out is as the command line has it.

    Short names of the command line's options are taken too: ``corpus`` as a text, ``tokens``,
    ``n_ctx``, ``explainer``, ``scorer``, ``heldout``, ``top``, ``budget_usd`` and so on.
    """

    model_config = ConfigDict(json_schema_extra=_with_short_names)

    subject: str = Field(
        default="smollm2-135m", max_length=300, description="One of the models of this server."
    )
    units: str = Field(
        min_length=1,
        max_length=20_000,
        description="5:0-19,7:3 or blocks.5.mlp.hook_pre:0-9 or layer:5 or random:50 or all.",
    )
    dtype: Literal["float32", "bfloat16"] = "float32"
    corpus: CorpusConfig = CorpusConfig()
    collect: CollectConfig = CollectConfig()
    select: SelectConfig = SelectConfig()
    explain: ExplainConfig = ExplainConfig()
    score: ScoreConfig = ScoreConfig()
    sides: Literal["stronger", "both"] = "stronger"
    llm: str = Field(
        default="embedded",
        max_length=100,
        description="Alias of an LLM of this server; none asks no LLM.",
    )
    llm_model: str | None = Field(default=None, max_length=200)
    seed: int = Field(default=0, ge=0, lt=2**63)
    budget: BudgetBody = BudgetBody()
    evidence: EvidenceOptions | None = Field(
        default=None,
        description="Causal evidence of the units in place of labels; it takes no LLM, and of the "
        "other fields subject, units, dtype, seed and, of sites, corpus.",
    )

    @model_validator(mode="before")
    @classmethod
    def _spelled_out(cls, body: Any) -> Any:
        return spelled_out(body) if isinstance(body, dict) else body

    @property
    def spec(self) -> JobSpec:
        """The job as it is kept."""
        fields = {name: getattr(self, name) for name in JobSpec.model_fields}
        if self.evidence is not None:
            fields |= {"llm": NO_LLM, "evidence": CausalRequest(**self.evidence.model_dump())}
        return JobSpec(**fields)


class StageOut(Wire):
    """Pieces of work of one stage."""

    done: int
    total: int


class CountsOut(Wire):
    """Sides of units by how labelling ended; total is 0 until the job is planned."""

    total: int
    done: int
    ok: int
    dead: int
    no_signal: int
    failed: int


class SpentOut(Wire):
    """What the job has cost so far."""

    requests: int
    tokens: int
    usd: float | None = Field(description="Null where the price is unknown.")


class JobProgress(Wire):
    """How far one job is now."""

    id: str
    state: JobState
    reason: str | None = Field(description="Why it failed or is partial.")
    owner: str
    created: datetime
    started: datetime | None
    ended: datetime | None
    counts: CountsOut
    stages: dict[Stage, StageOut]
    spent: SpentOut
    budget: BudgetBody
    rate_per_s: float | None = Field(description="Labels a second since it started.")
    left_s: float | None = Field(description="Seconds left at that rate.")
    generation: int = Field(description="How often it was retried.")
    evidence: EvidenceKind | None = Field(
        description="The kind that it asks for; null where it makes labels."
    )


class JobOut(JobProgress):
    """One job as it is now."""

    spec: JobSpec
    asked_without: list[str] = Field(description="What the LLM was found not to take.")
    llm_awaited: str | None = Field(description="Why the LLM was waited for, the last time.")

    unseen_text: str | None = Field(
        description="Which text could not be looked at when the job was submitted, and when it is."
    )

    @classmethod
    def of(
        cls,
        job: Job,
        asked_without: str | None = None,
        llm_awaited: str | None = None,
        unseen_text: str | None = None,
    ) -> JobOut:
        """The job as it travels, with what was noted about it."""
        return cls(
            spec=job.spec,
            asked_without=json.loads(asked_without or "[]"),
            llm_awaited=llm_awaited,
            unseen_text=unseen_text,
            evidence=None if job.spec.evidence is None else job.spec.evidence.kind,
            **_progress(job),
        )


class JobListed(JobProgress):
    """One job as lists show it; ask for it by its id for everything that it was asked to do."""

    subject: str
    units: str = Field(description="Cut to 200 characters.")
    llm: str
    corpus: str | None = Field(description="Null in jobs that an earlier version stored.")

    @classmethod
    def of(cls, job: JobSummary) -> JobListed:
        """The job as it travels."""
        return cls(**asdict(job.asked), **_progress(job))


class JobShort(Wire):
    """One job in a line."""

    id: str
    state: JobState
    subject: str
    units: str = Field(description="Cut to 200 characters.")
    corpus: str | None = Field(description="Null in jobs that an earlier version stored.")
    llm: str
    evidence: EvidenceKind | None = Field(description="Null where it makes labels.")
    done: int
    total: int = Field(description="0 until the job is planned.")
    failed: int
    usd: float | None = Field(description="Null where the price is unknown.")
    created: datetime

    @classmethod
    def of(cls, job: JobSummary) -> JobShort:
        """The job as it travels."""
        return cls(
            id=job.id,
            state=job.state,
            **asdict(job.asked),
            done=job.counts.done,
            total=job.counts.total,
            failed=job.counts.failed,
            usd=job.usd,
            created=_moment(job.created),
        )


class JobList(Wire):
    """A page of jobs, newest first."""

    items: list[JobListed] | list[JobShort] = Field(description="Short ones with `short=true`.")
    next: str | None = Field(description="Cursor of the next page; null on the last one.")
    unreadable: list[str] = Field(
        default=[], description="Why jobs of the page cannot be read and are left out."
    )


def _progress(job: StoredJobStatus) -> dict[str, Any]:
    rate = _rate(job)
    left = job.counts.total - job.counts.done
    return {
        "id": job.id,
        "state": job.state,
        "reason": job.reason,
        "owner": job.owner,
        "created": _moment(job.created),
        "started": None if job.started is None else _moment(job.started),
        "ended": None if job.ended is None else _moment(job.ended),
        "counts": CountsOut.model_validate(job.counts),
        "stages": {s: StageOut.model_validate(job.stages[s]) for s in Stage if s in job.stages},
        "spent": SpentOut(requests=job.requests, tokens=job.tokens, usd=job.usd),
        "budget": BudgetBody(usd=job.budget.usd, tokens=job.budget.tokens, order=job.budget.order),
        "rate_per_s": rate,
        "left_s": left / rate if rate and not job.state.is_final else None,
        "generation": job.generation,
    }


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _rate(job: StoredJobStatus) -> float | None:
    if job.started is None or not job.counts.done:
        return None
    elapsed = (job.ended or time.time()) - job.started
    # A clock that was put back leaves nothing to divide by.
    return job.counts.done / elapsed if elapsed > 0 else None

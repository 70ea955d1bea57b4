"""Frozen configuration, one model a step; unknown keys are refused."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)
from typing_extensions import override

from autointerp.core.addresses import stored_address
from autointerp.core.causal_request import CausalRequest
from autointerp.core.errors import InputError, first_problem

Fraction = Annotated[float, Field(gt=0, lt=1)]
Fractions = Annotated[tuple[Fraction, ...], Field(max_length=100)]
Name = Annotated[str, Field(max_length=64)]
Names = Annotated[tuple[Name, ...], Field(max_length=32)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]

Describe = Literal["llm", "better", "rules"]
"""Which explanation describes a unit: the LLM's where it scores above another unit's, the one that
scores better on validation windows, or the rules. Where there is only one, that."""

LlmOrder = Literal["lookup", "asked", "random"]
"""Which units an LLM labels first: those whose validation windows the token table predicts best,
those that were named first, or a random order."""

EMBEDDED, NO_LLM = "embedded", "none"
"""What a job names in place of an endpoint: the LLM that runs in this process, or no LLM."""


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @property
    def digest(self) -> str:
        """16 hex digits that depend on every value."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __repr__(self) -> str:
        # What is as usual is left out; and as in files, the password of an LLM.
        fields = self.model_dump(mode="json", exclude_defaults=True)
        said = ", ".join(f"{name}={value!r}" for name, value in fields.items())
        return f"{type(self).__name__}({said})"

    @override
    def __str__(self) -> str:
        return repr(self)


class CorpusConfig(_Config):
    """Which text is read and how it is cut."""

    corpus: str = Field(default="wiki", max_length=20_000)
    """``wiki``, ``python``, a file or folder with ``:field`` or ``:split:field`` behind it,
    ``hf:NAME[:split[:field]]``, or a mixture."""
    n_tokens: int = Field(default=65_536, ge=1, le=10**15)
    """Tokens to read, BOS and padding excluded."""
    n_ctx: int = Field(default=64, ge=2, le=4096)
    """Text tokens a window."""
    seed: Seed = 0
    explain: Fraction = 0.5
    """Share of documents that explainers may read."""
    validation: Fraction = 0.1
    """Share that chooses among explanations; the rest is held out."""

    @model_validator(mode="after")
    def _something_is_held_out(self) -> CorpusConfig:
        if self.explain + self.validation >= 1:
            msg = "explain + validation must be below 1: the rest is held out for scoring"
            raise ValueError(msg)
        return self


class CollectConfig(_Config):
    """What is kept of every unit while the text streams by."""

    top_k: int = Field(default=20, ge=1, le=1000)
    """Windows kept at each end of the range, per split."""
    sample_size: int = Field(default=64, ge=1, le=1000)
    """Activating windows sampled uniformly per unit, side and split."""
    shared_windows: int = Field(default=96, ge=1, le=10_000)
    """Windows sampled uniformly per split and shared by all units."""
    threshold: float = Field(default=0.0, ge=0)
    """A side activates where it is above this, model units."""
    batch_windows: int = Field(default=32, ge=1, le=4096)
    """Windows a canonical batch; another size may change the last bits of activations."""
    seed: Seed = 0


class CollectJob(_Config):
    """One collection, or one shard of it."""

    subject: str = "smollm2-135m"
    units: str
    dtype: Literal["float32", "bfloat16"] = "float32"
    corpus: CorpusConfig = CorpusConfig()
    collect: CollectConfig = CollectConfig()
    seed: Seed = 0
    """Of the random choice of units."""
    shard: tuple[int, int] = (1, 1)
    """(i, n), 1-based: the i-th of n shards; or ``i/n``."""

    @field_validator("shard", mode="before")
    @classmethod
    def _written_with_a_slash(cls, shard: object) -> object:
        if not isinstance(shard, str):
            return shard
        match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", shard)
        if match is None:
            raise ValueError("write I/N, for example 2/8 for the second of eight")
        return int(match[1]), int(match[2])

    @field_validator("shard")
    @classmethod
    def _exists(cls, shard: tuple[int, int]) -> tuple[int, int]:
        if not 1 <= shard[0] <= shard[1]:
            raise ValueError(f"shards are numbered from 1/{max(1, shard[1])} on")
        return shard


class SelectConfig(_Config):
    """Which windows of a unit become its records."""

    quantiles: Fractions = (0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
    """Of the activating windows' peaks; ascending. Reported."""
    explain_quantiles: Fractions = (0.25, 0.5, 0.75, 0.9)
    """Cut the explain set's bands below the top windows; ascending."""
    score_quantiles: Fractions = (0.5, 0.8)
    """Cut the scored sets' bands below the top windows; ascending. Few, for a few windows."""
    n_top: int = Field(default=10, ge=1, le=1000)
    """Top windows of the explain set; no more than are collected."""
    n_band: int = Field(default=2, ge=0, le=1000)
    """Windows of each band of the explain set."""
    n_silent: int = Field(default=4, ge=0, le=1000)
    """Silent windows of the explain set."""
    n_negative: int = Field(default=4, ge=0, le=1000)
    """Silent explain windows that hold the exemplars' tokens, for explainers that contrast."""
    diverse: bool = False
    """Pass over a top window whose peak has nearly the same context as a stronger one's, or
    that is of the same document, while there are others."""
    max_overlap: float = Field(default=0.5, ge=0, le=1)
    """Greatest share of the bigrams around their peaks that two diverse windows have in common."""
    context_tokens: int = Field(default=8, ge=1, le=4096)
    """Tokens on either side of a peak that count as its context."""

    @field_validator("quantiles", "explain_quantiles", "score_quantiles")
    @classmethod
    def _ascend(cls, values: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        if list(values) != sorted(set(values)):
            raise ValueError(f"{info.field_name} must ascend, each once; found {values}")
        return values


class ExplainConfig(_Config):
    """How explanations are asked for."""

    explainers: Names | None = None
    """None takes those that fit the LLM."""
    n_samples: int = Field(default=1, ge=1, le=32)
    """Answers asked of the LLM for a unit."""
    n_exemplars: int = Field(default=8, ge=1, le=100)
    """Activating records shown to an explainer that reads records."""
    context_tokens: int = Field(default=24, ge=0, le=4096)
    """Tokens shown before each peak, and half as many behind it, where they fit the LLM."""
    temperature: float = Field(default=0.8, ge=0, le=2)
    """Of every answer after the first, which is always asked at 0."""
    max_words: int = Field(default=30, ge=3, le=200)
    """A longer explanation is asked for again once."""
    n_counterexamples: int = Field(default=5, ge=1, le=50)
    """Texts of either kind that a revision tries on the subject model."""
    n_revisions: int = Field(default=1, ge=1, le=10)
    n_senses: int = Field(default=6, ge=1, le=20)
    """Most senses that an LLM may name of a side."""
    description: Describe = "llm"
    """Which explanation describes a unit."""
    prompt: Name | None = None
    """Prompt version of token_activation; None takes the one that fits the LLM."""


class ScoreConfig(_Config):
    """How explanations are scored."""

    scorers: Names | None = None
    """None takes those that fit the LLM."""
    n_heldout: int = Field(default=20, ge=2, le=10_000)
    """Held-out windows on which an LLM is asked about the chosen explanation."""
    n_validation: int = Field(default=12, ge=2, le=10_000)
    """Validation windows on which an LLM is asked about each candidate, to compare them."""
    n_receipts: int | None = Field(default=None, ge=0, le=200)
    """Texts that an LLM writes to try its explanation on the subject model; None for 20, or none
    with the embedded LLM."""
    fit_levels: bool = False
    """Fit the levels of senses on validation windows, in place of those that were written."""
    n_null: int = Field(default=4, ge=0, le=10_000)
    """Held-out windows on which an LLM is asked about another unit's explanation; 0 for none."""
    n_rule_windows: int = Field(default=80, ge=2, le=10_000)
    """Windows of either set on which rules and lookup tables, which cost nothing, are tried."""
    windows_per_call: int = Field(default=1, ge=1, le=50)
    """Windows that detection, contrast and simulation put into one request."""
    score_width: float | None = Field(default=None, gt=0, le=2)
    """Stop asking an LLM when the interval of the preferred score is no wider; None asks all."""
    n_permutations: int = Field(default=1000, ge=0, le=1_000_000)
    """Behind the p-value against chance; 0 for none."""
    n_bootstrap: int = Field(default=1000, ge=100, le=100_000)
    confidence: Fraction = 0.95
    prompt: Name | None = None
    """Prompt version of the simulation; None takes the one that fits the LLM."""


class Budget(_Config):
    """What a run may spend; no part of its job, so that it can go on with another budget."""

    usd: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Most dollars; None sets no limit."""
    tokens: int | None = Field(default=None, gt=0)
    """Most prompt and completion tokens together; None sets no limit."""
    prices: Path | None = None
    """A price table in place of the one that is shipped."""
    batch: bool = False
    """Ask through the endpoint's Batch API, at half the price and within a day."""
    order: LlmOrder | None = None
    """Which units come first, where the limit may end before the last; None is ``lookup``. Those
    that the limit does not reach are labelled by rules, if the job has any or this is given."""

    @property
    def is_limited(self) -> bool:
        """Whether it may end before the last unit."""
        return self.usd is not None or self.tokens is not None


class JobSpec(_Config):
    """One job, complete: the same job and the same replies give the same labels."""

    subject: str = "smollm2-135m"
    units: str
    dtype: Literal["float32", "bfloat16"] = "float32"
    corpus: CorpusConfig = CorpusConfig()
    collect: CollectConfig = CollectConfig()
    select: SelectConfig = SelectConfig()
    explain: ExplainConfig = ExplainConfig()
    score: ScoreConfig = ScoreConfig()
    sides: Literal["stronger", "both"] = "stronger"
    """Of a unit that both sides of zero mean something to: the one with the greater peak, or both
    as labels of their own."""
    llm: str = "embedded"
    """``embedded``, ``none`` or the base URL of an OpenAI-compatible endpoint."""
    llm_model: str | None = None
    seed: Seed = 0
    evidence: CausalRequest | None = Field(default=None, exclude_if=lambda value: value is None)
    """Causal evidence that is asked of the units, in place of labels; it takes no LLM."""

    @field_serializer("llm")
    def _without_password(self, llm: str) -> str:
        # Files are published: what is written of a job never holds the password of its LLM.
        return stored_address(llm)

    @property
    def is_small_llm(self) -> bool:
        """Whether the LLM is the embedded one, which gets prompts for small models."""
        return self.llm == EMBEDDED


def stored_job(values: Mapping[str, Any], *, where: str) -> JobSpec:
    """The job that is stored as plain values.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return as_stored(JobSpec.model_validate_json(json.dumps(values)))
    except ValidationError as error:
        problem = first_problem(error, whole="the job")
        raise InputError(f"{where} cannot be read: {problem}") from error


def as_stored(job: JobSpec) -> JobSpec:
    """A job read from what is stored; what older versions did not store is as they did it.

    They described a unit by the better of all explanations, and tried none on the model.
    """
    explain, score = job.explain, job.score
    whole = {"explain", "score"} <= job.model_fields_set
    if not whole or "description" in explain.model_fields_set:
        return job
    explain = explain.model_copy(update={"description": "better"})
    if "n_receipts" not in score.model_fields_set:
        score = score.model_copy(update={"n_receipts": 0})
    return job.model_copy(update={"explain": explain, "score": score})

"""Everything about one unit, as it travels."""

from __future__ import annotations

from pydantic import Field

from autointerp.api.schemas import Wire
from autointerp.api.schemas.explanation_schemas import (
    CandidateOut,
    ExplanationOut,
    PromptOut,
    ReceiptOut,
    ScoredExplanationOut,
    ScorerOut,
    SenseScoreOut,
)
from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side
from autointerp.core.unit_evidence import Quantity, Relation
from autointerp.core.unit_kinds import UnitKind


class UnitQuery(Wire):
    """Which labels of a unit are shown, and how much of them."""

    trials: bool = Field(default=False, description="With every question that was put to a scorer.")
    corpus: str | None = Field(
        default=None,
        max_length=1000,
        description="The newest label of each side from this text; else the newest of all.",
    )
    explainer: str | None = Field(
        default=None, max_length=100, description="The same by explainer."
    )


class StatisticsOut(Wire):
    """What was counted of the unit over all text."""

    n_tokens: int
    n_windows: int
    mean: float
    variance: float
    minimum: float
    maximum: float
    density: float
    window_density: float
    histogram: list[int]
    bin_edges: list[float]
    quantiles: list[tuple[float, float]]


class ProvenanceOut(Wire):
    """Everything that decided the label."""

    package_version: str
    subject: str
    subject_revision: str
    dtype: str
    tokenizer: str
    corpus: str
    corpus_hash: str
    n_tokens: int
    n_ctx: int
    seed: int
    split_hash: str
    collect_hash: str
    explainer_model: str | None
    scorer_model: str | None
    prompts: list[PromptOut]
    encoders: list[tuple[str, str]]


class MeasureOut(Wire):
    """One number about the side, in three digits."""

    quantity: Quantity
    value: float | None
    control: float | None = Field(
        description="What the value is read against: of a cosine the share of the hook point's "
        "units whose cosine is as large, of a length or a product with the bias its median there."
    )
    low: float | None = Field(description="Ends of the 95 % interval of an estimate.")
    high: float | None
    absent: str | None = Field(description="Why there is no value.")


class NearUnitOut(Wire):
    """A unit whose weights lie near."""

    layer: int
    index: int
    cosine: float


class NearUnitsOut(Wire):
    """The nearest units of one kind, at most three."""

    relation: Relation
    units: list[NearUnitOut]
    chance: float | None = Field(
        description="The largest cosine among as many random directions of that width."
    )
    absent: str | None


class KindOut(Wire):
    """A kind that the side is of, by stated thresholds of its evidence."""

    kind: UnitKind
    because: str


class EvidenceOut(Wire):
    """What is known of one side of a unit beside its label."""

    measures: list[MeasureOut]
    near: list[NearUnitsOut]


class RecordOut(Wire):
    """One window with the unit's activations."""

    window: int
    document: str
    offset: int
    token_ids: list[int]
    tokens: list[str]
    activations: list[float]
    stratum: str
    weight: float
    influence: float
    source: str = Field(description="Title or path of the document; empty in older records.")


class ScoredOut(RecordOut):
    """A held-out window beside what the preferred scorer predicted."""

    predicted: list[float] | None


class StratumOut(Wire):
    """A part of the held-out windows."""

    name: str
    n_windows: int
    n_sampled: int
    low: float
    high: float
    joint: bool


class BandOut(Wire):
    """Exemplars of one strength."""

    band: str = Field(examples=["top", "band0", "silent"])
    records: list[RecordOut]


class UnitSide(Wire):
    """The label of one side, with its evidence."""

    side: Side
    status: LabelStatus
    reason: str | None
    explanation: ExplanationOut | None
    candidates: list[CandidateOut]
    preferred: str | None
    llm: ScoredExplanationOut | None = Field(
        description="The best that an LLM wrote, whether or not it describes the unit."
    )
    rules: ScoredExplanationOut | None = Field(description="The best that none wrote.")
    sense_scores: list[SenseScoreOut] = Field(
        description="In the order of the senses of the LLM's explanation."
    )
    receipts: list[ReceiptOut]
    needs: list[str] = Field(
        description="What the unit needs before its peak, by its exemplars cut and edited.",
        examples=[["needs ' Anglo' before '-'"]],
    )
    results: list[ScorerOut]
    stats: StatisticsOut
    top_tokens: list[str]
    promoted: list[str]
    suppressed: list[str]
    promoted_values: list[float] = Field(
        description="What a unit of the side's activation adds to the logit of each promoted "
        "token, against the mean over the vocabulary; empty in labels of earlier versions."
    )
    suppressed_values: list[float]
    evidence: EvidenceOut | None = Field(
        description="What is known of the side beside its label; null in labels of before it."
    )
    kinds: list[KindOut] = Field(description="Empty where the evidence tells none: unknown.")
    failures: list[str]
    provenance: ProvenanceOut
    peak: float = Field(description="Over all explain windows; 0 where no records are kept.")
    exemplars: list[BandOut] = Field(description="Strongest band first.")
    held_out: list[ScoredOut]
    strata: list[StratumOut]


class OtherLabel(Wire):
    """A label of the unit from another text or by another explainer than the one shown."""

    side: Side
    corpus: str
    explainer: str | None
    description: str | None
    status: LabelStatus
    score: float | None


class UnitPage(Wire):
    """Every labelled side of a unit, positive first."""

    unit: str = Field(examples=["smollm2-135m/blocks.5.mlp.hook_post/131"])
    model: str
    hook: str
    layer: int
    index: int
    sides: list[UnitSide]
    others: list[OtherLabel] = Field(
        default=[], description="Ask for one of them by its `corpus` and `explainer`."
    )
    unreadable: list[str] = Field(
        default=[], description="Why a side, or its records, cannot be read and are left out."
    )

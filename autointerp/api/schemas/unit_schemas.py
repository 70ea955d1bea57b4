"""Everything about one unit, and what workers are asked about it, as it travels."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from autointerp.api.schemas import Wire
from autointerp.core.config import Name
from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side
from autointerp.core.senses import ReceiptKind, SenseKind


class PromptOut(Wire):
    """A released prompt."""

    name: str
    version: str
    digest: str


class RuleOut(Wire):
    """One line of an explanation that needs no LLM."""

    tokens: list[int]
    text: str
    activation: float
    share: float


class SenseOut(Wire):
    """One of the separate things that an explanation names."""

    description: str
    level: float = Field(description="Expected where it applies: 1 to 10 of the peak.")
    kind: SenseKind
    activation: float | None = Field(
        description="Fitted on validation windows, model units; null where none was."
    )


class ExplanationOut(Wire):
    """A text that says what the side responds to."""

    text: str
    explainer: str
    model: str | None
    prompt: PromptOut | None
    temperature: float | None
    sample: int
    rules: list[RuleOut]
    program: str | None
    senses: list[SenseOut] = Field(description="Empty for a text of one piece.")
    background: float | None = Field(
        description="Activation fitted where no sense applies, model units; null where none was."
    )


class CandidateOut(Wire):
    """An explanation with its score on the validation windows."""

    explanation: ExplanationOut
    validation_score: float | None
    reason: str | None
    chosen: bool


class ScoreOut(Wire):
    """A number with its interval, or the reason why there is none."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    n_windows: int
    reason: str | None


class TrialOut(Wire):
    """One question put to a scorer."""

    window: int
    stratum: str
    weight: float
    predicted: list[float] | None
    verdict: bool | None
    probability: float | None
    failure: str | None
    truth: bool | None
    senses: list[int] | None = Field(
        default=None,
        description="The 0-based sense that predicts each token, -1 where none applies.",
    )


class ScorerOut(Wire):
    """All scores of one scorer for one explanation."""

    scorer: str
    explanation: str
    scores: list[ScoreOut]
    n_asked: int
    n_judged: int
    n_failed: int
    failure: str | None = Field(
        default=None, description="Why the scorer failed, where all its trials did."
    )
    notes: list[str]
    trials: list[TrialOut] | None = Field(description="With `?trials=true`, else null.")


class ScoredExplanationOut(Wire):
    """An explanation that was scored on the held-out windows."""

    explanation: ExplanationOut
    scorer: str = Field(description="Its scores are those of the result of that name.")


class SenseScoreOut(Wire):
    """What a sense of the LLM's explanation came to on held-out text."""

    mass: ScoreOut = Field(description="Share of the activation that it accounts for.")
    gain: ScoreOut = Field(description="Correlation of all senses less that of all but this one.")
    n_places: int = Field(description="Held-out tokens at which it applies.")
    doubt: str | None = Field(description="Why it is doubtful; null where it is not.")


class ReceiptOut(Wire):
    """A text with which the LLM's explanation was tried on the subject model."""

    kind: ReceiptKind
    sense: int | None = Field(description="0-based place of the sense that is tried.")
    text: str
    expected: bool | None = Field(
        description="Whether the unit should fire; null where neither is said."
    )
    level: float = Field(description="The unit's peak on the text; 10 is the explain set's peak.")
    fires_from: float = Field(description="Level from which it counts as firing.")
    changed: str = Field(description="What an edit did; empty for a text that was written.")
    as_expected: bool | None = Field(
        description="Fires from its level where it should, stays below 1 where it should not."
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
    failures: list[str]
    provenance: ProvenanceOut
    peak: float = Field(description="Over all explain windows; 0 where no records are kept.")
    exemplars: list[BandOut] = Field(description="Strongest band first.")
    held_out: list[ScoredOut]
    strata: list[StratumOut]


class UnitPage(Wire):
    """Every labelled side of a unit, positive first."""

    unit: str = Field(examples=["smollm2-135m/blocks.5.mlp.hook_post/131"])
    model: str
    hook: str
    layer: int
    index: int
    sides: list[UnitSide]


class ActivationsRequest(Wire):
    """Which units are read on which text."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"model": "smollm2-135m", "units": "5:131", "text": "The Rhine runs into the sea."}
            ]
        }
    )

    model: str = Field(default="smollm2-135m", max_length=300)
    units: str = Field(min_length=1, max_length=2_000)
    text: str = Field(min_length=1, max_length=10_000_000)


class UnitActivations(Wire):
    """One unit on the text."""

    unit: str
    activations: list[float] = Field(description="One a token, model units.")


class ActivationsOut(Wire):
    """What the units do on the text, token by token."""

    model: str
    text: str
    token_ids: list[int]
    tokens: list[str]
    units: list[UnitActivations]


class ExplanationRequest(Wire):
    """A person's own explanation of a unit."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"text": "names of rivers", "side": "positive"},
                {"program": '10: token = " York" and previous = " New"', "llm": "none"},
            ]
        }
    )

    text: str | None = Field(
        default=None, min_length=1, max_length=2_000, pattern=r"\S", description="In words."
    )
    program: str | None = Field(
        default=None,
        min_length=1,
        max_length=4_000,
        description="In place of a text: rules, one a line, which are run without an LLM.",
    )
    side: Side | None = Field(
        default=None, description="The labelled one where only one side has a label."
    )
    scorers: list[Name] | None = Field(
        default=None,
        min_length=1,
        max_length=8,
        description="Names of scorers, as a job has them; those of a job that names none.",
    )
    n_heldout: int | None = Field(
        default=None, ge=2, le=10_000, description="Held-out windows; all that the job drew."
    )
    windows_per_call: int = Field(default=1, ge=1, le=50)
    llm: str = Field(default="embedded", max_length=100)
    llm_model: str | None = Field(default=None, max_length=200)
    seed: int | None = Field(
        default=None, ge=0, lt=2**63, description="That of the label where none is given."
    )


class ExplanationScores(Wire):
    """How well the explanation predicts the unit on the held-out windows."""

    unit: str
    side: Side
    text: str = Field(description="Of a program, its rules on one line.")
    program: str | None
    results: list[ScorerOut] = Field(
        description="Predictions have the score `over_label`: the paired difference to the unit's "
        "label, on the windows that both judged."
    )

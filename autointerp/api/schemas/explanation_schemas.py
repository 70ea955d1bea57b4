"""Explanations of one side of a unit with their scores and receipts, as they travel."""

from __future__ import annotations

from pydantic import Field

from autointerp.api.schemas import Wire
from autointerp.core.sense_types import ReceiptKind, SenseKind


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
    level: float = Field(
        description="Expected where it applies, 1 to 10 of the peak; the greatest of its rules."
    )
    kind: SenseKind
    activation: float | None = Field(
        description="Fitted on validation windows, model units; null where none was."
    )
    program: str | None = Field(
        description="Rules that say where it applies, one a line; null where a reader says it."
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

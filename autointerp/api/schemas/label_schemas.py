"""Rows of labels as they travel: the rows of the feature dictionary."""

from __future__ import annotations

from pydantic import Field, model_validator

from autointerp.api.schemas import Wire
from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side
from autointerp.store.search.columns import Sort


class ListQuery(Wire):
    """Which labels are listed, and in which order."""

    layer: int | None = Field(default=None, ge=0, lt=10_000)
    hook: str | None = Field(default=None, min_length=1, max_length=200)
    status: LabelStatus | None = None
    score_min: float | None = Field(default=None, ge=-1, le=1)
    score_max: float | None = Field(default=None, ge=-1, le=1)
    q: str | None = Field(
        default=None,
        max_length=500,
        description="Words that all stand in the explanation or its top tokens; "
        "the last one may be cut short.",
    )
    meaning: str | None = Field(
        default=None,
        min_length=1,
        max_length=500,
        description="A text: labels whose explanations mean most nearly the same come first, one "
        "page of them. Takes the place of `q`, `sort` and `cursor`.",
    )
    sort: Sort | None = Field(
        default=None, description="Matches come best first where words are given, else by unit."
    )
    cursor: str | None = Field(default=None, max_length=500, description="`next` of a page.")
    limit: int = Field(default=50, ge=1, le=500)

    @model_validator(mode="after")
    def _range_is_one(self) -> ListQuery:
        low, high = self.score_min, self.score_max
        if low is not None and high is not None and low > high:
            raise ValueError("score_min is above score_max")
        if self.meaning is not None and (self.q, self.sort, self.cursor) != (None, None, None):
            raise ValueError("meaning takes the place of q, sort and cursor")
        return self


class LabelRow(Wire):
    """One label, as a row of the feature dictionary."""

    modelId: str
    layer: str
    index: str
    hook: str
    description: str | None
    typeName: str | None
    explanationModelName: str | None
    status: LabelStatus
    status_reason: str | None
    polarity: Side
    score: float | None
    score_low: float | None
    score_high: float | None
    score_null: float | None
    score_lookup: float | None
    score_top_random: float | None
    score_top: float | None
    score_random: float | None
    detection: float | None
    fuzzing: float | None
    n_heldout: int | None
    max_activation: float | None
    density: float | None
    top_tokens: list[str] | None
    promoted_tokens: list[str] | None
    suppressed_tokens: list[str] | None
    llm_description: str | None
    llm_score: float | None
    llm_score_low: float | None
    llm_score_high: float | None
    llm_added: float | None
    llm_added_low: float | None
    llm_added_high: float | None
    rules_description: str | None
    rules_score: float | None
    n_senses: int | None
    mass_explained: float | None
    survived: float | None
    n_receipts: int | None
    unit: str
    scorer: str | None
    n_failed: int | None
    p_value: float | None
    q_value: float | None = Field(description="Null here; the dictionary has it.")
    auprc: float | None
    f1: float | None
    iou: float | None
    llm_null: float | None
    over_broader: float | None
    over_narrower: float | None


class LabelList(Wire):
    """A page of labels."""

    items: list[LabelRow]
    next: str | None = Field(description="Cursor of the next page; null on the last one.")
    likeness: list[float] | None = Field(
        default=None, description="With `meaning`: how near each item is, -1 to 1."
    )


class ModelOut(Wire):
    """A model with labels, or one that a job may name."""

    model: str
    n_labels: int
    takes_jobs: bool


class ModelList(Wire):
    """Every model, by name."""

    items: list[ModelOut]

"""Rows of labels as they travel: the rows of the feature dictionary."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from pydantic import Field, create_model, model_validator

from autointerp.api.schemas import Wire
from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side
from autointerp.dictionary.rows import ROW_SCHEMA
from autointerp.store.search.columns import Sort


class ListQuery(Wire):
    """Which labels are listed, and in which order."""

    layer: int | None = Field(default=None, ge=0, lt=10_000)
    hook: str | None = Field(default=None, min_length=1, max_length=200)
    status: LabelStatus | None = None
    score_min: float | None = Field(default=None, ge=-1, le=1)
    score_max: float | None = Field(default=None, ge=-1, le=1)
    corpus: str | None = Field(
        default=None,
        max_length=1000,
        description="Labels made from this text, those too whose place newer ones of another text "
        "or explainer took; without `corpus` and `explainer` the newest of each side.",
    )
    explainer: str | None = Field(
        default=None, max_length=100, description="The same by explainer."
    )
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


# What every row has; the other columns may be null.
_ALWAYS = {
    "model_id": str,
    "layer": int,
    "index": int,
    "hook": str,
    "status": LabelStatus,
    "polarity": Side,
    "unit": str,
}
_TYPES = {
    pa.string(): str | None,
    pa.float64(): float | None,
    pa.int64(): int | None,
    pa.list_(pa.string()): list[str] | None,
    pa.list_(pa.float64()): list[float] | None,
}
_DESCRIPTIONS = {
    "q_value": "Null here; the dictionary has it.",
    "explanation": "The same as `description`.",
    "corpus": "The text that was read; null in labels that an earlier version stored.",
}
_FIELDS: dict[str, Any] = {
    column.name: (
        _ALWAYS.get(column.name, _TYPES[column.type]),
        Field(description=_DESCRIPTIONS.get(column.name)),
    )
    for column in ROW_SCHEMA
}
LabelRow = create_model(
    "LabelRow",
    __base__=Wire,
    __doc__="One label, as a row of the feature dictionary.",
    **_FIELDS,
)


class LabelList(Wire):
    """A page of labels."""

    items: list[LabelRow]  # type: ignore[valid-type]
    next: str | None = Field(description="Cursor of the next page; null on the last one.")
    likeness: list[float] | None = Field(
        default=None, description="With `meaning`: how near each item is, -1 to 1."
    )


class ModelOut(Wire):
    """A model with labels, or one that a job may name."""

    model: str
    n_labels: int
    takes_jobs: bool
    problem: str | None = Field(
        default=None, description="Why some of its labels, or all, cannot be read and are left out."
    )


class ModelList(Wire):
    """Every model, by name."""

    items: list[ModelOut]

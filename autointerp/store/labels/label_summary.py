"""Summaries of stored labels, decoded without the rest of the label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autointerp.core.errors import AutointerpError
from autointerp.core.explanations import Explanation, LabelStatus, LabelSummary
from autointerp.core.files import REMAKE
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import NeuronStats
from autointerp.core.scores import Score, ScorerResult
from autointerp.store.codec import LABELS


@dataclass(frozen=True, slots=True)
class _Result:
    scorer: str
    scores: tuple[Score, ...]


@dataclass(frozen=True, slots=True)
class _Provenance:
    corpus: str


@dataclass(frozen=True, slots=True)
class _LabelPart:
    unit: UnitId
    side: Side
    status: LabelStatus
    reason: str | None
    explanation: Explanation | None
    results: tuple[_Result, ...]
    preferred: str | None
    stats: NeuronStats
    provenance: _Provenance


class _StoredLabel(BaseModel):
    # Plain dataclasses take over this configuration, so it holds at every depth.
    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)

    schema_version: Literal[1] = Field(alias="schema")
    kind: Literal["label"]
    value: _LabelPart


def decode_label_summary(data: bytes, *, where: str, advice: str = REMAKE) -> LabelSummary:
    """The summary of the label that `LABELS.encode` wrote.

    The bytes must be JSON to their end, but values that a summary does not have are not checked.

    Args:
        data: the bytes.
        where: file or key that they came from, for messages.
        advice: what to do where they are damaged.

    Raises:
        InputError: a newer autointerp wrote them.
        StorageError: they are damaged or of another kind.
    """
    try:
        label = _StoredLabel.model_validate_json(data).value
        if (label.status is LabelStatus.OK) == (label.reason is None):
            return LabelSummary(
                label.unit,
                label.side,
                label.status,
                label.explanation,
                label.preferred,
                _headline(label),
                label.stats,
                label.provenance.corpus,
            )
    except (ValidationError, AutointerpError):
        # It is of an older schema, or damaged: decoding all of it says what is wrong.
        pass
    return LABELS.decode(data, where=where, advice=advice).summary


def _headline(label: _LabelPart) -> Score:
    """As `Label.headline`."""
    if label.preferred is None:
        return Score.undefined("population", label.reason or "no scorer ran")
    for result in label.results:
        if result.scorer == label.preferred:
            return ScorerResult(result.scorer, "", result.scores, ()).score("population")
    return Score.undefined("population", f"{label.preferred} did not run")

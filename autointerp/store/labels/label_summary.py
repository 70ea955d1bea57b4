"""Heads of stored labels, read without making values of all the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autointerp.core.errors import AutointerpError
from autointerp.core.explanations import Explanation
from autointerp.core.files import REMAKE
from autointerp.core.ids import Side, UnitId
from autointerp.core.labels import LabelStatus, LabelSummary
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
    """The head of the label that `LABELS.encode` wrote.

    The bytes must be JSON to their end, but values that a head has not are passed over: what they
    are is not looked at.

    Args:
        data: the bytes.
        where: file or key that they came from, for messages.
        advice: what to do where they are damaged.

    Raises:
        InputError: a newer autointerp wrote them.
        StorageError: they are damaged or of another kind.
    """
    try:
        found = _StoredLabel.model_validate_json(data).value
        if (found.status is LabelStatus.OK) == (found.reason is None):
            return LabelSummary(
                found.unit,
                found.side,
                found.status,
                found.explanation,
                found.preferred,
                _headline(found),
                found.stats,
                found.provenance.corpus,
            )
    except (ValidationError, AutointerpError):
        # Of an older schema, or what is wrong with it is said by who looks at all of it.
        pass
    return LABELS.decode(data, where=where, advice=advice).summary


def _headline(found: _LabelPart) -> Score:
    """What `Label.headline` gives."""
    if found.preferred is None:
        return Score.undefined("population", found.reason or "no scorer ran")
    for result in found.results:
        if result.scorer == found.preferred:
            return ScorerResult(result.scorer, "", result.scores, ()).score("population")
    return Score.undefined("population", f"{found.preferred} did not run")

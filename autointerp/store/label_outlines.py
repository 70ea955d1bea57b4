"""What labels came to, read from packed labels in a fifth of the time that decoding takes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from autointerp.core.errors import AutointerpError
from autointerp.core.explanations import Label, LabelStatus
from autointerp.core.ids import Side, UnitId
from autointerp.store.codec import LABELS, SCHEMA, stored_json
from autointerp.store.packed_arrays import Unpacker
from autointerp.store.packed_evidence import N_ARRAYS
from autointerp.store.packing import (
    DECIMALS,
    LABELS_VERSION,
    STATS_AS_ARRAYS,
    is_frame,
    unframe,
    version_of,
)

_FIELDS = frozenset(field.name for field in fields(Label))
_HAS_PROGRAM = b'"program":"'
_EDGES = b'"bin_edges":['
_DENSITY = 4
"""Place of the density among the numbers that were counted of a unit."""


class LabelOutline(NamedTuple):
    """What a label came to."""

    unit: UnitId
    side: Side
    status: LabelStatus
    reason: str | None
    score: float | None
    """Its headline's value."""
    score_names: tuple[str, ...]
    """Names of the preferred scorer's scores."""
    density: float
    """Share of the tokens at which the side is active."""
    explainer_model: str | None
    """The LLM that was there to be asked."""
    failure: str | None
    """The first thing that failed without deciding the label."""
    is_explained: bool
    """Whether an explanation describes the side."""

    @classmethod
    def of(cls, label: Label) -> LabelOutline:
        """That of a label."""
        main = None if label.preferred is None else label.result(label.preferred)
        return cls(
            label.unit,
            label.side,
            label.status,
            label.reason,
            label.headline.value,
            () if main is None else tuple([score.name for score in main.scores]),
            label.stats.density,
            label.provenance.explainer_model,
            label.failures[0] if label.failures else None,
            label.explanation is not None,
        )


def packed_outline(data: bytes) -> LabelOutline | None:
    """That of a packed label; None where only decoding tells what it came to, or is wrong with it.

    Checksums, structure and the names of a label's fields are looked at, single values are not.
    """
    version = version_of(data)
    if not is_frame(data) or not STATS_AS_ARRAYS <= version <= LABELS_VERSION:
        return None
    try:
        bare, packed_words, scores, _ = unframe(data, 4, where="", newest=LABELS_VERSION)
        # Whether a program can be run here, decoding says.
        if _HAS_PROGRAM in bare:
            return None
        stored, words = stored_json(_without_edges(bare)), stored_json(packed_words)
        label = stored["value"]
        is_label = (stored["schema"], stored["kind"]) == (SCHEMA, LABELS.kind)
        if not is_label or not label.keys() <= _FIELDS:
            return None
        numbers = Unpacker(scores, by_place=True)
        return _outline(label, words, numbers, has_decimals=version >= DECIMALS)
    except (LookupError, TypeError, ValueError, AttributeError, struct.error, zlib.error):
        return None
    except AutointerpError:
        return None


def _without_edges(bare: bytes) -> bytes:
    """Without the edges of the histogram, which are half of the time that reading takes."""
    before, edges, rest = bare.partition(_EDGES)
    return before + edges + rest[rest.find(b"]") :] if edges else bare


def _outline(
    label: Mapping[str, Any], words: Mapping[str, Any], numbers: Unpacker, *, has_decimals: bool
) -> LabelOutline | None:
    for _ in words["rules"]:
        numbers.skip_ints(2)
        numbers.skip_floats(2)
    names: list[str] | None = None
    score = None
    for result in words["results"]:
        if names is None and result["scorer"] == label["preferred"]:
            names = result["scores"]
            values = dict(zip(reversed(names), reversed(numbers.optional_floats()), strict=True))
            score = values.get("population")
        else:
            numbers.skip_optional_floats(1)
        if has_decimals:
            numbers.skip_optional_decimals(2)
        else:
            numbers.skip_optional_floats(2)
        numbers.skip_ints(1)
    density = numbers.floats()[_DENSITY]
    numbers.skip_ints(1)
    numbers.skip_floats(1)
    if has_decimals:
        numbers.skip_decimals(2)
    if not numbers.has_ended:
        numbers.skip_ints(N_ARRAYS)
    if not numbers.is_at_end:
        return None
    return LabelOutline(
        UnitId(**label["unit"]),
        Side(label["side"]),
        LabelStatus(label["status"]),
        label["reason"],
        score,
        tuple(names or ()),
        density,
        label["provenance"]["explainer_model"],
        next(iter(label["failures"]), None),
        label["explanation"] is not None,
    )

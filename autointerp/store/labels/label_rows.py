"""Rows by which labels are listed: what a store keeps of each beside the label."""

from __future__ import annotations

from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side
from autointerp.core.json_text import parse_json

SCORES = ("score", "llm_score", "llm_added")
"""Columns by which labels are ordered; only the first is filtered by."""
_SIDES, _STATUSES = frozenset(Side), frozenset(LabelStatus)
_MOST_LAYERS, _MOST_UNITS = 1 << 13, 1 << 37
_MOST_SCORE = 1e308


def is_row(row: object) -> bool:
    """Whether it is a row of a label: whether what labels are listed by is there."""
    if not isinstance(row, dict):
        return False
    tokens = row.get("top_tokens") or []
    return (
        isinstance(row.get("hook"), str)
        and _is_below(row.get("layer"), _MOST_LAYERS)
        and _is_below(row.get("index"), _MOST_UNITS)
        and str(row.get("polarity")) in _SIDES
        and str(row.get("status")) in _STATUSES
        and all(_is_score(row.get(name)) for name in SCORES)
        and isinstance(row.get("description") or "", str)
        and isinstance(tokens, list)
        and all(isinstance(token, str) for token in tokens)
    )


def is_row_text(text: bytes) -> bool:
    """Whether the text is such a row."""
    try:
        return is_row(parse_json(text))
    except ValueError:
        return False


def _is_below(number: object, end: int) -> bool:
    text = str(number)
    return text.isascii() and text.isdecimal() and len(text) < 20 and int(text) < end


def _is_score(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and abs(value) < _MOST_SCORE)

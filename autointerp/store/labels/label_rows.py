"""Rows by which labels are listed: what a store keeps of each beside the label."""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic_core import from_json

from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side

_COLUMNS = ("score", "llm_score", "llm_added")
SCORES = (*_COLUMNS, "surprise")
"""What labels are ordered by: columns, of which only the first is filtered by, and how far the
score is above that of the token table."""
_SIDES, _STATUSES = tuple(map(str, Side)), tuple(map(str, LabelStatus))
_LISTED_BY = (
    "hook",
    "layer",
    "index",
    "polarity",
    "status",
    "description",
    "top_tokens",
    *_COLUMNS,
)
_MOST_LAYERS, _MOST_UNITS = 1 << 13, 1 << 37
_MOST_SCORE, _MOST_SENSES = 1e308, 1000


class ListedRow(NamedTuple):
    """A row, and what labels are listed, filtered and searched by."""

    text: bytes
    """As it is stored: a JSON object on one line."""
    n_columns: int
    """How many values it has; later versions have added some."""
    layer: int
    hook: str
    unit: int
    """0-based."""
    side: int
    """Place of the side in `Side`."""
    status: int
    """Place of the status in `LabelStatus`."""
    scores: tuple[float | None, ...]
    """Each of `SCORES`."""
    words: str
    """The description and the top tokens, a line each."""
    origin: tuple[str | None, str | None]
    """Corpus and explainer; None where the row, an earlier version's, does not say."""
    n_senses: int = 0
    """Of the LLM's explanation; 0 where there is none."""
    is_kept: bool = False
    """Whether a newer label of another origin took its place."""


def listed_row(text: bytes) -> ListedRow | None:
    """The row; None where the text is none: where what labels are listed by is not there."""
    try:
        # A quarter of the time that Python's own reader takes; values are hardly ever the same.
        values = from_json(text, allow_inf_nan=False, cache_strings="keys")
        return _listed(text, values) if isinstance(values, dict) else None
    except ValueError:
        return None


def _listed(text: bytes, values: dict[str, Any]) -> ListedRow | None:
    hook, layer, index, side, status, words, tokens, *scores = map(values.get, _LISTED_BY)
    layer, index = _number(layer, _MOST_LAYERS), _number(index, _MOST_UNITS)
    is_row = (
        type(hook) is str
        and side in _SIDES
        and status in _STATUSES
        and (type(words) is str or not words)
        and (not tokens or (type(tokens) is list and set(map(type, tokens)) == {str}))
        and all(map(_is_score, scores))
    )
    if not is_row:
        return None
    scores.append(_surprise(scores[0], values.get("score_lookup")))
    n_senses = values.get("n_senses")
    side, status = _SIDES.index(side), _STATUSES.index(status)
    words = "\n".join((words or "", *(tokens or ())))
    corpus, explainer = values.get("corpus"), values.get("explainer", values.get("typeName"))
    corpus = corpus if type(corpus) is str else None
    explainer = explainer if type(explainer) is str else None
    n_senses = n_senses if type(n_senses) is int and 0 <= n_senses <= _MOST_SENSES else 0
    listed_by = layer, str(hook), index, side, status, tuple(scores), words
    return ListedRow(text, len(values), *listed_by, (corpus, explainer), n_senses)


def _surprise(score: Any, table: object) -> float | None:
    is_known = score is not None and isinstance(table, int | float) and _is_score(table)
    return score - table if is_known else None


def _number(value: object, end: int) -> int:
    """A whole number below the end, which a string may hold.

    Raises:
        ValueError: it is none.
    """
    if type(value) is int and 0 <= value < end:
        return value
    text = value if type(value) is str else str(value)
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) < end):
        raise ValueError("not a number of a layer or unit")
    return int(text)


def _is_score(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and abs(value) < _MOST_SCORE)

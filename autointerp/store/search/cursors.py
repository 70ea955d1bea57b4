"""Where the next page of a list begins, as text that a reader gives back."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from typing import Any, get_args

from autointerp.core.errors import InputError
from autointerp.core.json_text import parse_json
from autointerp.store.search.columns import Sort

_UNIT = (int, str, int, int, str)
_SCORE = (float, *_UNIT)
_KEYS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(get_args(Sort), _SCORE),
    "unit": _UNIT,
    "matches": (int, *_SCORE),
    "moved": (int,),
}
"""Types of the values that a position in an order, and so a cursor, is made of."""


def made_cursor(digest: str, key: Sequence[Any]) -> str:
    """The cursor of a query, by its digest, behind a position in its order."""
    text = json.dumps([digest, *key], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def position_of(cursor: str, digest: str, sort: str) -> list[Any]:
    """The position that a cursor was made of.

    Raises:
        InputError: it is no cursor, or belongs to another query.
    """
    bad = InputError(
        f"invalid cursor {cursor[:40]!r}: use the one that the last page returned, or none"
    )
    if not re.fullmatch(r"[A-Za-z0-9_-]{4,400}", cursor):
        raise bad
    try:
        result = parse_json(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, RecursionError) as error:
        raise bad from error
    if not isinstance(result, list) or not result or not isinstance(result[0], str):
        raise bad
    if result[0] != digest:
        msg = "the cursor belongs to another query; repeat that query, or start without a cursor"
        raise InputError(msg)
    if len(result) != 1 + len(_KEYS[sort]) or not all(map(_has_type, result[1:], _KEYS[sort])):
        raise bad
    return result[1:]


def _has_type(value: object, kind: type) -> bool:
    return isinstance(value, (int, float) if kind is float else kind)

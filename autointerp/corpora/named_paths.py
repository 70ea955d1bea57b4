"""Files and folders as a corpus names them, with a split or a field behind them."""

from __future__ import annotations

import os.path
import re
from dataclasses import dataclass
from pathlib import Path

_PART = re.compile(r"[^:=,/]+")
"""No sign of a mixture or a path stands in a split or a field."""
_MOST_PARTS = 2


@dataclass(frozen=True, slots=True)
class NamedPath:
    """What lies somewhere, and what of it is meant."""

    text: str
    """The path as it was written, without a slash at its end."""
    path: Path
    """The same with the home folder written out."""
    parts: tuple[str, ...] = ()
    """What stands behind it after colons: a field, a split, or a split and a field."""


def named_path(name: str) -> NamedPath | None:
    """The longest path in the name at which something lies, a broken link included, or None.

    At most two parts may stand behind it: ``texts.jsonl:body``, ``saved:train:body``.
    """
    head: str = name
    parts: tuple[str, ...] = ()
    while not os.path.lexists(path := os.path.expanduser(head)):
        head, _, part = head.rpartition(":")
        if not head or not _PART.fullmatch(part) or len(parts) == _MOST_PARTS:
            return None
        parts = (part, *parts)
    return NamedPath(head.rstrip("/") or head, Path(path), parts)


def is_path(name: str) -> bool:
    """Whether something lies there."""
    return named_path(name) is not None

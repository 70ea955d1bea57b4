"""Values on one line, for people who print them."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import fields
from typing import Any

_MOST = 48
_MOST_OF_ALL = 110
_FEW = 4


def quoted(text: str | None) -> str:
    """A text in quotes, its end left out where it is long; a dash for none."""
    if text is None:
        return "-"
    cut = text if len(text) <= _MOST else text[: _MOST - 3] + "..."
    return "".join(
        c if c.isprintable() else json.dumps(c)[1:-1] if c > "\x7f" else f"\\u{ord(c):04x}"
        for c in json.dumps(cut, ensure_ascii=False)
    )


def shortened(text: str, *, most: int = 60) -> str:
    """The text in quotes, ASCII and cut, as messages show what was typed; a path may take more."""
    return ascii(text if len(text) <= most else f"{text[:most]}...")


def joined(names: Sequence[str], *, most: int = 3) -> str:
    """``a, b, c and 5 more``: the first of the names, and how many others there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def numbers(values: tuple[int, ...]) -> str:
    """Ascending numbers: ``0-1535``, ``3, 8, 20`` or how many there are and the ends."""
    n = len(values)
    if n > 1 and values[-1] - values[0] == n - 1:
        return f"{values[0]}-{values[-1]}"
    if n <= 5:
        return ", ".join(map(str, values)) or "none"
    return f"{n:,} from {values[0]} to {values[-1]}"


def brief_repr(value: Any) -> str:
    """The ``__repr__`` of a frozen value with many fields, or long ones: its first on one line."""
    said = ""
    for field in fields(value):
        part = f"{field.name}={_brief(getattr(value, field.name))}"
        if len(said) + len(part) > _MOST_OF_ALL:
            said += ", ..."
            break
        said += f", {part}" if said else part
    return f"{type(value).__name__}({said})"


def _brief(value: object) -> str:
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    if (shape := getattr(value, "shape", None)) is not None:
        return f"{type(value).__name__}{tuple(shape)}"
    if isinstance(value, Collection) and (len(value) > _FEW or len(repr(value)) > _MOST):
        return "1 item" if len(value) == 1 else f"{len(value):,} items"
    said = repr(value)
    is_brief = len(said) <= _MOST and "\n" not in said
    return said if is_brief else f"{type(value).__name__}(...)"

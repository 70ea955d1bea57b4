"""Text of a corpus as prompts show it: cut around peaks, inside JSON strings, with levels.

Whatever a corpus holds stays text: control characters and what chat templates take for their own
marks (``<|im_end|>``) are written as JSON escapes, and half a character as U+FFFD. A token of more
than 64 characters is shown by its first 63 and an ellipsis.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from autointerp.core.ids import Side
from autointerp.core.levels import to_levels
from autointerp.core.records import ActivationRecord
from autointerp.explainers.fitting import Extent

__all__ = [
    "clipped",
    "cut_around",
    "is_unsafe",
    "plain_text",
    "quoted",
    "render_active",
    "render_pairs",
    "whole_text",
]

_LONGEST_TOKEN = 64
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x1f]")
_ESCAPED = re.compile(
    r"[\x7f-\x9f]|<[|\uff5c]|</?s>|<(?:start|end)_of_turn>|</?think>|\[/?INST\]", re.IGNORECASE
)


def quoted(text: str) -> str:
    """The text as one JSON string that can be encoded and holds no mark of a chat template."""
    body = json.dumps(plain_text(text), ensure_ascii=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0][0]):04x}{found[0][1:]}", body)


def plain_text(text: str) -> str:
    """The text with U+FFFD for halves of characters, which no endpoint takes."""
    return _SURROGATE.sub("\ufffd", text)


def is_unsafe(text: str) -> bool:
    """Whether something in the text must be escaped before a prompt may hold it."""
    return bool(_SURROGATE.search(text) or _CONTROL.search(text) or _ESCAPED.search(text))


def clipped(token: str) -> str:
    """A token as it is shown."""
    return token if len(token) <= _LONGEST_TOKEN else token[: _LONGEST_TOKEN - 1] + "…"


def cut_around(
    tokens: Sequence[str], values: Sequence[float], place: int, extent: Extent
) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """The tokens around a place, as they are shown, and their values."""
    cut = slice(max(0, place - extent.before), place + extent.after + 1)
    return tuple(clipped(token) for token in tokens[cut]), tuple(values[cut])


def whole_text(tokens: Sequence[str]) -> str:
    """The text of tokens that are shown, as a JSON string."""
    return quoted("".join(tokens))


def render_active(tokens: Sequence[str], activations: Sequence[float], *, peak: float) -> str:
    """``Active: " river" 10, "s" 4``: the tokens from level 1 on, with their levels."""
    levels = to_levels(activations, peak=peak)
    pairs = [
        f"{quoted(token)} {level}" for token, level in zip(tokens, levels, strict=True) if level
    ]
    return f"Active: {', '.join(pairs) or 'nothing'}"


def render_pairs(
    records: Sequence[ActivationRecord], side: Side, peak: float, extent: Extent | None = None
) -> str:
    """Excerpts around their peaks, each with its active tokens and levels."""
    shown = extent or Extent(len(records))
    blocks = []
    for number, record in enumerate(records[: shown.n_records], 1):
        activations = record.side(side)
        place = max(range(len(activations)), key=activations.__getitem__)
        tokens, values = cut_around(record.tokens, activations, place, shown)
        active = render_active(tokens, values, peak=peak)
        blocks.append(f"Excerpt {number}: {whole_text(tokens)}\n{active}")
    return "\n\n".join(blocks)

"""Text of a corpus as prompts show it: cut around peaks, inside JSON strings, with levels.

Whatever a corpus holds stays text; see `core.text`. A token of more than 64 characters is
shown by its first 63 and an ellipsis.
"""

from __future__ import annotations

from collections.abc import Sequence

from autointerp.core.ids import Side
from autointerp.core.records import ActivationRecord, to_levels
from autointerp.core.text import quoted
from autointerp.explainers.fitting import Extent

_LONGEST_TOKEN = 64


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

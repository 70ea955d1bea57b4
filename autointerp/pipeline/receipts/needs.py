"""What a unit needs before its peak, as a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from autointerp.core.characters import join_tokens, shown_escapes

Slot = tuple[int, ...]
"""0-based positions in a minimal context that are edited together, ascending."""

_SHOWN = 12


def needs_sentence(
    tokens: Sequence[str],
    is_needed: Callable[[Slot], bool | None],
    *,
    pairs: Sequence[Slot],
    earlier: Slot,
    is_any_text: bool | None,
    ahead: Sequence[str],
) -> str | None:
    """``needs ' Anglo' before '-'``, or ``any text before '-'``; None where too little was tried.

    Args:
        tokens: a minimal context, the peak last.
        is_needed: whether the peak is silenced without some of them.
        pairs: those neither of which matters alone, the nearest to the peak first.
        earlier: those that were tried together as well.
        is_any_text: whether it is active behind strangers alone.
        ahead: what stood in front of the context in the window.
    """
    *before, peak = tokens
    everything = tuple(range(len(before)))
    peak_matters = is_needed((len(before),)) is not False
    here = quoted_text(peak) if peak_matters else "any token"
    needed = [i for i in everything if is_needed((i,))]
    parts = [listed(before, needed)] if needed else []
    if len(earlier) > 1 and is_needed(earlier) and not {*needed} & {*earlier}:
        parts.insert(0, f"text such as {_shortened(before[: len(earlier)])}")
    if parts:
        return f"needs {' … '.join(parts)} before {here}"
    for pair in pairs:
        if is_needed(pair):
            return f"needs {' or '.join(quoted_text(before[i]) for i in pair)} before {here}"
    if is_any_text is None:
        return None
    if is_any_text:
        return f"any text before {here}" if peak_matters else "any text"
    if everything and is_needed(everything):
        return f"needs text such as {_shortened(before)} before {here}"
    text = [*ahead, *before]
    other = f" or text such as {_shortened(text)}" if text else ""
    return f"needs the start of a text{other} before {here}"


def _shortened(tokens: Sequence[str]) -> str:
    return quoted_text(join_tokens(tokens[-_SHOWN:]))


def quoted_text(text: str) -> str:
    """The text in quotes with its leading space, line breaks and lone bytes to be seen."""
    body = shown_escapes(json.dumps(text, ensure_ascii=False))[1:-1].replace('\\"', '"')
    return f'"{body}"' if "'" in body else f"'{body}'"


def listed(tokens: Sequence[str], places: Sequence[int]) -> str:
    """The tokens at these places, ascending, in quotes; those in a row as one text."""
    runs: list[list[int]] = []
    for place in places:
        if runs and runs[-1][-1] == place - 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    return " … ".join(quoted_text(join_tokens([tokens[i] for i in run])) for run in runs)

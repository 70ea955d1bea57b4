"""What a unit needs before its peak, as a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import combinations

from autointerp.core.characters import join_tokens, shown_escapes

Slot = tuple[int, ...]
"""0-based positions in a minimal context that are edited together, ascending."""

_SHOWN, _AHEAD = 12, 4


def needs_sentence(
    tokens: Sequence[str],
    is_needed: Callable[[Slot], bool | None],
    *,
    earlier: Slot = (),
    ahead: Sequence[str] = (),
) -> str | None:
    """``needs ' Anglo' before '-'``, or ``any text before '-'``; None where too little was tried.

    The tokens are those of a minimal context, the peak last; the earlier ones were tried together,
    and those ahead stood in front of it in the window.
    """
    *before, peak = tokens
    everything = tuple(range(len(before)))
    peak_matters = is_needed((len(before),)) is not False
    here = quoted_text(peak) if peak_matters else "any token"
    needed = [i for i in everything if is_needed((i,))]
    parts = ["earlier text"] if len(earlier) > 1 and is_needed(earlier) else []
    parts += [listed(before, needed)] if needed else []
    if parts:
        return f"needs {' … '.join(parts)} before {here}"
    either = next((p for p in combinations(reversed(everything), 2) if is_needed(p[::-1])), None)
    if either:
        near, far = (quoted_text(before[i]) for i in either)
        return f"needs {far} or {near} before {here}"
    all_needed = is_needed(everything)
    if all_needed is None:
        return None
    if all_needed and before:
        text = join_tokens(before[-_SHOWN:])
        return f"needs text such as {quoted_text(text)} before {here}"
    if all_needed:
        other = f" or text such as {quoted_text(join_tokens(ahead[-_AHEAD:]))}" if ahead else ""
        return f"needs the start of a text{other} before {here}"
    return f"any text before {here}" if peak_matters else "any text"


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

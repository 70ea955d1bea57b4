"""On which windows a label says that its unit is active, and those of which it was made."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TypeVar

import numpy as np

from autointerp.core.explanations import Explanation, Label
from autointerp.core.records import ActivationRecord
from autointerp.evidence.document_intervals import Passage
from autointerp.programs.language import n_windows_in_time, parse_program
from autointerp.scorers.rule_scorers import apply_rules

_CLEAR = 0.5
"""A label says that a unit is active where it predicts this share of the most that it predicts."""
W = TypeVar("W")


def distinct(records: Sequence[ActivationRecord]) -> list[Passage]:
    """The texts of records, each once, without weights."""
    return list(dict.fromkeys(Passage(r.token_ids, r.document) for r in records))


def weighted(record: ActivationRecord) -> Passage:
    """The text of a record with its weight."""
    return Passage(record.token_ids, record.document, record.weight)


def spread(passages: Sequence[Passage], n: int) -> list[Passage]:
    """The first of each document, then the others, as many as asked for."""
    first: dict[str, Passage] = {}
    for passage in passages:
        first.setdefault(passage.document, passage)
    ordered = dict.fromkeys([*first.values(), *passages])
    return list(ordered)[:n]


def predicted_peaks(
    explanation: Explanation, windows: Sequence[Sequence[int]], pieces: Iterable[Sequence[str]]
) -> list[float] | None:
    """The most that a program or a table predicts on each window, in the order given.

    None of words; of a program that takes long, of the first windows.

    Args:
        explanation: of a label.
        windows: token ids of each.
        pieces: the same as text.
    """
    if explanation.program is not None:
        program = parse_program(explanation.program)
        n = n_windows_in_time(program.n_steps, [len(window) for window in windows])
        return [float(max(program.levels(tokens))) for tokens in islice(pieces, max(1, n))]
    if not explanation.rules:
        return None
    if not windows:
        return []
    lengths = np.array([len(window) for window in windows])
    ids = np.concatenate([np.array(window) for window in windows])
    values = apply_rules(explanation.rules, ids, lengths)
    peaks: list[float] = np.maximum.reduceat(values, np.cumsum(lengths) - lengths).tolist()
    return peaks


def where_clear(windows: Sequence[W], peaks: Sequence[float]) -> list[W]:
    """The windows on which as much is predicted as counts, in the order given."""
    most = max(peaks, default=0.0)
    if most <= 0:
        return []
    return [w for w, peak in zip(windows, peaks, strict=False) if peak >= _CLEAR * most]


def judged_active(
    label: Label, records: Sequence[ActivationRecord], n: int, drawn: random.Random
) -> list[Passage] | str:
    """Held-out windows on which a scorer predicted it from the label, with their weights.

    At most `n`, of different documents first; or why there are none.
    """
    result = label.result(label.preferred or "")
    trials = [] if result is None else [t for t in result.trials if t.predicted]
    kept = {record.window: record for record in records}
    known = [t for t in trials if t.window in kept]
    if not known:
        return "no scorer predicted activations from its label"
    drawn.shuffle(known)
    found = where_clear(known, [max(t.predicted or (0.0,)) for t in known])
    if not found:
        return "its label was read to say of no held-out window that it is active there"
    return spread([weighted(kept[trial.window]) for trial in found], n)

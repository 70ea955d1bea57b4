"""How closely all units of a hook point follow what the label of each predicts on held-out text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from autointerp.core.ids import Side, UnitId
from autointerp.core.own_label_rank import OwnLabelRank
from autointerp.core.progress import Progress
from autointerp.core.seeds import derive_seed
from autointerp.evidence.predicting_labels import (
    MOST_BYTES,
    HookLines,
    Lines,
    PredictingLabel,
    WindowText,
    lines_of,
    read_lines,
    reading_groups,
    split_labels,
)
from autointerp.statistics.studies.crossed_margins import (
    ComparedTokens,
    crossed_margin,
    second_halves,
)
from autointerp.statistics.studies.followed_predictions import PredictionSums
from autointerp.subjects import SubjectModel

LABELS_AT_ONCE = 128
"""Whose predictions are compared together."""
_TOKENS_AT_ONCE = 2**16
_UNITS_AT_ONCE = 256
_FEWEST = 2
NOTHING = "fewer than 2 windows have predictions that fit the text"
_ONE_DOCUMENT = "all its windows are of one document"
_FLAT = "on half of its documents what it predicts, or a unit, does not vary"
_NO_OTHER = -2.0
"""Below any correlation."""

_Found = Mapping[Side, NDArray[np.float64]]


def rank_labels(
    subject: SubjectModel,
    labels: Sequence[PredictingLabel],
    *,
    seed: int,
    progress: Progress,
    most_bytes: int = MOST_BYTES,
) -> Iterator[OwnLabelRank]:
    """The rank of each label's unit among all units of the hook point, in the same order.

    Other units are compared on the better of their two sides, as both are looked at. The text is
    read once, or more often where its activations may not be held at a time.

    Args:
        subject: the model of the labels.
        labels: all of one hook point.
        seed: of the halves into which documents are dealt out.
        progress: told about the windows that are read.
        most_bytes: of activations that are held at a time.

    Raises:
        InputError: memory has no room for the activations on the windows of one label.
    """
    for group in reading_groups(subject, labels, most_bytes=most_bytes):
        lines = read_lines(subject, group, progress)
        for block in split_labels(group, _TOKENS_AT_ONCE, most_labels=LABELS_AT_ONCE):
            yield from _ranked(lines, block, seed)


def _ranked(
    lines: HookLines, labels: Sequence[PredictingLabel], seed: int
) -> Iterator[OwnLabelRank]:
    lines = lines_of(lines, labels)
    predictions = [_Prediction(one, lines.places, seed) for one in labels]
    n_tokens, n = lines.values.shape[1], len(labels)
    # The halves of each label stand side by side, so that units are gone through once.
    predicted = np.zeros((n_tokens, 2 * n), dtype=np.float32)
    weights = np.zeros_like(predicted)
    for column, one in enumerate(predictions):
        for half, own in enumerate(one.halves):
            predicted[one.tokens[own], column + half * n] = one.predicted[own]
            weights[one.tokens[own], column + half * n] = one.weights[own]
    sums = {side: _sums(lines.values, side, predicted, weights) for side in Side}
    halves = {side: _correlations(found) for side, found in sums.items()}
    both = {side: _correlations(_joined(found, n)) for side, found in sums.items()}
    for column, one in enumerate(predictions):
        found = {side: values[:, column] for side, values in both.items()}
        of_halves = [
            {side: values[:, column + half * n] for side, values in halves.items()}
            for half in range(2)
        ]
        yield one.rank(lines, found, of_halves)


def _sums(values: Lines, side: Side, predicted: Lines, weights: Lines) -> list[PredictionSums]:
    """Of some units at a time, as a side of them is a copy."""
    sign = 1 if side is Side.POSITIVE else -1
    return [
        PredictionSums.of(np.maximum(0, sign * some), predicted, weights)
        for first in range(0, len(values), _UNITS_AT_ONCE)
        if len(some := values[first : first + _UNITS_AT_ONCE])
    ]


def _joined(parts: Sequence[PredictionSums], n: int) -> list[PredictionSums]:
    """Of both halves of each prediction."""
    return [part.of_columns(slice(n)) + part.of_columns(slice(n, None)) for part in parts]


def _correlations(parts: Sequence[PredictionSums]) -> NDArray[np.float64]:
    return np.concatenate([part.correlations() for part in parts])


class _Prediction:
    """What one label predicts, as lines over its tokens, dealt out in two halves."""

    def __init__(self, one: PredictingLabel, places: Mapping[WindowText, slice], seed: int) -> None:
        self.label, windows = one.label, one.windows
        self.n_windows = len(windows)
        nothing = np.zeros(0, dtype=np.int64)
        spans = [places[w.text] for w in windows]
        self.tokens = np.concatenate([nothing, *(np.arange(s.start, s.stop) for s in spans)])
        lengths = [span.stop - span.start for span in spans]
        self.predicted = np.array([v for w in windows for v in w.predicted], dtype=np.float64)
        self.weights = np.repeat([w.weight for w in windows], lengths).astype(np.float64)
        names, numbers = np.unique([w.text.document for w in windows], return_inverse=True)
        self.n_documents = len(names)
        self.documents = np.repeat(numbers.astype(np.intp), lengths)
        masses = self.weights * self.predicted**2
        own = derive_seed(seed, str(self.label.unit), str(self.label.side))
        second = second_halves(self.documents, masses, seed=own)[self.documents]
        self.halves = (~second, second)

    def rank(self, lines: HookLines, found: _Found, halves: Sequence[_Found]) -> OwnLabelRank:
        """By the correlations of all units with it, of either side, and on either half."""
        index, hook, n_units = self.label.unit.index, self.label.unit.hook, len(lines.values)
        if self.n_windows < _FEWEST:
            return self._without(n_units, NOTHING)
        own = float(found[self.label.side][index])
        if not np.isfinite(own):
            return self._without(n_units, "what it predicts, or the unit, does not vary")
        others = _best_sides(found, index)
        best = int(others.argmax())
        if others[best] == _NO_OTHER:
            return self._without(n_units, "no other unit varies there")
        rivals = [_rival(found, index) for found in halves]
        margin = None
        if self.n_documents > 1 and None not in rivals:
            # Each half with the unit that is the best on the other one.
            margin = crossed_margin(
                [
                    self._compared(lines, half, rival)
                    for half, rival in zip(self.halves, reversed(rivals), strict=True)
                    if rival is not None
                ]
            )
        rank = 1 + int((others > own).sum())
        lead = None
        if rank == 1 and (of_all := _rival(found, index)) is not None:
            everywhere = np.ones(len(self.tokens), dtype=bool)
            lead = crossed_margin([self._compared(lines, everywhere, of_all)])
        subject = self.label.unit.subject
        units = (UnitId(subject, hook, rival[0]) for rival in rivals if rival is not None)
        return OwnLabelRank(
            self.label.unit,
            self.label.side,
            n_units,
            self.n_windows,
            self.n_documents,
            rank,
            own,
            UnitId(subject, hook, best),
            float(others[best]),
            None if margin is None else margin.value,
            None if margin is None else margin.low,
            None if margin is None else margin.high,
            () if margin is None else tuple(dict.fromkeys(units)),
            None if lead is None else lead.low,
            None if margin is not None else _FLAT if self.n_documents > 1 else _ONE_DOCUMENT,
        )

    def _compared(
        self, lines: HookLines, half: NDArray[np.bool_], rival: tuple[int, Side]
    ) -> ComparedTokens:
        at = self.tokens[half]
        return ComparedTokens(
            self.documents[half],
            self.weights[half],
            self.predicted[half],
            _line(lines, self.label.unit.index, self.label.side, at),
            _line(lines, *rival, at),
        )

    def _without(self, n_units: int, reason: str) -> OwnLabelRank:
        counts = n_units, self.n_windows, self.n_documents
        nothing = (None,) * 7
        return OwnLabelRank(self.label.unit, self.label.side, *counts, *nothing, reason=reason)


def _line(lines: HookLines, index: int, side: Side, at: NDArray[np.int64]) -> Lines:
    values = lines.values[index, at]
    result: Lines = np.maximum(0, values if side is Side.POSITIVE else -values)
    return result


def _best_sides(found: _Found, index: int) -> NDArray[np.float64]:
    """Of each other unit the better side's correlation; less than any of what has none."""
    both = np.stack([np.nan_to_num(found[side], nan=_NO_OTHER) for side in Side])
    best: NDArray[np.float64] = both.max(axis=0)
    best[index] = _NO_OTHER
    return best


def _rival(found: _Found, index: int) -> tuple[int, Side] | None:
    others = _best_sides(found, index)
    best = int(others.argmax())
    if others[best] == _NO_OTHER:
        return None
    return best, next(side for side in Side if found[side][best] == others[best])

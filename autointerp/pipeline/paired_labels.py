"""The difference between two labels' scores on the held-out windows that both were judged on."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from autointerp.core.ids import Side
from autointerp.core.labels import Label
from autointerp.core.scores import Trial
from autointerp.core.seeds import derive_seed
from autointerp.dictionary import LabelRecords, ScoredRecord
from autointerp.dictionary.comparison import PAIRED, Difference
from autointerp.statistics import paired_difference
from autointerp.statistics.scored_windows import ScoredWindow

_FEWEST = 4


def difference_of_labels(
    a: Label, of_a: LabelRecords, b: Label, of_b: LabelRecords
) -> Difference | None:
    """B's population score minus A's on the windows judged in both, each resampled in both.

    None where fewer than four windows are shared, where the windows or their strata are not the
    same, or where the difference or its interval is undefined.
    """
    sizes = [{s.name: s.n_windows for s in of.strata} for of in (of_a, of_b)]
    first, second = _predicted(a, of_a), _predicted(b, of_b)
    shared = sorted(w for w in first if w in second and _same(first[w][0], second[w][0]))
    if sizes[0] != sizes[1] or len(shared) < _FEWEST:
        return None
    # Where one judged a part of the other's sample, the part's weights hold.
    sample = min(_trials(a), _trials(b), key=len)
    weights = {trial.window: trial.weight for trial in sample}
    n_sampled = Counter(trial.stratum for trial in sample)
    strata = tuple(replace(s, n_sampled=n_sampled[s.name]) for s in of_a.strata)
    shared = [window for window in shared if window in weights]
    score = paired_difference(
        [_window(*second[w], of_b.side, weights[w]) for w in shared],
        [_window(*first[w], of_b.side, weights[w]) for w in shared],
        strata,
        seed=derive_seed(a.provenance.seed, "diff", a.unit.hook, a.unit.index, a.side),
    )
    if score.value is None or score.low is None or score.high is None:
        return None
    return Difference(score.value, score.low, score.high, PAIRED, score.n_windows)


_Predicted = tuple[ScoredRecord, tuple[float, ...]]


def _predicted(label: Label, records: LabelRecords) -> dict[int, _Predicted]:
    held_out = {record.window: record for record in records.held_out}
    return {
        trial.window: (held_out[trial.window], trial.predicted)
        for trial in _trials(label)
        if trial.predicted is not None and trial.window in held_out
    }


def _trials(label: Label) -> tuple[Trial, ...]:
    result = label.result(label.preferred) if label.preferred else None
    return result.trials if result is not None else ()


def _same(one: ScoredRecord, other: ScoredRecord) -> bool:
    return (one.document, one.offset, one.stratum, one.token_ids, one.activations) == (
        (other.document, other.offset, other.stratum, other.token_ids, other.activations)
    )


def _window(
    record: ScoredRecord, predicted: tuple[float, ...], side: Side, weight: float
) -> ScoredWindow:
    return ScoredWindow(record.side(side), predicted, record.stratum, weight)

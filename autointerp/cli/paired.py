"""Differences of two labels on the held-out windows that both were judged on."""

from __future__ import annotations

from autointerp.core.labels import Label
from autointerp.core.seeds import derive_seed
from autointerp.dictionary import LabelRecords, ScoredRecord
from autointerp.dictionary.diff import PAIRED, Difference
from autointerp.scorers import paired_difference
from autointerp.scorers.moments import ScoredWindow

__all__ = ["paired"]

_FEWEST = 4


def paired(a: Label, of_a: LabelRecords, b: Label, of_b: LabelRecords) -> Difference | None:
    """B's population score minus A's on the windows judged in both, each resampled in both.

    None where fewer than four windows are shared, where the windows or their strata are not the
    same, or where the difference or its interval is undefined.
    """
    sizes = [{s.name: s.n_windows for s in of.strata} for of in (of_a, of_b)]
    first, second = _predicted(a, of_a), _predicted(b, of_b)
    shared = sorted(w for w in first if w in second and _same(first[w][0], second[w][0]))
    if sizes[0] != sizes[1] or len(shared) < _FEWEST:
        return None
    score = paired_difference(
        [_window(*second[w], of_b) for w in shared],
        [_window(*first[w], of_b) for w in shared],
        of_a.strata,
        seed=derive_seed(a.provenance.seed, "diff", a.unit.hook, a.unit.index, a.side),
    )
    if score.value is None or score.low is None or score.high is None:
        return None
    return Difference(score.value, score.low, score.high, PAIRED, score.n_windows)


_Predicted = tuple[ScoredRecord, tuple[float, ...]]


def _predicted(label: Label, records: LabelRecords) -> dict[int, _Predicted]:
    result = label.result(label.preferred) if label.preferred else None
    held_out = {record.window: record for record in records.held_out}
    return {
        trial.window: (held_out[trial.window], trial.predicted)
        for trial in (result.trials if result else ())
        if trial.predicted is not None and trial.window in held_out
    }


def _same(one: ScoredRecord, other: ScoredRecord) -> bool:
    return (one.document, one.offset, one.stratum, one.token_ids, one.activations) == (
        (other.document, other.offset, other.stratum, other.token_ids, other.activations)
    )


def _window(
    record: ScoredRecord, predicted: tuple[float, ...], records: LabelRecords
) -> ScoredWindow:
    # A stratum's windows are equally likely to be drawn, however many each run drew of it.
    return ScoredWindow(record.side(records.side), predicted, record.stratum, 1.0)

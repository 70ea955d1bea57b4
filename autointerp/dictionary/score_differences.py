"""How far a score differs between two dictionaries, with an interval.

Where both hold predictions for the same held-out windows the difference is paired; else the
interval comes from the two scores' own.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace

from autointerp.core.explanations import Label
from autointerp.core.ids import Side
from autointerp.core.scores import Trial
from autointerp.core.seeds import derive_seed
from autointerp.dictionary.label_tables import RatedLabel, RatedText
from autointerp.statistics.population import paired_difference
from autointerp.statistics.scored_windows import ScoredWindow
from autointerp.store.label_records import LabelRecords, ScoredRecord

_FEWEST = 4
PAIRED, INTERVALS = "paired", "intervals"


@dataclass(frozen=True, slots=True)
class Difference:
    """Score in B minus score in A."""

    value: float
    low: float | None
    """Lower end of its interval, None where nothing tells its width."""
    high: float | None
    method: str
    """``paired``: on the windows judged in both; ``intervals``: from the scores' own intervals."""
    n_windows: int | None
    """Windows judged in both, None where the difference is not paired."""

    @property
    def moved(self) -> bool:
        """Whether its interval leaves out 0."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


def difference_of_scores(a: RatedLabel | RatedText, b: RatedLabel | RatedText) -> Difference | None:
    """B minus A with an interval recovered from the two scores' own.

    Each half of an interval tells the standard error towards that side, so that the lopsided
    intervals of correlations are used as they are. The two are taken for independent; on the
    same windows they are not, and the true interval is mostly narrower.

    Source: Zou 2007, Toward using confidence intervals to compare correlations.
    """
    if a.score is None or b.score is None:
        return None
    value = b.score - a.score
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return Difference(value, None, None, INTERVALS, None)
    down = math.hypot(b.score - b.low, a.high - a.score)
    up = math.hypot(b.high - b.score, a.score - a.low)
    return Difference(value, value - down, value + up, INTERVALS, None)


def paired_difference_of(
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

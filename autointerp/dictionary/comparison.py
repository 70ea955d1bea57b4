"""Two dictionaries of the same units: which labels changed and which scores moved.

Whether a score moved is read off the interval of the *difference*: two intervals may overlap while
the difference is clear of 0. Where both dictionaries hold predictions for the same held-out
windows the difference is paired; else the interval comes from the two scores' own.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import StatisticsError, correlation, median

from autointerp.core.errors import InputError
from autointerp.core.explanations import Label
from autointerp.core.ids import Side, UnitId
from autointerp.core.scores import Trial
from autointerp.core.seeds import derive_seed
from autointerp.dictionary.label_records import LabelRecords, ScoredRecord
from autointerp.dictionary.label_tables import Key, LabelTable, RatedLabel
from autointerp.statistics.population import paired_difference
from autointerp.statistics.scored_windows import ScoredWindow

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


@dataclass(frozen=True, slots=True)
class Pair:
    """One side of one unit in both dictionaries."""

    a: RatedLabel
    b: RatedLabel
    difference: Difference | None
    """None where one of them has no score."""

    @property
    def changed(self) -> tuple[str, ...]:
        """Which of ``text``, ``explainer`` (or its model), ``prompt`` and ``status`` differ."""
        a, b = self.a, self.b
        differs = {
            "text": a.text != b.text,
            "explainer": (a.explainer, a.model) != (b.explainer, b.model),
            "prompt": None not in (a.prompt, b.prompt) and a.prompt != b.prompt,
            "status": a.status != b.status,
        }
        return tuple(name for name, is_so in differs.items() if is_so)

    @property
    def moved(self) -> bool:
        """Whether the score moved beyond chance."""
        return self.difference is not None and self.difference.moved


@dataclass(frozen=True, slots=True)
class Matchup:
    """One way of explaining in A against one in B, over the units where they meet."""

    a: str
    b: str
    n: int
    median_a: float
    median_b: float
    win_rate_b: float
    """Share of the units that B scores higher on; a tie counts half. 0..1."""
    n_up: int
    """Units whose score moved up from A to B."""
    n_down: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two dictionaries have in common and what not."""

    pairs: tuple[Pair, ...]
    """By layer, hook point, index and side."""
    only_a: tuple[RatedLabel, ...]
    only_b: tuple[RatedLabel, ...]
    spearman: float | None
    """Rank correlation of the scores over the pairs that have both."""
    spearman_reason: str | None
    matchups: tuple[Matchup, ...]

    @property
    def n_scored(self) -> int:
        """Pairs with a score in both."""
        return sum(pair.difference is not None for pair in self.pairs)

    @property
    def n_testable(self) -> int:
        """Pairs whose difference has an interval."""
        return sum(p.difference is not None and p.difference.low is not None for p in self.pairs)


def compare_tables(a: LabelTable, b: LabelTable) -> Comparison:
    """The comparison, unit by unit; units are matched by hook point, index and side.

    Raises:
        InputError: they have no unit in common.
    """
    common = [key for key in a.ratings if key in b.ratings]
    if not common:
        raise InputError(f"{a.path} and {b.path} have no unit in common")
    pairs = tuple(_pair(key, a, b) for key in sorted(common, key=_order))
    scores = [(p.a.score, p.b.score) for p in pairs]
    both = [(x, y) for x, y in scores if x is not None and y is not None]
    value, reason = spearman([x for x, _ in both], [y for _, y in both])
    return Comparison(
        pairs=pairs,
        only_a=_missing(a, b),
        only_b=_missing(b, a),
        spearman=value,
        spearman_reason=reason,
        matchups=tuple(_matchups(pairs)),
    )


def spearman(xs: Sequence[float], ys: Sequence[float]) -> tuple[float | None, str | None]:
    """(rank correlation, None), or (None, why it is undefined); equal values share a rank."""
    if len(xs) < 3:
        return None, f"3 units with a score in both are needed, found {len(xs)}"
    try:
        return correlation(_ranks(xs), _ranks(ys)), None
    except StatisticsError:
        return None, "every score of one of them is the same"


def _ranks(values: Sequence[float]) -> list[float]:
    places = defaultdict(list)
    for place, value in enumerate(sorted(values)):
        places[value].append(place)
    return [sum(places[value]) / len(places[value]) for value in values]


def _pair(key: Key, a: LabelTable, b: LabelTable) -> Pair:
    first, first_label = a.rating(key)
    second, second_label = b.rating(key)
    difference = difference_of_scores(first, second)
    if difference is not None and first_label and second_label:
        records = a.records(first_label), b.records(second_label)
        if records[0] is not None and records[1] is not None:
            result = paired_difference_of(first_label, records[0], second_label, records[1])
            difference = result or difference
    return Pair(first, second, difference)


def _missing(one: LabelTable, other: LabelTable) -> tuple[RatedLabel, ...]:
    keys = sorted((key for key in one.ratings if key not in other.ratings), key=_order)
    return tuple(one.ratings[key] for key in keys)


def _order(key: Key) -> tuple[int, str, int, bool]:
    hook, index, side = key
    return UnitId("", hook, index).layer, hook, index, side is Side.NEGATIVE


def _matchups(pairs: Sequence[Pair]) -> Iterator[Matchup]:
    meetings: Mapping[tuple[str, str], list[Pair]] = defaultdict(list)
    for pair in pairs:
        if pair.difference is not None:
            meetings[pair.a.way, pair.b.way].append(pair)
    for (a, b), met in sorted(meetings.items(), key=lambda item: (-len(item[1]), item[0])):
        before = [p.a.score for p in met if p.a.score is not None]
        after = [p.b.score for p in met if p.b.score is not None]
        wins = sum(y > x for x, y in zip(before, after, strict=True))
        ties = sum(y == x for x, y in zip(before, after, strict=True))
        differences = [p.difference for p in met if p.difference is not None and p.moved]
        yield Matchup(
            a=a,
            b=b,
            n=len(met),
            median_a=median(before),
            median_b=median(after),
            win_rate_b=(wins + ties / 2) / len(met),
            n_up=sum(d.value > 0 for d in differences),
            n_down=sum(d.value < 0 for d in differences),
        )


def difference_of_scores(a: RatedLabel, b: RatedLabel) -> Difference | None:
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

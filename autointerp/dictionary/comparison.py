"""Two dictionaries of the same units: which labels changed and which scores moved.

Whether a score moved is read off the interval of the *difference*: two intervals may overlap while
the difference is clear of 0. Where both dictionaries hold predictions for the same held-out
windows the difference is paired; else the interval comes from the two scores' own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import StatisticsError, correlation, median

from autointerp.core.errors import InputError
from autointerp.core.explanations import Label
from autointerp.core.ids import Side, UnitId
from autointerp.dictionary.label_tables import Key, LabelTable, RatedLabel
from autointerp.dictionary.score_differences import (
    Difference,
    difference_of_scores,
    paired_difference_of,
)
from autointerp.store.label_records import LabelRecords

CHANCE = 0.05
"""Share of scores that seem to have moved where none did."""

ReadRecords = Callable[[Label], LabelRecords | None]
"""Gives the records of a label, where they are kept."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One side of one unit in both dictionaries."""

    a: RatedLabel
    b: RatedLabel
    difference: Difference | None
    """None where one of them has no score."""
    llm_difference: Difference | None = None
    """Of the LLM's explanations, whichever describe the unit; None where one has no score."""
    other_rules: bool = False
    """Whether senses and rules differ, of which the text does not tell; where both are known."""

    @property
    def changed(self) -> tuple[str, ...]:
        """Which of ``text``, ``rules``, ``explainer`` or model, ``prompt``, ``status`` differ."""
        a, b = self.a, self.b
        differs = {
            "text": a.text != b.text,
            "rules": self.other_rules,
            "explainer": (a.explainer, a.model) != (b.explainer, b.model),
            "prompt": None not in (a.prompt, b.prompt) and a.prompt != b.prompt,
            "status": a.status != b.status,
        }
        return tuple(name for name, is_so in differs.items() if is_so)

    @property
    def moved(self) -> bool:
        """Whether the score moved beyond chance."""
        return self.difference is not None and self.difference.moved

    @property
    def llm_moved(self) -> bool:
        """Whether the score of the LLM's explanation moved beyond chance."""
        return self.llm_difference is not None and self.llm_difference.moved


@dataclass(frozen=True, slots=True)
class LlmScores:
    """The LLM's explanations in A and in B, over the units where both have a score."""

    n: int
    median_a: float
    median_b: float
    n_testable: int
    """Units whose difference has an interval."""
    n_moved: int


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
    n_opposite: int = 0
    """Units in both, of which each has one side of zero that the other has not."""

    @property
    def n_scored(self) -> int:
        """Pairs with a score in both."""
        return sum(pair.difference is not None for pair in self.pairs)

    @property
    def llm(self) -> LlmScores | None:
        """How the LLM's explanations compare; None where no unit has a score of one in both."""
        met = [(p, p.llm_difference) for p in self.pairs if p.llm_difference is not None]
        if not met:
            return None
        before, after = (
            [x.llm.score for x in side if x.llm is not None and x.llm.score is not None]
            for side in ([p.a for p, _ in met], [p.b for p, _ in met])
        )
        return LlmScores(
            n=len(met),
            median_a=median(before),
            median_b=median(after),
            n_testable=sum(difference.low is not None for _, difference in met),
            n_moved=sum(difference.moved for _, difference in met),
        )

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
    pairs = tuple(
        pair_of(a.rating(key), b.rating(key), a.records, b.records)
        for key in sorted(common, key=_order)
    )
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
        n_opposite=len(_units_only(a, b) & _units_only(b, a)),
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


def pair_of(
    a: tuple[RatedLabel, Label | None],
    b: tuple[RatedLabel, Label | None],
    records_a: ReadRecords,
    records_b: ReadRecords,
) -> Pair:
    """The two compared; where both labels are given, on the windows judged in both."""
    (first, first_label), (second, second_label) = a, b
    difference = difference_of_scores(first, second)
    of_llm = difference_of_scores(first.llm, second.llm) if first.llm and second.llm else None
    other_rules = bool(first_label and second_label) and _rules(first_label) != _rules(second_label)
    if difference is None and of_llm is None:
        return Pair(first, second, None, other_rules=other_rules)
    if first_label is not None and second_label is not None:
        of_a, of_b = records_a(first_label), records_b(second_label)
        if of_a is not None and of_b is not None:
            paired = paired_difference_of(first_label, of_a, second_label, of_b)
            difference = difference and (paired or difference)
            paired = paired_difference_of(_of_llm(first_label), of_a, _of_llm(second_label), of_b)
            of_llm = of_llm and (paired or of_llm)
    return Pair(first, second, difference, of_llm, other_rules)


def _rules(label: Label | None) -> object:
    """What its explanation says as a program or as senses, without what was fitted."""
    if label is None or label.explanation is None:
        return None
    senses = [(s.description, s.kind, s.level, s.program) for s in label.explanation.senses]
    return label.explanation.program, senses


def _of_llm(label: Label) -> Label:
    """The label as if the scores of the LLM's explanation were the preferred ones."""
    return replace(label, preferred=label.llm.scorer if label.llm else None)


def _missing(one: LabelTable, other: LabelTable) -> tuple[RatedLabel, ...]:
    keys = sorted((key for key in one.ratings if key not in other.ratings), key=_order)
    return tuple(one.ratings[key] for key in keys)


def _units_only(one: LabelTable, other: LabelTable) -> set[tuple[str, int]]:
    return {key[:2] for key in one.ratings if key not in other.ratings}


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

"""How far the scores of a plan rank labels as other scores do, and the table of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
from _frontier_svg import Point, drawn, frontier

ABILITIES = (1.0, 0.8, 0.6, 0.4, 0.2)
DRAWN_AT = 0.6
GOAL = (2_700.0, 0.9)
MEASURES = ("all labels", "one neuron's", "neurons", "true score", "neurons' true")
"""Rank correlation with the reference over all labels, over the labels of a neuron (the mean of
neurons) and over the truly best label of each neuron; and the first and third with true scores."""
ByMeasure = Mapping[str, float]


@dataclass(frozen=True)
class Plan:
    """A way to score with its cost and what it is worth."""

    series: str
    name: str
    tokens: float
    """By SmolLM2's tokenizer, prompt and reply, at the ability at which the plot is drawn."""
    quarters: float
    """The same as a quarter of the characters."""
    agreement: Mapping[float, ByMeasure]
    """By ability."""


@dataclass(frozen=True)
class Yardstick:
    """What the scores of labels are held against."""

    truths: Sequence[float]
    n_labels: int
    """Of each neuron, one after the other."""
    reference: Mapping[float, Sequence[float]]
    """By ability."""

    def agreement(self, ability: float, scores: Sequence[float]) -> dict[str, float]:
        """By measure."""
        full, best = self.reference[ability], self._best()
        starts = range(0, len(scores), self.n_labels)
        found = (
            spearman(full, scores),
            fmean(self._within(full, scores, start) for start in starts),
            spearman(_at(full, best), _at(scores, best)),
            spearman(self.truths, scores),
            spearman(_at(self.truths, best), _at(scores, best)),
        )
        return dict(zip(MEASURES, found, strict=True))

    def _within(self, full: Sequence[float], scores: Sequence[float], start: int) -> float:
        one, two = (own[start : start + self.n_labels] for own in (full, scores))
        return spearman(one, two) if len(set(one)) > 1 < len(set(two)) else 0.0

    def _best(self) -> list[int]:
        starts = range(0, len(self.truths), self.n_labels)
        return [max(range(i, i + self.n_labels), key=self.truths.__getitem__) for i in starts]


def _at(values: Sequence[float], places: Sequence[int]) -> list[float]:
    return [values[i] for i in places]


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Rank correlation, ties at their mean rank."""
    return float(np.corrcoef(_ranks(np.array(one)), _ranks(np.array(other)))[0, 1])


def _ranks(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[float]:
    ordered = np.sort(values)
    below, upto = (
        np.searchsorted(ordered, values, "left"),
        np.searchsorted(ordered, values, "right"),
    )
    return [float(rank) for rank in (below + upto) / 2]


def report(plans: Sequence[Plan], explain: float, units: str, plot: Path | None) -> None:
    """The tables, the frontier and its plot; tokens with one answer of the explainer."""
    heads = "  ".join(f"{a:.1f}" for a in ABILITIES)
    print(f"{'plan':52} {'tokens':>7} {'chars/4':>8} {'+explain':>9}   agreement at {heads}")
    points = []
    for plan in plans:
        total = plan.tokens + explain
        points.append(Point(plan.series, plan.name, total, plan.agreement[DRAWN_AT][MEASURES[0]]))
        cells = _cells(plan, MEASURES[0])
        print(f"{plan.name:52} {plan.tokens:7.0f} {plan.quarters:8.0f} {total:9.0f}   {cells}")
    print(f"\n{'plan':52} " + " ".join(f"{measure:30}" for measure in MEASURES[1:]))
    for plan in plans:
        print(f"{plan.name:52} " + "  ".join(_cells(plan, measure) for measure in MEASURES[1:]))
    print(f"\nfrontier at an ability of {DRAWN_AT}:")
    for point in frontier(points):
        print(f"  {point.label:52} {point.tokens:7.0f} {point.agreement:.3f}")
    if plot is None:
        return
    title = f"Agreement with full simulation, {units} neurons, ability {DRAWN_AT}; with explaining"
    plot.write_text(drawn(points, title=title, goal=GOAL))


def _cells(plan: Plan, measure: str) -> str:
    return " ".join(f"{plan.agreement[a][measure]:.3f}" for a in ABILITIES)

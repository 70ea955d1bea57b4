"""Which windows become records, for which set, and with which weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autointerp.activations.bins import signed_edges
from autointerp.activations.records import Activations
from autointerp.activations.strata import SILENT, TOP, Draw, Pool, draw, unit_strata
from autointerp.activations.summary import HookSummary, Summary
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import (
    ActivationRecord,
    ExplainSet,
    HeldOutSet,
    NeuronStats,
    TokenMeans,
    UnitSets,
    ValidationSet,
)
from autointerp.core.seeds import derive_seed
from autointerp.core.text import Split
from autointerp.corpora import TokenCorpus
from autointerp.subjects import SubjectModel

__all__ = ["SetSizes", "UnitPlan", "UnitReader", "build_sets", "stronger_side"]

EXPLAIN_QUANTILES = (0.25, 0.5, 0.75, 0.9)
SCORE_QUANTILES = (0.5, 0.8)


@dataclass(frozen=True, slots=True)
class SetSizes:
    """How many records go into each set."""

    n_top: int = 10
    """Top windows of the explain set."""
    n_band: int = 2
    """Windows of each quantile band of the explain set."""
    n_silent: int = 4
    """Silent windows of the explain set."""
    n_validation: int = 5
    n_heldout: int = 12


@dataclass(frozen=True, slots=True)
class UnitPlan:
    """The windows of one side of one unit, before their activations are read."""

    unit: UnitId
    side: Side
    peak: float
    """Largest activation of the side on explain text."""
    draws: Mapping[Split, Draw]

    @property
    def windows(self) -> tuple[int, ...]:
        """Every window that is needed."""
        return tuple(window for d in self.draws.values() for window, _, _ in d.picks)


def stronger_side(summary: HookSummary, column: int, *, two_sided: bool) -> Side:
    """The side with the greater peak, positive where only that side is labelled or on a tie."""
    if not two_sided:
        return Side.POSITIVE
    negative = -float(summary.minimum[column]) > float(summary.maximum[column])
    return Side.NEGATIVE if negative else Side.POSITIVE


class UnitReader:
    """Reads one unit at a time out of a summary."""

    def __init__(self, summary: Summary, sizes: SetSizes, *, seed: int) -> None:
        self._summary, self._sizes, self._seed = summary, sizes, seed
        self._threshold = summary.identity.config.threshold
        self._whole: dict[str, HookSummary] = {}

    def column(self, unit: UnitId) -> int:
        """Row of the unit in its hook point's arrays."""
        return self._summary.indices(unit.hook).index(unit.index)

    def side(self, unit: UnitId, *, two_sided: bool) -> Side:
        """The side to label, by its peak on explain text."""
        explain = self._summary.split(unit.hook, Split.EXPLAIN)
        return stronger_side(explain, self.column(unit), two_sided=two_sided)

    def peak(self, unit: UnitId, side: Side) -> float:
        """Largest activation of the side on explain text, 0 where it never activates."""
        explain = self._summary.split(unit.hook, Split.EXPLAIN)
        column = self.column(unit)
        extreme = explain.maximum if side is Side.POSITIVE else -explain.minimum
        return max(0.0, float(extreme[column]))

    def n_active(self, unit: UnitId, side: Side, split: Split) -> int:
        """Windows of a split on which the side activates."""
        part = self._summary.split(unit.hook, split)
        return int(part.active_windows(_number(side))[self.column(unit)])

    def plan(self, unit: UnitId, side: Side) -> UnitPlan:
        """The windows of the three sets; the same for the same summary and seed."""
        draws = {
            Split.EXPLAIN: self._explain(unit, side),
            Split.VALIDATION: self._scored(unit, side, Split.VALIDATION, self._sizes.n_validation),
            Split.HELD_OUT: self._scored(unit, side, Split.HELD_OUT, self._sizes.n_heldout),
        }
        return UnitPlan(unit, side, self.peak(unit, side), draws)

    def token_means(self, unit: UnitId, side: Side) -> TokenMeans:
        """The unit's token lookup table over all explain tokens."""
        return self._summary.tables[unit.hook].means(_number(side), self.column(unit))

    def stats(self, unit: UnitId, side: Side) -> NeuronStats:
        """What was counted of the unit, over all splits."""
        whole = self._whole.setdefault(unit.hook, self._summary[unit.hook])
        column, number = self.column(unit), _number(side)
        counts = whole.histogram[column]
        used = np.flatnonzero(counts)
        first, last = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
        limit = float(np.finfo(np.float32).max)
        edges = np.clip(signed_edges(), -limit, limit)
        _, peaks = whole.sampled(number, column)
        cuts = (*EXPLAIN_QUANTILES, 0.95, 0.99)
        return NeuronStats(
            n_tokens=whole.n_tokens,
            n_windows=whole.n_windows,
            mean=float(whole.mean[column]),
            variance=float(whole.variance[column]),
            minimum=float(whole.minimum[column]),
            maximum=float(whole.maximum[column]),
            density=float(whole.side_density(number)[column]),
            window_density=float(whole.window_density(number)[column]),
            histogram=tuple(counts[first:last].tolist()),
            bin_edges=tuple(edges[first : last + 1].tolist()) if len(used) else (),
            quantiles=tuple((q, float(np.quantile(peaks, q))) for q in cuts if len(peaks)),
        )

    def _pools(
        self, unit: UnitId, side: Side, split: Split, quantiles: Sequence[float]
    ) -> tuple[Pool, ...]:
        return unit_strata(
            self._summary.split(unit.hook, split),
            side=_number(side),
            column=self.column(unit),
            quantiles=quantiles,
            threshold=self._threshold,
        )

    def _scored(self, unit: UnitId, side: Side, split: Split, n: int) -> Draw:
        generator = np.random.default_rng(derive_seed(self._seed, str(unit), side, split))
        return draw(self._pools(unit, side, split, SCORE_QUANTILES), n, generator=generator)

    def _explain(self, unit: UnitId, side: Side) -> Draw:
        sizes = {TOP: self._sizes.n_top, SILENT: self._sizes.n_silent}
        picks: list[tuple[int, str, float]] = []
        for pool in self._pools(unit, side, Split.EXPLAIN, EXPLAIN_QUANTILES):
            # The first candidates: the very top of the top, a uniform sample of the others.
            chosen = pool.candidates[: sizes.get(pool.name, self._sizes.n_band)]
            picks += [(w, pool.name, pool.n_windows / len(chosen)) for w in chosen]
        return Draw(tuple(picks), ())


def build_sets(
    plan: UnitPlan, activations: Activations, corpus: TokenCorpus, subject: SubjectModel
) -> UnitSets:
    """The three sets of one side of one unit, with tokens and activations."""

    def records(split: Split) -> tuple[ActivationRecord, ...]:
        found = []
        for window_id, stratum, weight in plan.draws[split].picks:
            window = corpus[window_id]
            line = activations[plan.unit.hook, plan.unit.index, window_id]
            found.append(
                ActivationRecord(
                    window=window_id,
                    document=window.document,
                    offset=window.offset,
                    token_ids=window.token_ids,
                    tokens=subject.tokenizer.pieces(window.token_ids),
                    activations=tuple(line.tolist()),
                    stratum=stratum,
                    weight=weight,
                )
            )
        return tuple(found)

    unit, side, peak = plan.unit, plan.side, plan.peak
    validation, held_out = plan.draws[Split.VALIDATION], plan.draws[Split.HELD_OUT]
    return UnitSets(
        ExplainSet(unit, side, records(Split.EXPLAIN), peak),
        ValidationSet(unit, side, records(Split.VALIDATION), validation.strata, peak),
        HeldOutSet(unit, side, records(Split.HELD_OUT), held_out.strata, peak),
    )


def _number(side: Side) -> int:
    return 0 if side is Side.POSITIVE else 1

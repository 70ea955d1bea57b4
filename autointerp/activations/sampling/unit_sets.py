"""Which windows become records, for which set, and with which weight."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from autointerp.activations.activation_reading import Activations
from autointerp.activations.kernels.encoding import signed_edges
from autointerp.activations.line_index import RecordedWindows
from autointerp.activations.sampling.diversity import PeakContext, diverse_places
from autointerp.activations.sampling.influence import LookupInfluence
from autointerp.activations.sampling.shown_windows import shown_beside, shown_windows
from autointerp.activations.sampling.strata import (
    SILENT,
    TOP,
    CandidateStratum,
    SampledWindow,
    WindowSample,
    sample_windows,
    unit_strata,
)
from autointerp.activations.sampling.window_records import WindowTexts, sampled_records
from autointerp.activations.summary import HookSummary, Summary
from autointerp.activations.summary_manifest import SummaryIdentity
from autointerp.core.config import SelectConfig
from autointerp.core.identity_cache import KeptResults
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

_MOST_KEPT = 64
"""Token lookup tables: those of a chunk, whose units are planned before they are labelled."""


@dataclass(frozen=True, slots=True)
class UnitPlan:
    """The windows of one side of one unit, before their activations are read.

    Where diverse exemplars are wanted, all top windows are in it until `diverse_plan` has chosen.
    """

    unit: UnitId
    side: Side
    peak: float
    """Largest activation of the side on explain text."""
    samples: Mapping[Split, WindowSample]
    select: SelectConfig
    shown: WindowSample
    """What only people see; some may be in the explain set."""

    @property
    def windows(self) -> tuple[int, ...]:
        """Every window that is needed."""
        samples = (*self.samples.values(), self.shown)
        return tuple(dict.fromkeys(window for sample in samples for window in sample.windows))


def stronger_side(summary: HookSummary, column: int, *, two_sided: bool) -> Side:
    """The side with the greater peak, positive where only that side is labelled or on a tie."""
    if not two_sided:
        return Side.POSITIVE
    negative = -float(summary.minimum[column]) > float(summary.maximum[column])
    return Side.NEGATIVE if negative else Side.POSITIVE


class UnitReader:
    """Reads one unit at a time out of a summary."""

    def __init__(
        self,
        summary: Summary,
        select: SelectConfig | None = None,
        *,
        n_validation: int = 5,
        n_heldout: int = 12,
        seed: int = 0,
        corpus: TokenCorpus | None = None,
    ) -> None:
        """Reads from a summary.

        With the corpus that was collected from and token lookup tables, windows to score on are
        chosen by what the tables predict too.
        """
        self._summary, self._select, self._seed = summary, select or SelectConfig(), seed
        self._corpus = corpus
        self._n_scored = {Split.VALIDATION: n_validation, Split.HELD_OUT: n_heldout}
        self._threshold = summary.identity.config.threshold
        self._whole: tuple[str, HookSummary] | None = None
        self._means = KeptResults[str, int, int, TokenMeans](_MOST_KEPT)

    @property
    def identity(self) -> SummaryIdentity:
        """What was collected, and how."""
        return self._summary.identity

    def column(self, unit: UnitId) -> int:
        """Row of the unit in its hook point's arrays."""
        indices = self._summary.indices(unit.hook)
        row = bisect_left(indices, unit.index)  # a collection's units ascend
        if indices[row : row + 1] != (unit.index,):
            raise ValueError(f"{unit} is not among the units of this summary")
        return row

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
        samples = {
            Split.EXPLAIN: self._explain(unit, side),
            Split.VALIDATION: self._scored(unit, side, Split.VALIDATION),
            Split.HELD_OUT: self._scored(unit, side, Split.HELD_OUT),
        }
        shown = shown_windows(
            self._summary.split(unit.hook, Split.EXPLAIN),
            side=_number(side),
            column=self.column(unit),
            threshold=self._threshold,
        )
        return UnitPlan(unit, side, self.peak(unit, side), samples, self._select, shown)

    def token_means(self, unit: UnitId, side: Side) -> TokenMeans:
        """The unit's token lookup table over all explain tokens."""
        column, number = self.column(unit), _number(side)
        known = self._means.known(unit.hook, column, number)
        if known is None:
            known = self._summary.tables[unit.hook].means(number, column)
            self._means.keep(known, unit.hook, column, number)
        return known

    def stats(self, unit: UnitId, side: Side) -> NeuronStats:
        """What was counted of the unit, over all splits."""
        if self._whole is None or self._whole[0] != unit.hook:
            self._whole = (unit.hook, self._summary[unit.hook])
        whole = self._whole[1]
        column, number = self.column(unit), _number(side)
        counts = whole.histogram[column]
        used = np.flatnonzero(counts)
        first, last = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
        limit = float(np.finfo(np.float32).max)
        edges = np.clip(signed_edges(), -limit, limit)
        _, peaks = whole.sampled(number, column)
        cuts = self._select.quantiles
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

    def _strata(
        self, unit: UnitId, side: Side, split: Split, quantiles: Sequence[float]
    ) -> tuple[CandidateStratum, ...]:
        return unit_strata(
            self._summary.split(unit.hook, split),
            side=_number(side),
            column=self.column(unit),
            quantiles=quantiles,
            threshold=self._threshold,
        )

    def contexts(self, unit: UnitId, side: Side) -> WindowSample:
        """The top windows of explain text and all that is kept of the uniform sample below them."""
        return WindowSample(
            tuple(
                SampledWindow(window, stratum.name, stratum.n_windows / len(stratum.candidates))
                for stratum in self._strata(unit, side, Split.EXPLAIN, ())
                if stratum.name != SILENT
                for window in stratum.candidates
            )
        )

    def _scored(self, unit: UnitId, side: Side, split: Split) -> WindowSample:
        strata = self._strata(unit, side, split, self._select.score_quantiles)
        seed = derive_seed(self._seed, str(unit), side, split)
        influence = None
        if self._corpus is not None and unit.hook in self._summary.tables:
            influence = LookupInfluence(
                self._corpus,
                self.token_means(unit, side),
                self._summary.split(unit.hook, split),
                side=_number(side),
                column=self.column(unit),
            ).of(strata)
        return sample_windows(strata, self._n_scored[split], seed=seed, influence=influence)

    def _explain(self, unit: UnitId, side: Side) -> WindowSample:
        select = self._select
        n_top = self._summary.identity.config.top_k if select.diverse else select.n_top
        sizes = {TOP: n_top, SILENT: select.n_silent}
        sampled: list[SampledWindow] = []
        for stratum in self._strata(unit, side, Split.EXPLAIN, select.explain_quantiles):
            # The first candidates: the very top of the top, a uniform sample of the others.
            chosen = stratum.candidates[: sizes.get(stratum.name, select.n_band)]
            weight = stratum.n_windows / max(1, len(chosen))
            sampled += [SampledWindow(window, stratum.name, weight) for window in chosen]
        return WindowSample(tuple(sampled))


def build_sets(
    plan: UnitPlan,
    activations: Activations,
    corpus: TokenCorpus,
    subject: SubjectModel,
    texts: WindowTexts | None = None,
) -> UnitSets:
    """The three sets of one side of one unit, with tokens and activations.

    Units that are given the same `texts`, which they fill, share the text of their windows.
    """
    plan, texts = diverse_plan(plan, activations, corpus), {} if texts is None else texts

    def records(sample: WindowSample) -> tuple[ActivationRecord, ...]:
        return sampled_records(sample, plan.unit, activations, corpus, subject, texts)

    unit, side, peak = plan.unit, plan.side, plan.peak
    explain, validation, held_out = (plan.samples[split] for split in Split)
    return UnitSets(
        ExplainSet(unit, side, records(explain), peak, ranks=_ranks(plan, activations)),
        ValidationSet(unit, side, records(validation), validation.strata, peak),
        HeldOutSet(unit, side, records(held_out), held_out.strata, peak),
        records(shown_beside(plan.shown, explain)),
    )


def diverse_plan(plan: UnitPlan, activations: Activations, corpus: TokenCorpus) -> UnitPlan:
    """The plan with the top windows that differ, where that is wanted."""
    explain, select = plan.samples[Split.EXPLAIN], plan.select
    top = [window for window in explain.sampled if window.stratum == TOP]
    if not select.diverse or not top:
        return plan
    contexts = []
    for chosen in top:
        window = corpus[chosen.window]
        line = plan.side.sign * activations[plan.unit.hook, plan.unit.index, chosen.window]
        contexts.append(
            PeakContext.around(
                window.document, window.token_ids, int(line.argmax()), reach=select.context_tokens
            )
        )
    places = diverse_places(contexts, select.n_top, max_overlap=select.max_overlap)
    differing = [top[place]._replace(weight=len(top) / len(places)) for place in places]
    rest = [window for window in explain.sampled if window.stratum != TOP]
    sample = WindowSample((*differing, *rest))
    return replace(plan, samples={**plan.samples, Split.EXPLAIN: sample})


def _ranks(plan: UnitPlan, activations: Activations) -> tuple[int, ...]:
    """How many units are larger where the unit peaks in each activating explain window."""
    if not isinstance(activations, RecordedWindows):
        return ()
    sampled = plan.samples[Split.EXPLAIN].sampled
    windows = [window.window for window in sampled if window.stratum != SILENT]
    return activations.ranks((plan.unit.hook, plan.unit.index), windows, plan.side)


def _number(side: Side) -> int:
    return 0 if side is Side.POSITIVE else 1

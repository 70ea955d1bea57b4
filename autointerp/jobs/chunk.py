"""Explaining and scoring the units of one chunk, wherever their records were read.

A unit's own explanation is read against those of the chunk's other units.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from autointerp.core.asynchrony import for_each
from autointerp.core.errors import BudgetExhaustedError
from autointerp.core.explanations import Candidate, Explanation, Label, LabelStatus, Provenance
from autointerp.core.ids import Side, UnitId
from autointerp.core.progress import Progress
from autointerp.core.records import TokenMeans
from autointerp.core.scores import Score
from autointerp.jobs.llm_order import is_by_rules_alone, is_scored
from autointerp.jobs.unit_inputs import Target, UnitRecords
from autointerp.llm import ChatModel, charge_to
from autointerp.pipeline import (
    LlmAnswers,
    Selection,
    Tools,
    UnitInput,
    dead_label,
    label_unit,
    select_explanation,
)
from autointerp.scorers.scorer_inputs import ScoringSet
from autointerp.scorers.two_sided_score import JudgedSide, both_sides_score, put_to
from autointerp.store.labels import UnitStore

_MOST_OTHERS = 40
# Likeness is compared to so many decimals: sums in another order differ behind them.
_DECIMALS = 9

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class EarlierLabel:
    """What is known of units of the chunk that have their labels already."""

    candidates: tuple[Candidate, ...]
    token_means: TokenMeans


@dataclass(slots=True)
class ChunkLabels:
    """Labels one chunk after the other with the same tools."""

    tools: Tools
    provenance: Provenance
    store: UnitStore
    """Where labels are stored."""
    progress: Progress
    stage: Callable[[str], AbstractContextManager[None]]
    """Measures the time of a stage."""
    at_once: int = 4
    both_sides: bool = False
    """Whether a unit's two labels are scored together as well."""
    keeps_rules: bool = False
    """Whether a label by rules stays in the store where an LLM fails."""
    counted_as: str = "label"
    """The stage of the progress to which labels are counted."""
    stopped: str | None = None
    """Why units were left without a label: the budget ended."""
    answers: LlmAnswers = field(default_factory=LlmAnswers)
    """What became of the questions to the LLM."""

    async def label(
        self,
        units: Sequence[tuple[UnitRecords, UnitInput]],
        earlier: Mapping[Target, EarlierLabel],
    ) -> None:
        """Stores a label of every unit that the budget reaches.

        `earlier` are the chunk's other units, against which chance levels are drawn as well.
        """
        living: dict[Target, UnitInput] = {}
        for records, inputs in units:
            if records.dead is None:
                living[records.target] = inputs
            else:
                self._put(dead_label(inputs, records.dead, self.provenance))
        with self.stage("explain"):
            self.progress.start("explain", len(living), "units")
            asked = await for_each(
                living, lambda t: self._explain(t, living[t]), at_once=self.at_once
            )
        selected = {target: one for target, one in asked.items() if one is not None}
        candidates = {target: one.candidates for target, one in selected.items()}
        tables = {target: living[target].token_means for target in selected}
        for target, known in earlier.items():
            candidates[target], tables[target] = known.candidates, known.token_means
        others_of = OtherUnits(candidates, tables)

        async def score(target: Target) -> None:
            others = others_of.explanations(target)
            with charge_to("score", unit=str(target.unit)), self._within_budget():
                unit, one = living[target], selected[target]
                label = await label_unit(unit, one, others, self.tools, self.provenance)
                self.answers.add_results(label.results)
                self._put(label)

        with self.stage("score"):
            await for_each(selected, score, at_once=self.at_once)
        if self.both_sides:
            with self.stage("both sides"):
                await self._score_both(living, selected)

    async def _score_both(
        self, inputs: Mapping[Target, UnitInput], selected: Collection[Target]
    ) -> None:
        async def score(unit: UnitId) -> None:
            with charge_to("score", unit=str(unit)), self._within_budget():
                await _score_both_sides(unit, inputs, self.store, self.tools)

        units = dict.fromkeys(target.unit for target in selected)
        await for_each(units, score, at_once=self.at_once)

    async def _explain(self, target: Target, unit: UnitInput) -> Selection | None:
        """What explaining came to; None where the budget did not reach."""
        with charge_to("explain", unit=str(target.unit)), self._within_budget():
            selection = await select_explanation(unit, self.tools)
            self.answers.add_selection(selection)
            self.progress.advance("explain", 1)
            return selection
        return None

    @contextmanager
    def _within_budget(self) -> Iterator[None]:
        # A unit that the budget does not reach is left for another run; others, whose replies
        # are in the cache or cost less, go on.
        try:
            yield
        except BudgetExhaustedError as error:
            self.stopped = str(error)

    def _put(self, label: Label) -> None:
        if self.keeps_rules and label.status is LabelStatus.FAILED:
            label = _standing_in(label, self.store.get_label(label.unit, label.side))
        self.store.put_label(label)
        self.progress.advance(self.counted_as, 1)


def _standing_in(failed: Label, known: Label | None) -> Label:
    """The label by rules that is there, with why that of the LLM failed; else the failed one."""
    if known is None or not is_by_rules_alone(known):
        return failed
    return replace(known, failures=(failed.reason or "", *failed.failures))


def with_llm(read: Provenance, model: ChatModel | None, tools: Tools) -> Provenance:
    """The provenance of labels: what was read, and the LLM and prompts that were used."""
    name = model.name if model is not None else None
    return replace(read, explainer_model=name, scorer_model=name, prompts=tools.prompts)


async def _score_both_sides(
    unit: UnitId, inputs: Mapping[Target, UnitInput], store: UnitStore, tools: Tools
) -> bool:
    """Adds ``both_sides`` to both labels of a unit; False where there are not two to score.

    Each side's explanation is tried on the other side's windows too.

    Raises:
        UpstreamError: the LLM could not be used.
    """
    labels = [store.get_label(unit, side) for side in (Side.POSITIVE, Side.NEGATIVE)]
    known = [label for label in labels if label is not None and is_scored(label)]
    if len(known) < len(labels) or any(Target(unit, side) not in inputs for side in Side):
        return False
    own = [_asked(label, inputs[Target(unit, label.side)]) for label in known]
    sides = [
        await _judged(label, windows, other, tools)
        for label, windows, other in zip(known, own, reversed(own), strict=True)
    ]
    score = both_sides_score(sides[0], sides[1])
    for label in known:
        store.put_label(_with(label, score))
    return True


def _is_scored(label: Label) -> bool:
    return label.status is LabelStatus.OK and label.explanation is not None


def _asked(label: Label, unit: UnitInput) -> ScoringSet:
    main = label.result(label.preferred or "")
    return unit.scoring_set(held_out=True).asked_about(main.trials if main else ())


async def _judged(label: Label, own: ScoringSet, other: ScoringSet, tools: Tools) -> JudgedSide:
    main = label.result(label.preferred or "")
    judge = tools.judge(label.explanation) if label.explanation is not None else None
    if main is None or judge is None or label.explanation is None:
        return JudgedSide.of(own, ())
    more = await put_to(judge, label.explanation, own, other)
    return JudgedSide.of(own, (main, more))


def _with(label: Label, score: Score) -> Label:
    # A label by rules that stays may have been scored together with one that did not.
    results = tuple(
        replace(result, scores=(*(s for s in result.scores if s.name != score.name), score))
        if result.scorer == label.preferred
        else result
        for result in label.results
    )
    return replace(label, results=results)


class OtherUnits:
    """The explained units of a chunk, by how alike the tokens are to which they respond."""

    def __init__(
        self,
        candidates: Mapping[Target, tuple[Candidate, ...]],
        tables: Mapping[Target, TokenMeans],
    ) -> None:
        """Compares every two token lookup tables; both mappings have the same keys."""
        self._candidates = candidates
        self._places = {target: place for place, target in enumerate(candidates)}
        own = [tables[target] for target in candidates]
        columns = [[np.asarray(column) for column in table.columns()] for table in own]
        tokens = np.unique(np.concatenate([ids for ids, _, _ in columns] or [np.zeros(0)]))
        known, counts, means = (np.zeros((len(own), len(tokens))) for _ in range(3))
        for row, (ids, values, numbers) in enumerate(columns):
            places = np.searchsorted(tokens, ids)
            known[row, places], counts[row, places] = 1.0, numbers
            means[row, places] = values - own[row].overall
        self._cosines = _cosines(known, counts, means)

    def explanations(self, target: Target) -> tuple[Explanation, ...]:
        """Theirs, the unit's first that responds to the most similar tokens.

        Of each unit the chosen one comes before the rest; the target's own are left out.
        """
        own = {c.explanation.text for c in self._candidates.get(target, ())}
        likeness = self._likeness(target)
        others = [other for other in self._candidates if other != target]
        result = []
        for other in sorted(others, key=lambda o: (-likeness[self._places[o]], o))[:_MOST_OTHERS]:
            ranked = sorted(self._candidates[other], key=lambda c: not c.chosen)
            result += [c.explanation for c in ranked if c.explanation.text not in own]
        return tuple(result)

    def _likeness(self, target: Target) -> list[float]:
        result: list[float] = self._cosines[self._places[target]].tolist()
        return result


def _cosines(known: Floats, counts: Floats, means: Floats) -> Floats:
    """Cosine of every two tables' means over the tokens of both, by a row's table's counts.

    The other's length goes by its own counts. All are 0 where a token is not known.
    """
    both = (counts * means) @ means.T
    lengths = (counts * means**2) @ known.T
    with np.errstate(divide="ignore", invalid="ignore"):
        cosines = np.where(lengths * lengths.T > 0, both / np.sqrt(lengths * lengths.T), 0.0)
    return np.asarray(cosines.round(_DECIMALS))

"""Explaining and scoring the units of one chunk, wherever their records were read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from autointerp.core.asynchrony import for_each
from autointerp.core.errors import BudgetExhaustedError
from autointerp.core.explanations import Candidate, Provenance
from autointerp.core.ids import UnitId
from autointerp.core.labels import Label
from autointerp.core.progress import Progress
from autointerp.core.records import TokenMeans
from autointerp.jobs.both_sides import score_both_sides
from autointerp.jobs.cases import Target
from autointerp.jobs.others import OtherUnits
from autointerp.llm import charge_to
from autointerp.pipeline import Case, Chosen, Tools, choose_explanation, dead_label, label_case
from autointerp.store.labels import UnitStore


@dataclass(frozen=True, slots=True)
class ChunkCases:
    """The units of a chunk that are to be labelled."""

    cases: Mapping[Target, Case]
    dead: Mapping[Target, str]
    """Why some of them cannot be."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """What is known of units of the chunk that have their labels already."""

    candidates: tuple[Candidate, ...]
    token_means: TokenMeans


@dataclass(slots=True)
class ChunkLabels:
    """Labels one chunk after the other with the same tools."""

    tools: Tools
    provenance: Provenance
    store: UnitStore
    """Where labels are kept."""
    progress: Progress
    stage: Callable[[str], AbstractContextManager[None]]
    """Measures the time of a stage."""
    at_once: int = 4
    both_sides: bool = False
    """Whether a unit's two labels are scored together as well."""
    stopped: str | None = None
    """Why units were left without a label: the budget ended."""

    async def label(self, chunk: ChunkCases, earlier: Mapping[Target, Earlier]) -> None:
        """Keeps a label of every case that the budget reaches.

        Args:
            chunk: what to label.
            earlier: the chunk's other units, against which chance levels are drawn as well.
        """
        living = {}
        for target, case in chunk.cases.items():
            reason = chunk.dead.get(target)
            if reason is None:
                living[target] = case
            else:
                self._keep(dead_label(case, reason, self.provenance))
        with self.stage("explain"):
            self.progress.start("explain", len(living), "units")
            asked = await for_each(
                living, lambda t: self._explain(t, living[t]), at_once=self.at_once
            )
        chosen = {target: one for target, one in asked.items() if one is not None}
        candidates = {target: one.candidates for target, one in chosen.items()}
        tables = {target: living[target].token_means for target in chosen}
        for target, known in earlier.items():
            candidates[target], tables[target] = known.candidates, known.token_means
        units = OtherUnits(candidates, tables)

        async def score(target: Target) -> None:
            others = units.explanations(target)
            with charge_to("score", unit=str(target.unit)), self._within_budget():
                case, one = living[target], chosen[target]
                self._keep(await label_case(case, one, others, self.tools, self.provenance))

        with self.stage("score"):
            await for_each(chosen, score, at_once=self.at_once)
        if self.both_sides:
            with self.stage("both sides"):
                await self._score_both(living, chosen)

    async def _score_both(self, cases: Mapping[Target, Case], chosen: Collection[Target]) -> None:
        async def score(unit: UnitId) -> None:
            with charge_to("score", unit=str(unit)), self._within_budget():
                await score_both_sides(unit, cases, self.store, self.tools)

        units = dict.fromkeys(target.unit for target in chosen)
        await for_each(units, score, at_once=self.at_once)

    async def _explain(self, target: Target, case: Case) -> Chosen | None:
        """What explaining came to; None where the budget did not reach."""
        with charge_to("explain", unit=str(target.unit)), self._within_budget():
            chosen = await choose_explanation(case, self.tools)
            self.progress.advance("explain", 1)
            return chosen
        return None

    @contextmanager
    def _within_budget(self) -> Iterator[None]:
        # A unit that the budget does not reach is left for another run; others, whose replies
        # are in the cache or cost less, go on.
        try:
            yield
        except BudgetExhaustedError as error:
            self.stopped = str(error)

    def _keep(self, label: Label) -> None:
        self.store.put_label(label)
        self.progress.advance("label", 1)

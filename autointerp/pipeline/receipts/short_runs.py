"""Texts and token ids run through the subject model, at most so many for a unit."""

from __future__ import annotations

from collections.abc import Sequence

from autointerp.core.probe import ProbedText, UnitProbe
from autointerp.core.records import MAX_LEVEL, ExplainSet

MOST_RUNS = 200
"""Most texts and edits together that are run for one side of a unit."""


class ShortRuns:
    """Counts what is run through the subject model for one side of one unit."""

    def __init__(self, probe: UnitProbe, records: ExplainSet, *, most: int = MOST_RUNS) -> None:
        """Runs at most so many."""
        self._probe, self._records, self._most = probe, records, most
        self._known: dict[tuple[int, ...], float] = {}
        self.n_run = 0

    @property
    def n_left(self) -> int:
        """How many more may be run."""
        return self._most - self.n_run

    def level(self, activation: float) -> float:
        """An activation of the side as a level, which no peak bounds."""
        return MAX_LEVEL * activation / self._records.peak

    async def texts(self, texts: Sequence[str]) -> tuple[ProbedText, ...]:
        """What the unit does on each of the first texts that may still be run.

        Raises:
            InputError: as `UnitProbe.measure`.
        """
        asked = texts[: self.n_left]
        self.n_run += len(asked)
        return await self._probe.measure(self._records.unit, asked) if asked else ()

    async def last_activations(
        self, sequences: Sequence[tuple[int, ...]]
    ) -> dict[tuple[int, ...], float]:
        """The side's activation at the last token of each sequence, in one batch.

        Those for which no run is left are missing. What was run before is not run again.

        Raises:
            InputError: as `UnitProbe.measure_ids`.
        """
        new = [ids for ids in dict.fromkeys(sequences) if ids not in self._known][: self.n_left]
        self.n_run += len(new)
        sign = self._records.side.sign
        measured = await self._probe.measure_ids(self._records.unit, new) if new else ()
        for ids, probed in zip(new, measured, strict=True):
            self._known[ids] = max(0.0, sign * probed.activations[-1])
        return {ids: self._known[ids] for ids in sequences if ids in self._known}

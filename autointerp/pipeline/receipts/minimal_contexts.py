"""How much of its context an exemplar needs: it is cut from the left until the unit stops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autointerp.core.records import ActivationRecord, ExplainSet
from autointerp.pipeline.receipts.short_runs import ShortRuns

N_EXEMPLARS = 3
KEPT = 0.8
"""A context is long enough where the peak keeps this share of its activation."""
LONGEST = 128
"""Tokens up to the peak that are tried."""
# Up to here every length is tried, so that the shortest is found whatever the unit does.
_BATCHES = (range(1, 9), range(9, 17), range(17, 25))


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A window up to its peak."""

    token_ids: tuple[int, ...]
    """Vocabulary ids up to and including the peak, the last `LONGEST`."""
    tokens: tuple[str, ...]
    """The same tokens as text."""
    activation: float
    """Activation of the side at the peak, above 0, model units."""
    is_whole: bool
    """Whether it begins where the window begins."""

    @classmethod
    def of(cls, record: ActivationRecord, records: ExplainSet) -> Exemplar:
        """The record up to its peak."""
        side = record.side(records.side)
        end = max(range(len(side)), key=side.__getitem__) + 1
        part = slice(max(0, end - LONGEST), end)
        return cls(record.token_ids[part], record.tokens[part], side[end - 1], end <= LONGEST)

    def last(self, n: int) -> tuple[int, ...]:
        """Its last n token ids."""
        return self.token_ids[-n:]


def chosen_exemplars(records: ExplainSet) -> tuple[Exemplar, ...]:
    """The strongest of different peak tokens, then of different tokens before the peak."""
    exemplars = [
        Exemplar.of(record, records) for record in records.activating if record.activations
    ]
    exemplars = [one for one in exemplars if one.activation > 0]
    firsts: dict[tuple[int, ...], Exemplar] = {}
    for n in (1, 2):
        for one in exemplars:
            if not any(known[-n:] == one.last(n) for known in firsts):
                firsts[one.last(2)] = one
    return tuple(firsts.values())[:N_EXEMPLARS]


async def minimal_lengths(exemplars: Sequence[Exemplar], runs: ShortRuns) -> tuple[int | None, ...]:
    """Of each the fewest tokens up to the peak with which it keeps `KEPT` of its activation.

    ``LONGEST + 1`` where even `LONGEST` are too few; None where no run is left to find out. Up to
    24 tokens each length is tried; beyond, the length is found by bisection, as if more context
    never hurt.
    """
    search = _Search(exemplars, runs)
    for lengths in _BATCHES:
        await search.try_all(lengths)
    await search.bisect()
    return tuple(search.found.get(i) for i in range(len(exemplars)))


class _Search:
    """The lengths of several exemplars, found in the same batches."""

    def __init__(self, exemplars: Sequence[Exemplar], runs: ShortRuns) -> None:
        self._exemplars, self._runs = exemplars, runs
        self._open = set(range(len(exemplars)))
        self.found: dict[int, int] = {}

    async def try_all(self, lengths: range) -> None:
        """Tries every one of these lengths, of each exemplar for which none was found yet."""
        asked = {i: [n for n in lengths if not self._is_whole(i, n)] for i in self._open}
        survive = await self._kept(asked)
        for i in sorted(self._open):
            first = next((n for n in asked[i] if survive[i, n]), None)
            if first is None and len(self._exemplars[i].token_ids) < lengths.stop:
                first = len(self._exemplars[i].token_ids)
            if first is not None:
                self._close(i, first)

    async def bisect(self) -> None:
        """Finds the lengths beyond those that were all tried."""
        cut = {i: [LONGEST] for i in self._open if not self._exemplars[i].is_whole}
        for (i, _), keeps in (await self._kept(cut)).items():
            if not keeps:
                self._close(i, LONGEST + 1)
        ends = {i: (_BATCHES[-1][-1], len(self._exemplars[i].token_ids)) for i in self._open}
        while self._open:
            for i in [i for i in self._open if ends[i][1] - ends[i][0] == 1]:
                self._close(i, ends[i][1])
            survive = await self._kept({i: [sum(ends[i]) // 2] for i in self._open})
            for (i, n), keeps in survive.items():
                ends[i] = (ends[i][0], n) if keeps else (n, ends[i][1])

    def _is_whole(self, i: int, length: int) -> bool:
        one = self._exemplars[i]
        return one.is_whole and length >= len(one.token_ids)

    def _close(self, i: int, length: int) -> None:
        self.found[i] = length
        self._open.discard(i)

    async def _kept(self, asked: Mapping[int, Sequence[int]]) -> dict[tuple[int, int], bool]:
        """Whether each (place, length) keeps the activation.

        The search ends for those of which something could not be run.
        """
        sequences = {(i, n): self._exemplars[i].last(n) for i in sorted(asked) for n in asked[i]}
        activations = await self._runs.last_activations(list(sequences.values()))
        self._open -= {i for (i, _), ids in sequences.items() if ids not in activations}
        return {
            (i, n): activations[ids] >= KEPT * self._exemplars[i].activation
            for (i, n), ids in sequences.items()
            if i in self._open
        }

"""What labels are listed and filtered by, a column each, as arrays of numbers."""

from __future__ import annotations

import bisect
import functools
import hashlib
import itertools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import UnitId
from autointerp.store.labels.label_rows import SCORES, ListedRow
from autointerp.store.search.kept_index import N_NUMBERS, IndexContent

# fmt: off
Sort = Literal[
    "unit", "score", "-score", "llm_score", "-llm_score", "llm_added", "-llm_added",
    "surprise", "-surprise",
]
# fmt: on
NO_SCORE = 1e308
"""Stands for no score where labels are ordered, so that they come last either way."""
_STATUSES = tuple(LabelStatus)
# Bits of a sort key below the layer: the hook point's rank, and index and side together.
_HOOK_BITS, _INDEX_BITS = 12, 38

# Slots that are looked at first, and how many times as many next.
_BLOCK, _GROWTH = 1024, 4
_LEAST_ROOM = 1024

_PLACE = 6
"""Row of the numbers that says which of a side's labels it is."""
_NEWEST, _KEPT, _GONE = range(3)

Origin = tuple[str | None, str | None]
"""Corpus and explainer."""
Mask = NDArray[np.bool_]
Slots = NDArray[np.int64]
_NONE: Slots = np.zeros(0, np.int64)


class Filters(NamedTuple):
    """Which labels to list; None does not filter."""

    layer: int | None = None
    hook: str | None = None
    status: LabelStatus | None = None
    score_min: float | None = None
    score_max: float | None = None
    corpus: str | None = None
    explainer: str | None = None

    @property
    def go_by_origin(self) -> bool:
        """Whether labels that are kept beside newer ones are meant too."""
        return self.corpus is not None or self.explainer is not None


class Columns:
    """A slot a label, which it keeps. One thread puts; any number read views meanwhile."""

    def __init__(self) -> None:
        self._rows: list[bytes] = []
        self._slots: dict[tuple[Any, ...], int] = {}
        self._hooks: dict[str, int] = {}
        self._origins: dict[Origin, int] = {}
        # Views of earlier moments read them too: a label that they show may get a new origin.
        self._origin_names: list[Origin] = []
        self._digests: list[str] = []
        self._numbers = np.zeros((N_NUMBERS, _LEAST_ROOM), np.int64)
        self._scores = np.zeros((len(SCORES), _LEAST_ROOM), np.float64)

    @classmethod
    def of(cls, content: IndexContent) -> Columns:
        """Those which `content` was of."""
        result = cls()
        result._rows = list(content.rows)
        result._hooks = {hook: number for number, hook in enumerate(content.hooks)}
        for origin in content.origins:
            result._origin_of(origin)
        _, hooks, units, sides, _, origins, places, _ = content.numbers.tolist()
        result._slots = {
            (content.hooks[hook], unit, side)
            if place == _NEWEST
            else (content.hooks[hook], unit, side, content.origins[origin]): slot
            for slot, (hook, unit, side, origin, place) in enumerate(
                zip(hooks, units, sides, origins, places, strict=True)
            )
        }
        result._numbers, result._scores = content.numbers, content.scores
        return result

    def content(self, change: int, words: Mapping[str, Slots]) -> IndexContent:
        """What is there now, which changes do not reach, with the last change and the words."""
        n = len(self._rows)
        return IndexContent(
            *(change, tuple(self._hooks), tuple(self._origin_names)),
            *(self._numbers[:, :n].copy(), self._scores[:, :n].copy()),
            *(tuple(self._rows), words),
        )

    def put(self, rows: Sequence[ListedRow]) -> tuple[list[int], dict[int, bytes]]:
        """Stores rows in place of older ones of their labels.

        A label that is kept beside the newest has a slot of its own for its origin, which is passed
        over while the newest is of that origin again.

        Returns:
            The slot of each, and the older rows by slot.
        """
        slots: list[int] = []
        before: dict[int, bytes] = {}
        gone: dict[int, bool] = {}
        for row in rows:
            side = row.hook, row.unit, row.side
            key = (*side, row.origin) if row.is_kept else side
            if row.is_kept or (*side, row.origin) in self._slots:
                of_origin = self._slots.setdefault((*side, row.origin), len(self._rows))
                gone[of_origin] = not row.is_kept
            slot = self._slots.setdefault(key, len(self._rows))
            if slot == len(self._rows):
                self._rows.append(row.text)
            else:
                before.setdefault(slot, self._rows[slot])
                self._rows[slot] = row.text
            slots.append(slot)
        self._make_room()
        hook_of = self._hooks.setdefault
        numbers = [
            (
                *(r.layer, hook_of(r.hook, len(self._hooks)), r.unit, r.side, r.status),
                *(self._origin_of(r.origin), _KEPT if r.is_kept else _NEWEST),
                r.n_senses,
            )
            for r in rows
        ]
        self._numbers[:, slots] = np.array(numbers).T
        self._scores[:, slots] = np.array([row.scores for row in rows], np.float64).T
        for slot, is_gone in gone.items():
            self._numbers[_PLACE, slot] = _GONE if is_gone else _KEPT
        return slots, before

    def view(self) -> View:
        """The labels of this moment."""
        n = len(self._rows)
        names = tuple(self._hooks), self._origin_names, self._digests
        return View(n, self._rows, *names, self._numbers[:, :n], self._scores[:, :n])

    def _origin_of(self, origin: Origin) -> int:
        if origin not in self._origins:
            text = "\x1f".join(name or "" for name in origin)
            digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8]
            self._origin_names.append(origin)
            self._digests.append(digest)
            self._origins[origin] = len(self._origins)
        return self._origins[origin]

    def _make_room(self) -> None:
        while len(self._rows) > self._scores.shape[1]:
            more = max(_LEAST_ROOM, self._scores.shape[1])
            self._numbers = np.pad(self._numbers, ((0, 0), (0, more)))
            self._scores = np.pad(self._scores, ((0, 0), (0, more)))


@dataclass(frozen=True)
class View:
    """The labels of one moment, and their orders.

    Of a label that is put again while somebody reads, either row may be seen.
    """

    n: int
    """Slots are 0 to n - 1."""
    rows: Sequence[bytes]
    """By slot; there may be more than n by now."""
    hooks: tuple[str, ...]
    origins: Sequence[Origin]
    """Corpora and explainers; there may be more by now."""
    digests: Sequence[str]
    """What labels of one side are told apart by, by origin, short whatever corpora are called."""
    numbers: Slots
    """Layer, hook point by its place in `hooks`, index, side, status, origin by its place in
    `origins`, whether it is the newest, kept beside that, or gone, and its senses, each by slot."""
    scores: NDArray[np.float64]
    """Each of `SCORES` by slot; not a number where there is none."""

    def mask(self, filters: Filters, slots: Slots | None = None) -> Mask | None:
        """Of each of the slots, of all where None, whether it is selected; None without filters."""
        layers, hooks, _, _, statuses, origins, places, _ = self.numbers
        parts: list[Mask] = []

        def of(column: NDArray[Any]) -> NDArray[Any]:
            return column if slots is None else column[slots]

        if filters.go_by_origin:
            parts += [of(places) != _GONE, np.isin(of(origins), self._matching(filters))]
        elif self.n_newest < self.n:
            parts.append(of(places) == _NEWEST)
        if filters.layer is not None:
            parts.append(of(layers) == min(max(filters.layer, -1), 1 << 30))
        if filters.hook is not None:
            parts.append(of(hooks) == self._number_of(filters.hook))
        if filters.status is not None:
            parts.append(of(statuses) == _STATUSES.index(filters.status))
        # A comparison with no number is false.
        if filters.score_min is not None:
            parts.append(of(self.scores[0]) >= filters.score_min)
        if filters.score_max is not None:
            parts.append(of(self.scores[0]) <= filters.score_max)
        if not parts:
            return None
        return functools.reduce(operator.and_, parts)

    def order(self) -> Slots:
        """Every slot, by unit."""
        return self._ordered("unit")[0]

    @property
    def is_newest(self) -> Mask:
        """Of each slot, whether it is its side's newest label."""
        newest: Mask = self.numbers[_PLACE][: self.n] == _NEWEST
        return newest

    @cached_property
    def n_newest(self) -> int:
        """How many labels there are without those that are kept beside newer ones."""
        return int(np.count_nonzero(self.is_newest))

    def senses(self) -> Slots:
        """Of the same labels as `statuses`, in its order, how many senses each has; 0 for none."""
        senses: Slots = self.numbers[-1][: self.n][self.is_newest]
        return senses

    def statuses(self) -> tuple[Slots, tuple[LabelStatus, ...], Slots, NDArray[np.float64]]:
        """Of the newest label of each side: hook point, status and score, which may be no number.

        Hook points by their places in `hooks`, statuses by those in what comes second.
        """
        newest = self.is_newest
        _, hooks, _, _, statuses, _, _, _ = (row[: self.n][newest] for row in self.numbers)
        return hooks, _STATUSES, statuses, self.scores[0][: self.n][newest]

    def neighbours(self, unit: UnitId) -> tuple[UnitId | None, UnitId | None]:
        """The units before and after it that have labels, by layer, hook point and index."""
        order, key = self.order(), self.key("unit")
        first, last = self._places(unit)

        def at(position: int) -> UnitId | None:
            if not 0 <= position < len(order):
                return None
            _, hook, index = key(order[position])[:3]
            return UnitId(unit.subject, hook, index)

        return at(first - 1), at(last)

    def holds(self, unit: UnitId) -> bool:
        """Whether the unit has a label."""
        first, last = self._places(unit)
        return first < last

    def _places(self, unit: UnitId) -> tuple[int, int]:
        """Where in `order` the unit's labels begin and end."""
        order, key = self.order(), self.key("unit")
        place: list[Any] = [unit.layer, unit.hook, unit.index]
        first, last = (
            find(order, place, key=lambda slot: key(slot)[:3])
            for find in (bisect.bisect_left, bisect.bisect_right)
        )
        return first, last

    def _matching(self, filters: Filters) -> list[int]:
        return [
            number
            for number, (corpus, explainer) in enumerate(self.origins)
            if filters.corpus in {None, corpus} and filters.explainer in {None, explainer}
        ]

    def first(self, filters: Filters, sort: str, n: int, *, after: list[Any] | None) -> Slots:
        """The first n slots that are selected, by unit, or by a score and equal scores by unit.

        They begin behind the place of `after`, which is a `key`; where None, at the first.
        """
        among, start = self._among(filters, sort), 0
        if after is not None:
            start = bisect.bisect_right(among, after, key=self.key(sort))
        found, n_found, size = [_NONE], 0, _BLOCK
        while start < len(among) and n_found < n:
            part = among[start : start + size]
            mask = self.mask(filters, part)
            found.append(part if mask is None else part[mask])
            n_found += len(found[-1])
            start, size = start + size, _GROWTH * size
        return np.concatenate(found)[:n]

    def _among(self, filters: Filters, sort: str) -> Slots:
        """Slots in order, of few layers or hook points where the filters name one."""
        if filters.layer is None and filters.hook is None:
            return self._within_bound(filters, sort)
        hook = None if filters.hook is None else self._number_of(filters.hook)
        by_unit, ranks = self.order(), self._ordered(sort)[1]
        runs = [
            by_unit[begin:end]
            for layer, number, begin, end in self._runs
            if filters.layer in {None, layer} and hook in {None, number}
        ]
        slots = np.concatenate([_NONE, *runs])
        return slots if sort == "unit" else slots[np.argsort(ranks[slots])]

    def _within_bound(self, filters: Filters, sort: str) -> Slots:
        """All slots in order, without those before a bound of the score that they go by."""
        order = self._ordered(sort)[0]
        bound = {"score": filters.score_min, "-score": filters.score_max}.get(sort)
        if bound is None:
            return order
        key, sign = self.key(sort), self._scores_of(sort)[1]
        begin = bisect.bisect_left(order, [sign * bound], key=lambda slot: key(slot)[:1])
        return order[begin:]

    def _number_of(self, hook: str) -> int:
        return self.hooks.index(hook) if hook in self.hooks else -1

    @cached_property
    def _runs(self) -> list[tuple[int, int, int, int]]:
        """Layer, hook point, and where their slots begin and end by unit."""
        layers, hooks = (column[self.order()] for column in self.numbers[:2])
        changes = np.flatnonzero((np.diff(layers) != 0) | (np.diff(hooks) != 0)) + 1
        ends = [0, *changes.tolist(), self.n] if self.n else []
        return [(int(layers[a]), int(hooks[a]), a, b) for a, b in itertools.pairwise(ends)]

    def ranks(self, sort: str) -> Slots:
        """By slot, its place in that order."""
        return self._ordered(sort)[1]

    def key(self, sort: str) -> Callable[[Any], list[Any]]:
        """What `order` sorts by, as a list that compares as the order does."""

        def unit(slot: Any) -> list[Any]:
            layer, hook, index, side, _, origin, *_ = self.numbers[:, slot].tolist()
            return [layer, self.hooks[hook], index, side, self.digests[origin]]

        if sort == "unit":
            return unit
        scores, sign = self._scores_of(sort)

        def score(slot: Any) -> list[Any]:
            value = float(scores[slot])
            return [NO_SCORE if math.isnan(value) else sign * value, *unit(slot)]

        return score

    def _scores_of(self, sort: str) -> tuple[NDArray[np.float64], float]:
        """(what it sorts by, -1 where the greatest come first)."""
        return self.scores[SCORES.index(sort.lstrip("-"))], -1.0 if sort[0] == "-" else 1.0

    def _ordered(self, sort: str) -> tuple[Slots, Slots]:
        """(slots in order, each slot's place in it)."""
        if sort not in self._orders:
            order = self._by_unit
            if sort != "unit":
                scores, sign = self._scores_of(sort)
                ranked = sign * scores[order]
                order = order[
                    np.argsort(np.where(np.isnan(ranked), NO_SCORE, ranked), kind="stable")
                ]
            self._orders[sort] = order, np.argsort(order)
        return self._orders[sort]

    @cached_property
    def _orders(self) -> dict[str, tuple[Slots, Slots]]:
        return {}

    @cached_property
    def _by_unit(self) -> Slots:
        layers, hooks, indices, sides, _, origins, *_ = self.numbers
        ranks = np.zeros(max(1, len(self.hooks)), np.int64)
        ranks[sorted(range(len(self.hooks)), key=self.hooks.__getitem__)] = range(len(self.hooks))
        of_hook = (layers << _HOOK_BITS) + ranks[hooks]
        by_side = (of_hook << _INDEX_BITS) + (indices << 1) + sides
        if self.n_newest == self.n:
            return np.argsort(by_side, kind="stable")
        # Before the digests, of which there are never too few for what was put by then.
        origins = origins.copy()
        digests = np.array(self.digests)
        return np.lexsort((np.argsort(np.argsort(digests))[origins], by_side))

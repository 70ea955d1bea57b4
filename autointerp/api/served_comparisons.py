"""Two of the server's dictionaries compared, by the labels in memory, and kept for a while."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pydantic_core import from_json

from autointerp.api.label_indexes import LabelIndexes
from autointerp.api.problems import Problem
from autointerp.api.unit_pages import records_of
from autointerp.core.errors import InputError
from autointerp.core.explanations import Label
from autointerp.core.ids import Side, UnitId
from autointerp.core.unreadable import OnUnreadable, if_readable
from autointerp.dictionary.comparison import Pair, compare_tables, pair_of
from autointerp.dictionary.label_tables import (
    Key,
    LabelTable,
    RatedLabel,
    differing_inputs,
    rated_row,
    with_prompt,
)
from autointerp.dictionary.moves import Moves
from autointerp.dictionary.rows import OLD_NAMES
from autointerp.dictionary.selections import LabelSelection, selections_of
from autointerp.store.label_records import LabelRecords
from autointerp.store.labels import LabelStore
from autointerp.store.search.columns import View

_MOST_KEPT, _MOST_PAIRS = 4, 1_000
# Labels that come while a job runs do not make every reader wait for a new comparison of many.
_QUICK_S, _PATIENCE = 0.2, 10
_WAIT_S = 2.0
_AGAIN = {"Refresh": "3", "Retry-After": "3"}


@dataclass(frozen=True, slots=True)
class ServedLabels:
    """The labels of a selection as of one moment, by unit."""

    selection: LabelSelection
    view: View
    slots: Mapping[Key, int]

    @classmethod
    def of(cls, selection: LabelSelection, view: View, *, by_layer: bool) -> ServedLabels:
        """Keys name a layer in place of a hook point where units are matched by that."""
        _, hooks, indices, sides, *_ = view.numbers
        slots: dict[Key, int] = {}
        for slot in selection.slots(view).tolist():
            hook = view.hooks[hooks[slot]]
            if by_layer:
                hook = f"blocks.{hook.split('.', 2)[1]}.any"
            slots.setdefault((hook, int(indices[slot]), tuple(Side)[sides[slot]]), slot)
        return cls(selection, view, slots)

    def rated(self, key: Key) -> RatedLabel:
        """What its row says of a label."""
        given = from_json(self.view.rows[self.slots[key]])
        row = {OLD_NAMES.get(name, name): value for name, value in given.items()}
        return rated_row(row, f"a row of {self.selection}")

    def table(self) -> LabelTable:
        """All of them, for a comparison by their rows."""
        ratings = {key: self.rated(key) for key in self.slots}
        return LabelTable(Path(str(self.selection)), ratings, None)


@dataclass(frozen=True, slots=True)
class ServedComparison:
    """What moved from A to B, and the labels behind it."""

    a: ServedLabels
    b: ServedLabels
    moves: Moves
    differing: tuple[str, ...]
    """What makes scores of the two incomparable, a phrase each."""
    made_at: float
    took_s: float
    known: dict[int, Pair] = field(default_factory=dict)
    """Pairs whose labels and records were read already, by place."""

    def pairs(
        self, places: Sequence[int], stores: tuple[LabelStore, LabelStore], note: OnUnreadable
    ) -> Iterator[Pair]:
        """Some of the pairs, compared on the windows that both judged where those are kept."""
        for place in places:
            pair = self.known.get(place)
            if pair is None:
                pair, is_whole = self._pair(self.moves.keys[place], stores, note)
                if is_whole and len(self.known) < _MOST_PAIRS:
                    self.known[place] = pair
            yield pair

    def _pair(
        self, key: Key, stores: tuple[LabelStore, LabelStore], note: OnUnreadable
    ) -> tuple[Pair, bool]:
        """The pair, and whether both labels could be read."""
        a, b = (
            with_prompt(labels.rated(key), _label(store, labels.rated(key), labels.selection, note))
            for store, labels in zip(stores, (self.a, self.b), strict=True)
        )
        read_a, read_b = (partial(_records, store, note) for store in stores)
        return pair_of(a, b, read_a, read_b), None not in (a[1], b[1])


class ServedComparisons:
    """Comparisons of what a server has; many threads may ask."""

    def __init__(self, indexes: LabelIndexes) -> None:
        self._indexes = indexes
        self._kept: OrderedDict[tuple[LabelSelection, LabelSelection], ServedComparison] = (
            OrderedDict()
        )
        self._lock = threading.Lock()
        # One at a time: of many labels one takes seconds and much memory.
        self._pool = ThreadPoolExecutor(1, "comparison")
        self._begun: dict[tuple[LabelSelection, LabelSelection], Future[ServedComparison]] = {}

    def choices(self, names: Sequence[str]) -> list[LabelSelection]:
        """What can be compared, of the labels that have been read."""
        result: list[LabelSelection] = []
        for name in names:
            known = self._indexes.ready(name)
            result += selections_of(name, None if known is None else known.view)
        return result

    def of(self, a: LabelSelection, b: LabelSelection) -> ServedComparison:
        """B compared with A, by the rows that have been read; of many, new ones may be missing.

        Raises:
            Problem: 404 where one has no labels, or they have no unit in common; 503 with when to
                ask again where they are still being compared.
        """
        first, second = self._indexes.of(a.name).view, self._indexes.of(b.name).view
        with self._lock:
            known = self._kept.get((a, b))
            if known is not None and not _is_old(known, first, second):
                self._kept.move_to_end((a, b))
                return known
            begun = self._begun.get((a, b))
            if begun is None:
                begun = self._pool.submit(self._compare, a, b, first, second)
                self._begun[a, b] = begun
        try:
            return begun.result(_WAIT_S)
        except TimeoutError as error:
            if known is not None:
                return known
            detail = f"{a.title} and {b.title} are being compared; this page looks again by itself"
            raise Problem(503, "being_compared", detail, headers=_AGAIN) from error

    def _compare(
        self, a: LabelSelection, b: LabelSelection, first: View, second: View
    ) -> ServedComparison:
        try:
            found = _compared(a, b, first, second)
            with self._lock:
                self._kept[a, b] = found
                self._kept.move_to_end((a, b))
                while len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
            return found
        finally:
            with self._lock:
                del self._begun[a, b]


def _is_old(known: ServedComparison, a: View, b: View) -> bool:
    is_same = known.a.view is a and known.b.view is b
    patience_s = _PATIENCE * known.took_s if known.took_s > _QUICK_S else 0.0
    return not is_same and time.monotonic() > known.made_at + patience_s


def _compared(a: LabelSelection, b: LabelSelection, of_a: View, of_b: View) -> ServedComparison:
    began = time.monotonic()
    by_layer = a.site is not None or b.site is not None
    first = ServedLabels.of(a, of_a, by_layer=by_layer)
    second = ServedLabels.of(b, of_b, by_layer=by_layer)
    for labels in (first, second):
        if not labels.slots:
            detail = f"there are no labels of {labels.selection.title}"
            raise Problem(404, "label_unknown", detail)
    tables = first.table(), second.table()
    try:
        comparison = compare_tables(*tables)
    except InputError as error:
        detail = f"{a.title} and {b.title} have no unit in common"
        raise Problem(404, "nothing_in_common", detail) from error
    keys = {(r.unit, r.side): key for key, r in tables[0].ratings.items()}
    moves = Moves.of(comparison, lambda pair: keys[pair.a.unit, pair.a.side])
    now = time.monotonic()
    return ServedComparison(first, second, moves, differing_inputs(*tables), now, now - began)


def _label(
    store: LabelStore, rated: RatedLabel, selection: LabelSelection, note: OnUnreadable
) -> Label | None:
    """The label of a row, which may be kept beside a newer one."""
    unit = UnitId(selection.name, rated.unit.hook, rated.unit.index)
    newest = if_readable(partial(store.get_label, unit, rated.side), note)
    origin = (rated.corpus, rated.explainer)
    if newest is None or origin == newest.origin or rated.corpus is None:
        return newest
    kept = store.kept_of(unit, note)
    return next((one for one in kept if one.side is rated.side and one.origin == origin), newest)


def _records(store: LabelStore, note: OnUnreadable, label: Label) -> LabelRecords | None:
    return records_of(store, label, note)

"""One model's labels, listed: by unit or by score, filtered, and searched by words.

The index is in memory and follows the store's rows. A page costs a few passes over columns of
numbers, whatever the query, so that many readers share one process.
"""

from __future__ import annotations

import bisect
import hashlib
import itertools
import json
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autointerp.core.asynchrony import prefetch
from autointerp.core.errors import AutointerpError, InputError
from autointerp.core.explanations import LabelStatus
from autointerp.store.codec import plain_json
from autointerp.store.labels import LabelStore
from autointerp.store.labels.label_rows import ListedRow, listed_row
from autointerp.store.search.columns import Columns, Filters, Slots, Sort, View
from autointerp.store.search.cursors import made_cursor, position_of
from autointerp.store.search.kept_index import KeptIndex
from autointerp.store.search.text_index import TextIndex

_LOGGER = logging.getLogger("autointerp.store")
MOST_ROWS = 1000
"""Most rows of a page."""
_BATCH = 2000
# Lists of places grow less often where many texts come at once.
_WORDS_AT_ONCE = 16_000
# More than there are labels: how many matches there are comes before any rank.
_RANK_BITS = 40
# What is new before the file of the index is written again: rows, and a share of all labels.
_LEAST_NEW, _NEW_SHARE = 5000, 8
# Matches of one label above which it is not looked at more closely how many there are.
_MOST_COUNTED = 63
Key = Callable[[int], list[Any]]


@dataclass(frozen=True, slots=True)
class LabelQuery:
    """Which labels to list, and how; None and empty do not filter."""

    layer: int | None = None
    hook: str | None = None
    status: LabelStatus | None = None
    score_min: float | None = None
    """Labels without a score are left out where either bound is given."""
    score_max: float | None = None
    corpus: str | None = None
    """Where this or the explainer is given labels are listed that newer ones of another corpus or
    explainer took the place of, too."""
    explainer: str | None = None
    words: str = ""
    """Every word must be in the description or the top tokens; the last may be the beginning of
    a word there."""
    sort: Sort | None = None
    """None is ``unit``, or where there are words, most matches first and then the best score."""
    cursor: str | None = None
    """`LabelPage.next` of the page before."""
    limit: int = 50

    @property
    def filters(self) -> Filters:
        """Those that do not go by words."""
        return Filters(
            *(self.layer, self.hook, self.status, self.score_min, self.score_max),
            *(self.corpus, self.explainer),
        )


@dataclass(frozen=True, slots=True)
class LabelPage:
    """Some rows, and where the next ones begin."""

    rows: tuple[bytes, ...]
    """JSON objects, as the store keeps them."""
    next: str | None
    """Cursor of the next page; None where this is the last."""


@dataclass(slots=True)
class _NewWords:
    """What readers do not see yet."""

    change: int
    """The last that was read."""
    texts: dict[int, str] = field(default_factory=dict)
    """By slot."""
    before: dict[int, str] = field(default_factory=dict)
    """Those that are searched until now, which they replace."""


class LabelIndex:
    """Pages of one store's labels, which keeps rows, as of at most `max_age_s` ago.

    Rows with fewer than `n_columns` values are of an earlier version; `current` makes them current.
    """

    def __init__(
        self,
        store: LabelStore,
        *,
        max_age_s: float = 0.5,
        n_columns: int = 0,
        current: Callable[[dict[str, Any]], dict[str, Any]] = dict,
        kept: KeptIndex | None = None,
    ) -> None:
        self.store = store
        self._n_columns, self._current = n_columns, current
        self._max_age_s = max_age_s
        self._change = 0
        self._fresh_until = -math.inf
        self._refresh_lock = threading.Lock()
        self._columns, self._words = Columns(), TextIndex()
        self._snapshot = (self._columns.view(), self._words, 0)
        self._in_order: tuple[View, tuple[bytes, ...]] = (self.view, ())
        self._kept, self._is_begun, self._n_unkept = kept, False, 0

    def __len__(self) -> int:
        return self.view.n_newest

    @property
    def has_kept(self) -> bool:
        """Whether there are labels that newer ones took the place of, as far as was read."""
        return self.view.n_newest < self.view.n

    @property
    def view(self) -> View:
        """The labels that were read from the store so far."""
        return self._snapshot[0]

    @property
    def words(self) -> TextIndex:
        """The words of those labels."""
        return self._snapshot[1]

    def left_out(self) -> tuple[str, ...]:
        """Why labels of the store are not listed, a sentence each."""
        return self.store.left_out()

    def refresh(self) -> None:
        """Reads every row that is new in the store.

        Raises:
            StorageError: the store cannot be listed.
            UpstreamError: the store cannot be reached.
        """
        with self._refresh_lock:
            self._read_new_rows()

    def page(self, query: LabelQuery) -> LabelPage:
        """The rows that the query selects.

        A cursor stays valid while labels come and change: the next page begins behind the place of
        the last row, wherever that row is now.

        Raises:
            InputError: a value is out of range, or the cursor belongs to another query.
        """
        self._refresh_if_stale()
        return self.loaded_page(query)

    def loaded_page(self, query: LabelQuery) -> LabelPage:
        """`page` of what was read so far: it does not ask the store, and never waits."""
        _check(query)
        view, words, _ = self._snapshot
        return _page(query, view, words)

    def rows(self, filters: Filters | None = None) -> tuple[tuple[bytes, ...], int]:
        """Every row that is selected, in reading order, and the last change.

        Without filters it is the same tuple until a row changes.
        """
        self._refresh_if_stale()
        view, _, change = self._snapshot
        if filters is not None:
            return _rows(view, filters), change
        if self._in_order[0] is not view:
            self._in_order = (view, _rows(view, Filters()))
        return self._in_order[1], change

    def _refresh_if_stale(self) -> None:
        if time.monotonic() < self._fresh_until:
            return
        # One reader looks; the others use what was read before, unless nothing was.
        if self._refresh_lock.acquire(blocking=self._change == 0):
            try:
                if time.monotonic() >= self._fresh_until:
                    self._read_new_rows()
            finally:
                self._refresh_lock.release()

    @property
    def is_worth_keeping(self) -> bool:
        """Whether so much is new since the file was written that `keep` is worth its time."""
        least = max(_LEAST_NEW, self.view.n // _NEW_SHARE)
        return self._kept is not None and self._n_unkept >= least

    def keep(self) -> bool:
        """Writes the file, while others read and refresh; whether it was written.

        It is not where the store cannot say later whether it is still true, or leaves labels out,
        at which it looks again only as long as this process lives.

        Raises:
            StorageError: the disk refuses, or the store cannot be read.
            UpstreamError: the store cannot be reached.
        """
        if self._kept is None:
            return False
        with self._refresh_lock:
            content = self._columns.content(self._change, self._words.words())
            mark = None if self.left_out() else self.store.mark(self._change)
            self._n_unkept = 0
        if mark is not None:
            self._kept.save(content, mark)
        return mark is not None

    def _begin(self) -> None:
        """Takes what a process before this one kept, where it is still true."""
        if self._is_begun or self._kept is None:
            return
        try:
            found = self._kept.load()
            is_true = found is not None and self.store.mark(found[0].change) == found[1]
        except (ValueError, OSError, AutointerpError) as error:
            _LOGGER.warning("labels are read anew, as their index cannot be used: %s", error)
            found, is_true = None, False
        self._is_begun = True
        if found is not None and is_true:
            content = found[0]
            self._columns, self._words = Columns.of(content), TextIndex.of(content.words)
            self._snapshot = (self._columns.view(), self._words, content.change)
            self._change = content.change

    def _read_new_rows(self) -> None:
        self._begin()
        new = _NewWords(self._change)
        try:
            for rows, change in self._batches():
                if change < new.change:
                    # The changes of another store, which has none of what was read before.
                    self._columns, self._words, new = Columns(), TextIndex(), _NewWords(change)
                self._add([row for row in rows if row is not None], new)
                new.change = change
                if len(new.texts) >= _WORDS_AT_ONCE:
                    self._show(new)
        finally:
            self._show(new)
        self._fresh_until = time.monotonic() + self._max_age_s

    def _batches(self) -> Iterator[tuple[list[ListedRow | None], int]]:
        """New rows with the change of the last, some at a time; of many the next are read ahead."""
        since, batch = self._change, self.store.rows_since(self._change, _BATCH)
        yield batch

        def read() -> tuple[list[ListedRow | None], int] | None:
            nonlocal since, batch
            # There may be few rows before a block of many.
            if batch[1] == since:
                return None
            since, batch = batch[1], self.store.rows_since(batch[1], _BATCH)
            return batch

        if len(batch[0]) >= _BATCH:
            yield from itertools.takewhile(bool, prefetch(itertools.repeat(read), n_threads=1))
        else:
            yield from iter(read, None)

    def _add(self, rows: Sequence[ListedRow], new: _NewWords) -> None:
        if not rows:
            return
        rows = [self._whole(row) for row in rows]
        slots, before = self._columns.put(rows)
        self._n_unkept += len(rows)
        for slot in before.keys() - new.texts.keys():
            row = listed_row(before[slot])
            new.before[slot] = row.words if row is not None else ""
        new.texts.update(zip(slots, (row.words for row in rows), strict=True))

    def _show(self, new: _NewWords) -> None:
        """Lets readers see what was added."""
        if new.texts or new.change < self._change:
            self._words.put(new.texts, new.before)
            new.texts, new.before = {}, {}
            self._snapshot = (self._columns.view(), self._words, new.change)
        # Last: until there is any, readers wait for the first labels.
        self._change = new.change

    def _whole(self, row: ListedRow) -> ListedRow:
        if row.n_columns >= self._n_columns:
            return row
        values = self._current(json.loads(row.text))
        return row._replace(text=plain_json(values).rstrip())


def _rows(view: View, filters: Filters) -> tuple[bytes, ...]:
    return tuple(view.rows[slot] for slot in view.first(filters, "unit", view.n, after=None))


def _page(query: LabelQuery, view: View, words: TextIndex) -> LabelPage:
    sort = query.sort or ("matches" if query.words.strip() else "unit")
    digest, after = _query_digest(query, sort), None
    if query.cursor is not None:
        after = position_of(query.cursor, digest, sort)
    slots, key = (_searched if query.words.strip() else _filtered)(query, sort, view, words, after)
    rows = tuple(view.rows[slot] for slot in slots[: query.limit])
    return LabelPage(
        rows, made_cursor(digest, key(query.limit - 1)) if len(slots) > len(rows) else None
    )


def _filtered(
    query: LabelQuery, sort: str, view: View, _: TextIndex, after: list[Any] | None
) -> tuple[Slots, Key]:
    """The slots of the page and one more, in order, and by place what they are ordered by."""
    slots, by = view.first(query.filters, sort, query.limit + 1, after=after), view.key(sort)
    return slots, lambda place: by(slots[place])


def _searched(
    query: LabelQuery, sort: str, view: View, words: TextIndex, after: list[Any] | None
) -> tuple[Slots, Key]:
    """The slots of the page, and more, of those that match the words."""
    slots, counts = words.matches(query.words, view.n)
    mask = view.mask(query.filters, slots)
    if mask is not None:
        slots, counts = slots[mask], counts[mask]
    order, n = "-score" if sort == "matches" else sort, query.limit + 1
    if sort == "matches" and after is None:
        most = counts >= _least_of_most(counts, n)
        slots, counts = slots[most], counts[most]
    ranks = view.ranks(order)[slots]
    if sort == "matches":
        ranks -= counts << _RANK_BITS
    if after is None and len(slots) > n:
        first = np.argpartition(ranks, n - 1)[:n]
        slots, counts, ranks = slots[first], counts[first], ranks[first]
    places = np.argsort(ranks)
    slots, counts = slots[places], counts[places]
    by = view.key(order)

    def key(place: int) -> list[Any]:
        found = by(slots[place])
        return [-int(counts[place]), *found] if sort == "matches" else found

    if after is None:
        return slots, key
    start = bisect.bisect_right(range(len(slots)), after, key=key)
    return slots[start:], lambda place: key(start + place)


def _least_of_most(counts: Slots, n: int) -> int:
    """The greatest count that n of them, or all, reach."""
    reaching = np.cumsum(np.bincount(np.minimum(counts, _MOST_COUNTED))[::-1])[::-1]
    return int(np.flatnonzero(reaching >= min(n, len(counts)))[-1]) if len(counts) else 0


def _check(query: LabelQuery) -> None:
    if not 1 <= query.limit <= MOST_ROWS:
        raise InputError(f"limit must be 1 to {MOST_ROWS}, found {query.limit}")
    for bound in (query.score_min, query.score_max):
        if bound is not None and not math.isfinite(bound):
            raise InputError(f"a bound of the score must be a finite number, found {bound}")


def _query_digest(query: LabelQuery, sort: str) -> str:
    text = json.dumps([sort, *query.filters, query.words])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]

"""One model's labels, listed: by unit or by score, filtered, and searched by words.

The index is in memory and follows the store's rows. A page costs a few passes over columns of
numbers, whatever is asked, so that many readers share one process.
"""

from __future__ import annotations

import base64
import bisect
import hashlib
import json
import math
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from autointerp.core.errors import InputError
from autointerp.core.labels import LabelStatus
from autointerp.store.labels import LabelStore
from autointerp.store.search.columns import Columns, Mask, Slots, View
from autointerp.store.search.text_index import TextIndex

MOST_ROWS = 1000
"""Most rows of a page."""
_BATCH = 2000
# More than there are labels: how many matches there are comes before any rank.
_RANK_BITS = 40
_UNIT = (int, str, int, int)
_SCORE = (float, *_UNIT)
_KEYS: dict[str, tuple[type, ...]] = {
    "unit": _UNIT,
    "score": _SCORE,
    "-score": _SCORE,
    "matches": (int, *_SCORE),
}
"""What a place in an order is made of, and so a cursor."""

Key = Callable[[int], list[Any]]


@dataclass(frozen=True, slots=True)
class LabelQuery:
    """What shall be listed; None and empty do not filter."""

    layer: int | None = None
    hook: str | None = None
    status: LabelStatus | None = None
    score_min: float | None = None
    """Labels without a score are left out where either bound is given."""
    score_max: float | None = None
    words: str = ""
    """Every word must be in the description or the top tokens; the last one may go on there."""
    sort: Literal["unit", "score", "-score"] | None = None
    """None is ``unit``, or where there are words, most matches first and then the best score."""
    cursor: str | None = None
    """`LabelPage.next` of the page before."""
    limit: int = 50


@dataclass(frozen=True, slots=True)
class LabelPage:
    """Some rows and where the next ones begin."""

    rows: tuple[bytes, ...]
    """JSON objects, as the store keeps them."""
    next: str | None
    """Cursor of the next page; None where this is the last."""


class LabelIndex:
    """Pages of one store's labels, as of at most `max_age_s` ago.

    Args:
        store: one that keeps rows.
        max_age_s: how long a reader may go without looking for new rows.
    """

    def __init__(self, store: LabelStore, *, max_age_s: float = 0.5) -> None:
        self.store = store
        self._max_age_s = max_age_s
        self._change = 0
        self._fresh_until = -math.inf
        self._following = threading.Lock()
        self._columns, self._words = Columns(), TextIndex()
        self._seen = (self._columns.view(), self._words, 0)

    def __len__(self) -> int:
        return self._seen[0].n

    @property
    def view(self) -> View:
        """The labels that were taken up already."""
        return self._seen[0]

    def refresh(self) -> None:
        """Takes up every row that the store has by now.

        Raises:
            StorageError: the store is damaged.
            UpstreamError: the store cannot be reached.
        """
        with self._following:
            self._follow()

    def page(self, query: LabelQuery) -> LabelPage:
        """The rows that were asked for.

        A cursor stays good while labels come and change: the next page begins behind the place of
        the last row, wherever that row is now.

        Raises:
            InputError: a value is out of range, or the cursor belongs to another query.
        """
        self._keep_up()
        return self.known(query)

    def known(self, query: LabelQuery) -> LabelPage:
        """`page` of what was taken up already: it does not ask the store, and never waits."""
        _check(query)
        view, words, _ = self._seen
        return _page(query, view, words)

    def rows(self) -> tuple[tuple[bytes, ...], int]:
        """Every row in reading order, and the number of the last change that is in them."""
        self._keep_up()
        view, _, change = self._seen
        return tuple(view.rows[slot] for slot in view.order("unit", None)), change

    def _keep_up(self) -> None:
        if time.monotonic() < self._fresh_until:
            return
        # One reader looks; the others go on with what is known, unless nothing is.
        if self._following.acquire(blocking=self._change == 0):
            try:
                if time.monotonic() >= self._fresh_until:
                    self._follow()
            finally:
                self._following.release()

    def _follow(self) -> None:
        n_rows = _BATCH
        while n_rows >= _BATCH:
            rows, change = self.store.rows_since(self._change, _BATCH)
            if change < self._change:
                # Another store's changes: what is known here is not in it.
                self._columns, self._words = Columns(), TextIndex()
            for row in rows:
                self._take_up(row)
            if rows or change < self._change:
                self._seen = (self._columns.view(), self._words, change)
            self._change, n_rows = change, len(rows)
        self._fresh_until = time.monotonic() + self._max_age_s

    def _take_up(self, row: bytes) -> None:
        found = json.loads(row)
        slot = self._columns.put(found, row)
        self._words.put(slot, [found.get("description") or "", *(found.get("top_tokens") or ())])


def _page(query: LabelQuery, view: View, words: TextIndex) -> LabelPage:
    sort = query.sort or ("matches" if query.words.strip() else "unit")
    slots, key = (_found if query.words.strip() else _listed)(query, sort, view, words)
    question = _question(query, sort)
    start = 0
    if query.cursor is not None:
        after = _parse_cursor(query.cursor, question, sort)
        start = bisect.bisect_right(range(len(slots)), after, key=key)
    end = min(start + query.limit, len(slots))
    rows = tuple(view.rows[slot] for slot in slots[start:end])
    return LabelPage(rows, _cursor(question, key(end - 1)) if end < len(slots) else None)


def _listed(query: LabelQuery, sort: str, view: View, _: TextIndex) -> tuple[Slots, Key]:
    """Every slot that is asked for, in order, and by place what it is ordered by."""
    slots = view.order(sort, _mask(query, view))
    by = view.key(sort)
    return slots, lambda place: by(slots[place])


def _found(query: LabelQuery, sort: str, view: View, words: TextIndex) -> tuple[Slots, Key]:
    """The same of a search; without a cursor no more than a page of them, and one."""
    slots, counts = words.matches(query.words, view.n)
    mask = _mask(query, view)
    if mask is not None:
        slots, counts = slots[mask[slots]], counts[mask[slots]]
    order = "-score" if sort == "matches" else sort
    ranks = view.ranks(order)[slots]
    if sort == "matches":
        ranks -= counts << _RANK_BITS
    if query.cursor is None and len(slots) > query.limit + 1:
        first = np.argpartition(ranks, query.limit)[: query.limit + 1]
        slots, counts, ranks = slots[first], counts[first], ranks[first]
    places = np.argsort(ranks)
    slots, counts = slots[places], counts[places]
    by = view.key(order)
    if sort != "matches":
        return slots, lambda place: by(slots[place])
    return slots, lambda place: [-int(counts[place]), *by(slots[place])]


def _mask(query: LabelQuery, view: View) -> Mask | None:
    return view.mask(query.layer, query.hook, query.status, query.score_min, query.score_max)


def _check(query: LabelQuery) -> None:
    if not 1 <= query.limit <= MOST_ROWS:
        msg = f"limit must be 1 to {MOST_ROWS}, found {query.limit}"
        raise InputError(msg)
    for bound in (query.score_min, query.score_max):
        if bound is not None and not math.isfinite(bound):
            msg = f"a bound of the score must be a finite number, found {bound}"
            raise InputError(msg)


def _question(query: LabelQuery, sort: str) -> str:
    asked = [query.layer, query.hook, query.status, query.score_min, query.score_max]
    text = json.dumps([sort, *asked, query.words])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _cursor(question: str, key: Sequence[Any]) -> str:
    text = json.dumps([question, *key], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _parse_cursor(cursor: str, question: str, sort: str) -> list[Any]:
    bad = InputError(
        f"invalid cursor {cursor[:40]!r}: use the one that the last page returned, or none"
    )
    if not re.fullmatch(r"[A-Za-z0-9_-]{4,400}", cursor):
        raise bad
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, RecursionError) as error:
        raise bad from error
    if not isinstance(found, list) or not found or not isinstance(found[0], str):
        raise bad
    if found[0] != question:
        msg = "the cursor belongs to another query; repeat that query, or start without a cursor"
        raise InputError(msg)
    if len(found) != 1 + len(_KEYS[sort]) or not all(map(_is, found[1:], _KEYS[sort])):
        raise bad
    return found[1:]


def _is(value: object, kind: type) -> bool:
    return isinstance(value, (int, float) if kind is float else kind)

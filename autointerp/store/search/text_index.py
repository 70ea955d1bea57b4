"""Search by words: which texts contain them, and how often."""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autointerp.core.errors import InputError
from autointerp.store.search.columns import Slots

MOST_WORDS = 32
"""Most words of a search."""
_WORD = re.compile(r"\w+")
_BITS = 15
_MOST = 2**_BITS - 1
_SLOT_BITS = 32
_SLOTS = 2**_SLOT_BITS - 1
# Texts are told apart by what no text holds once this is replaced in it.
_END, _WORD_OR_END = "\0", re.compile(r"\w+|\0")
_TO_SPACES = bytes(n if n == 0 or _WORD.match(chr(n)) else 32 for n in range(128)) + bytes(128)
# Of fewer places than one in so many texts, those of one text are brought together by sorting.
_SPARSE = 16
# Places are looked up one by one in a list that is so many times as long.
_LONGER = 8

# A word that is in more than one text of so many says little of what two have in common.
_COMMON, _ALWAYS_RARE = 8, 10

_NONE: Slots = np.zeros(0, np.int64)


class _WordPlaces(NamedTuple):
    """Where a word is: slot and count in one number, ascending; a change makes another value."""

    room: Slots
    n: int

    @property
    def known(self) -> Slots:
        return self.room[: self.n]

    def with_more(self, places: Slots) -> _WordPlaces:
        """With places that were not there, which need not come last."""
        n = self.n + len(places)
        if self.n and places[0] < self.room[self.n - 1]:
            return _WordPlaces(np.sort(np.concatenate([self.known, places])), n)
        room = self.room
        if n > len(room):
            room = np.empty(n + n // 4 if self.n else n, np.int64)
            room[: self.n] = self.known
        room[self.n : n] = places
        return _WordPlaces(room, n)

    def without(self, slot: int) -> _WordPlaces:
        kept = self.known[self.known >> _BITS != slot]
        return _WordPlaces(kept, len(kept))


_NOWHERE = _WordPlaces(_NONE, 0)


class _Numbers(dict[str, int]):
    """A number for each word that is asked for, by how many there were before it."""

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self)
        return number


class TextIndex:
    """Words of numbered texts, without regard to letter case.

    One thread puts; any number search meanwhile, and may see a text as it was or as it is.
    """

    def __init__(self) -> None:
        self._places: dict[str, _WordPlaces] = {}
        self._vocabulary: list[str] = []

    @classmethod
    def of(cls, words: Mapping[str, Slots]) -> TextIndex:
        """That which `words` was of."""
        result = cls()
        result._places = {word: _WordPlaces(places, len(places)) for word, places in words.items()}
        result._vocabulary = sorted(result._places)
        return result

    def words(self) -> dict[str, Slots]:
        """Where each word is now; changes do not reach it."""
        return {word: places.known for word, places in self._places.items()}

    def put(self, texts: Mapping[int, str], before: Mapping[int, str]) -> None:
        """Indexes the text of each slot; `before` has those that slots had until now.

        No word goes over the end of a line.
        """
        for slot, text in before.items():
            for word in self._places.keys() & _words(text):
                self._places[word] = self._places[word].without(slot)
        if not texts:
            return
        # Most texts are ASCII, whose words are found in a third of the time.
        slots = sorted(texts, key=lambda slot: not texts[slot].isascii())
        n_ascii = bisect.bisect(slots, 0, key=lambda slot: not texts[slot].isascii())
        found = _ascii_words([texts[slot] for slot in slots[:n_ascii]])
        found += _WORD_OR_END.findall(_joined([texts[slot] for slot in slots[n_ascii:]]))
        numbers = _Numbers({_END: 0})
        every = np.fromiter(map(numbers.__getitem__, found), np.int64, len(found))
        words, is_word = list(numbers), every > 0
        own = np.array(slots, np.int64)[np.cumsum(~is_word)[is_word]]
        keys, counts = np.unique((every[is_word] << _SLOT_BITS) + own, return_counts=True)
        places = ((keys & _SLOTS) << _BITS) + np.minimum(counts, _MOST)
        ends = np.cumsum(np.bincount(keys >> _SLOT_BITS, minlength=len(words))).tolist()
        new = [word for word in words[1:] if word not in self._places]
        for word, (begin, end) in zip(words[1:], itertools.pairwise(ends), strict=True):
            known = self._places.get(word, _NOWHERE)
            self._places[word] = known.with_more(places[begin:end])
        # Searches see one list or the other.
        self._vocabulary = sorted([*self._vocabulary, *new]) if new else self._vocabulary

    def matches(self, search: str, n: int) -> tuple[Slots, Slots]:
        """(slots, counts) of the n texts that contain every word, and how often they do.

        The last word also matches longer ones that begin with it, unless it is followed by
        something that is not part of a word.

        Raises:
            InputError: there is no word, or there are too many.
        """
        words = list(dict.fromkeys(_words(search)))
        if not 1 <= len(words) <= MOST_WORDS:
            msg = f"a search takes 1 to {MOST_WORDS} words, found {len(words)} in {search[:60]!r}"
            raise InputError(msg)
        open_end = search.casefold().endswith(words[-1])
        groups = []
        for word in words:
            beginning = open_end and word == words[-1]
            names = self._beginning(word) if beginning else [word]
            known = (self._places.get(name, _NOWHERE).known for name in names)
            groups.append([places for places in known if places.size])
        # The rarest word leaves the fewest texts to look at.
        rarest, *others = sorted(groups, key=lambda group: sum(map(len, group)))
        slots, total = _together(rarest, n)
        for group in others:
            more = sum((_counts_at(slots, places, n) for places in group), np.zeros_like(slots))
            both = more > 0
            slots, total = slots[both], total[both] + more[both]
        return slots, total

    def likeness(self, text: str, n: int) -> NDArray[np.float64]:
        """Of each of the n texts, how much of the words of a text it has.

        A word counts by how rare it is; the first `MOST_WORDS` count, and none that is in more
        than one text of eight.
        """
        result = np.zeros(n)
        for word in itertools.islice(dict.fromkeys(_words(text)), MOST_WORDS):
            places = self._places.get(word, _NOWHERE).known
            if 0 < len(places) <= max(_ALWAYS_RARE, n // _COMMON):
                result[_below(places, n) >> _BITS] += np.log(n / len(places))
        return result

    def _beginning(self, prefix: str) -> list[str]:
        vocabulary = self._vocabulary
        first = bisect.bisect_left(vocabulary, prefix)
        last = bisect.bisect_left(vocabulary, prefix + chr(0x10FFFF))
        return vocabulary[first:last]


def _together(group: list[Slots], n: int) -> tuple[Slots, Slots]:
    """(slots below n, counts) of the texts that contain any of some words."""
    group = [_below(places, n) for places in group]
    if not group:
        return _NONE, _NONE
    if len(group) == 1:
        return group[0] >> _BITS, group[0] & _MOST
    if sum(map(len, group)) * _SPARSE < n:
        places = np.sort(np.concatenate(group))
        slots, counts = places >> _BITS, places & _MOST
        first = np.flatnonzero(np.diff(slots, prepend=-1))
        return slots[first], np.add.reduceat(counts, first) if first.size else counts
    dense = np.zeros(n, np.int32)
    for places in group:
        dense[places >> _BITS] += (places & _MOST).astype(np.int32)
    slots = np.flatnonzero(dense)
    return slots, dense[slots].astype(np.int64)


def _counts_at(slots: Slots, places: Slots, n: int) -> Slots:
    """How often a word that is at some places is in the texts of those slots, which ascend."""
    if len(slots) * _LONGER > len(places):
        dense = np.zeros(n, np.int32)
        places = _below(places, n)
        dense[places >> _BITS] = places & _MOST
        return dense[slots].astype(np.int64)
    at = np.searchsorted(places, slots << _BITS)
    there = places[np.minimum(at, len(places) - 1)]
    return np.where(there >> _BITS == slots, there & _MOST, 0)


def _below(places: Slots, n: int) -> Slots:
    """Without those of slots from n on, which came while somebody searches."""
    return places if places[-1] >> _BITS < n else places[: np.searchsorted(places, n << _BITS)]


def _joined(texts: Sequence[str]) -> str:
    """The texts in lower case, with `_END` behind each."""
    return _END.join(text.replace(_END, "\n") for text in (*texts, "")).casefold()


def _ascii_words(texts: Sequence[str]) -> list[str]:
    """What `_WORD_OR_END` finds in texts of ASCII alone."""
    spaced = _joined(texts).encode().translate(_TO_SPACES).replace(b"\0", b" \0 ")
    return spaced.decode().split()


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())

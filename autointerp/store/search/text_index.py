"""Search by words: which texts contain them, and how often."""

from __future__ import annotations

import bisect
import itertools
import re
from array import array
from collections.abc import Iterable, Mapping

import numpy as np

from autointerp.core.errors import InputError
from autointerp.store.search.columns import Slots

MOST_WORDS = 32
"""Most words of a search."""
_WORD = re.compile(r"\w+")
_BITS = 15
_MOST = 2**_BITS - 1
_SLOT_BITS = 32
_SLOTS = 2**_SLOT_BITS - 1
# Of fewer places than one in so many texts, those of one text are brought together by sorting.
_SPARSE = 16

_NONE: Slots = np.zeros(0, np.int64)


class TextIndex:
    """Words of numbered texts, without regard to letter case.

    One thread puts; any number search meanwhile, and may see a text as it was or as it is.
    """

    def __init__(self) -> None:
        self._texts: dict[int, str] = {}
        # Slot and count in one number, so that a copy of a list is of one moment.
        self._places: dict[str, array[int]] = {}
        self._vocabulary: list[str] = []

    def put(self, texts: Mapping[int, Iterable[str]]) -> None:
        """Indexes the texts of each slot in place of its older ones."""
        # No word goes over the end of a line.
        joined = {slot: "\n".join(lines) for slot, lines in texts.items()}
        for slot in joined:
            self._remove(slot)
        words = {slot: _words(text) for slot, text in joined.items()}
        numbers: dict[str, int] = {}
        every = [numbers.setdefault(w, len(numbers)) for own in words.values() for w in own]
        own = np.repeat(np.fromiter(words, np.int64), [len(found) for found in words.values()])
        keys, counts = np.unique(
            (np.array(every, np.int64) << _SLOT_BITS) + own, return_counts=True
        )
        places = ((keys & _SLOTS) << _BITS) + np.minimum(counts, _MOST)
        ends = np.cumsum(np.bincount(keys >> _SLOT_BITS, minlength=len(numbers))).tolist()
        for word, (begin, end) in zip(numbers, itertools.pairwise([0, *ends]), strict=True):
            if word not in self._places:
                self._places[word] = array("q")
                bisect.insort(self._vocabulary, word)
            self._places[word].frombytes(places[begin:end].tobytes())
        self._texts.update(joined)

    def _remove(self, slot: int) -> None:
        for word in dict.fromkeys(_words(self._texts.pop(slot, ""))):
            places = self._places[word]
            del places[next(i for i, place in enumerate(places) if place >> _BITS == slot)]

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
        matches: list[tuple[Slots, Slots]] = []
        for word in words:
            prefix = open_end and word == words[-1]
            matches.append(self._containing(self._beginning(word) if prefix else [word], n))
        # The rarest word leaves the fewest texts to look at.
        (slots, total), *others = sorted(matches, key=lambda match: match[0].size)
        for there, counts in others:
            dense = np.zeros(n, np.int32)
            dense[there] = counts
            more = dense[slots]
            both = more > 0
            slots, total = slots[both], total[both] + more[both]
        return slots, total

    def _beginning(self, prefix: str) -> list[str]:
        first = bisect.bisect_left(self._vocabulary, prefix)
        last = bisect.bisect_left(self._vocabulary, prefix + chr(0x10FFFF))
        # A word that came just now may have moved the others.
        return [word for word in self._vocabulary[first:last] if word.startswith(prefix)]

    def _containing(self, words: list[str], n: int) -> tuple[Slots, Slots]:
        """(slots, counts) of the texts that contain any of the words."""
        known = [self._places[word][:] for word in words if word in self._places]
        if not known:
            return _NONE, _NONE
        if len(known) == 1:
            places = np.frombuffer(known[0], np.int64)
        else:
            places = np.concatenate([np.frombuffer(copy, np.int64) for copy in known])
        slots, counts = places >> _BITS, places & _MOST
        if slots.size and slots.max() >= n:
            slots, counts = slots[slots < n], counts[slots < n]
        if len(known) == 1:
            return slots, counts
        if slots.size * _SPARSE < n:
            order = np.argsort(slots)
            slots, counts = slots[order], counts[order]
            first = np.flatnonzero(np.diff(slots, prepend=-1))
            return slots[first], np.add.reduceat(counts, first) if first.size else counts
        dense = np.bincount(slots, weights=counts, minlength=n)
        slots = np.flatnonzero(dense)
        return slots, dense[slots].astype(np.int64)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())

"""Search by words: which texts contain them, and how often."""

from __future__ import annotations

import bisect
import re
from array import array
from collections import Counter
from collections.abc import Iterable

import numpy as np

from autointerp.core.errors import InputError
from autointerp.store.search.columns import Slots

MOST_WORDS = 32
"""Most words of a search."""
_WORD = re.compile(r"\w+")
_BITS = 15
_MOST = 2**_BITS - 1

_NONE: Slots = np.zeros(0, np.int64)


class TextIndex:
    """Words of numbered texts, without regard to letter case.

    One thread puts; any number search meanwhile, and may see a text as it was or as it is.
    """

    def __init__(self) -> None:
        self._texts: dict[int, tuple[str, ...]] = {}
        # Slot and count in one number, so that a copy of a list is of one moment.
        self._places: dict[str, array[int]] = {}
        self._vocabulary: list[str] = []

    def put(self, slot: int, texts: Iterable[str]) -> None:
        """Indexes the texts of a slot in place of its older ones."""
        for word in self._texts.pop(slot, ()):
            places = self._places[word]
            del places[next(i for i, place in enumerate(places) if place >> _BITS == slot)]
        n_of_word = Counter(word for text in texts for word in _words(text))
        for word, count in n_of_word.items():
            place = (slot << _BITS) + min(count, _MOST)
            if word in self._places:
                self._places[word].append(place)
            else:
                self._places[word] = array("q", [place])
                bisect.insort(self._vocabulary, word)
        self._texts[slot] = tuple(n_of_word)

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
            dense = np.zeros(n, np.int64)
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
        dense = np.bincount(slots, weights=counts, minlength=n)
        slots = np.flatnonzero(dense)
        return slots, dense[slots].astype(np.int64)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())

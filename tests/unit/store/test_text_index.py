"""Which texts words are in, against counting them one by one."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest

from autointerp.store.search.text_index import TextIndex

COMMON, RARE = ("the", "of", "river"), tuple(f"word{n}" for n in range(40))


def some_text(draw: random.Random) -> str:
    words = [*draw.choices(COMMON, k=5), *draw.choices(RARE, k=draw.randrange(2))]
    return draw.choice((" ", "\n", "-")).join(words)


def counted(texts: dict[int, str], search: str) -> dict[int, int]:
    *whole, last = re.findall(r"\w+", search.casefold())
    found = {}
    for slot, text in texts.items():
        there = Counter(re.findall(r"\w+", text.casefold()))
        counts = [there[word] for word in dict.fromkeys(whole)]
        counts.append(sum(n for word, n in there.items() if word.startswith(last)))
        if all(counts):
            found[slot] = sum(counts)
    return found


def matched(index: TextIndex, search: str, n: int) -> dict[int, int]:
    slots, counts = index.matches(search, n)
    assert list(slots) == sorted(slots)
    return dict(zip(slots.tolist(), counts.tolist(), strict=True))


@pytest.mark.parametrize("search", ["the", "word7", "the word1", "word7 of r", "of w", "zebra of"])
def test_words_are_found_in_many_texts_that_came_and_changed_in_any_order(search: str) -> None:
    draw, index, texts = random.Random(0), TextIndex(), dict[int, str]()
    for _ in range(20):
        slots = [*range(len(texts), len(texts) + 50), *draw.sample(range(len(texts) + 1), 1)]
        new = {slot: some_text(draw) for slot in slots}
        index.put(new, {slot: texts[slot] for slot in slots if slot in texts})
        texts |= new
        assert matched(index, search, len(texts)) == counted(texts, search)


def test_texts_that_came_after_a_search_began_are_not_in_it() -> None:
    index = TextIndex()
    index.put({0: "the river", 1: "the rivers"}, {})
    index.put({2: "the river", 3: "river"}, {})
    for n in (1, 2, 3):
        assert list(matched(index, "the riv", n)) == list(range(n))
        assert list(matched(index, "river", n)) == list(range(n))


def test_a_text_holds_what_parts_texts_from_each_other() -> None:
    index = TextIndex()
    index.put({0: "a\0b", 1: "\0", 2: "b"}, {})
    index.put({1: "", 0: "c\0"}, {0: "a\0b", 1: "\0"})
    assert matched(index, "b", 3) == {2: 1}
    assert matched(index, "c", 3) == {0: 1}

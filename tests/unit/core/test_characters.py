"""Characters that several tokens share."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autointerp.core.characters import (
    character_runs,
    join_tokens,
    shown_escapes,
    spell_bytes,
    whole_characters,
    whole_slice,
)

WATER = (" a", "\\xe6", "\\xb0", "\\xb4", "b")


@given(st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.integers(1, 4)))
def test_text_cut_anywhere_between_bytes_joins_back(text: str, sizes: list[int]) -> None:
    raw, tokens = text.encode(), []
    for size in [*sizes, len(raw)]:
        tokens.append(spell_bytes(raw[:size]))
        raw = raw[size:]
    assert join_tokens(tokens) == text
    runs = character_runs(tokens)
    assert [i for run in runs for i in run] == list(range(len(tokens)))
    assert "".join(join_tokens(tokens[r.start : r.stop]) for r in runs) == join_tokens(tokens)


def test_tokens_of_one_character_are_one_with_the_greatest_value() -> None:
    assert whole_characters(WATER, (1, 2, 5, 3, 4)) == ((" a", "\u6c34", "b"), (1, 5, 4))


def test_parts_without_their_rest_stay_bytes_and_stand_alone() -> None:
    assert whole_characters(WATER[2:], (5, 3, 4)) == (("\\xb0", "\\xb4", "b"), (5, 3, 4))
    assert join_tokens(("\\xe6", "a")) == "\\xe6a"
    assert len(character_runs(("\\xe6", "a", "\\xe6", "\\xe6"))) == 4


def test_a_backslash_that_is_text_stays_text() -> None:
    tokens = ('b"', "\\x", "e6", "\\x", "b0", "\\x", "b4", '"')
    assert join_tokens(tokens) == 'b"\\xe6\\xb0\\xb4"'
    assert len(character_runs(tokens)) == len(tokens)


@given(st.lists(st.sampled_from(["\\", "x", "e6", "\\xb0", "5c", "\\xe6", "水", "b"])))
def test_text_that_looks_like_bytes_stays_text(parts: list[str]) -> None:
    tokens = [spell_bytes(part.encode()) for part in parts]
    assert join_tokens(tokens) == "".join(parts)


def test_text_that_looks_like_bytes_never_makes_a_character() -> None:
    tokens = [spell_bytes(part.encode()) for part in ("\\xe6", "\\xb0", "\\xb4")]
    assert tokens == ["\\x5cxe6", "\\x5cxb0", "\\x5cxb4"]
    assert join_tokens(tokens) == "\\xe6\\xb0\\xb4"
    assert len(character_runs(tokens)) == 3
    mixed = ("\\x5cxe6", "\\xb0", "\\xb4")
    assert join_tokens(mixed) == "\\xe6\\xb0\\xb4"
    assert len(character_runs(mixed)) == 3


def test_a_cut_never_goes_through_a_character() -> None:
    assert whole_slice(WATER, 2, 4) == slice(1, 4)
    assert whole_slice(WATER, -3, 1) == slice(0, 1)
    assert whole_slice(WATER, 4, 9) == slice(4, 5)


def test_people_see_one_backslash_before_a_byte() -> None:
    assert shown_escapes('"\\\\xe6 \\\\n"') == '"\\xe6 \\\\n"'

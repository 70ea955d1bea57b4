from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import BOS, WORDS, tiny_tokenizer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from autointerp.subjects.tokenizer import HfTokenizer

TINY = HfTokenizer(tiny_tokenizer())


@given(
    st.lists(
        st.one_of(
            st.sampled_from([f" {w}" for w in WORDS]), st.text(st.characters(max_codepoint=127))
        )
    ).map("".join)
)
@settings(deadline=None)
def test_pieces_join_back_to_the_text(text: str) -> None:
    assert "".join(TINY.pieces(TINY.encode(text))) == text


@given(st.text())
@settings(deadline=None)
def test_a_token_that_is_part_of_a_character_shows_as_the_replacement_character(text: str) -> None:
    pieces = TINY.pieces(TINY.encode(text))
    assert all(pieces)
    assert "".join(pieces).replace("\ufffd", "") == "".join(c for c in text if ord(c) < 128)


def test_words_keep_their_leading_space() -> None:
    assert TINY.pieces(TINY.encode("the river")) == ("the", " river")


def test_no_special_token_is_added_and_bos_is_known() -> None:
    ids = TINY.encode("the")
    assert len(ids) == 1
    assert TINY.bos_id == tiny_tokenizer().bos_token_id == 0
    assert HfTokenizer(tiny_tokenizer(), prepend_bos=False).bos_id is None


def test_the_name_tells_vocabularies_and_bos_apart() -> None:
    without = HfTokenizer(tiny_tokenizer(), prepend_bos=False)
    smaller = HfTokenizer(tiny_tokenizer(WORDS[:3]))
    assert len({TINY.name, without.name, smaller.name}) == 3
    assert HfTokenizer(tiny_tokenizer()).name == TINY.name


def test_half_a_surrogate_pair_is_encoded_as_something() -> None:
    assert TINY.pieces(TINY.encode("a\ud800b")) == ("a", "?", "b")


@pytest.fixture
def sentencepiece_like() -> Callable[[str], Any]:
    vocabulary = {"<unk>": 0, "▁the": 1, "▁cat": 2, "s": 3, "▁": 4, BOS: 5}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    return HfTokenizer(PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BOS))


def test_the_space_that_sentencepiece_drops_at_the_start_is_kept(sentencepiece_like: Any) -> None:
    assert sentencepiece_like.pieces([1, 2, 3]) == (" the", " cat", "s")
    assert sentencepiece_like.pieces([4]) == (" ",)

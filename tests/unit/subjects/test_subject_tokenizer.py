from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import BOS, WORDS, tiny_tokenizer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from autointerp.core.characters import join_tokens
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
def test_a_token_that_is_part_of_a_character_shows_its_bytes_and_joins_back(text: str) -> None:
    pieces = TINY.pieces(TINY.encode(text))
    assert all(pieces)
    assert not any("\ufffd" in piece for piece in pieces)
    assert join_tokens(pieces) == text.encode("utf-8", "replace").decode()


@pytest.fixture
def byte_fallback() -> HfTokenizer:
    """SentencePiece's way: what the vocabulary lacks is spelled in tokens like <0xE6>."""
    names = ["<unk>", BOS, *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "a", "b", "▁a"]
    vocabulary = {name: place for place, name in enumerate(names)}
    tokenizer = Tokenizer(
        models.BPE(vocabulary, [("▁", "a")], unk_token="<unk>", byte_fallback=True)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)])
    return HfTokenizer(PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BOS))


def test_bytes_of_a_sentencepiece_vocabulary_show_as_bytes_and_join_back(
    byte_fallback: HfTokenizer,
) -> None:
    pieces = byte_fallback.pieces(byte_fallback.encode("a a\u6c34\u00e9\U0001f600 b\n"))
    assert pieces[:6] == ("a", " a", "\\xe6", "\\xb0", "\\xb4", "\\xc3")
    assert join_tokens(pieces) == "a a\u6c34\u00e9\U0001f600 b\n"


def test_a_token_may_hold_a_space_and_half_a_character() -> None:
    names = [BOS, *sorted(pre_tokenizers.ByteLevel.alphabet()), "Ġæ", "°´", "°´Ġ"]
    vocabulary = {name: place for place, name in enumerate(names)}
    merges = [("Ġ", "æ"), ("°", "´"), ("°´", "Ġ")]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    wrapped = HfTokenizer(PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BOS))
    pieces = wrapped.pieces(wrapped.encode("a \u6c34 b"))
    assert pieces == ("a", " \\xe6", "\\xb0\\xb4 ", "b")
    assert join_tokens(pieces) == "a \u6c34 b"


def test_a_token_whose_text_looks_like_bytes_is_never_joined_with_bytes() -> None:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = [BOS, *alphabet, "\\xe6", "\\xb0", "\\x", "e6", "b0"]
    vocabulary = {name: place for place, name in enumerate(names)}
    merges = [("e", "6"), ("b", "0"), ("\\", "x"), ("\\x", "e6"), ("\\x", "b0")]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    wrapped = HfTokenizer(PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BOS))
    text = 'b"\\xe6\\xb0\\xb4" is \u6c34'
    pieces = wrapped.pieces(wrapped.encode(text))
    assert "\\x5cxe6" in pieces
    assert join_tokens(pieces) == text


def test_a_tokenizer_that_drops_broken_bytes_is_spelled_by_its_vocabulary() -> None:
    wrapped = HfTokenizer(ByT5Tokenizer())
    pieces = wrapped.pieces(wrapped.encode("a\u6c34"))
    assert pieces == ("a", "\\xe6", "\\xb0", "\\xb4")


def test_the_replacement_character_in_a_text_stays_that_character(
    byte_fallback: HfTokenizer,
) -> None:
    for tokenizer in (TINY, byte_fallback):
        assert join_tokens(tokenizer.pieces(tokenizer.encode("a\ufffdb"))) == "a\ufffdb"


def test_what_decodes_to_nothing_has_the_name_that_the_vocabulary_gives() -> None:
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "▁": 1}, unk_token="<unk>"))
    tokenizer.decoder = decoders.Replace("▁", "")
    assert HfTokenizer(PreTrainedTokenizerFast(tokenizer_object=tokenizer)).pieces([1]) == ("▁",)


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

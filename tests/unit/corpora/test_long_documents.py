"""Documents that are too long to be tokenized as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from noted_progress import NotedProgress

from autointerp.core.errors import InputError
from autointerp.corpora import load_corpus
from autointerp.corpora.long_documents import LONG_DOCUMENT, cut_long_document


class CountingTokenizer:
    """One token a character; remembers the texts it was given."""

    name = "counting"
    bos_id = None

    def __init__(self) -> None:
        self.texts: list[str] = []

    def encode(self, text: str) -> list[int]:
        self.texts.append(text)
        return list(map(ord, text))

    def pieces(self, token_ids: Sequence[int]) -> tuple[str, ...]:
        return tuple(map(chr, token_ids))


def cut(text: str, n_tokens: int, tokenizer: CountingTokenizer, *, n_ctx: int = 16) -> Any:
    return cut_long_document(
        text,
        tokenizer.encode,
        document="0123",
        source="s",
        n_ctx=n_ctx,
        seed=0,
        n_tokens=n_tokens,
    )


PROSE = "the river runs dry in May and old stones sleep under it " * 20_000
WRITINGS = {
    "prose": PROSE,
    "without any blank": "x" * 1_000_000,
    "Japanese": "\u6c34\u306f\u9759\u304b\u306b\u6d41\u308c\u308b" * 100_000,
    "lines": "river\n\n" * 150_000,
    "blanks alone behind a word": "x" + " " * 1_000_000,
}


@pytest.mark.parametrize("name", WRITINGS)
def test_all_of_a_document_is_its_parts_in_text_order(name: str) -> None:
    text, tokenizer = WRITINGS[name], CountingTokenizer()
    windows = cut(text, len(text), tokenizer).in_text_order()
    assert "".join(map(chr, windows.tokens)) == text
    assert bool(np.all(np.diff(windows.offsets) > 0))


@pytest.mark.parametrize("name", WRITINGS)
@pytest.mark.parametrize("n_tokens", [1_000, 60_000, 300_000])
def test_no_more_is_tokenized_than_the_tokens_asked_for_need(name: str, n_tokens: int) -> None:
    tokenizer = CountingTokenizer()
    cut(WRITINGS[name], n_tokens, tokenizer)
    assert sum(map(len, tokenizer.texts)) <= max(n_tokens, 8 * 18_000) + 18_000
    assert max(map(len, tokenizer.texts)) <= 18_000


def test_words_stay_whole_with_their_leading_space() -> None:
    tokenizer = CountingTokenizer()
    cut(PROSE, len(PROSE), tokenizer)
    starts = [text[:1] for text in tokenizer.texts]
    assert starts.count(" ") == len(starts) - 1


def test_the_first_windows_are_spread_over_the_document() -> None:
    tokenizer = CountingTokenizer()
    windows = cut(PROSE, 1_000, tokenizer)
    first = np.sort(windows.offsets[:8] // 2**17)
    assert len(np.unique(first)) == 8
    assert first[0] < 12
    assert first[-1] > 54


def test_a_corpus_of_long_documents_reads_as_much_as_it_needs_and_shows_progress(
    tmp_path: Path,
) -> None:
    for i in range(40):
        (tmp_path / f"{i}.txt").write_text(f"{i} {PROSE}")
    tokenizer, progress = CountingTokenizer(), NotedProgress()
    corpus = load_corpus(str(tmp_path), tokenizer, n_tokens=3_000, n_ctx=16, progress=progress)
    assert 3_000 <= corpus.n_tokens < 3_016
    assert len(corpus.documents) > 20
    assert sum(map(len, tokenizer.texts)) < 0.2 * 40 * len(PROSE)
    assert progress.totals == {"text": (3_000, "tokens")}
    assert progress.done["text"] == 3_000
    assert len({(w.document, w.offset) for w in corpus}) == len(corpus)
    again = load_corpus(str(tmp_path), CountingTokenizer(), n_tokens=3_000, n_ctx=16)
    assert again.hash == corpus.hash


def test_one_long_document_is_refused_after_a_small_part_of_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text(PROSE * 2)
    tokenizer = CountingTokenizer()
    with pytest.raises(InputError, match="0 windows of 0 documents.*divide the file"):
        load_corpus(str(path), tokenizer, n_tokens=1_000, n_ctx=16)
    assert sum(map(len, tokenizer.texts)) < 0.1 * 2 * len(PROSE)


def test_a_document_just_short_of_the_limit_is_read_whole(tmp_path: Path) -> None:
    for i in range(12):
        text = f"{i} {PROSE}"
        (tmp_path / f"{i}.txt").write_text(text[:LONG_DOCUMENT])
    tokenizer = CountingTokenizer()
    load_corpus(str(tmp_path), tokenizer, n_tokens=1_000, n_ctx=16, explain=0.4, validation=0.3)
    assert {len(text) for text in tokenizer.texts} == {LONG_DOCUMENT}

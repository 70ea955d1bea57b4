from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autointerp.core.errors import InputError
from autointerp.core.text import Split
from autointerp.corpora import TokenCorpus, load_corpus


@pytest.fixture(scope="module")
def corpus(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> TokenCorpus:
    path: Path = tmp_path_factory.mktemp("corpus") / "texts.jsonl"
    path.write_text("".join(json.dumps(f"{i} " + "ab " * (i % 40)) + "\n" for i in range(100)))
    return load_corpus(str(path), tokenizer, n_tokens=5000, n_ctx=16)


def test_a_batch_holds_the_windows_padded_with_zeros(corpus: TokenCorpus) -> None:
    ids = [3, 0, len(corpus) - 1, 3]
    tokens, lengths = corpus.batch(ids)
    assert tokens.dtype == lengths.dtype == np.int32
    assert tokens.shape == (4, 16)
    for row, n, i in zip(tokens, lengths, ids, strict=True):
        assert tuple(row[:n]) == corpus[i].token_ids
        assert not row[n:].any()


def test_all_windows_in_one_batch_are_all_tokens(corpus: TokenCorpus) -> None:
    tokens, lengths = corpus.batch(range(len(corpus)))
    assert lengths.sum() == corpus.n_tokens
    assert len(set(lengths.tolist())) > 1
    np.testing.assert_array_equal(tokens[np.arange(16) < lengths[:, None]], corpus.tokens)


def test_an_empty_batch_has_no_rows(corpus: TokenCorpus) -> None:
    tokens, lengths = corpus.batch([])
    assert tokens.shape == (0, 16)
    assert lengths.shape == (0,)


@pytest.mark.parametrize("window_id", [-1, 10**6])
def test_a_window_that_is_not_there_is_an_index_error(corpus: TokenCorpus, window_id: int) -> None:
    for read in (
        lambda: corpus[window_id],
        lambda: corpus.split_of(window_id),
        lambda: corpus.batch([0, window_id]),
    ):
        with pytest.raises(IndexError, match=f"window {window_id} is not among"):
            read()


def test_splits_cover_all_windows_and_documents(corpus: TokenCorpus) -> None:
    assert sum(len(corpus.window_ids(s)) for s in Split) == corpus.n_windows == len(corpus)
    assert sum(corpus.n_documents(s) for s in Split) == len(corpus.documents)
    for split in Split:
        ids = corpus.window_ids(split)
        assert {corpus.split_of(ids[0]), corpus.split_of(ids[-1])} == {split}
        assert corpus.n_documents(split) == len({corpus[i].document for i in ids})


def test_the_source_of_a_document_is_its_line(corpus: TokenCorpus) -> None:
    window = next(w for w in corpus if w.offset == 0)
    first = "".join(map(chr, window.token_ids)).split()[0]
    assert corpus.source(window.document) == f"texts.jsonl:{int(first) + 1}"
    with pytest.raises(InputError, match="has no document 'nowhere'"):
        corpus.source("nowhere")


def test_the_arrays_cannot_be_written(corpus: TokenCorpus) -> None:
    for array in (corpus.tokens, corpus.starts, corpus.offsets, corpus.document_of):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1

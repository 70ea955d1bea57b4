from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from noted_progress import NotedProgress

from autointerp.core.errors import InputError
from autointerp.core.text import Split, document_id
from autointerp.corpora import TokenCorpus, load_corpus

Write = Callable[[Sequence[str]], str]


def some_texts(n: int, length: int = 300, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    return [f"{i} " + "".join(rng.choices("abcdef ", k=length)) for i in range(n)]


def load_texts(texts: Sequence[str], tokenizer: Any, **options: Any) -> TokenCorpus:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "texts.jsonl"
        path.write_text("".join(json.dumps(text) + "\n" for text in texts))
        return load_corpus(str(path), tokenizer, **options)


@given(
    lengths=st.lists(st.integers(1, 200), min_size=60, max_size=80),
    n_ctx=st.integers(2, 12),
    seed=st.integers(0, 1000),
    share=st.floats(0.3, 1.0),
)
@settings(max_examples=40, deadline=None)
def test_windows_are_disjoint_slices_of_one_document_each(
    tokenizer: Any, lengths: list[int], n_ctx: int, seed: int, share: float
) -> None:
    texts = {document_id(t): t for t in (f"{i} " + "x" * n for i, n in enumerate(lengths))}
    n_tokens = int(share * sum(map(len, texts.values())))
    options = {"n_tokens": n_tokens, "n_ctx": n_ctx, "seed": seed}
    corpus = load_texts(list(texts.values()), tokenizer, explain=0.4, validation=0.3, **options)
    assert n_tokens <= corpus.n_tokens < n_tokens + n_ctx
    places = set()
    for window in corpus:
        text = texts[window.document]
        assert "".join(map(chr, window.token_ids)) == text[window.offset : window.offset + n_ctx]
        assert window.offset % n_ctx == 0
        places.add((window.document, window.offset))
    assert len(places) == len(corpus)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_no_document_is_on_two_sides_and_ids_of_a_side_are_contiguous(
    tokenizer: Any, seed: int
) -> None:
    try:
        corpus = load_texts(some_texts(60), tokenizer, n_tokens=6000, n_ctx=16, seed=seed)
    except InputError:
        assume(False)
    documents = {s: {corpus[i].document for i in corpus.window_ids(s)} for s in Split}
    assert not documents[Split.EXPLAIN] & documents[Split.VALIDATION]
    assert not documents[Split.EXPLAIN] & documents[Split.HELD_OUT]
    assert not documents[Split.VALIDATION] & documents[Split.HELD_OUT]
    assert [w.id for w in corpus] == [i for s in Split for i in corpus.window_ids(s)]
    assert [w.split for w in corpus] == [s for s in Split for _ in corpus.window_ids(s)]


def test_the_same_seed_gives_the_same_corpus(tokenizer: Any) -> None:
    one = load_texts(some_texts(80), tokenizer, n_tokens=8000, n_ctx=16, seed=3)
    two = load_texts(some_texts(80), tokenizer, n_tokens=8000, n_ctx=16, seed=3)
    assert (one.hash, one.split_hash) == (two.hash, two.split_hash)
    assert list(one) == list(two)


def test_another_seed_gives_another_split_of_the_same_documents(tokenizer: Any) -> None:
    texts = some_texts(80)
    whole = {"n_tokens": sum(map(len, texts)), "n_ctx": 16}
    one = load_texts(texts, tokenizer, seed=0, **whole)
    two = load_texts(texts, tokenizer, seed=1, **whole)
    assert set(one.documents) == set(two.documents)
    assert one.split_hash != two.split_hash
    assert one.hash != two.hash


def test_a_document_stays_on_its_side_whatever_else_is_read(tokenizer: Any) -> None:
    few = load_texts(some_texts(60), tokenizer, n_tokens=7000, n_ctx=16)
    many = load_texts(some_texts(200), tokenizer, n_tokens=26_000, n_ctx=32)
    sides = {w.document: w.split for w in few}
    shared = [w for w in many if w.document in sides]
    assert shared
    assert all(w.split is sides[w.document] for w in shared)


def test_the_shares_of_the_split_are_those_asked_for(tokenizer: Any) -> None:
    corpus = load_texts(some_texts(2000, 20), tokenizer, n_tokens=40_000, explain=0.3)
    n = sum(corpus.n_documents(s) for s in Split)
    assert corpus.n_documents(Split.EXPLAIN) / n == pytest.approx(0.3, abs=0.04)
    assert corpus.n_documents(Split.VALIDATION) / n == pytest.approx(0.1, abs=0.03)


def test_copies_of_a_document_are_read_once(tokenizer: Any) -> None:
    texts = some_texts(60)
    doubled = [*texts, *(text.upper().replace(" ", "\n") for text in texts)]
    options = {"n_tokens": 15_000, "n_ctx": 16}
    corpus = load_texts(doubled, tokenizer, **options)
    assert set(corpus.documents) <= {document_id(text) for text in texts}
    assert len(set(corpus.documents)) == len(corpus.documents)
    with pytest.raises(InputError, match="asked for 20000 tokens"):
        load_texts(doubled, tokenizer, n_tokens=20_000, n_ctx=16)


def test_documents_without_text_are_no_corpus(tokenizer: Any) -> None:
    with pytest.raises(InputError, match=r"texts.jsonl is empty: no text was found in it"):
        load_texts(["", " \n"], tokenizer)


def test_eight_windows_of_a_document_are_taken_while_documents_last(tokenizer: Any) -> None:
    corpus = load_texts(some_texts(300, 2000), tokenizer, n_tokens=16_000, n_ctx=16)
    counts = np.bincount(corpus.document_of)
    assert sorted(set(counts.tolist()))[-1] == 8
    assert 125 <= len(corpus.documents) <= 130


@pytest.mark.parametrize("seed", range(8))
def test_few_tokens_of_many_documents_give_every_split_windows(tokenizer: Any, seed: int) -> None:
    progress = NotedProgress()
    options = {"n_tokens": 8192, "n_ctx": 64, "seed": seed, "progress": progress}
    corpus = load_texts(some_texts(1500, 2000), tokenizer, **options)
    assert all(len(corpus.window_ids(split)) >= 4 for split in Split)
    most = int(np.bincount(corpus.document_of).max())
    assert most in (1, 2, 4, 8)
    assert bool(progress.notes) == (most < 8)
    assert all(f"{most} windows of each document" in note for note in progress.notes)


def test_what_eight_windows_a_document_fill_stays_as_it_was(tokenizer: Any) -> None:
    corpus = load_texts(some_texts(300, 2000), tokenizer, n_tokens=16_000, n_ctx=16)
    assert corpus.hash.startswith("cd034b648569beb1")


def test_text_that_is_not_valid_unicode_is_mended(tokenizer: Any, jsonl: Write) -> None:
    odd = [f"{i} \ud800 \x00\x1b[31m\u200f \udfff " + "x" * 100 for i in range(60)]
    corpus = load_corpus(jsonl(odd), tokenizer, n_tokens=6000, n_ctx=16)
    characters = {chr(i) for i in corpus.tokens.tolist()}
    assert {"\ufffd", "\x00", "\x1b"} <= characters


def test_a_file_name_that_is_not_valid_unicode_is_mended(tokenizer: Any, tmp_path: Path) -> None:
    for i, text in enumerate(some_texts(60)):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/%d\xff.txt" % i)).write_text(text)
    corpus = load_corpus(str(tmp_path), tokenizer, n_tokens=15_000, n_ctx=16)
    assert {source[-5:] for source in corpus.sources.values()} == {"\ufffd.txt"}


def test_a_subject_model_stands_for_its_tokenizer(tokenizer: Any) -> None:
    options = {"n_tokens": 8000, "n_ctx": 16}
    subject = SimpleNamespace(tokenizer=tokenizer)
    texts = some_texts(80)
    direct = load_texts(texts, tokenizer, **options)
    assert load_texts(texts, subject, **options).hash == direct.hash


def test_something_without_a_tokenizer_is_refused_by_name(jsonl: Write) -> None:
    with pytest.raises(InputError, match="subject model or its tokenizer, found str"):
        load_corpus(jsonl(["x"]), "gpt2")  # type: ignore[arg-type]


def test_too_few_tokens_are_counted(tokenizer: Any, jsonl: Write) -> None:
    path = jsonl(["abcde", "fghij klm"])
    with pytest.raises(InputError) as caught:
        load_corpus(path, tokenizer, n_tokens=100)
    assert str(caught.value) == (
        f"asked for 100 tokens of {path}, but it has 14 in 2 documents; "
        "lower n_tokens or use a larger corpus"
    )


def test_a_split_that_is_too_small_says_what_each_got(tokenizer: Any) -> None:
    with pytest.raises(InputError) as caught:
        load_texts(["a" * 5000, "b" * 5000], tokenizer, n_tokens=9000)
    message = str(caught.value)
    assert "needs 4 windows, but 9000 tokens" in message
    assert "validation 0 windows of 0 documents" in message
    assert "raise n_tokens, lower n_ctx or use a corpus with more documents" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_tokens": 0}, "n_tokens: .* found 0"),
        ({"n_ctx": 1}, "n_ctx: .* found 1"),
        ({"seed": -1}, "seed: .* found -1"),
        ({"explain": 1.5}, "explain: .* found 1.5"),
        ({"explain": 0.9, "validation": 0.2}, "explain \\+ validation must be below 1"),
    ],
)
def test_impossible_settings_are_refused(
    tokenizer: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_corpus("wiki", tokenizer, **options)


def test_a_mixture_holds_tokens_in_its_shares(tokenizer: Any, tmp_path: Path) -> None:
    for name, letter in (("a", "a"), ("b", "b")):
        lines = (json.dumps(f"{i} " + letter * 200) + "\n" for i in range(200))
        (tmp_path / f"{name}.jsonl").write_text("".join(lines))
    spec = f"{tmp_path}/a.jsonl=3, {tmp_path}/b.jsonl=1"
    corpus = load_corpus(spec, tokenizer, n_tokens=8000, n_ctx=16)
    assert 8000 <= corpus.n_tokens < 8016
    from_a = sum(len(w.token_ids) for w in corpus if "a" in corpus.source(w.document))
    assert from_a / corpus.n_tokens == pytest.approx(0.75, abs=0.005)
    assert corpus.id == f"{tmp_path}/a.jsonl=0.75,{tmp_path}/b.jsonl=0.25"
    assert load_corpus(corpus.id, tokenizer, n_tokens=8000, n_ctx=16).hash == corpus.hash


def test_a_document_in_two_sources_of_a_mixture_is_read_once(
    tokenizer: Any, tmp_path: Path
) -> None:
    lines = [json.dumps(text) + "\n" for text in some_texts(100)]
    (tmp_path / "a.jsonl").write_text("".join(lines))
    (tmp_path / "b.jsonl").write_text("".join(lines))
    spec = f"{tmp_path}/a.jsonl=1,{tmp_path}/b.jsonl=1"
    with pytest.raises(InputError, match="b.jsonl, but it has 0 in 0 documents and 100 copies"):
        load_corpus(spec, tokenizer, n_tokens=40_000, n_ctx=16)


def test_a_share_below_one_window_is_refused(tokenizer: Any, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(name * 1000)
    spec = f"{tmp_path}/a.txt=0.999,{tmp_path}/b.txt=0.001"
    with pytest.raises(InputError, match="b.txt in 1010 tokens is less than one window of 64"):
        load_corpus(spec, tokenizer, n_tokens=1010)

"""The text around a window, from the corpus read again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from autointerp.core.errors import InputError
from autointerp.core.text import TextTokenizer
from autointerp.corpora import load_corpus
from autointerp.corpora.document_text import (
    LostDocument,
    SoughtWindow,
    TextAround,
    text_around,
)
from autointerp.corpora.token_corpus import TokenCorpus

TEXTS = [f"The river number {i} runs from the hills to the sea of glass. " * 3 for i in range(40)]
Jsonl = Callable[[Sequence[str]], str]


def sought(corpus: TokenCorpus, window: int) -> SoughtWindow:
    found = corpus[window]
    where = found.document, corpus.source(found.document), found.offset
    return SoughtWindow(corpus.id, corpus.seed, *where, found.token_ids)


def read(spec: str, tokenizer: TextTokenizer, n_tokens: int = 4000) -> TokenCorpus:
    return load_corpus(spec, tokenizer, n_tokens=n_tokens, n_ctx=32)


def test_every_window_is_found_again_with_its_whole_document(
    jsonl: Jsonl, tokenizer: TextTokenizer
) -> None:
    corpus = read(jsonl(TEXTS), tokenizer)
    for window in range(0, len(corpus), 7):
        found = text_around(sought(corpus, window), tokenizer)
        assert isinstance(found, TextAround)
        assert found.before + found.window + found.after in TEXTS
        assert found.window == "".join(map(chr, corpus[window].token_ids))
        assert (found.n_before, found.n_after) == (0, 0)


def test_of_a_long_document_so_many_tokens_are_shown_and_the_rest_counted(
    jsonl: Jsonl, tokenizer: TextTokenizer
) -> None:
    long = "".join(f"{i} rivers run " for i in range(30_000))
    corpus = read(jsonl([long, *TEXTS]), tokenizer, n_tokens=12_000)
    of_long = [i for i in range(len(corpus)) if corpus[i].offset > 1000]
    assert of_long
    for window in of_long:
        found = text_around(sought(corpus, window), tokenizer, n_tokens=100)
        assert isinstance(found, TextAround)
        assert found.before + found.window + found.after in long
        assert max(len(found.before), len(found.after)) == 100
        assert found.n_before + found.n_after > 1000


def test_of_a_mixture_each_source_is_looked_through(
    jsonl: Jsonl, tmp_path: Path, tokenizer: TextTokenizer
) -> None:
    (tmp_path / "more").mkdir()
    for i in range(20):
        (tmp_path / "more" / f"{i}.txt").write_text(
            f"Mountain {i} is high above the old town. " * 9
        )
    corpus = read(f"{jsonl(TEXTS)}=0.5,{tmp_path / 'more'}=0.5", tokenizer)
    sources = set()
    for window in range(len(corpus)):
        one = sought(corpus, window)
        assert isinstance(text_around(one, tokenizer), TextAround)
        sources.add(one.source.partition(" ")[0].rpartition(".")[2])
    assert len(sources) > 1


def test_a_text_that_changed_is_told_from_one_that_is_gone(
    tmp_path: Path, tokenizer: TextTokenizer
) -> None:
    for i, text in enumerate(TEXTS):
        (tmp_path / f"{i}.txt").write_text(text)
    one = sought(read(str(tmp_path), tokenizer), 0)
    path = next(path for path in tmp_path.iterdir() if path.name in one.source)
    path.write_text("Another text stands here now.")
    found = text_around(one, tokenizer)
    assert isinstance(found, LostDocument)
    assert found.has_changed
    assert path.name in found.reason
    path.unlink()
    found = text_around(one, tokenizer)
    assert isinstance(found, LostDocument)
    assert (found.has_changed, "any more" in found.reason) == (False, True)


def test_other_spaces_are_a_change_too(tmp_path: Path, tokenizer: TextTokenizer) -> None:
    for i, text in enumerate(TEXTS):
        (tmp_path / f"{i}.txt").write_text(text)
    one = sought(read(str(tmp_path), tokenizer), 3)
    path = next(path for path in tmp_path.iterdir() if path.name in one.source)
    path.write_text("  " + path.read_text())
    found = text_around(one, tokenizer)
    assert isinstance(found, LostDocument)
    assert found.has_changed
    assert "other tokens" in found.reason


def test_a_search_ends_after_so_many_characters(jsonl: Jsonl, tokenizer: TextTokenizer) -> None:
    one = replace(sought(read(jsonl(TEXTS), tokenizer), 0), document="0" * 16, source="")
    found = text_around(one, tokenizer, most_characters=100)
    assert isinstance(found, LostDocument)
    assert "no more are read" in found.reason


def test_a_corpus_that_is_not_there_is_the_usual_error(tokenizer: TextTokenizer) -> None:
    one = SoughtWindow("/nowhere/at-all.txt", 0, "0" * 16, "x", 0, (1,))
    with pytest.raises(InputError, match="does not exist"):
        text_around(one, tokenizer)

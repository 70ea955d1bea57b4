"""Few tokens of many documents: fewer windows of each are taken, of what was read already."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from noted_progress import NotedProgress

from autointerp.core.errors import InputError
from autointerp.corpora import load_corpus

FEW: dict[str, Any] = {"n_tokens": 1000, "n_ctx": 16, "seed": 7}


class CountingTokenizer:
    """One token a character; counts how often each text was tokenized."""

    name = "counting"
    bos_id = None

    def __init__(self) -> None:
        self.n_encoded: Counter[str] = Counter()

    def encode(self, text: str) -> list[int]:
        self.n_encoded[text] += 1
        return [ord(c) for c in text]

    def pieces(self, token_ids: Sequence[int]) -> tuple[str, ...]:
        return tuple(chr(i) for i in token_ids)


@pytest.fixture
def counting() -> CountingTokenizer:
    return CountingTokenizer()


class StageLog(NotedProgress):
    """Counts how often each stage was started."""

    def __init__(self) -> None:
        super().__init__()
        self.n_started: Counter[str] = Counter()

    def start(self, stage: str, total: int, unit: str) -> None:
        super().start(stage, total, unit)
        self.n_started[stage] += 1


def write_texts(path: Path, n: int, *, length: int = 300, seed: int = 0, first: int = 0) -> Path:
    rng = random.Random(seed)
    texts = (f"{i} " + "".join(rng.choices("abcdef ", k=length)) for i in range(first, first + n))
    path.write_text("".join(json.dumps(text) + "\n" for text in texts))
    return path


def write_book(path: Path, n: int) -> Path:
    path.write_text("".join(random.Random(5).choices("ghijkl ", k=n)))
    return path


def test_a_document_is_tokenized_once_however_often_its_windows_are_chosen(
    counting: CountingTokenizer, tmp_path: Path
) -> None:
    path = write_texts(tmp_path / "a.jsonl", 400)
    corpus = load_corpus(str(path), counting, **FEW)
    assert np.bincount(corpus.document_of).max() < 8
    assert set(counting.n_encoded.values()) == {1}


def test_of_a_mixture_a_document_is_tokenized_once_too(
    counting: CountingTokenizer, tmp_path: Path
) -> None:
    a = write_texts(tmp_path / "a.jsonl", 400)
    b = write_texts(tmp_path / "b.jsonl", 400, seed=1, first=400)
    corpus = load_corpus(f"{a}=0.5,{b}=0.5", counting, **FEW)
    assert np.bincount(corpus.document_of).max() < 8
    assert set(counting.n_encoded.values()) == {1}


def test_the_text_is_one_stage_and_each_note_is_told_once(tmp_path: Path) -> None:
    progress, path = StageLog(), write_texts(tmp_path / "a.jsonl", 400)
    with path.open("a") as file:
        file.write("damaged\n")
    load_corpus(f"partial:{path}", CountingTokenizer(), progress=progress, **FEW)
    assert progress.n_started == {"text": 1}
    assert progress.done["text"] == 1000
    assert len(progress.notes) == len(set(progress.notes)) == 2


@pytest.mark.parametrize("seed", [0, 4, 6])
def test_one_window_of_each_document_is_told_in_the_singular(tmp_path: Path, seed: int) -> None:
    progress, path = NotedProgress(), write_texts(tmp_path / "a.jsonl", 400)
    options = {"n_tokens": 701, "n_ctx": 16, "seed": seed, "progress": progress}
    load_corpus(str(path), CountingTokenizer(), **options)
    assert "1 window of each document is taken at most" in progress.notes[0]


def test_where_documents_are_left_no_other_corpus_is_advised(tmp_path: Path) -> None:
    path = write_texts(tmp_path / "a.jsonl", 400)
    with pytest.raises(InputError, match="each split of .* needs 4 windows") as caught:
        load_corpus(str(path), CountingTokenizer(), n_tokens=300, n_ctx=16)
    advice = "; raise n_tokens or lower n_ctx: more documents are there to be read"
    assert str(caught.value).endswith(advice)


@pytest.mark.parametrize(
    ("spec", "n_tokens", "seed", "most", "begins"),
    [
        ("{}/a.jsonl", 701, 0, 1, "f253e11b510a"),
        ("{}/a.jsonl", 1000, 7, 2, "b88d19139a75"),
        ("{}/a.jsonl=0.5,{}/b.jsonl=0.5", 1000, 7, 2, "7e0746fd0063"),
        ("{}/a.jsonl=0.5,{}/same.jsonl=0.5", 701, 6, 2, "f9680ed8b9a7"),
        ("{}/a.jsonl=0.5,{}/same.jsonl=0.5", 1000, 0, 2, "0260a80f2f4f"),
        ("{}/a.jsonl=0.8,{}/book.txt=0.2", 1000, 6, 1, "d065a46dc6f0"),
        ("{}/book.txt=0.2,{}/a.jsonl=0.8", 1000, 7, 2, "92d18f4dbc46"),
    ],
)
def test_the_windows_are_those_that_a_reader_from_the_beginning_takes(  # noqa: PLR0913
    tmp_path: Path, spec: str, n_tokens: int, seed: int, most: int, begins: str
) -> None:
    write_texts(tmp_path / "a.jsonl", 400)
    write_texts(tmp_path / "b.jsonl", 400, seed=1, first=400)
    write_texts(tmp_path / "same.jsonl", 250)
    write_book(tmp_path / "book.txt", 600_000)
    named, progress = spec.replace("{}", str(tmp_path)), NotedProgress()
    options = {"n_tokens": n_tokens, "n_ctx": 16, "seed": seed, "progress": progress}
    corpus = load_corpus(named, CountingTokenizer(), **options)
    assert progress.notes[0].startswith(f"{most} window")
    assert corpus.hash.startswith(begins)

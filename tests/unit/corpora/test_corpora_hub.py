from __future__ import annotations

import gzip
import http.client
import json
import lzma
import os
import pickle
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from noted_progress import NotedProgress

from autointerp.core.errors import InputError, UpstreamError
from autointerp.core.text import Document
from autointerp.corpora import load_corpus
from autointerp.corpora.sources import open_source

LOAD = """
import sys
from autointerp.core.errors import AutointerpError
from autointerp.corpora.sources import open_source
try:
    list(open_source(sys.argv[1]).documents(None))
except AutointerpError as error:
    print(f"{type(error).__name__}: {error}")
"""


def read(name: str) -> list[Document]:
    return list(open_source(name).documents(np.random.default_rng(0)))


def refusal(name: str) -> str:
    with pytest.raises(InputError) as caught:
        read(name)
    return str(caught.value)


def refusal_elsewhere(name: str, **environment: str) -> str:
    """The error in a process of its own: the hub's library reads its settings on import."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, name],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [{"text": f"{i} " + "word " * 30, "n": i} for i in range(100)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "test.jsonl").write_text(json.dumps({"text": "tested", "n": 0}) + "\n")
    return tmp_path


def test_a_local_folder_is_streamed_in_its_own_order(folder: Path) -> None:
    documents = read(f"hf:{folder}")
    assert [d.text.split()[0] for d in documents] == [str(i) for i in range(100)]
    assert documents[7].source == f"{folder}#7"
    assert [d.text for d in read(f"hf:{folder}:test")] == ["tested"]


def test_a_parquet_folder_with_another_field_is_streamed_and_null_is_no_text(
    tmp_path: Path,
) -> None:
    pq.write_table(pa.table({"body": ["a", None, "c"]}), tmp_path / "x.parquet")
    assert [d.text for d in read(f"hf:{tmp_path}:train:body")] == ["a", "", "c"]


def test_a_streamed_dataset_becomes_a_corpus(folder: Path, tokenizer: Any) -> None:
    corpus = load_corpus(f"hf:{folder}", tokenizer, n_tokens=8000, n_ctx=16)
    assert corpus.id == f"hf:{folder}:train:text"
    assert load_corpus(corpus.id, tokenizer, n_tokens=8000, n_ctx=16).hash == corpus.hash
    read_up_to = max(int(source.rpartition("#")[2]) for source in corpus.sources.values())
    assert read_up_to == len(corpus.documents) - 1 < 99


def test_a_field_that_is_not_there_names_the_others(folder: Path) -> None:
    assert "rows have no field body, only text, n; write hf:NAME:SPLIT:FIELD" in refusal(
        f"hf:{folder}:train:body"
    )


def test_a_field_of_numbers_is_refused(folder: Path) -> None:
    assert "the field n holds int; choose one that holds text" in refusal(f"hf:{folder}:train:n")


def test_a_split_that_is_not_there_names_the_others(folder: Path) -> None:
    message = refusal(f"hf:{folder}:dev")
    assert "train" in message
    assert "write hf:NAME[:split[:field]]" in message


@pytest.mark.parametrize("content", [None, '{"text": "a"}\n{bad\n'])
def test_an_empty_or_damaged_folder_is_named(tmp_path: Path, content: str | None) -> None:
    if content:
        (tmp_path / "bad.jsonl").write_text(content)
    assert refusal(f"hf:{tmp_path}").startswith(f"cannot read hf:{tmp_path}:train:text: ")


def test_a_dataset_that_is_not_here_offline_says_so_without_asking_the_network() -> None:
    found = refusal_elsewhere("hf:nobody/nothing", HF_HUB_OFFLINE="1")
    assert found.startswith("InputError: hf:nobody/nothing:train:text is not on this machine")
    assert "HF_HUB_OFFLINE is set" in found


Load = Callable[[Callable[[], Iterator[dict[str, str]]]], None]


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Makes the hub's library, which is not ours, stream these rows whatever is asked for."""

    def set_rows(rows: Callable[[], Iterator[dict[str, str]]]) -> None:
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: rows())

    return set_rows


def rows_until(error: Exception, n: int) -> Iterator[dict[str, str]]:
    for i in range(n):
        yield {"text": f"{i} the river runs dry in May"}
    raise error


@pytest.mark.parametrize("error", [ConnectionError("no route"), httpx.ConnectError("no route")])
def test_a_hub_that_does_not_answer_is_an_upstream_error(streamed: Load, error: Exception) -> None:
    streamed(lambda: rows_until(error, 0))
    with pytest.raises(UpstreamError, match=r"hub could not be reached \(no route\)") as caught:
        read("hf:owner/name")
    assert caught.value.retryable


class Wordless(Exception):
    """An error of somebody whose text cannot be made."""

    def __str__(self) -> str:
        raise ValueError("no words")


BROKEN = [
    Wordless(),
    EOFError("Compressed file ended before the end-of-stream marker was reached"),
    zlib.error("Error -3 while decompressing data"),
    lzma.LZMAError("Corrupt input data"),
    NotImplementedError("no such protocol"),
    gzip.BadGzipFile("Not a gzipped file"),
    KeyError("text"),
    RuntimeError(),
    pickle.UnpicklingError("truncated"),
    pa.ArrowKeyError("no column"),
]


@pytest.mark.parametrize("error", BROKEN, ids=lambda error: type(error).__name__)
def test_a_stream_that_breaks_inside_says_how_much_was_read(
    streamed: Load, tokenizer: Any, error: Exception
) -> None:
    streamed(lambda: rows_until(error, 100))
    message = r"hf:owner/name:train:text broke after row 100 \(.*partial:hf:owner/name:train:text"
    with pytest.raises(InputError, match=message) as caught:
        load_corpus("hf:owner/name", tokenizer, n_tokens=1_000_000, n_ctx=24)
    assert type(error).__name__ in str(caught.value)


@pytest.mark.parametrize("error", [KeyError("rows"), EOFError(), zlib.error("-3")])
def test_a_stream_that_breaks_before_its_first_row_is_a_sentence(
    streamed: Load, error: Exception
) -> None:
    streamed(lambda: rows_until(error, 0))
    assert f"({type(error).__name__}" in refusal("hf:owner/name").replace(": ", " (", 1)


@pytest.mark.parametrize(
    "error", [http.client.IncompleteRead(b"x"), ConnectionResetError(), httpx.ReadError("gone")]
)
def test_a_connection_that_breaks_inside_can_be_tried_again(
    streamed: Load, error: Exception
) -> None:
    streamed(lambda: rows_until(error, 100))
    with pytest.raises(UpstreamError, match=r"broke after row 100 .*try again") as caught:
        read("hf:owner/name")
    assert caught.value.retryable


def test_what_was_read_of_a_broken_stream_is_kept_when_asked(
    streamed: Load, tokenizer: Any
) -> None:
    streamed(lambda: rows_until(EOFError("cut"), 100))
    progress = NotedProgress()
    name = "partial:hf:owner/name"
    corpus = load_corpus(name, tokenizer, n_tokens=1_000_000, n_ctx=24, progress=progress)
    assert corpus.n_tokens == sum(len(f"{i} the river runs dry in May") for i in range(100))
    assert corpus.id == "partial:hf:owner/name:train:text"
    assert progress.notes == [
        "hf:owner/name:train:text broke after row 100 (EOFError: cut); "
        f"the {corpus.n_tokens:,} tokens read are used"
    ]
    mixed = f"{name}=0.5,python=0.5"
    assert load_corpus(mixed, tokenizer, n_tokens=4000, n_ctx=24).n_tokens >= 4000


def test_a_stream_that_breaks_before_its_first_row_cannot_be_kept(
    streamed: Load, tokenizer: Any
) -> None:
    streamed(lambda: rows_until(EOFError("cut"), 0))
    with pytest.raises(InputError, match="EOFError: cut"):
        load_corpus("partial:hf:owner/name", tokenizer, n_tokens=1000, n_ctx=24)


def test_a_compressed_file_that_is_cut_short_is_kept_up_to_there_when_asked(
    tmp_path: Path, tokenizer: Any
) -> None:
    rows = [{"text": f"{i} " + "word " * 100} for i in range(40_000)]
    packed = gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode())
    (tmp_path / "train.jsonl.gz").write_bytes(packed[: len(packed) * 3 // 4])
    assert "broke after row" in refusal(f"hf:{tmp_path}")
    kept = load_corpus(f"partial:hf:{tmp_path}", tokenizer, n_tokens=10**8, n_ctx=24)
    assert 1000 < len(kept.documents) < 40_000

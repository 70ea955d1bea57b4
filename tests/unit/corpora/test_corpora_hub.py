from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autointerp.core.errors import InputError, UpstreamError
from autointerp.core.text import Document
from autointerp.corpora import load_corpus
from autointerp.corpora.huggingface import HuggingFaceSource
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


@pytest.mark.parametrize("error", [ConnectionError("no route"), httpx.ConnectError("no route")])
def test_a_hub_that_does_not_answer_is_an_upstream_error(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    source = HuggingFaceSource("nobody/nothing", split="train", field="text")
    refused = pytest.raises(UpstreamError, match=r"hub could not be reached \(no route\)")
    with refused as caught, source._explained():
        raise error
    assert caught.value.retryable

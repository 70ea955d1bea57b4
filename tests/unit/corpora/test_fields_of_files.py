from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from noted_progress import NotedProgress

from autointerp.core.errors import InputError
from autointerp.corpora import check_corpus, load_corpus
from autointerp.corpora.file_source import FileSource
from autointerp.corpora.sources import parse_spec


def texts(name: str) -> list[str]:
    return sorted(
        document.text for document in FileSource(name).documents(np.random.default_rng(0))
    )


def lines(*objects: object) -> str:
    return "".join(json.dumps(one) + "\n" for one in objects)


def test_a_field_is_named_behind_a_file_packed_or_not(tmp_path: Path) -> None:
    written = lines({"body": "one", "n": 1}, {"body": None}, {"body": ""})
    (tmp_path / "a.jsonl").write_text(written)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(written.encode()))
    with pa.CompressedOutputStream(str(tmp_path / "c.jsonl.zst"), "zstd") as stream:
        stream.write(written.encode())
    pq.write_table(pa.table({"body": ["one", None, ""]}), tmp_path / "d.parquet")
    for name in ("a.jsonl", "b.jsonl.gz", "c.jsonl.zst", "d.parquet"):
        assert texts(f"{tmp_path / name}:body") == ["", "", "one"]
    assert texts(f"{tmp_path}:body") == [""] * 8 + ["one"] * 4


def test_a_path_with_a_colon_in_it_is_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl:body"
    (tmp_path / "a.jsonl").write_text(lines({"body": "one"}))
    path.mkdir()
    (path / "b.txt").write_text("two")
    assert texts(str(path)) == ["two"]


def test_fields_may_stand_in_a_mixture(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines({"body": "one"}))
    spec = f"{tmp_path}/a.jsonl:body=1,wiki=1"
    assert [share.name for share in parse_spec(spec)] == [f"{tmp_path}/a.jsonl:body", "wiki"]
    check_corpus(spec)


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("n", "found int instead of a string in the field n (body, title hold strings)"),
        ("nowhere", "found the fields body, n, title; name the field that holds it behind the"),
    ],
)
def test_a_field_that_holds_no_text_is_refused_before_anything_is_loaded(
    tmp_path: Path, field: str, said: str
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n" + lines({"body": "one", "n": 1, "title": "x"}))
    for read in (check_corpus, FileSource):
        with pytest.raises(InputError) as caught:
            read(f"{path}:{field}")
        assert f"{path}, line 2" in str(caught.value)
        assert said in str(caught.value)


def test_plain_text_has_no_fields_and_a_file_has_no_splits(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    with pytest.raises(InputError, match="is plain text without fields; leave out :body"):
        check_corpus(f"{tmp_path}/a.txt:body")
    with pytest.raises(InputError, match="has no splits, but train was asked for; write"):
        check_corpus(f"{tmp_path}:train:body")


def test_documents_without_text_are_counted(tokenizer: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    written = [{"body": f"{i} " + "abc " * 40} for i in range(100)]
    path.write_text(lines(*written, {"body": None}, {"body": " \n"}, {"body": ""}))
    progress = NotedProgress()
    corpus = load_corpus(f"{path}:body", tokenizer, n_tokens=16_200, n_ctx=16, progress=progress)
    assert corpus.id == f"{path}:body"
    assert progress.notes == ["3 documents were passed over: without text (empty, null)"]

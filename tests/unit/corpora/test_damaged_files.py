"""Files that are damaged are read up to the damage, where that is asked for."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from noted_progress import NotedProgress

from autointerp.core.errors import InputError
from autointerp.core.text import TextTokenizer
from autointerp.corpora import load_corpus
from autointerp.corpora.file_source import FileSource

Compress = Callable[[bytes], bytes]
KINDS: dict[str, Compress] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: bytes(pa.Codec("zstd").compress(data, asbytes=True)),
}
every_kind = pytest.mark.parametrize(("ending", "compress"), KINDS.items(), ids=KINDS)


def lines(n: int, start: int = 0) -> bytes:
    return b"".join(b'{"text": "text %d"}\n' % i for i in range(start, start + n))


def hash_of(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


@every_kind
def test_what_comes_before_a_damage_is_used_where_that_is_asked_for(
    tmp_path: Path, ending: str, compress: Compress, tokenizer: TextTokenizer
) -> None:
    path = tmp_path / f"a.jsonl{ending}"
    text = "".join(f'{{"text": "{hash_of(i)}"}}\n' for i in range(20_000)).encode()
    path.write_bytes(compress(text)[:-200])
    with pytest.raises(InputError) as told:
        load_corpus(str(path), tokenizer, n_tokens=4000, n_ctx=8)
    n_bytes = int(str(told.value).split(" bytes of text")[0].split()[-1].replace(",", ""))
    assert n_bytes > 100_000
    assert f"; to use these, write partial:{path}; copy or download it again" in str(told.value)
    notes = NotedProgress()
    corpus = load_corpus(f"partial:{path}", tokenizer, n_tokens=4000, n_ctx=8, progress=notes)
    assert corpus.n_tokens >= 4000
    kept = FileSource(str(path), partial=True)
    assert n_bytes // 80 < sum(1 for _ in kept.documents(np.random.default_rng(0))) < 20_000
    [note] = [note for note in notes.notes if "it is damaged after" in note]
    assert "partial:" not in note


def test_a_text_that_breaks_inside_a_character_ends_before_it(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    whole = gzip.compress("".join(map(hash_of, range(4000))).encode() + "é".encode() * 40_000)
    path.write_bytes(whole[:-40])
    [document] = FileSource(str(path), partial=True).documents(np.random.default_rng(0))
    assert document.text.startswith(hash_of(0))


def test_the_lines_before_a_torn_one_and_the_other_files_are_used(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(50)[:-9])
    (tmp_path / "b.jsonl").write_bytes(lines(20, start=100))
    (tmp_path / "c.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match="line 50 is not JSON"):
        FileSource(str(tmp_path))
    source = FileSource(str(tmp_path), partial=True)
    assert len(list(source.documents(np.random.default_rng(0)))) == 69
    assert "line 50 is not JSON" in str(source.broken)


def test_files_of_which_nothing_can_be_used_are_refused_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "c.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "a.jsonl").write_bytes(b"no JSON\n")
    with pytest.raises(InputError, match=r"a\.jsonl, line 1 is not JSON"):
        FileSource(str(tmp_path), partial=True)


def test_a_parquet_file_that_changes_while_it_is_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": list("abcdefgh")}), path)
    source = FileSource(str(path))
    pq.write_table(pa.table({"text": ["a"]}), path)
    with pytest.raises(InputError, match="was changed while it was read; read it when nobody"):
        list(source.documents(np.random.default_rng(0)))


def test_a_parquet_file_with_two_columns_of_the_name_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    columns = [pa.array(["a"]), pa.array(["b"])]
    pq.write_table(pa.Table.from_arrays(columns, names=["text", "text"]), path)
    with pytest.raises(InputError, match=r"a\.parquet has 2 columns text; rename all but the one"):
        FileSource(str(path))


def test_what_git_left_instead_of_a_file_is_told(tmp_path: Path) -> None:
    for name in ("a.parquet", "b.jsonl", "c.txt"):
        (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d\n")
        with pytest.raises(InputError, match=f"{name} is only Git's pointer to the file; run"):
            FileSource(str(tmp_path / name))

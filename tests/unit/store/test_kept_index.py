"""An index that was kept as a file shows what the store has, whatever became of either."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from factories import make_label, make_unit
from typing_extensions import override

from autointerp.core.explanations import Label
from autointerp.core.ids import Side
from autointerp.dictionary import row_json
from autointerp.store.labels import FolderLabelStore
from autointerp.store.labels.label_rows import ListedRow
from autointerp.store.search.kept_index import KeptIndex
from autointerp.store.search.label_index import LabelIndex, LabelQuery

WORDS = ("river", "rivers", "bank", "Straße", "dry")
QUERIES = (
    LabelQuery(limit=100),
    LabelQuery(sort="-score", score_min=0.2, limit=100),
    LabelQuery(layer=3, sort="score", limit=100),
    LabelQuery(words="river", limit=100),
    LabelQuery(words="dry straß", sort="unit", limit=100),
    LabelQuery(corpus="wiki", limit=100),
)


class CountedStore(FolderLabelStore):
    """Counts the rows that it gives."""

    n_rows = 0

    @override
    def rows_since(self, change: int, limit: int) -> tuple[list[ListedRow | None], int]:
        found = super().rows_since(change, limit)
        self.n_rows += len(found[0])
        return found


def some_label(number: int, seed: int = 0) -> Label:
    draw = Random(f"{number} {seed}")
    hook = ("blocks.2.mlp.hook_post", "blocks.3.mlp.hook_post")[number % 3 == 0]
    text = " ".join(draw.choices(WORDS, k=4))
    score = draw.choice((-0.5, 0.25, 0.75))
    return make_label(make_unit(number, hook=hook), text=text, score=score)


def fill(folder: Path, numbers: range, seed: int = 0) -> None:
    store = FolderLabelStore(folder, row_json)
    with store.batch():
        for number in numbers:
            store.put_label(some_label(number, seed))


def pages(index: LabelIndex) -> list[list[object]]:
    return [[json.loads(row) for row in index.page(query).rows] for query in QUERIES]


def opened(tmp_path: Path, name: str = "tiny") -> tuple[LabelIndex, CountedStore]:
    store = CountedStore(tmp_path / "labels", row_json)
    kept = KeptIndex(tmp_path / "kept.index", name)
    return LabelIndex(store, max_age_s=0, kept=kept), store


def keep(tmp_path: Path) -> None:
    index, _ = opened(tmp_path)
    index.refresh()
    assert index.keep()


def assert_as_read_anew(tmp_path: Path, *, n_read: int) -> None:
    """The index shows what one without a file does, and reads so many rows for it."""
    index, store = opened(tmp_path)
    index.refresh()
    assert store.n_rows == n_read
    plain = LabelIndex(FolderLabelStore(tmp_path / "labels", row_json), max_age_s=0)
    assert pages(index) == pages(plain)
    assert len(index) == len(plain)


def test_labels_that_were_kept_are_not_read_again(tmp_path: Path) -> None:
    fill(tmp_path / "labels", range(40))
    keep(tmp_path)
    assert_as_read_anew(tmp_path, n_read=0)


def test_what_came_since_is_read_and_what_was_put_again_is_shown_once(tmp_path: Path) -> None:
    fill(tmp_path / "labels", range(40))
    keep(tmp_path)
    fill(tmp_path / "labels", range(35, 45), seed=1)
    assert_as_read_anew(tmp_path, n_read=10)
    keep(tmp_path)
    fill(tmp_path / "labels", range(3), seed=2)
    assert_as_read_anew(tmp_path, n_read=3)


def test_labels_kept_beside_newer_ones_stay_so(tmp_path: Path) -> None:
    fill(tmp_path / "labels", range(10))
    store = FolderLabelStore(tmp_path / "labels", row_json)
    old = [some_label(number) for number in range(4)]

    def of_python(label: Label) -> Label:
        return replace(label, provenance=replace(label.provenance, corpus="python"))

    for label in map(of_python, old):
        store.put_label(label)
    keep(tmp_path)
    assert_as_read_anew(tmp_path, n_read=0)
    store.put_label(old[0])
    store.put_label(of_python(some_label(7)))
    assert_as_read_anew(tmp_path, n_read=4)


def test_a_store_that_was_made_anew_with_as_many_labels_is_read_whole(tmp_path: Path) -> None:
    fill(tmp_path / "labels", range(40))
    keep(tmp_path)
    FolderLabelStore(tmp_path / "labels").clear()
    fill(tmp_path / "labels", range(40), seed=1)
    assert_as_read_anew(tmp_path, n_read=40)


def test_a_store_that_was_brought_back_and_written_on_is_read_whole(tmp_path: Path) -> None:
    fill(tmp_path / "labels", range(20))
    shutil.copytree(tmp_path / "labels", tmp_path / "copy")
    fill(tmp_path / "labels", range(20, 40))
    keep(tmp_path)
    for source in (tmp_path / "copy").rglob("*.sqlite"):
        target = tmp_path / "labels" / source.relative_to(tmp_path / "copy")
        # Into the same file, as a backup may be brought back.
        target.write_bytes(source.read_bytes())
    fill(tmp_path / "labels", range(30, 60), seed=1)
    assert_as_read_anew(tmp_path, n_read=50)


def test_a_store_with_fewer_labels_than_were_kept_is_read_whole(tmp_path: Path) -> None:
    fill(tmp_path / "labels", range(40))
    keep(tmp_path)
    shutil.rmtree(tmp_path / "labels")
    fill(tmp_path / "labels", range(5))
    assert_as_read_anew(tmp_path, n_read=5)


def settle(folder: Path) -> None:
    """Waits until the file is so old that whoever writes it changes its stamp."""
    store = FolderLabelStore(folder)
    while store.mark(1) is None:
        pass


def test_a_finished_dictionary_is_taken_until_it_is_written(tmp_path: Path) -> None:
    fill(tmp_path / "labels", range(40))
    FolderLabelStore(tmp_path / "labels").compact()
    settle(tmp_path / "labels")
    keep(tmp_path)
    assert_as_read_anew(tmp_path, n_read=0)
    fill(tmp_path / "labels", range(1), seed=1)
    assert_as_read_anew(tmp_path, n_read=40)
    keep(tmp_path)
    fill(tmp_path / "labels", range(1), seed=2)
    assert_as_read_anew(tmp_path, n_read=1)


def test_an_index_of_another_name_is_not_taken(tmp_path: Path) -> None:
    fill(tmp_path / "labels", range(4))
    keep(tmp_path)
    index, store = opened(tmp_path, name="another")
    index.refresh()
    assert (len(index), store.n_rows) == (4, 4)


def damaged(whole: bytes) -> list[bytes]:
    places = [*range(0, 60, 13), *range(60, len(whole), len(whole) // 20), len(whole) - 1]
    flipped = [whole[:n] + bytes([whole[n] ^ 0x5A]) + whole[n + 1 :] for n in places]
    cut = [whole[:n] for n in (0, 5, 40, 200, len(whole) // 2, len(whole) - 4, len(whole) - 1)]
    header = whole.index(b"{")
    huge = whole.replace(b'"n_labels": 6', b'"n_labels": 6000000000000000')
    return [*flipped, *cut, whole + b"more", b"{}", whole[:header] + b"[1]" + whole[header:], huge]


def test_a_damaged_or_foreign_file_is_passed_over(tmp_path: Path) -> None:
    fill(tmp_path / "labels", range(6))
    keep(tmp_path)
    file = tmp_path / "kept.index"
    whole = file.read_bytes()
    expected = pages(LabelIndex(FolderLabelStore(tmp_path / "labels", row_json), max_age_s=0))
    for data in damaged(whole):
        file.write_bytes(data)
        index, store = opened(tmp_path)
        index.refresh()
        assert (store.n_rows, pages(index)) == (6, expected)
    file.write_bytes(whole)
    assert_as_read_anew(tmp_path, n_read=0)


@pytest.mark.parametrize("fmt", ["format", "package"])
def test_what_another_version_kept_is_passed_over(tmp_path: Path, fmt: str) -> None:
    fill(tmp_path / "labels", range(6))
    keep(tmp_path)
    file = tmp_path / "kept.index"
    begins, middle, rest = _split(file.read_bytes())
    header = json.loads(middle) | {fmt: "0.0.1" if fmt == "package" else 99}
    middle = json.dumps(header).encode()
    file.write_bytes(begins + len(middle).to_bytes(4, "little") + middle + rest)
    assert_as_read_anew(tmp_path, n_read=6)


def _split(whole: bytes) -> tuple[bytes, bytes, bytes]:
    begin = whole.index(b"\n") + 1
    n = int.from_bytes(whole[begin : begin + 4], "little")
    return whole[:begin], whole[begin + 4 : begin + 4 + n], whole[begin + 4 + n :]


def test_a_folder_or_a_pipe_in_its_place_is_passed_over(tmp_path: Path) -> None:
    fill(tmp_path / "labels", range(6))
    (tmp_path / "kept.index").mkdir()
    assert_as_read_anew(tmp_path, n_read=6)
    (tmp_path / "kept.index").rmdir()
    os.mkfifo(tmp_path / "kept.index")
    assert_as_read_anew(tmp_path, n_read=6)


def test_an_index_that_leaves_a_label_out_is_not_kept(tmp_path: Path) -> None:
    fill(tmp_path / "labels", range(6))
    with sqlite3.connect(tmp_path / "labels" / "scores" / "labels.sqlite") as connection:
        connection.execute("UPDATE labels SET row = NULL, label = x'00' WHERE unit = 3")
    index, _ = opened(tmp_path)
    index.refresh()
    assert len(index) == 5
    assert not index.keep()
    assert not (tmp_path / "kept.index").exists()


def test_labels_that_come_while_it_is_written_are_not_lost(tmp_path: Path) -> None:
    fill(tmp_path / "labels", range(6))
    index, _ = opened(tmp_path)
    index.refresh()
    fill(tmp_path / "labels", range(3, 9), seed=1)
    assert index.keep()
    index.refresh()
    assert_as_read_anew(tmp_path, n_read=6)
    assert pages(index) == pages(opened(tmp_path)[0])


def test_an_empty_store_and_one_without_words_are_kept(tmp_path: Path) -> None:
    store = FolderLabelStore(tmp_path / "labels", row_json)
    index, _ = opened(tmp_path)
    index.refresh()
    assert not index.keep()
    store.put_label(make_label(text="!", side=Side.NEGATIVE, top_tokens=()))
    keep(tmp_path)
    assert_as_read_anew(tmp_path, n_read=0)


def test_many_labels_come_back_in_parts(tmp_path: Path) -> None:
    rows = [str(number).encode() * (number % 7) for number in range(9000)]
    store = CountedStore(tmp_path / "labels", row_json)
    fill(tmp_path / "labels", range(1))
    index = LabelIndex(store, kept=(kept := KeptIndex(tmp_path / "kept.index", "tiny")))
    index.refresh()
    assert index.keep()
    content, mark = kept.load() or pytest.fail("nothing was kept")
    many = content._replace(
        rows=rows,
        numbers=np.repeat(content.numbers, 9000, axis=1),
        scores=np.repeat(content.scores, 9000, axis=1),
    )
    kept.save(many, mark)
    again, _ = kept.load() or pytest.fail("nothing was kept")
    assert list(again.rows) == rows
    assert (again.numbers == many.numbers).all()

"""Rows of thousands of labels that lie together beside the labels of a folder."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from factories import make_label, make_unit

from autointerp.core.explanations import Label
from autointerp.dictionary import row_json
from autointerp.store.labels import FolderLabelStore
from autointerp.store.labels.label_database import LabelDatabase, change_of
from autointerp.store.labels.label_rows import ListedRow, listed_row
from autointerp.store.labels.listed_blocks import N_ROWS, add_blocks, pack_rows, unpack_rows
from autointerp.store.search import LabelIndex, LabelQuery

N_LABELS = N_ROWS + 300
LABEL = make_label()


def label_of(index: int, text: str = "names of rivers") -> Label:
    assert LABEL.explanation is not None
    unit, explanation = make_unit(index), replace(LABEL.explanation, text=text)
    return replace(LABEL, unit=unit, explanation=explanation)


def short_row(label: Label) -> str:
    """What labels are listed by alone, which is quick to make."""
    row = json.loads(ROW)
    text = label.explanation.text if label.explanation else None
    return json.dumps(row | {"index": label.unit.index, "description": text})


ROW = row_json(LABEL)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of so many labels that there is a block and more."""
    folder = tmp_path_factory.mktemp("full")
    with (store := FolderLabelStore(folder, short_row)).batch():
        for index in range(N_LABELS):
            store.put_label(label_of(index))
    return folder


@pytest.fixture
def folder(full: Path, tmp_path: Path) -> Path:
    """Its own copy of that folder."""
    shutil.copytree(full, tmp_path / "labels")
    return tmp_path / "labels"


def changed(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "scores" / "labels.sqlite")) as connection:
        connection.execute(statement)
        connection.commit()


def blocks_of(folder: Path) -> list[tuple[int, int]]:
    with closing(sqlite3.connect(folder / "scores" / "labels.sqlite")) as connection:
        return connection.execute("SELECT first, last FROM blocks ORDER BY first").fetchall()


def descriptions(store: FolderLabelStore) -> dict[int, str]:
    """By index, of an index that reads the store for the first time."""
    index = LabelIndex(store)
    index.refresh()
    return {row["index"]: row["description"] for row in map(json.loads, index.rows()[0])}


def test_rows_come_back_equal() -> None:
    row = listed_row(ROW.encode())
    assert row is not None
    other = row._replace(origin=(None, None), scores=(None,) * 4, is_kept=True, words="Ströme\n")
    assert unpack_rows(pack_rows([row, other])) == [row, other]
    assert pack_rows([row, other]) == pack_rows([row, other])


@pytest.mark.parametrize("damage", [lambda d: d[:-9], lambda d: d[:9] + b"x" + d[10:]])
def test_a_damaged_value_is_told_from_one_of_another_version(damage) -> None:  # type: ignore[no-untyped-def]
    row = listed_row(ROW.encode())
    assert row is not None
    packed = pack_rows([row] * 9)
    with pytest.raises(ValueError, match="."):
        unpack_rows(damage(packed))
    assert unpack_rows(b"AIB\x00" + packed[4:]) is None


def test_rows_are_put_together_as_labels_are_and_are_read_as_one_by_one(folder: Path) -> None:
    store = FolderLabelStore(folder, short_row)
    assert blocks_of(folder) == [(1, N_ROWS)]
    rows, change = FolderLabelStore(folder, short_row).rows_since(0, N_ROWS)
    assert (len(rows), change) == (N_ROWS, N_ROWS)
    alone: list[ListedRow | None] = []
    change = 0
    while found := store.rows_since(change, 900)[0]:
        change = store.rows_since(change, 900)[1]
        alone += found
    assert alone[:N_ROWS] == rows
    assert len(alone) == N_LABELS
    assert len(descriptions(store)) == N_LABELS


def test_what_was_put_again_is_listed_as_it_is_now(folder: Path) -> None:
    store = FolderLabelStore(folder, short_row)
    store.put_label(label_of(7, "names of hills"))
    store.put_label(label_of(N_ROWS + 7, "names of lakes"))
    found = descriptions(FolderLabelStore(folder, short_row))
    assert (found[7], found[8]) == ("names of hills", "names of rivers")
    assert found[N_ROWS + 7] == "names of lakes"
    assert len(found) == N_LABELS
    index = LabelIndex(store)
    assert len(index.page(LabelQuery(words="hills")).rows) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE blocks",
        "DELETE FROM blocks",
        "UPDATE blocks SET rows = x''",
        "UPDATE blocks SET rows = x'41494200'",
    ],
)
def test_where_there_is_no_block_rows_are_read_one_by_one(folder: Path, statement: str) -> None:
    changed(folder, statement)
    assert len(descriptions(FolderLabelStore(folder, short_row))) == N_LABELS


def test_a_damaged_block_is_told_once_and_its_rows_are_read_one_by_one(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changed(folder, "UPDATE blocks SET rows = substr(rows, 1, 100)")
    store = FolderLabelStore(folder, short_row)
    assert len(descriptions(store)) == N_LABELS
    assert len(descriptions(store)) == N_LABELS
    assert [record.message.count("a block is damaged") for record in caplog.records] == [1]


def test_a_store_from_before_there_were_blocks_gets_them_with_the_next_puts(folder: Path) -> None:
    changed(folder, "DROP TABLE blocks")
    FolderLabelStore(folder, short_row).put_label(label_of(N_LABELS))
    assert blocks_of(folder) == [(1, N_ROWS)]


def test_blocks_of_labels_that_were_put_again_and_again_do_not_pile_up(folder: Path) -> None:
    # As though every label but the last had been put again four times.
    changed(folder, f"UPDATE labels SET change = change + {5 * N_ROWS}")
    changed(folder, f"UPDATE blocks SET last = {2 * N_ROWS}")
    for first in (2 * N_ROWS, 3 * N_ROWS, 4 * N_ROWS):
        changed(folder, f"INSERT INTO blocks VALUES ({first + 1}, {first + N_ROWS}, x'')")
    store = FolderLabelStore(folder, short_row)
    store.put_label(label_of(3, "names of hills"))
    assert len(blocks_of(folder)) == 1
    assert len(descriptions(store)) == N_LABELS


def test_labels_that_are_kept_beside_newer_ones_do_not_count_as_put_again(folder: Path) -> None:
    changed(
        folder,
        "CREATE TABLE kept (change INTEGER PRIMARY KEY, layer INTEGER, hook TEXT, unit INTEGER, "
        "side INTEGER, origin TEXT, row BLOB, label BLOB)",
    )
    for place in range(1, 5):
        columns = f"change + {place * N_LABELS}, layer, hook, unit, side, '{place}', row, label"
        changed(folder, f"INSERT INTO kept SELECT {columns} FROM labels")
    store = FolderLabelStore(folder, short_row)
    n_blocks = 5 * N_LABELS // N_ROWS
    for _ in range(3):
        store.put_label(label_of(3, "names of hills"))
    assert len(blocks_of(folder)) == n_blocks


def test_a_put_that_fills_no_block_reads_no_label(folder: Path) -> None:
    for first in range(N_ROWS, 5 * N_ROWS, N_ROWS):
        changed(folder, f"INSERT INTO blocks VALUES ({first + 1}, {first + N_ROWS}, x'')")
    said: list[str] = []
    database = LabelDatabase(folder / "scores" / "labels.sqlite").database
    with database.writing() as connection:
        connection.set_trace_callback(said.append)
        add_blocks(connection, 5 * N_ROWS + 300)
    assert any("FROM blocks" in statement for statement in said)
    assert not any("FROM labels" in statement for statement in said)


def test_few_labels_that_are_put_again_and_again_have_their_rows_read_once_in_so_many_puts(
    tmp_path: Path,
) -> None:
    store, n = FolderLabelStore(tmp_path, short_row), 30
    with store.batch():
        for turn in range(N_ROWS // n + 2):
            for index in range(n):
                store.put_label(label_of(index, f"names {turn}"))
    assert len(blocks_of(tmp_path)) == 1
    said: list[str] = []
    database = LabelDatabase(tmp_path / "scores" / "labels.sqlite").database
    with database.writing() as connection:
        newest = change_of(connection) - 1
        connection.set_trace_callback(said.append)
        add_blocks(connection, newest)
    assert not any("FROM labels" in statement for statement in said)
    assert set(descriptions(store).values()) == {f"names {N_ROWS // n + 1}"}
    assert len(descriptions(store)) == n


def test_a_store_without_rows_has_no_blocks(folder: Path) -> None:
    changed(folder, "DROP TABLE blocks")
    FolderLabelStore(folder).put_label(label_of(3))
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        blocks_of(folder)

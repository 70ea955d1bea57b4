"""Rows of a served dictionary come from its own table, as long as that is true."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from factories import make_info, make_label, make_unit
from two_texts import of_python

from autointerp.core.explanations import Label
from autointerp.dictionary import row_json, write_dictionary
from autointerp.dictionary.finished_rows import finished_rows
from autointerp.dictionary.manifest import JSONL, MANIFEST
from autointerp.store.labels.folder_store import FolderLabelStore

INDICES = (130, 131, 132, 133)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished dictionary."""
    store = FolderLabelStore(tmp_path / "made")
    for index in reversed(INDICES):
        store.put_label(make_label(make_unit(index)))
    write_dictionary(tmp_path / "made", store, make_info())
    return tmp_path / "made"


def expected() -> list[bytes]:
    return [row_json(make_label(make_unit(index))).encode() for index in INDICES]


class Listed:
    """A store of the folder that counts the rows it had to make."""

    def __init__(self, folder: Path) -> None:
        self.n_made = 0
        self.store = FolderLabelStore(folder, self._row, rows_of=finished_rows)

    def _row(self, label: Label) -> str:
        self.n_made += 1
        return row_json(label)

    def rows(self, change: int = 0, limit: int = 1000) -> tuple[list[bytes], int]:
        rows, last = self.store.rows_since(change, limit)
        return [row.text for row in rows if row is not None], last


def test_they_are_those_that_would_be_made(folder: Path) -> None:
    assert list(finished_rows(folder) or ()) == expected()
    listed = Listed(folder)
    assert listed.rows() == (expected(), len(INDICES))
    assert listed.n_made == 0


def test_they_are_read_some_at_a_time_and_again(folder: Path) -> None:
    listed = Listed(folder)
    for _ in range(2):
        first, last = listed.rows(limit=3)
        rest, last = listed.rows(last)
        assert (first + rest, last) == (expected(), len(INDICES))
    assert listed.n_made == 0


def test_a_reader_in_the_middle_is_not_given_those_of_others(folder: Path) -> None:
    listed = Listed(folder)
    assert listed.rows(2)[0] == expected()[2:]
    assert listed.n_made == 2


def test_a_label_that_is_put_later_has_its_own(folder: Path) -> None:
    listed = Listed(folder)
    _, last = listed.rows()
    store = FolderLabelStore(folder, row_json)
    store.put_label(of_python(make_label()))
    assert [row for row in listed.rows(last)[0] if b"names of functions" in row]
    assert finished_rows(folder) is None  # Its labels are not those of the manifest.
    assert len(Listed(folder).rows()[0]) == len(INDICES) + 1  # With the one that it replaced.


@pytest.mark.parametrize("name", [JSONL, MANIFEST, "scores/labels.sqlite"])
def test_what_was_changed_is_not_believed(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes() + b" ")
    if name == MANIFEST:
        path.unlink()
    assert finished_rows(folder) is None
    if name != "scores/labels.sqlite":
        listed = Listed(folder)
        assert listed.rows()[0] == expected()
        assert listed.n_made == len(INDICES)


def cut(lines: list[bytes]) -> Iterator[bytes]:
    yield lines[0]


def swapped(lines: list[bytes]) -> Iterator[bytes]:
    yield from (lines[0], lines[2], lines[1], lines[3])


def broken(lines: list[bytes]) -> Iterator[bytes]:
    yield from (lines[0], b"{", *lines[2:])


@pytest.mark.parametrize("wrong", [cut, swapped, broken])
def test_rows_behind_a_wrong_one_are_made(
    folder: Path, wrong: Callable[[list[bytes]], Iterator[bytes]]
) -> None:
    listed = Listed(folder)
    listed.store = FolderLabelStore(folder, listed._row, rows_of=lambda _: wrong(expected()))
    assert listed.rows()[0] == expected()
    assert listed.n_made == len(INDICES) - 1


def test_a_table_that_ends_in_the_middle_gives_what_it_has(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = gzip.compress(b"\n".join(expected()))
    digests = {name: "0" for name in (JSONL, "scores/labels.sqlite")}
    monkeypatch.setattr("autointerp.dictionary.finished_rows.file_digest", lambda _: "0")
    monkeypatch.setattr(
        "autointerp.dictionary.finished_rows.read_manifest",
        lambda _: type("Made", (), {"files": digests}),
    )
    (folder / JSONL).write_bytes(whole[: len(whole) // 2])
    listed = Listed(folder)
    assert listed.rows()[0] == expected()

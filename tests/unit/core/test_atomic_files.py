"""Files are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from autointerp.core.errors import DamagedError, StorageError
from autointerp.core.files import read_file, write_atomic
from autointerp.store.artifacts import Artifacts
from autointerp.store.labels.label_database import LabelDatabase


def test_a_write_that_fails_leaves_what_was_there_and_no_other_file(tmp_path: Path) -> None:
    taken = tmp_path / "a"
    taken.mkdir()
    with pytest.raises(StorageError, match="could not write"):
        write_atomic(taken, b"new")
    assert list(tmp_path.iterdir()) == [taken]


def test_a_write_makes_the_folder_and_takes_the_place_of_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "a"
    for data in (b"old", b"new"):
        write_atomic(path, data)
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def read_artifact(folder: Path) -> None:
    assert Artifacts(str(folder)).get_bytes("a") is None


def read_database(folder: Path) -> None:
    with pytest.raises(StorageError, match="is not a file; move it away"):
        LabelDatabase(folder / "a").count()


def read_whole(folder: Path) -> None:
    with pytest.raises(DamagedError, match="that is a folder where a file belongs; move it away"):
        read_file(folder / "a")


@pytest.mark.parametrize("read", [read_artifact, read_database, read_whole])
def test_a_folder_in_the_place_of_a_file_is_not_left_open(
    tmp_path: Path, read: Callable[[Path], None]
) -> None:
    before = set(os.listdir("/proc/self/fd"))
    for number in range(3):
        folder = tmp_path / str(number)
        (folder / "a").mkdir(parents=True)
        read(folder)
    assert len(set(os.listdir("/proc/self/fd"))) == len(before)

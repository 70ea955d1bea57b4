"""Files are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from autointerp.core.errors import StorageError
from autointerp.core.files import write_atomic


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

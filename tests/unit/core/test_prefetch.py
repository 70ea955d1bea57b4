"""Reads that are made before what they give is asked for."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from autointerp.core.asynchrony import prefetch
from autointerp.core.errors import StorageError


def fail() -> int:
    raise StorageError("the disk is gone")


def test_what_is_read_comes_in_order() -> None:
    found = list(prefetch((partial(pow, 2, n) for n in range(50)), n_threads=3))
    assert found == [2**n for n in range(50)]
    assert list(prefetch((), n_threads=3)) == []


def test_a_read_that_fails_is_raised_in_its_place() -> None:
    reads = prefetch([partial(int, "1"), partial(int, "2"), fail, fail], n_threads=2)
    assert [next(reads), next(reads)] == [1, 2]
    with pytest.raises(StorageError, match="the disk is gone"):
        next(reads)


def test_only_as_many_as_there_are_threads_are_made_ahead() -> None:
    made: list[int] = []
    reads = prefetch((partial(made.append, n) for n in range(50)), n_threads=2)
    next(reads)
    reads.close()  # type: ignore[attr-defined]
    assert len(made) <= 3
    assert not [t for t in threading.enumerate() if t.name.startswith("read-ahead")]

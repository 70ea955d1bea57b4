"""Which files this process opens or lists while a block runs, and a block that may open none."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_EVENTS = frozenset({"open", "os.listdir", "os.scandir", "os.remove", "os.rename", "os.mkdir"})
_LISTS: list[list[str]] = []


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if _LISTS and event in _EVENTS and isinstance(arguments[0], str | bytes | os.PathLike):
        path = os.path.abspath(os.fsdecode(arguments[0]))  # noqa: PTH100 - a Path would recurse
        for paths in _LISTS:
            paths.append(path)


# A hook cannot be taken away again: it does nothing outside the blocks.
sys.addaudithook(_hook)


@contextmanager
def opened_files() -> Iterator[list[str]]:
    """Absolute paths, as they were asked for, of all threads."""
    paths: list[str] = []
    _LISTS.append(paths)
    try:
        yield paths
    finally:
        _LISTS.remove(paths)


@contextmanager
def no_more_files() -> Iterator[None]:
    """This process may open no further file while the block runs (EMFILE)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

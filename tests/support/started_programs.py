"""Which programs this process starts while a block runs, seen by an audit hook."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_EVENTS = frozenset({"subprocess.Popen", "os.system", "os.posix_spawn"})
_LISTS: list[list[str]] = []


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if _LISTS and event in _EVENTS:
        for programs in _LISTS:
            programs.append(str(arguments))


# A hook cannot be taken away again: it does nothing outside the blocks.
sys.addaudithook(_hook)


@contextmanager
def started_programs() -> Iterator[list[str]]:
    """What was started and with which arguments, of all threads."""
    programs: list[str] = []
    _LISTS.append(programs)
    try:
        yield programs
    finally:
        _LISTS.remove(programs)

"""One writer a folder: a lock that the operating system lets go when its holder dies.

``flock`` where there is fcntl; on Windows a locked byte, which msvcrt gives.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autointerp.core.errors import InputError
from autointerp.core.files import storage_errors

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

# Windows keeps others from reading a locked byte; this one lies behind the process id.
_LOCKED_BYTE = 1 << 20
_POLL_S = 0.01
_ADVICE = "wait until it has finished or choose another --out"


@contextmanager
def only_writer(folder: Path, name: str = ".lock", *, advice: str = _ADVICE) -> Iterator[None]:
    """Holds the folder's lock for the block.

    Args:
        folder: where the lock file lies; it must exist.
        name: of the lock file.
        advice: what to do where another process holds it.

    Raises:
        InputError: another process, which the message names, holds it.
        StorageError: the lock file cannot be made, or the disk knows no locks.
    """
    path = folder / name
    with storage_errors(path, verb="lock"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        with storage_errors(path, verb="lock"):
            if not _try_lock(descriptor):
                holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
                msg = f"{folder} is being written by process {holder}; {advice}"
                raise InputError(msg)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Waits until nobody else is in a block of that lock file, in any process or thread.

    Raises:
        StorageError: the lock file cannot be made, or the disk knows no locks.
    """
    with storage_errors(path, verb="lock"):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        with storage_errors(path, verb="lock"):
            _wait_for_lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def _wait_for_lock(descriptor: int) -> None:
    if sys.platform == "win32":
        while not _try_lock(descriptor):
            time.sleep(_POLL_S)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    finally:
        os.lseek(descriptor, 0, os.SEEK_SET)
    return True

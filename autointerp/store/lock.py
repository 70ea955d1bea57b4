"""Locks between processes, which the operating system releases when their holder dies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autointerp.core.errors import InputError
from autointerp.core.files import storage_errors

_POLL_S = 0.01
_ADVICE = "wait until it has finished or choose another --out"


@contextmanager
def only_writer(folder: Path, name: str = ".lock", *, advice: str = _ADVICE) -> Iterator[None]:
    """Holds the folder's lock for the block.

    Raises:
        InputError: another process, which the message names, holds it.
        StorageError: the lock file cannot be made, or the disk does not support locks.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - brings asyncio; readers lock nothing

    path = folder / name
    # A soft lock, the fallback, would outlive a killed process.
    lock = FileLock(path, blocking=False, fallback_to_soft=False, on_acquired=_write_holder)
    with storage_errors(path, verb="lock"):
        try:
            lock.acquire()
        except Timeout as error:
            msg = f"{folder} is being written by process {_holder(path)}; {advice}"
            raise InputError(msg) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def wait_for_lock(path: Path) -> Iterator[None]:
    """Holds a lock file for the block, once no other process or thread does.

    Raises:
        StorageError: the lock file cannot be made, or the disk does not support locks.
    """
    from filelock import FileLock  # noqa: PLC0415 - brings asyncio; readers lock nothing

    lock = FileLock(path, poll_interval=_POLL_S, fallback_to_soft=False)
    with storage_errors(path, verb="lock"):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _write_holder(descriptor: int) -> None:
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())


def _holder(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace").strip() or "unknown"
    except OSError:
        return "unknown"  # Windows keeps others from reading a locked file.

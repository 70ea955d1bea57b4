"""What becomes of one file when a disk, a person or another version has been at it."""

from __future__ import annotations

import gzip
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

DEEP = b"[" * 200_000 + b"]" * 200_000


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _not_utf_8(path: Path) -> None:
    path.write_bytes(_packed(path, b'{"schema":1,"kind":"\xe9\xff"}\n'))


def _deep(path: Path) -> None:
    path.write_bytes(_packed(path, DEEP))


def _other(path: Path) -> None:
    path.write_bytes(_packed(path, b'{"a":[1,null,"x"]}\n'))


def _newer(path: Path) -> None:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    path.write_bytes(_packed(path, re.sub(rb'"schema": ?1', b'"schema":9', data)))


def _zeros(path: Path) -> None:
    path.write_bytes(b"\0" * path.stat().st_size)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "something").write_text("of somebody")


def _unreadable(path: Path) -> None:
    """Opening it is refused, whoever asks: permissions do not bind who runs tests as root."""
    path.unlink()
    path.symlink_to(path.name)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _packed(path: Path, data: bytes) -> bytes:
    return gzip.compress(data, mtime=0) if path.suffix == ".gz" else data


DAMAGES: dict[str, Callable[[Path], None]] = {
    "cut": _cut,
    "empty": _empty,
    "not UTF-8": _not_utf_8,
    "deep": _deep,
    "another": _other,
    "newer": _newer,
    "zeros": _zeros,
    "folder": _folder,
    "unreadable": _unreadable,
    "pipe": _pipe,
}


def removed(path: Path) -> None:
    """Takes away whatever is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

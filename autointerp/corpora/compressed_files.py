"""Compressed files of text, unpacked into one temporary file in which places can be looked up."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import tempfile
import weakref
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pyarrow as pa
from typing_extensions import Buffer, override

from autointerp.core.errors import InputError
from autointerp.core.files import MOST_BYTES, storage_errors
from autointerp.corpora.document_files import Opened

_AT_ONCE = 1 << 16
_GREATEST_RATIO = 100
_DAMAGED = (EOFError, OSError, ValueError, lzma.LZMAError, zlib.error, pa.ArrowException)


def _open_zst(path: Path) -> io.BufferedIOBase:
    if not pa.Codec.is_available("zstd"):
        raise InputError(f"cannot read {path}: this pyarrow has no zstd; unpack the file first")
    stream: io.BufferedIOBase = pa.input_stream(str(path), compression="zstd")
    return stream


COMPRESSIONS: dict[str, Callable[[Path], io.BufferedIOBase]] = {
    ".bz2": bz2.BZ2File,
    ".gz": gzip.GzipFile,
    ".xz": lzma.LZMAFile,
    ".zst": _open_zst,
}


_BEGINNINGS = {
    ".bz2": rb"BZh[1-9](1AY&SY|\x17rE8P\x90)",
    ".gz": rb"\x1f\x8b\x08",
    ".xz": rb"\xfd7zXZ\0",
    ".zst": rb"\x28\xb5\x2f\xfd",
}


def compression_of(path: Path) -> str | None:
    """The ending that a compressed file should have, by its first bytes; None for others."""
    try:
        with path.open("rb") as stream:
            first = stream.read(16)
    except OSError:  # Told by what reads the file.
        return None
    endings = (ending for ending, begins in _BEGINNINGS.items() if re.match(begins, first))
    return next(endings, None)


class UnpackedFiles:
    """What compressed files hold, one behind the other in a temporary file without a name."""

    def __init__(self, *, partial: bool = False) -> None:
        """Of a damaged file what comes before the damage is kept where it may be partial."""
        self._made: io.BufferedRandom | None = None
        self._partial = partial
        self.broken: str | None = None
        """Why something of a file is missing."""

    def add(self, path: Path) -> Opened:
        """What opens the unpacked bytes of a file, as often as it is called.

        Raises:
            InputError: the file is damaged, or grows beyond what text does.
            StorageError: the temporary folder is full.
        """
        file = self._file()
        start = end = file.seek(0, io.SEEK_END)
        try:
            most = max(MOST_BYTES, _GREATEST_RATIO * path.stat().st_size)
            with COMPRESSIONS[path.suffix.lower()](path) as stream:
                # What comes before a damage is given, where a whole read would give nothing.
                while part := stream.read1(_AT_ONCE):
                    with _storage_errors():
                        file.write(part)
                        file.flush()
                    end += len(part)
                    if end - start > most:
                        raise InputError(
                            f"{path} unpacks to more than {most:,} bytes, far more than text of "
                            "its size; if that is right, unpack it first"
                        )
        except _DAMAGED as error:
            why = _damage(path, end - start, error)
            if not self._partial or end == start:
                raise InputError(why) from error
            end = self._whole_lines(start, end)
            self.broken = self.broken or why
        return partial(self._open, start, end)

    def _whole_lines(self, start: int, end: int) -> int:
        """Where the last line ends that is whole, in text of one line the last character."""
        tail = max(start, end - _AT_ONCE)
        self._file().seek(tail)
        data = self._file().read(end - tail)
        last = next((i for i in range(len(data) - 1, -1, -1) if data[i] & 0xC0 != 0x80), 0)
        return tail + (data.rfind(b"\n") + 1 or last)

    def _open(self, start: int, end: int) -> io.BufferedReader:
        return io.BufferedReader(_Slice(self._file(), start, end))

    def _file(self) -> io.BufferedRandom:
        if self._made is None:
            with _storage_errors():
                made = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this does
            weakref.finalize(self, made.close)
            self._made = made
        return self._made


def _damage(path: Path, n_bytes: int, error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"cannot read {path}: {error.strerror}; check the file and its permissions"
    usable = f"; to use these, write partial:{path}" if n_bytes else ""
    what = f"it is damaged after {n_bytes:,} bytes of text ({error}){usable}"
    return f"cannot read {path}: {what}; copy or download it again"


def _storage_errors() -> AbstractContextManager[None]:
    return storage_errors(Path("a temporary file"))


class _Slice(io.RawIOBase):
    """A part of a file, as if it were one."""

    def __init__(self, file: io.BufferedRandom, start: int, end: int) -> None:
        self._file, self._start, self._end, self._place = file, start, end, 0

    @override
    def readable(self) -> bool:
        return True

    @override
    def seekable(self) -> bool:
        return True

    @override
    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._place = offset if whence == io.SEEK_SET else self._place + offset
        return self._place

    @override
    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)[: max(0, self._end - self._start - self._place)]
        self._file.seek(self._start + self._place)
        n_read = self._file.readinto(view) if view else 0
        self._place += n_read
        return n_read

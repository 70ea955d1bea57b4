"""The documents of a file, or of a folder of files, in an order of their own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import numpy as np

from autointerp.core.errors import InputError
from autointerp.core.files import git_pointer
from autointerp.core.text import Document
from autointerp.corpora.column_files import (
    ArrowFile,
    ParquetFile,
    look_at_arrow,
    look_at_parquet,
)
from autointerp.corpora.compressed_files import COMPRESSIONS, UnpackedFiles, compression_of
from autointerp.corpora.document_files import (
    FIELD,
    DocumentFile,
    FileOptions,
    JsonLinesFile,
    TextFile,
    listed_fields,
    look_at_lines,
    readable,
)
from autointerp.corpora.named_paths import NamedPath, named_path
from autointerp.corpora.saved_datasets import is_saved_dataset, saved_rows, splits_of

# Documents read ahead, in the order of the files: one visit of a row group serves many of them.
_READ_AHEAD = 64

_TEXT = {".jsonl": JsonLinesFile, ".txt": TextFile}
_KINDS: dict[str, Callable[..., DocumentFile]] = {
    ".jsonl": JsonLinesFile,
    ".parquet": ParquetFile,
    ".txt": TextFile,
    ".arrow": ArrowFile,
    ".feather": ArrowFile,
}
_LOOKS: dict[object, Callable[[Path, str], None]] = {
    JsonLinesFile: look_at_lines,
    ParquetFile: look_at_parquet,
    ArrowFile: look_at_arrow,
}
_KEPT_BESIDE = re.compile(r"cache-.*\.arrow")
_OTHER_NAMES = {".jsonlines": ".jsonl", ".ndjson": ".jsonl"}


class FileSource:
    """The documents of a file, a folder of files, or a data set that ``save_to_disk`` left.

    Files are ``.txt``, ``.jsonl``, ``.parquet``, ``.arrow`` or ``.feather``; text may be
    compressed: ``.jsonl.gz``, ``.txt.zst``. Behind the path, after colons, a field may be named,
    and of a data set with splits one of these.
    """

    def __init__(self, name: str, *, partial: bool = False) -> None:
        """Finds and checks every file; only the positions of documents are kept.

        Folders are read recursively; hidden files and other extensions are ignored. Where it may
        be partial, files are read up to where they are damaged, and `broken` says why.

        Raises:
            InputError: there is nothing to read, or a file is not what its extension says.
        """
        named = named_path(name) or NamedPath(name, Path(name).expanduser())
        self.name, files, field = _files_of(named)
        self.broken: str | None = None
        options = FileOptions(field or FIELD, partial)
        unpacked = UnpackedFiles(partial=partial)
        self._files: list[DocumentFile] = []
        for title, file in files:
            try:
                with _splits_told(named, field):
                    self._files.append(_open_file(file, title, unpacked, options))
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
            path = named.path
            raise InputError(f"{path} is empty: no document was found in it; give files with text")

    def __len__(self) -> int:
        return int(self._ends[-1])

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


def _files_of(named: NamedPath) -> tuple[str, list[tuple[str, Path]], str | None]:
    """The source with every part written out, its files with their names, and the field named."""
    path, parts = named.path, named.parts
    with readable(path):
        is_saved = path.is_dir() and is_saved_dataset(path)
    if is_saved:
        rows = saved_rows(named)
        files = [(file.relative_to(path).as_posix(), file) for file in rows.files]
        parts = parts if rows.split is None else (rows.split, rows.field or FIELD)
        return ":".join((named.text, *parts)), files, rows.field
    if len(parts) > 1:
        raise InputError(
            f"{named.text} has no splits, but {parts[0]} was asked for; write {named.text}:FIELD"
        )
    if parts and _kind_of(path)[0] is TextFile:
        raise InputError(f"{named.text} is plain text without fields; leave out :{parts[0]}")
    files = _files_in(path) if path.is_dir() else [(path.name, path)]
    return ":".join((named.text, *parts)), files, next(iter(parts), None)


def check_named(name: str, *, partial: bool = False) -> None:
    """Nothing, where the split that a path names is there, and the field at the first look.

    Only the first file is opened, and no more of it than a line or the names of its columns; none
    of a source that may be partial, whose first file may be damaged.

    Raises:
        InputError: otherwise.
    """
    named = named_path(name)
    if named is None:
        return
    _, files, field = _files_of(named)
    if partial:
        return
    path = files[0][1]
    look = _LOOKS.get(_kind_of(path)[0])
    if look is not None and not _kind_of(path)[1] and compression_of(path) is None:
        with _splits_told(named, field):
            look(path, field or FIELD)


@contextmanager
def _splits_told(named: NamedPath, field: str | None) -> Iterator[None]:
    """Names the splits too where one name stands behind a path, and it is no column."""
    try:
        yield
    except InputError as error:
        splits = splits_of(named.path) if named.parts == (field,) else ()
        if not splits or "has no column" not in str(error):
            raise
        raise InputError(f"{error}; the splits are {listed_fields(splits)}") from error


def _open_file(
    path: Path, name: str, unpacked: UnpackedFiles, options: FileOptions
) -> DocumentFile:
    kind, compressed = _kind_of(path)
    if kind is None or not _can_be_read(path):
        raise InputError(
            f"{path} is not a file of a known kind; give a file ending in {_extensions()}"
        )
    if compressed:
        return kind(path, name, options, unpacked.add(path))
    ending = compression_of(path)
    if ending is not None:
        raise InputError(f"{path} is compressed; give it the ending {path.suffix}{ending}")
    if (left := git_pointer(path)) is not None:
        raise InputError(f"cannot read {path}: {left}")
    return kind(path, name, options)


def _kind_of(path: Path) -> tuple[Callable[..., DocumentFile] | None, bool]:
    """How documents are read from a file of that name, and whether it is compressed."""
    name, last = path.name.lower(), path.suffix.lower()
    if last in COMPRESSIONS:
        inside = Path(name).with_suffix("").suffix
        return _TEXT.get(_OTHER_NAMES.get(inside, inside)), True
    return _KINDS.get(_OTHER_NAMES.get(last, last)), False


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
    # Tables that the library `datasets` keeps beside its data repeat what the data say.
    visible = [one for one in visible if not _KEPT_BESIDE.fullmatch(one[1].name)] or visible
    if not visible:
        raise InputError(
            f"the folder {folder} has no file ending in {_extensions()}; give a folder that does"
        )
    return visible


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _extensions() -> str:
    packed = ", ".join(COMPRESSIONS)
    return f"{' or '.join(_KINDS)}, or text compressed as {packed} (.jsonl.gz)"

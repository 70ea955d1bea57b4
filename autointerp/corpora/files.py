"""A file or a folder of files as a source."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from autointerp.core.errors import InputError
from autointerp.core.text import Document
from autointerp.corpora.formats import FORMATS, DocumentFile

# Documents read ahead, in the order of the files: one visit of a row group serves many of them.
_READ_AHEAD = 64


class FileSource:
    """The documents of a ``.txt``, ``.jsonl`` or ``.parquet`` file, or of a folder of them."""

    def __init__(self, name: str) -> None:
        """Finds and checks every file; only the positions of documents are kept.

        Args:
            name: path as the user wrote it. Folders are read recursively; hidden files and
                other extensions are ignored.

        Raises:
            InputError: there is nothing to read, or a file is not what its extension says.
        """
        self.name = name.rstrip("/") or name
        path = Path(name).expanduser()
        self._files = _open_folder(path) if path.is_dir() else [_open_file(path)]
        self._ends = np.cumsum([0, *(len(file) for file in self._files)])
        if self._ends[-1] == 0:
            msg = f"{path} is empty: no document was found in it; give files with text"
            raise InputError(msg)

    def documents(self, rng: np.random.Generator, /) -> Iterator[Document]:
        """The documents, shuffled over all files."""
        order = rng.permutation(int(self._ends[-1]))
        for start in range(0, len(order), _READ_AHEAD):
            ahead = order[start : start + _READ_AHEAD]
            documents = dict(zip(np.sort(ahead), self._read(np.sort(ahead)), strict=True))
            yield from (documents[i] for i in ahead)

    def _read(self, ascending: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Iterator[Document]:
        owners = np.searchsorted(self._ends, ascending, side="right") - 1
        pairs = zip(owners.tolist(), ascending.tolist(), strict=True)
        for owner, group in groupby(pairs, key=lambda pair: pair[0]):
            first = int(self._ends[owner])
            yield from self._files[owner].read([i - first for _, i in group])


def _open_file(path: Path) -> DocumentFile:
    kind = FORMATS.get(path.suffix.lower())
    if kind is None or not (path.is_file() or path.is_symlink()):
        msg = f"{path} is not a file of a known kind; give a file ending in {_extensions()}"
        raise InputError(msg)
    return kind(path, path.name)


def _open_folder(folder: Path) -> list[DocumentFile]:
    found = sorted(
        (path.relative_to(folder).as_posix(), path)
        for path in folder.rglob("*")
        if path.suffix.lower() in FORMATS and not path.is_dir()
    )
    visible = [(name, path) for name, path in found if not _is_hidden(name)]
    if not visible:
        msg = (
            f"the folder {folder} holds no file ending in {_extensions()}; give a folder that does"
        )
        raise InputError(msg)
    return [FORMATS[path.suffix.lower()](path, name) for name, path in visible]


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _extensions() -> str:
    return " or ".join(sorted(FORMATS))

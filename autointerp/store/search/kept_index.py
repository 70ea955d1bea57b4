"""What an index of labels holds, as a file: a server that starts again reads only newer labels.

A file is read whole and checked, and whatever is wrong with it means that labels are read anew.
"""

from __future__ import annotations

import itertools
import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autointerp.core import VERSION
from autointerp.core.files import open_file, replacing
from autointerp.store.labels.label_rows import SCORES

N_NUMBERS = 8
"""Numbers that an index has of a label besides its scores."""
_FORMAT = 1
"""Another one for every change of what is kept, or of how rows and words are read."""
_MAGIC = b"autointerp index of labels\n"
_MOST_HEADER = 1 << 26
_ROWS_AT_ONCE = 4096


class IndexContent(NamedTuple):
    """An index at one moment."""

    change: int
    """The last change of the store that it knows."""
    hooks: tuple[str, ...]
    origins: tuple[tuple[str | None, str | None], ...]
    """Corpora and explainers."""
    numbers: NDArray[np.int64]
    """Shape (`N_NUMBERS`, labels)."""
    scores: NDArray[np.float64]
    """Shape (`SCORES`, labels)."""
    rows: Sequence[bytes]
    words: Mapping[str, NDArray[np.int64]]
    """Where each word is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """What comes first in a file."""

    format: int
    package: str
    """Version of autointerp that wrote it."""
    name: str
    """What is indexed, and the columns that rows have."""
    mark: str
    """What the store said of its changes up to the last one."""
    change: int
    hooks: list[str]
    origins: list[list[str | None]]
    n_labels: int
    n_words: int
    n_word_bytes: int
    n_places: int
    n_row_bytes: int

    def is_of(self, name: str) -> bool:
        """Whether this version wrote it, for that."""
        return (self.format, self.package, self.name) == (_FORMAT, VERSION, name)

    @property
    def n_bytes(self) -> int:
        """Of what follows."""
        counts = [
            value
            for name in self.__slots__
            if name.startswith("n_")
            for value in (getattr(self, name),)
        ]
        if any(type(count) is not int or count < 0 for count in counts):
            raise ValueError("it has no such sizes")
        of_labels = 8 * (N_NUMBERS + len(SCORES)) + 4
        of_words = 8 * (self.n_words + self.n_places) + self.n_word_bytes
        return of_labels * self.n_labels + of_words + self.n_row_bytes + 4


class KeptIndex:
    """The file of one store's index."""

    def __init__(self, path: Path, name: str) -> None:
        """`name` says what is indexed; a file of another is not read."""
        self._path, self._name = path, name

    def save(self, content: IndexContent, mark: str) -> None:
        """Replaces the file.

        Raises:
            StorageError: the disk refuses.
        """
        words = [word for word, places in content.words.items() if len(places)]
        known = [content.words[word] for word in words]
        text = "\n".join(words).encode("utf-8", "surrogatepass")
        lengths = np.fromiter(map(len, content.rows), np.int32, len(content.rows))
        header = _Header(
            format=_FORMAT,
            package=VERSION,
            name=self._name,
            mark=mark,
            change=content.change,
            hooks=list(content.hooks),
            origins=[list(origin) for origin in content.origins],
            n_labels=len(content.rows),
            n_words=len(words),
            n_word_bytes=len(text),
            n_places=sum(map(len, known)),
            n_row_bytes=int(lengths.sum(dtype=np.int64)),
        )
        values = {field.name: getattr(header, field.name) for field in fields(header)}
        described = json.dumps(values).encode()
        n_places = np.fromiter(map(len, known), np.int64, len(known))
        first = (
            *(_MAGIC, len(described).to_bytes(4, "little"), described),
            *(content.numbers.tobytes(), content.scores.tobytes()),
            *(n_places.tobytes(), text),
        )
        # What a power cut leaves of it is noticed.
        with replacing(self._path, durable=False) as temporary, temporary.open("wb") as file:
            check = 0
            for part in itertools.chain(
                first,
                _joined([one.tobytes() for one in known]),
                [lengths.tobytes()],
                _joined(content.rows),
            ):
                file.write(part)
                check = zlib.crc32(part, check)
            file.write(check.to_bytes(4, "little"))

    def load(self) -> tuple[IndexContent, str] | None:
        """What was saved, and its mark; None where there is none of this name and version.

        The file is dated now, by which files that nobody reads are told.

        Raises:
            ValueError: it is damaged, or no such file.
            OSError: the disk refuses.
        """
        try:
            descriptor = open_file(self._path)
        except FileNotFoundError:
            return None
        with open(descriptor, "rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            with suppress(OSError):
                os.utime(self._path)
            return self._read(_SummedFile(file), size)

    def _read(self, file: _SummedFile, size: int) -> tuple[IndexContent, str] | None:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ValueError("it is another file")
        n = int.from_bytes(file.read(4), "little")
        if n > min(size, _MOST_HEADER):
            raise ValueError("it is cut off")
        try:
            header = _Header(**json.loads(file.read(n)))
        except TypeError:
            return None  # Another version has other fields.
        if not header.is_of(self._name):
            return None
        if size != file.n_read + header.n_bytes:
            raise ValueError("it is cut off")
        n = header.n_labels
        numbers = file.array(np.int64, N_NUMBERS * n).reshape(N_NUMBERS, n)
        scores = file.array(np.float64, len(SCORES) * n).reshape(len(SCORES), n)
        ends = np.cumsum(file.array(np.int64, header.n_words)).tolist()
        words = file.read(header.n_word_bytes).decode("utf-8", "surrogatepass").split("\n")
        places = file.array(np.int64, header.n_places)
        pairs = zip(words if header.n_words else [], itertools.pairwise([0, *ends]), strict=True)
        content = IndexContent(
            header.change,
            tuple(header.hooks),
            tuple((corpus, explainer) for corpus, explainer in header.origins),
            numbers,
            scores,
            file.rows(file.array(np.int32, n), header.n_row_bytes),
            {word: places[begin:end] for word, (begin, end) in pairs},
        )
        found = file.check
        if file.read(4) != found.to_bytes(4, "little"):
            raise ValueError("its checksum is another")
        return content, header.mark


class _SummedFile:
    """A file that is read from its beginning, with the checksum of what was read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.check, self.n_read = 0, 0

    def read(self, n: int) -> bytes:
        """The next n bytes.

        Raises:
            ValueError: there are not as many.
        """
        data = self._file.read(n)
        if len(data) != n:
            raise ValueError("it is cut off")
        self.check, self.n_read = zlib.crc32(data, self.check), self.n_read + n
        return data

    def array(self, kind: Any, n: int) -> NDArray[Any]:
        """The next n numbers, which may be changed."""
        return np.frombuffer(self.read(np.dtype(kind).itemsize * n), kind).copy()

    def rows(self, lengths: NDArray[np.int32], n_bytes: int) -> list[bytes]:
        """The next values of those lengths."""
        if (lengths < 0).any() or int(lengths.sum(dtype=np.int64)) != n_bytes:
            raise ValueError("its rows have other lengths")
        rows: list[bytes] = []
        for begin in range(0, len(lengths), _ROWS_AT_ONCE):
            ends = np.cumsum(lengths[begin : begin + _ROWS_AT_ONCE], dtype=np.int64).tolist()
            part = self.read(ends[-1])
            rows += [part[a:b] for a, b in itertools.pairwise([0, *ends])]
        return rows


def _joined(parts: Sequence[bytes]) -> Iterator[bytes]:
    for begin in range(0, len(parts), _ROWS_AT_ONCE):
        yield b"".join(parts[begin : begin + _ROWS_AT_ONCE])

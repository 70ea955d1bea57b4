"""Files of documents: plain text, JSON lines, Parquet."""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import override

from autointerp.core.errors import InputError, field_name
from autointerp.core.text import Document

_FIELD = "text"
_AT_ONCE = 1 << 20
_LINE = 1 << 28
_BOM = "\ufeff"

Opened = Callable[[], BufferedReader]
"""Opens the bytes of a file, unpacked ones where it is compressed."""


class DocumentFile(Protocol):
    """A file whose documents are read by number. Making one checks the whole file."""

    broken: str | None = None
    """Why it is read in part only."""

    def __len__(self) -> int:
        """How many documents there are."""

    def read(self, rows: Sequence[int]) -> list[Document]:
        """The documents of those 0-based numbers, which ascend."""


class TextFile(DocumentFile):
    """A ``.txt`` file: one document, or none where there is only white space."""

    def __init__(self, path: Path, source: str, opened: Opened | None = None) -> None:
        self._path, self._source = path, source
        self._open: Opened = opened or (lambda: path.open("rb"))
        self._n_documents = 1 if self._text().strip() else 0

    @override
    def __len__(self) -> int:
        return self._n_documents

    @override
    def read(self, rows: Sequence[int]) -> list[Document]:
        return [Document(self._text(), self._source) for _ in rows]

    def _text(self) -> str:
        with _readable(self._path):
            text = _decode(_whole(self._open), str(self._path))
        return text.removeprefix(_BOM).replace("\r\n", "\n")


class JsonLinesFile(DocumentFile):
    """A ``.jsonl`` file: on each line a string or an object with the field ``text``.

    Sources of documents end in the 1-based number of the line.
    """

    def __init__(
        self, path: Path, source: str, opened: Opened | None = None, *, partial: bool = False
    ) -> None:
        """Reads up to the first line that holds no text where the file may be partial."""
        self._path, self._source = path, source
        self._open: Opened = opened or (lambda: path.open("rb"))
        self._starts, self._numbers = array("q"), array("q")
        position = 0
        with _readable(path), self._open() as stream:
            for number, line in enumerate(iter(lambda: stream.readline(_LINE), b""), start=1):
                if len(line) == _LINE:
                    msg = f"{path}, line {number} has more than {_LINE:,} bytes; write one document"
                    raise InputError(f"{msg} per line")
                if line.strip():
                    try:
                        _line_text(line, path, number, position)
                    except InputError as error:
                        if not partial or not self._starts:
                            raise
                        self.broken = str(error)
                        break
                    self._starts.append(position)
                    self._numbers.append(number)
                position += len(line)

    @override
    def __len__(self) -> int:
        return len(self._starts)

    @override
    def read(self, rows: Sequence[int]) -> list[Document]:
        documents = []
        with _readable(self._path), self._open() as stream:
            for row in rows:
                number, start = self._numbers[row], self._starts[row]
                stream.seek(start)
                text = _line_text(stream.readline(), self._path, number, start)
                documents.append(Document(text, f"{self._source}:{number}"))
        return documents


class ParquetFile(DocumentFile):
    """A ``.parquet`` file with a column ``text`` of strings or of UTF-8; rows of null are left out.

    Sources of documents end in the 0-based number of the row.
    """

    def __init__(self, path: Path, source: str) -> None:
        self._path, self._source = path, source
        with _readable(path), pq.ParquetFile(path) as file:
            _check_column(file.schema_arrow, path)
            counts: list[int] = [
                file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)
            ]
        self._ends = list(accumulate(counts, initial=0))

    @override
    def __len__(self) -> int:
        return self._ends[-1]

    @override
    def read(self, rows: Sequence[int]) -> list[Document]:
        documents = []
        with _readable(self._path), pq.ParquetFile(self._path) as file:
            for group, members in groupby(rows, key=lambda row: bisect_right(self._ends, row) - 1):
                column = file.read_row_group(group, columns=[_FIELD]).column(0)
                for row in members:
                    text = column[row - self._ends[group]].as_py() or ""
                    if isinstance(text, bytes):
                        text = _decode(text, f"{self._path}, row {row}")
                    documents.append(Document(text, f"{self._source}#{row}"))
        return documents


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # pyarrow reports damage as an OSError without a number.
        reason = error.strerror or f"it is damaged ({error})"
        msg = f"cannot read {path}: {reason}; check the file and its permissions"
        raise InputError(msg) from error
    except LookupError as error:
        msg = f"{path} was changed while it was read; read it when nobody writes to it"
        raise InputError(msg) from error
    except (ValueError, pa.ArrowException) as error:
        msg = f"cannot read {path}: it is damaged ({error}); write the file again"
        raise InputError(msg) from error


def _whole(opened: Opened) -> bytes:
    """The bytes of a text. Of a binary file no more than its first zero is read."""
    parts = []
    with opened() as stream:
        while part := stream.read(_AT_ONCE):
            parts.append(part)
            if b"\0" in part:
                break
    return b"".join(parts)


def _decode(data: bytes, where: str, offset: int = 0) -> str:
    zero = data.find(0)
    if zero >= 0:
        raise InputError(
            f"{where} is binary: byte {offset + zero} is zero; give UTF-8 text, and convert text "
            "in another encoding first, for example with `iconv -f UTF-16 -t UTF-8`"
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{where} is not UTF-8: byte {offset + error.start} is 0x{data[error.start]:02x}; "
            "convert it first, for example with `iconv -f LATIN1 -t UTF-8`"
        ) from error


def _line_text(line: bytes, path: Path, number: int, position: int) -> str:
    where = f"{path}, line {number}"
    text = _decode(line, where, position).removeprefix(_BOM)
    try:
        # Numbers are read by nobody, and one of thousands of digits is no fault of the text.
        value = json.loads(text, parse_int=len)
    except (ValueError, RecursionError) as error:
        msg = f'{where} is not JSON ({error}); write one {{"text": "..."}} per line'
        raise InputError(msg) from error
    result = value.get(_FIELD) if isinstance(value, dict) else value
    if isinstance(result, str):
        return result
    msg = f'{where} has no text: found {_found(value)}; write one {{"text": "..."}} per line'
    raise InputError(msg)


def _found(value: object) -> str:
    if not isinstance(value, dict):
        return f"{type(value).__name__} instead of an object"
    if _FIELD in value:
        return f"{type(value[_FIELD]).__name__} instead of a string in the field {_FIELD}"
    return f"the fields {field_name([', '.join(list(value)[:10])])}" if value else "an empty object"


def _check_column(schema: Any, path: Path) -> None:
    if (n_columns := schema.names.count(_FIELD)) > 1:
        msg = f"{path} has {n_columns} columns {_FIELD}; rename all but the one that is to be read"
        raise InputError(msg)
    if _FIELD not in schema.names:
        raise InputError(
            f"{path} has no column {_FIELD}, only {field_name([', '.join(schema.names[:10])])}; "
            f"rename the column that holds the documents to {_FIELD}"
        )
    kind = schema.field(_FIELD).type
    while pa.types.is_dictionary(kind) or isinstance(kind, pa.BaseExtensionType):
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind.storage_type
    # Every width and layout of strings, and bytes without the note that they are UTF-8.
    if not re.fullmatch(r"(large_)?(string|binary)(_view)?", str(kind)):
        raise InputError(f"{path}: the column {_FIELD} holds {kind}; it must hold strings")

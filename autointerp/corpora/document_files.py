"""Files of documents as text: plain, and JSON lines."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Protocol

import pyarrow as pa
from typing_extensions import override

from autointerp.core.errors import InputError, field_name
from autointerp.core.text import Document

FIELD = "text"
"""Where a document stands in an object or a table, where no field is named."""
_AT_ONCE = 1 << 20
_LINE = 1 << 28
_BOM = "\ufeff"
_MISSING = object()

Opened = Callable[[], BufferedReader]
"""Opens the bytes of a file, unpacked ones where it is compressed."""


@dataclass(frozen=True, slots=True)
class FileOptions:
    """How a file is read."""

    field: str = FIELD
    """Where a document stands in an object or a table."""
    partial: bool = False
    """Whether it may be read up to where it is damaged."""


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

    def __init__(
        self, path: Path, source: str, _options: FileOptions, opened: Opened | None = None
    ) -> None:
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
        with readable(self._path):
            text = decode(_whole(self._open), str(self._path))
        return text.removeprefix(_BOM).replace("\r\n", "\n")


class JsonLinesFile(DocumentFile):
    """A ``.jsonl`` file: on each line a string or an object with the field, null for no text.

    Sources of documents end in the 1-based number of the line.
    """

    def __init__(
        self, path: Path, source: str, options: FileOptions, opened: Opened | None = None
    ) -> None:
        """Reads up to the first line that holds no text where the file may be partial."""
        self._path, self._source, self._field = path, source, options.field
        self._open: Opened = opened or (lambda: path.open("rb"))
        self._starts, self._numbers = array("q"), array("q")
        position = 0
        with readable(path), self._open() as stream:
            for number, line in enumerate(iter(lambda: stream.readline(_LINE), b""), start=1):
                if len(line) == _LINE:
                    msg = f"{path}, line {number} has more than {_LINE:,} bytes; write one document"
                    raise InputError(f"{msg} per line")
                if line.strip():
                    try:
                        self._text_of(line, number, position)
                    except InputError as error:
                        if not options.partial or not self._starts:
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
        with readable(self._path), self._open() as stream:
            for row in rows:
                number, start = self._numbers[row], self._starts[row]
                stream.seek(start)
                text = self._text_of(stream.readline(), number, start)
                documents.append(Document(text, f"{self._source}:{number}"))
        return documents

    def _text_of(self, line: bytes, number: int, position: int) -> str:
        return line_text(line, f"{self._path}, line {number}", position, self._field)


def look_at_lines(path: Path, field: str) -> None:
    """Nothing, where the first line that is not empty holds a text.

    Raises:
        InputError: it does not.
    """
    with readable(path), path.open("rb") as stream:
        for number, line in enumerate(iter(lambda: stream.readline(_LINE), b""), start=1):
            if line.strip():
                line_text(line, f"{path}, line {number}", 0, field)
                return


def line_text(line: bytes, where: str, position: int, field: str) -> str:
    """The text on a line, empty for null.

    Raises:
        InputError: it has none; the message says where.
    """
    how = 'write one {"text": "..."} per line'
    text = decode(line, where, position).removeprefix(_BOM)
    try:
        # Numbers are read by nobody, and one of thousands of digits is no fault of the text.
        value = json.loads(text, parse_int=len)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is not JSON ({error}); {how}") from error
    result: object = value
    if isinstance(value, dict):
        result = value.get(field, _MISSING)
        if field == FIELD:
            how += ", or name the field that holds it behind the path, :FIELD"
        else:
            how = "name the field that holds it behind the path, :FIELD"
    if result is None:
        return ""
    if isinstance(result, str):
        return result
    raise InputError(f"{where} has no text: found {_found(value, field)}; {how}")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turns what reading a file raises into a message that names it.

    Raises:
        InputError: it cannot be read, is damaged, or was changed while it was read.
    """
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


def decode(data: bytes, where: str, offset: int = 0) -> str:
    """The text that the bytes are in UTF-8.

    Raises:
        InputError: they are not; the place counts from the offset.
    """
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


def _found(value: object, field: str) -> str:
    if not isinstance(value, dict):
        return f"{type(value).__name__} instead of an object"
    if field in value:
        strings = [name for name, other in value.items() if isinstance(other, str)]
        hold = "holds a string" if len(strings) == 1 else "hold strings"
        others = f" ({listed_fields(strings)} {hold})" if strings else ""
        return f"{type(value[field]).__name__} instead of a string in the field {field}{others}"
    return f"the fields {listed_fields(value)}" if value else "an empty object"


def listed_fields(names: Iterable[str]) -> str:
    """The first ten of the fields, as a message names them."""
    return field_name([", ".join(list(names)[:10])])

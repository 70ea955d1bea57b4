"""Files of documents in a column: Parquet, and Arrow's own formats."""

from __future__ import annotations

import re
from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import ipc
from typing_extensions import override

from autointerp.core.errors import InputError
from autointerp.core.text import Document
from autointerp.corpora.document_files import (
    DocumentFile,
    FileOptions,
    decode,
    listed_fields,
    readable,
)


class ColumnFile(DocumentFile):
    """A file with a column of strings or of UTF-8, null for no text, stored in groups of rows.

    Sources of documents end in the 0-based number of the row.
    """

    def __init__(self, path: Path, source: str, options: FileOptions) -> None:
        self._path, self._source, self._field = path, source, options.field
        with readable(path):
            # Rows before each group, and all rows at the end.
            self._ends = list(accumulate(self._group_sizes(), initial=0))

    @override
    def __len__(self) -> int:
        return self._ends[-1]

    @override
    def read(self, rows: Sequence[int]) -> list[Document]:
        documents = []
        with readable(self._path):
            for group, members in groupby(rows, key=lambda row: bisect_right(self._ends, row) - 1):
                column = self._column(group)
                for row in members:
                    text = column[row - self._ends[group]].as_py() or ""
                    if isinstance(text, bytes):
                        text = decode(text, f"{self._path}, row {row}")
                    documents.append(Document(text, f"{self._source}#{row}"))
        return documents

    @abstractmethod
    def _group_sizes(self) -> Iterable[int]:
        """The rows of each group; checks the column."""

    @abstractmethod
    def _column(self, group: int) -> Any:
        """The texts of a group."""


class ParquetFile(ColumnFile):
    """A ``.parquet`` file."""

    @override
    def _group_sizes(self) -> Iterable[int]:
        with pq.ParquetFile(self._path) as file:
            check_column(file.schema_arrow, self._field, self._path)
            return [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]

    @override
    def _column(self, group: int) -> Any:
        with pq.ParquetFile(self._path) as file:
            return file.read_row_group(group, columns=[self._field]).column(0)


class ArrowFile(ColumnFile):
    """An ``.arrow`` or ``.feather`` file: Arrow's format of files or of streams.

    The file is mapped: of a format of streams that is not compressed nothing is copied.
    """

    @override
    def _group_sizes(self) -> Iterable[int]:
        mapped, opens, place = _opened_arrow(self._path, self._field)
        reader = opens(mapped, options=ipc.IpcReadOptions(included_fields=[place]))
        if opens is ipc.open_stream:
            parts = list(reader)
            self._batch, n_parts = parts.__getitem__, len(parts)
        else:
            self._batch, n_parts = reader.get_batch, reader.num_record_batches
        return [self._checked(self._batch(n)) for n in range(n_parts)]

    def _checked(self, batch: Any) -> int:
        # Places outside of the file would be read without a word.
        batch.validate(full=True)
        return int(batch.num_rows)

    @override
    def _column(self, group: int) -> Any:
        return self._batch(group).column(0)


def look_at_parquet(path: Path, field: str) -> None:
    """Nothing, where a file has such a column of strings.

    Raises:
        InputError: it has not.
    """
    with readable(path):
        check_column(pq.read_schema(path), field, path)


def look_at_arrow(path: Path, field: str) -> None:
    """`look_at_parquet` for Arrow's formats."""
    with readable(path):
        _opened_arrow(path, field)


def _opened_arrow(path: Path, field: str) -> tuple[Any, Callable[..., Any], int]:
    """The mapped file at its beginning, what reads its format, and the place of the column."""
    mapped = pa.memory_map(str(path))
    begins = mapped.read(6)
    if begins.startswith(b"FEA1"):
        raise InputError(f"{path} is Feather of version 1; write it in version 2")
    opens = ipc.open_file if begins == b"ARROW1" else ipc.open_stream
    mapped.seek(0)
    schema = opens(mapped).schema
    check_column(schema, field, path)
    mapped.seek(0)
    return mapped, opens, schema.names.index(field)


def check_column(schema: Any, field: str, path: Path) -> None:
    """Nothing, where a table has one column of that name, and it holds strings.

    Raises:
        InputError: it has none or several, or other values; the message names those that do.
    """
    if (n_columns := schema.names.count(field)) > 1:
        msg = f"{path} has {n_columns} columns {field}; rename all but the one that is to be read"
        raise InputError(msg)
    strings = [
        name for name, kind in zip(schema.names, schema.types, strict=True) if _is_text(kind)
    ]
    if field not in schema.names:
        raise InputError(
            f"{path} has no column {field}, only {listed_fields(schema.names)}; name the one that "
            f"holds the documents behind the path of the corpus, :{next(iter(strings), 'FIELD')}"
        )
    kind = schema.field(field).type
    if not _is_text(kind):
        others = f" ({listed_fields(strings)} do)" if strings else ""
        raise InputError(f"{path}: the column {field} holds {kind}; it must hold strings{others}")


def _is_text(kind: Any) -> bool:
    """Strings of every width and layout, and bytes without the note that they are UTF-8."""
    while pa.types.is_dictionary(kind) or isinstance(kind, pa.BaseExtensionType):
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind.storage_type
    return re.fullmatch(r"(large_)?(string|binary)(_view)?", str(kind)) is not None

"""Rows as they come, into Parquet and JSON Lines at once, a row group in memory at a time."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from autointerp.core.files import replacing
from autointerp.dictionary.rows import ROW_SCHEMA, Row
from autointerp.store.codec import plain_json

PARQUET = "labels.parquet"
JSONL = "labels.jsonl.gz"
_ROW_GROUP = 4096


class TableWriter:
    """Takes rows one at a time; made by `table_writer`."""

    def __init__(self, parquet: pq.ParquetWriter, lines: IO[bytes]) -> None:
        self._parquet = parquet
        self._lines = lines
        self._group: list[Row] = []

    def add(self, row: Row) -> None:
        """Writes the row's line, and the row group when it is full."""
        self._lines.write(plain_json(row))
        self._group.append(row)
        if len(self._group) >= _ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        """Writes the rows that wait for their group."""
        if self._group:
            self._parquet.write_table(pa.Table.from_pylist(self._group, schema=ROW_SCHEMA))
            self._group = []


@contextmanager
def table_writer(folder: Path) -> Iterator[TableWriter]:
    """Both tables of a folder; they replace older ones when the block ends well."""
    with (
        replacing(folder / PARQUET) as parquet_path,
        replacing(folder / JSONL) as lines_path,
        # pyarrow's own files report a full disk in words of their own; Python's do not.
        parquet_path.open("wb") as sink,
        gzip_writer(lines_path) as lines,
        pq.ParquetWriter(sink, ROW_SCHEMA, compression="zstd") as parquet,
    ):
        writer = TableWriter(parquet, lines)
        yield writer
        writer.flush()


@contextmanager
def gzip_writer(path: Path) -> Iterator[IO[bytes]]:
    """A compressed file without name and time in it, so that equal lines are equal files."""
    with path.open("wb") as raw:
        packed: Any = gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0)
        with packed:
            yield packed

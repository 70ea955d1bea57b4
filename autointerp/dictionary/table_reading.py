"""Reads ``labels.parquet`` of a feature dictionary."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from autointerp.core.errors import InputError, StorageError
from autointerp.core.files import storage_errors
from autointerp.core.ids import Side
from autointerp.dictionary.manifest import AGAIN
from autointerp.dictionary.rows import (
    OLD_NAMES,
    ROW_SCHEMA,
    Row,
    chance_p,
    current_row,
    label_row,
)
from autointerp.statistics.permutation import q_values

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from autointerp.core.explanations import Label

_ROWS = 1_000
_NEEDED = ("model_id", "layer", "index", "hook", "polarity", "unit")
"""Columns by which labels are found."""


def table_rows(path: Path) -> Iterator[Row]:
    """Every row, in the table's order; columns that it was written without are None.

    A table of schema 1 has its columns under the names of now.

    Raises:
        StorageError: it is damaged, or not a table of labels.
    """
    with _table_errors(path), pq.ParquetFile(path) as file:
        _columns(file, path)
        for batch in file.iter_batches(batch_size=_ROWS):
            for row in batch.to_pylist():
                yield current_row(row)


def table_keys(path: Path) -> tuple[tuple[str, int, Side], ...]:
    """The hook point, index and side of every row, in the table's order.

    Raises:
        StorageError: it is damaged, or not a table of labels.
    """
    with _table_errors(path), pq.ParquetFile(path) as file:
        names = _columns(file, path)
        wanted = [names[name] for name in ("hook", "index", "polarity")]
        columns = [file.read([name]).column(0).to_pylist() for name in wanted]
        return tuple((h, int(i), Side(side)) for h, i, side in zip(*columns, strict=True))


def _columns(file: pq.ParquetFile, path: Path) -> dict[str, str]:
    """Every column's own name by that of now."""
    names = {OLD_NAMES.get(name, name): name for name in file.schema_arrow.names}
    lacking = [name for name in _NEEDED if name not in names]
    if lacking:
        msg = f"{path} is not a table of labels: it has no column {lacking[0]}; {AGAIN}"
        raise StorageError(msg)
    return names


def table_of(path: Path) -> pa.Table:
    """The table with the columns of now, whichever version wrote it.

    Raises:
        StorageError: it is damaged.
    """
    with _table_errors(path):
        return _with_columns_of_now(pq.read_table(path))


def labels_table(labels: Sequence[Label]) -> pa.Table:
    """The table of a dictionary that has these labels."""
    adjusted = q_values([chance_p(label) for label in labels])
    rows = [
        label_row(label) | {"q_value": q_value}
        for label, q_value in zip(labels, adjusted, strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=ROW_SCHEMA)


def pandas_frame(table: pa.Table) -> pd.DataFrame:
    """The table as a data frame.

    Raises:
        InputError: pandas is not installed.
    """
    _needed("pandas")
    return table.to_pandas()


def polars_frame(table: pa.Table) -> pl.DataFrame:
    """The table as a data frame of polars.

    Raises:
        InputError: polars is not installed.
    """
    return _needed("polars").from_arrow(table)


def _needed(library: str) -> Any:
    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise InputError(
            f"a data frame of {library} needs {library}, which is not installed: run "
            f"`pip install {library}`"
        ) from error


def _with_columns_of_now(table: pa.Table) -> pa.Table:
    named = zip(table.schema.names, table.columns, strict=True)
    there = {OLD_NAMES.get(name, name): column for name, column in named}
    there.setdefault("explanation", there.get("description"))

    def column(field: pa.Field) -> Any:
        found = there.pop(field.name, None)
        return pa.nulls(len(table), field.type) if found is None else found.cast(field.type)

    ours = {field.name: column(field) for field in ROW_SCHEMA}
    return pa.table(ours | there)


@contextmanager
def _table_errors(path: Path) -> Iterator[None]:
    with storage_errors(path, verb="read"):
        try:
            yield
        except (pa.ArrowException, ValueError, OverflowError) as error:
            raise StorageError(f"{path} is damaged: {error}; {AGAIN}") from error

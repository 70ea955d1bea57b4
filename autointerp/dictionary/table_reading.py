"""Reads ``labels.parquet`` of a feature dictionary."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from autointerp.core.errors import InputError, StorageError
from autointerp.core.files import storage_errors
from autointerp.dictionary.manifest import AGAIN
from autointerp.dictionary.rows import COLUMNS, ROW_SCHEMA, Row

if TYPE_CHECKING:
    import pandas as pd

_ROWS = 1_000
_NEEDED = ("modelId", "layer", "index", "hook", "polarity", "unit")
"""Columns by which labels are found."""


def table_rows(path: Path) -> Iterator[Row]:
    """Every row, in the table's order; columns that it was written without are None.

    Raises:
        StorageError: it is damaged, or not a table of labels.
    """
    with _table_errors(path), pq.ParquetFile(path) as file:
        lacking = [name for name in _NEEDED if name not in file.schema_arrow.names]
        if lacking:
            msg = f"{path} is not a table of labels: it has no column {lacking[0]}; {AGAIN}"
            raise StorageError(msg)
        for batch in file.iter_batches(batch_size=_ROWS):
            for row in batch.to_pylist():
                yield dict.fromkeys(COLUMNS) | row


def table_frame(path: Path) -> pd.DataFrame:
    """The table as a data frame.

    Raises:
        InputError: pandas is not installed.
        StorageError: it is damaged.
    """
    try:
        importlib.import_module("pandas")
    except ImportError as error:
        msg = "a data frame needs pandas, which is not installed: run `pip install pandas`"
        raise InputError(msg) from error
    with _table_errors(path):
        table = pq.read_table(path)
        for field in ROW_SCHEMA:
            if field.name not in table.schema.names:
                table = table.append_column(field, pa.nulls(len(table), field.type))
        return table.to_pandas()


@contextmanager
def _table_errors(path: Path) -> Iterator[None]:
    with storage_errors(path, verb="read"):
        try:
            yield
        except (pa.ArrowException, ValueError, OverflowError) as error:
            raise StorageError(f"{path} is damaged: {error}; {AGAIN}") from error

"""Folders as the library `datasets` leaves them with ``save_to_disk``, written without it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa


def write_stream(path: Path, table: pa.Table, *, rows: int = 40) -> None:
    """A table in Arrow's format of streams, in parts of so many rows."""
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)


def write_saved(
    folder: Path, columns: Mapping[str, Any], *, n_files: int = 1, split: str | None = None
) -> Path:
    """One data set; its rows lie in so many files."""
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.table(dict(columns))
    size = -(-table.num_rows // n_files)
    names = [f"data-{i:05}-of-{n_files:05}.arrow" for i in range(n_files)]
    for i, name in enumerate(names):
        write_stream(folder / name, table.slice(i * size, size))
    state = {
        "_data_files": [{"filename": name} for name in names],
        "_fingerprint": "31089f92b4914391",
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": split,
    }
    (folder / "state.json").write_text(json.dumps(state, indent=2))
    features = {name: {"dtype": "string", "_type": "Value"} for name in columns}
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))
    return folder


def write_splits(folder: Path, splits: Mapping[str, Mapping[str, Any]]) -> Path:
    """Several splits of one data set."""
    for name, columns in splits.items():
        write_saved(folder / name, columns, split=name)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(splits)}))
    return folder

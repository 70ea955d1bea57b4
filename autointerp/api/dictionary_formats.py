"""The formats of the feature dictionary, each written as a stream from the rows of the labels."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq

from autointerp.core.discovery import q_values
from autointerp.core.ids import Side, UnitId
from autointerp.core.labels import Label
from autointerp.dictionary.neuronpedia import (
    KINDS,
    UnitLines,
    by_unit,
    neuronpedia_files,
    unit_lines,
)
from autointerp.dictionary.records import LabelRecords, label_records
from autointerp.dictionary.rows import ROW_SCHEMA
from autointerp.store.protocol import Store

__all__ = ["FORMATS", "Format", "Source"]

_ROW_GROUP = 4096
# No string of JSON can hold these bytes: its quotes are escaped.
_P_VALUE = re.compile(rb'"p_value": ?([^,}]+)[,}]')
_NO_Q = re.compile(rb'"q_value": ?null')


@dataclass(frozen=True, slots=True)
class Source:
    """What a dictionary is made of."""

    model: str
    rows: Sequence[bytes]
    """A row of JSON a label, in reading order."""
    change: int
    """Number of the last change that is in them."""
    store: Store


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write it."""

    media_type: str
    suffix: str
    version: str
    """Other versions write other bytes for the same labels."""
    write: Callable[[Source, IO[bytes]], None]


def _write_jsonl(source: Source, file: IO[bytes]) -> None:
    for rows in _adjusted(source.rows):
        file.write(b"".join(rows))
        file.flush()


def _write_parquet(source: Source, file: IO[bytes]) -> None:
    options = pj.ParseOptions(explicit_schema=ROW_SCHEMA, unexpected_field_behavior="error")
    with pq.ParquetWriter(file, ROW_SCHEMA, compression="zstd") as parquet:
        file.flush()
        for rows in _adjusted(source.rows):
            block = b"".join(rows)
            # One block, so that a row that is longer than usual is not cut.
            reading = pj.ReadOptions(use_threads=False, block_size=len(block) + 1)
            table = pj.read_json(io.BytesIO(block), reading, options)
            parquet.write_table(table.select(ROW_SCHEMA.names).cast(ROW_SCHEMA))
            file.flush()


def _write_neuronpedia(source: Source, file: IO[bytes]) -> None:
    # Small blocks: the folders, which come first, go out before any label was read.
    with tarfile.open(
        mode="w|", fileobj=file, format=tarfile.PAX_FORMAT, bufsize=tarfile.BLOCKSIZE
    ) as archive:
        for kind in KINDS:
            member = tarfile.TarInfo(f"{_safe(source.model)}/{kind}")
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(member)
        file.flush()
        for name, data in neuronpedia_files(_units(source)):
            member = tarfile.TarInfo(f"{_safe(source.model)}/{name}")
            member.size = len(data)
            member.mode = 0o644
            archive.addfile(member, io.BytesIO(data))
            file.flush()


def _adjusted(rows: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Row groups of lines with the q-values that all rows together give."""
    adjusted = q_values([_p_value(row) for row in rows])
    for first in range(0, len(rows), _ROW_GROUP):
        group = slice(first, first + _ROW_GROUP)
        yield [_line(row, q) for row, q in zip(rows[group], adjusted[group], strict=True)]


def _p_value(row: bytes) -> float | None:
    found = _P_VALUE.search(row)
    return None if found is None or found[1] == b"null" else float(found[1])


def _line(row: bytes, q_value: float | None) -> bytes:
    line = row.strip()
    if q_value is not None:
        line = _NO_Q.sub(b'"q_value":' + repr(q_value).encode(), line, count=1)
    return line + b"\n"


def _units(source: Source) -> Iterator[UnitLines]:
    # The store reads many labels at a time, in the order of the rows.
    for labels in by_unit(source.store.labels()):
        yield unit_lines(labels, _records(source.store, labels), corpus=labels[0].provenance.corpus)


def _records(
    store: Store, labels: tuple[Label, ...]
) -> Callable[[UnitId, Side], LabelRecords | None]:
    by_side = {label.side: label for label in labels}

    def records_of(unit: UnitId, side: Side) -> LabelRecords | None:
        sets = store.get_sets(unit, side)
        return None if sets is None else label_records(by_side[side], sets)

    return records_of


def _safe(model: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", model).lstrip(".") or "model"


FORMATS: dict[str, Format] = {
    "parquet": Format(
        "application/vnd.apache.parquet", ".parquet", f"pyarrow {pa.__version__}", _write_parquet
    ),
    "jsonl": Format("application/x-ndjson", ".jsonl", "1", _write_jsonl),
    "neuronpedia": Format("application/x-tar", ".neuronpedia.tar", "2", _write_neuronpedia),
}

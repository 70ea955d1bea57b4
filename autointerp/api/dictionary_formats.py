"""The formats of the feature dictionary, each written as a stream from the rows of the labels."""

from __future__ import annotations

import gzip
import json
import logging
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import IO, TypeVar, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj
import pyarrow.parquet as pq

from autointerp.core.asynchrony import prefetch
from autointerp.core.errors import AutointerpError
from autointerp.core.ids import Side, UnitId
from autointerp.core.unreadable import if_readable
from autointerp.dictionary.archive import write_archive
from autointerp.dictionary.manifest import JSONL, PARQUET
from autointerp.dictionary.neuronpedia import (
    KINDS,
    UnitLines,
    by_unit,
    neuronpedia_files,
    unit_lines,
)
from autointerp.dictionary.rows import ROW_SCHEMA
from autointerp.statistics.permutation import q_values
from autointerp.store.label_records import LabelRecords, label_records
from autointerp.store.labels import LabelStore
from autointerp.store.labels.layout import SideKey

_LOGGER = logging.getLogger("autointerp.api")
_ROW_GROUP = 4096
_Q_VALUE = ROW_SCHEMA.names.index("q_value")
# No string of JSON can hold these bytes: its quotes are escaped.
_P_VALUE = re.compile(rb'"p_value": ?([^,}]+)[,}]')
_NO_Q = re.compile(rb'"q_value": ?null')

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LabelRows:
    """What a dictionary is made of."""

    model: str
    rows: Sequence[bytes]
    """A row of JSON a label, in reading order."""
    change: int
    """Number of the last change that is in them."""
    store: LabelStore
    left_out: list[str] = field(default_factory=list)
    """Why labels or records could not be read while it was written, a sentence each."""

    def leave_out(self, error: AutointerpError) -> None:
        """Goes on without what cannot be read."""
        _LOGGER.warning("the dictionary of %s is written without: %s", self.model, error)
        self.left_out.append(str(error))


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write it."""

    media_type: str
    suffix: str
    version: str
    """Other versions write other bytes for the same labels."""
    write: Callable[[LabelRows, IO[bytes]], None]
    reads_store: bool = False
    """Whether it reads labels and records anew, which may not all be readable each time."""


def _write_jsonl(source: LabelRows, file: IO[bytes]) -> None:
    for lines in _groups(source.rows, _lines):
        file.write(lines())
        file.flush()


def _write_parquet(source: LabelRows, file: IO[bytes]) -> None:
    with pq.ParquetWriter(file, ROW_SCHEMA, compression="zstd") as parquet:
        file.flush()
        # Reading rows takes most of the time, beside which the group before them is written.
        for table in prefetch(_groups(source.rows, _table), n_threads=1):
            parquet.write_table(table)
            file.flush()


def _table(rows: Sequence[bytes], adjusted: Sequence[float | None]) -> pa.Table:
    """A row group with its q-values."""
    block = b"\n".join(rows)
    options = pj.ParseOptions(explicit_schema=ROW_SCHEMA, unexpected_field_behavior="error")
    # One block, so that a row that is longer than usual is not cut.
    reading = pj.ReadOptions(use_threads=False, block_size=len(block) + 1)
    table = pj.read_json(pa.BufferReader(block), reading, options).select(ROW_SCHEMA.names)
    given = table.column(_Q_VALUE).combine_chunks()
    known = pc.coalesce(given, pa.array(adjusted, pa.float64()))
    return table.set_column(_Q_VALUE, ROW_SCHEMA.field(_Q_VALUE), known).cast(ROW_SCHEMA)


def _write_neuronpedia(source: LabelRows, file: IO[bytes]) -> None:
    # The archive is written here: `tarfile` keeps back what does not fill a block of its, and the
    # folders shall go out before any label was read.
    n_bytes = 0
    for kind in KINDS:
        member = tarfile.TarInfo(f"{_safe(source.model)}/{kind}")
        member.type, member.mode = tarfile.DIRTYPE, 0o755
        n_bytes += file.write(_packed(member))
    file.flush()
    for name, data in neuronpedia_files(_units(source)):
        member = tarfile.TarInfo(f"{_safe(source.model)}/{name}")
        member.size = len(data)
        member.mode = 0o644
        n_bytes += file.write(_packed(member, data))
        file.flush()
    end = 2 * tarfile.BLOCKSIZE
    file.write(bytes(end + -(n_bytes + end) % tarfile.RECORDSIZE))


def _write_archive(source: LabelRows, file: IO[bytes]) -> None:
    sides: set[SideKey] = set()
    for row in map(json.loads, source.rows):
        unit = UnitId.parse(row["unit"])
        sides.add((unit.hook, unit.index, Side(row["polarity"])))
    write_archive(
        file,
        _safe(source.model),
        source.store,
        sides=sides,
        on_unreadable=source.leave_out,
        tables={
            PARQUET: partial(_write_parquet, source),
            JSONL: partial(_write_jsonl_gz, source),
        },
    )


def _write_jsonl_gz(source: LabelRows, file: IO[bytes]) -> None:
    with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as lines:
        _write_jsonl(source, cast(IO[bytes], lines))


def _packed(member: tarfile.TarInfo, data: bytes = b"") -> bytes:
    head = member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    return head + data + bytes(-len(data) % tarfile.BLOCKSIZE)


def _lines(rows: Sequence[bytes], adjusted: Sequence[float | None]) -> bytes:
    """Lines with their q-values."""
    return b"".join(map(_line, rows, adjusted))


def _groups(
    rows: Sequence[bytes], make: Callable[[Sequence[bytes], Sequence[float | None]], T]
) -> Iterator[Callable[[], T]]:
    """What makes each row group of its rows and of the q-values that all rows together give."""
    adjusted = q_values([_p_value(row) for row in rows])
    for first in range(0, len(rows), _ROW_GROUP):
        group = slice(first, first + _ROW_GROUP)
        yield partial(make, rows[group], adjusted[group])


def _p_value(row: bytes) -> float | None:
    match = _P_VALUE.match(row, max(0, row.find(b'"p_value":')))
    return None if match is None or match[1] == b"null" else float(match[1])


def _line(row: bytes, q_value: float | None) -> bytes:
    line = row.strip()
    match = _NO_Q.match(line, max(0, line.find(b'"q_value":')))
    if q_value is not None and match is not None:
        first, last = match.span()
        line = b'%b"q_value":%b%b' % (line[:first], repr(q_value).encode(), line[last:])
    return line + b"\n"


def _units(source: LabelRows) -> Iterator[UnitLines]:
    # The store reads many labels at a time, in the order of the rows.
    units = by_unit(source.store.summaries(source.leave_out))
    first = next(units, None)
    if first is None:
        return
    # Asked for after the labels were listed: sets are put before their label.
    records = partial(_records, source, source.store.sides_with_sets())
    for labels in chain((first,), units):
        yield unit_lines(labels, records)


def _records(
    source: LabelRows, sides: Set[SideKey], unit: UnitId, side: Side
) -> LabelRecords | None:
    if (unit.hook, unit.index, side) not in sides:
        return None
    label = if_readable(partial(source.store.get_label, unit, side), source.leave_out)
    if label is None:
        return None
    read = partial(source.store.get_sets, unit, side, label.origin)
    sets = if_readable(read, source.leave_out)
    return None if sets is None else label_records(label, sets)


def _safe(model: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", model).lstrip(".") or "model"


FORMATS: dict[str, Format] = {
    "parquet": Format(
        "application/vnd.apache.parquet", ".parquet", f"3, pyarrow {pa.__version__}", _write_parquet
    ),
    "jsonl": Format("application/x-ndjson", ".jsonl", "3", _write_jsonl),
    "neuronpedia": Format(
        "application/x-tar", ".neuronpedia.tar", "6", _write_neuronpedia, reads_store=True
    ),
    "archive": Format(
        "application/zip",
        ".zip",
        f"3, pyarrow {pa.__version__}, zlib {zlib.ZLIB_RUNTIME_VERSION}",
        _write_archive,
        reads_store=True,
    ),
}

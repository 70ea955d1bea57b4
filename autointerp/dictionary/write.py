"""Writes the feature dictionary of a store, one label in memory at a time."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from autointerp.core.errors import AutointerpError
from autointerp.core.explanations import Label, PromptRef
from autointerp.core.files import TEMP_SUFFIX, replacing, storage_errors, write_atomic
from autointerp.core.json_text import parse_json
from autointerp.core.unreadable import OnUnreadable, refuse_unreadable
from autointerp.dictionary.manifest import (
    JSONL,
    MANIFEST,
    PARQUET,
    SCHEMA,
    Counts,
    Manifest,
    ManifestInfo,
    Seeds,
    file_digest,
)
from autointerp.dictionary.rows import ROW_SCHEMA, Row, chance_p, label_row
from autointerp.statistics.permutation import q_values
from autointerp.store.codec import plain_json
from autointerp.store.labels import FolderLabelStore, LabelStore
from autointerp.store.labels.label_store import copy_all

_ROW_GROUP = 4096


def write_dictionary(
    folder: Path | str,
    store: LabelStore,
    info: ManifestInfo,
    on_unreadable: OnUnreadable = refuse_unreadable,
) -> Manifest:
    """The manifest of the dictionary that now lies in the folder.

    The same labels give the same bytes, but for the manifest's time. An older manifest goes
    first and the new one comes last, so a folder with a manifest is whole.

    Raises:
        StorageError: the disk refuses, or a label is damaged and `on_unreadable` does not take it.
    """
    folder = Path(folder)
    with storage_errors(folder / MANIFEST):
        (folder / MANIFEST).unlink(missing_ok=True)
    told: set[str] = set()

    def tell_once(error: AutointerpError) -> None:
        if str(error) not in told:
            told.add(str(error))
            on_unreadable(error)

    made = ManifestParts(info)
    with table_writer(folder) as tables, storage_errors(folder), TemporaryFile(dir=folder) as rows:
        # They wait on the disk and not in memory: adjusted p-values depend on every label.
        p_values = []
        for label in store.labels_without_trials(tell_once):
            rows.write(plain_json(label_row(label)))
            p_values.append(chance_p(label))
            made.add(label)
        rows.seek(0)
        for line, q_value in zip(rows, q_values(p_values), strict=True):
            tables.add(parse_json(line) | {"q_value": q_value})
    for name in (PARQUET, JSONL, *_put_store(folder, store, tell_once)):
        made.files[name] = file_digest(folder / name)
    write_atomic(folder / MANIFEST, made.manifest_json())
    return made.manifest()


def _put_store(folder: Path, store: LabelStore, on_unreadable: OnUnreadable) -> list[str]:
    """The names of the files of the labels and records that now lie in the folder."""
    if isinstance(store, FolderLabelStore) and store.folder.resolve() == folder.resolve():
        return store.compact(on_unreadable)
    with storage_errors(folder), TemporaryDirectory(TEMP_SUFFIX, ".", folder) as scratch:
        copy = FolderLabelStore(scratch)
        copy_all(store, copy, on_unreadable)
        for kept in store.all_evidence(on_unreadable):
            copy.put_evidence(kept)
        names = copy.compact()
        for name in names:
            with storage_errors(folder / name):
                (folder / name).parent.mkdir(exist_ok=True)
        FolderLabelStore(folder).clear()
        copy.move_into(folder)
    return names


class ManifestParts:
    """What one pass over the labels adds up to."""

    def __init__(self, info: ManifestInfo) -> None:
        self.files: dict[str, str] = {}
        """Digests of the dictionary's files, by their names."""
        self._info = info
        self._counts: Counter[str] = Counter()
        self._prompts: dict[PromptRef, None] = dict.fromkeys(info.provenance.prompts)
        self._n_other = 0

    def add(self, label: Label) -> None:
        """Counts the label."""
        self._counts["labels"] += 1
        self._counts[label.status.value] += 1
        self._prompts |= dict.fromkeys(label.provenance.prompts)
        expected = replace(self._info.provenance, prompts=label.provenance.prompts)
        self._n_other += label.provenance != expected

    def manifest(self) -> Manifest:
        """The manifest over everything added."""
        job, made, created = self._info.job, self._info.provenance, self._info.created
        return Manifest(
            schema_version=SCHEMA,
            package_version=made.package_version,
            created=created.isoformat(timespec="seconds") if created else None,
            counts=Counts(**self._counts),
            subject=made.subject,
            subject_revision=made.subject_revision,
            dtype=made.dtype,
            tokenizer=made.tokenizer,
            corpus=made.corpus,
            corpus_hash=made.corpus_hash,
            n_tokens=made.n_tokens,
            n_ctx=made.n_ctx,
            seeds=Seeds(
                run=job.seed if job else made.seed,
                corpus=job.corpus.seed if job else None,
                collect=job.collect.seed if job else None,
            ),
            split_hash=made.split_hash,
            collect_hash=made.collect_hash,
            encoders=dict(made.encoders),
            explainer_model=made.explainer_model,
            scorer_model=made.scorer_model,
            prompts=tuple(self._prompts),
            n_other_provenance=self._n_other,
            job_fields=None if job is None else job.model_dump(mode="json"),
            files=dict(sorted(self.files.items())),
        )

    def manifest_json(self) -> bytes:
        """The content of ``manifest.json``."""
        return self.manifest().as_json()


class TableWriter:
    """Takes rows one at a time; made by `table_writer`."""

    def __init__(self, parquet: pq.ParquetWriter, lines: IO[bytes]) -> None:
        self._parquet, self._lines = parquet, lines
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
        lines_path.open("wb") as raw,
        # Without name and time in it, so that equal lines are equal files.
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as lines,
        pq.ParquetWriter(sink, ROW_SCHEMA, compression="zstd") as parquet,
    ):
        writer = TableWriter(parquet, cast(IO[bytes], lines))
        yield writer
        writer.flush()

from __future__ import annotations

import gzip
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from damaged_rows import LABELS_FILE, RECORDS_FILE, leave_half_done, stored_label
from factories import (
    make_info,
    make_label,
    make_provenance,
    make_sets,
    make_store,
    make_unit,
)
from memory_store import MemoryLabelStore
from typing_extensions import override

from autointerp.core.errors import InputError, StorageError
from autointerp.core.explanations import Label, PromptRef
from autointerp.core.ids import Side
from autointerp.core.records import UnitSets
from autointerp.core.scores import Trial
from autointerp.core.unreadable import OnUnreadable, refuse_unreadable
from autointerp.dictionary import COLUMNS, open_dictionary, open_example, write_dictionary
from autointerp.dictionary.rows import label_row
from autointerp.dictionary.write import table_writer
from autointerp.store.labels import FolderLabelStore
from autointerp.store.labels.label_store import copy_all


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def lines_of(folder: Path) -> list[dict[str, object]]:
    with gzip.open(folder / "labels.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_the_folder_holds_tables_scores_records_and_a_manifest(tmp_path: Path) -> None:
    write_dictionary(tmp_path, make_store(), make_info())
    names = set(files_of(tmp_path))
    assert {"manifest.json", "labels.parquet", "labels.jsonl.gz"} <= names
    assert {name for name in names if "/" in name} == {
        "scores/labels.sqlite",
        "records/blocks.5.mlp.hook_post.sqlite",
        "records/blocks.10.mlp.hook_post.sqlite",
    }
    assert not any(name.startswith(".") for name in names)


def test_lines_have_the_same_keys_in_reading_order(tmp_path: Path) -> None:
    write_dictionary(tmp_path, make_store(), make_info())
    lines = lines_of(tmp_path)
    assert {tuple(line) for line in lines} == {COLUMNS}
    assert [(line["layer"], line["index"], line["polarity"]) for line in lines] == [
        (5, 7, "positive"),
        (5, 8, "positive"),
        (5, 131, "positive"),
        (5, 131, "negative"),
        (10, 0, "positive"),
    ]


def test_two_writes_of_the_same_labels_differ_in_the_manifest_s_time_only(tmp_path: Path) -> None:
    later = make_info(created=datetime(2026, 1, 1, tzinfo=UTC))
    write_dictionary(tmp_path / "a", make_store(), make_info())
    disk = FolderLabelStore(tmp_path / "store")
    for label in reversed(list(make_store().labels())):
        disk.put_label(label)
        sets = make_store().get_sets(label.unit, label.side)
        if sets is not None:
            disk.put_sets(sets)
    write_dictionary(tmp_path / "b", disk, later)
    a, b = files_of(tmp_path / "a"), files_of(tmp_path / "b")
    manifests = [json.loads(files.pop("manifest.json")) for files in (a, b)]
    assert a == b
    assert [m.pop("created") for m in manifests] == [
        "2025-01-02T03:04:05+00:00",
        "2026-01-01T00:00:00+00:00",
    ]
    assert manifests[0] == manifests[1]


def test_the_compressed_table_holds_neither_time_nor_name(tmp_path: Path) -> None:
    write_dictionary(tmp_path, make_store(), make_info())
    data = (tmp_path / "labels.jsonl.gz").read_bytes()
    assert (data[3], data[4:8]) == (0, b"\0\0\0\0")


def test_the_manifest_names_every_file_with_its_digest(tmp_path: Path) -> None:
    manifest = write_dictionary(tmp_path, make_store(), make_info())
    files = files_of(tmp_path)
    files.pop("manifest.json")
    assert manifest.files == {n: hashlib.sha256(d).hexdigest() for n, d in files.items()}
    assert list(manifest.files) == sorted(manifest.files)


def test_the_manifest_counts_by_status_and_says_how_the_labels_were_made(tmp_path: Path) -> None:
    info = make_info()
    manifest = write_dictionary(tmp_path, make_store(), info)
    counts = {"labels": 5, "ok": 3, "dead": 1, "no_signal": 0, "failed": 1}
    assert asdict(manifest.counts) == counts
    assert manifest.job == info.job
    assert asdict(manifest.seeds) == {"run": 3, "corpus": 0, "collect": 0}
    made = info.provenance
    for name in ("subject", "subject_revision", "dtype", "tokenizer", "corpus", "corpus_hash"):
        assert getattr(manifest, name) == getattr(made, name)
    for name in ("split_hash", "explainer_model", "scorer_model", "package_version", "prompts"):
        assert getattr(manifest, name) == getattr(made, name)
    assert manifest.n_other_provenance == 0


def test_labels_made_otherwise_are_counted_and_their_prompts_named(tmp_path: Path) -> None:
    store, newer = make_store(), PromptRef("explain_token_activation", "v2", "ff" * 8)
    store.put_label(make_label(make_unit(9), provenance=make_provenance(package_version="0.2.0")))
    store.put_label(make_label(make_unit(10), provenance=make_provenance(prompts=(newer,))))
    manifest = write_dictionary(tmp_path, store, make_info())
    assert manifest.n_other_provenance == 1
    assert manifest.prompts == (*make_provenance().prompts, newer)


class CountingStore(MemoryLabelStore):
    """Counts how often all labels are read."""

    n_reads = 0

    @override
    def labels(self, on_unreadable: OnUnreadable = refuse_unreadable) -> Iterator[Label]:
        self.n_reads += 1
        return super().labels(on_unreadable)


def test_labels_are_read_once_for_tables_and_manifest_and_once_to_be_copied(
    tmp_path: Path,
) -> None:
    store = CountingStore()
    store.put_label(make_label())
    write_dictionary(tmp_path, store, make_info())
    assert store.n_reads == 2


def test_rows_made_without_trials_count_the_failed_ones(tmp_path: Path) -> None:
    store = FolderLabelStore(tmp_path)
    failed = Trial(4, "top", 1.0, failure="no answer")
    label = make_label()
    results = tuple(replace(r, trials=(*r.trials, failed)) for r in label.results)
    store.put_label(replace(label, results=results))
    write_dictionary(tmp_path, store, make_info())
    assert [row["n_failed"] for row in lines_of(tmp_path)] == [results[0].n_failed]
    assert results[0].n_failed > 0


def test_an_empty_store_makes_an_empty_dictionary(tmp_path: Path) -> None:
    manifest = write_dictionary(tmp_path, MemoryLabelStore(), make_info())
    assert manifest.counts.labels == 0
    assert lines_of(tmp_path) == []
    assert set(manifest.files) == {"labels.parquet", "labels.jsonl.gz"}


def with_other_text(label: Label) -> UnitSets:
    sets = make_sets(label.unit, label.side)
    record = replace(sets.explain.records[0], document=str(label.unit), tokens=tuple("abcd"))
    return replace(sets, explain=replace(sets.explain, records=(record,)))


@pytest.mark.parametrize("again", [False, True])
def test_a_run_s_folder_has_the_bytes_that_any_other_order_of_puts_gives(
    tmp_path: Path, again: bool
) -> None:
    """Also where labels and records were replaced on the way, and where it was written before."""
    labels = list(make_store().labels())
    for folder, order in (("a", labels), ("b", [*labels[2:], *labels[:3], *reversed(labels)])):
        store = FolderLabelStore(tmp_path / folder)
        for label in order:
            if folder == "b":
                store.put_sets(with_other_text(label))
            store.put_label(label)
        for label in order:
            store.put_sets(make_sets(label.unit, label.side))
        write_dictionary(tmp_path / folder, store, make_info())
        if again:
            store.put_label(labels[1])
            write_dictionary(tmp_path / folder, store, make_info())
    write_dictionary(tmp_path / "c", FolderLabelStore(tmp_path / "b"), make_info())
    a, b, c = (files_of(tmp_path / folder) for folder in "abc")
    assert a == b == c
    assert FolderLabelStore(tmp_path / "b").count() == len(labels)


def test_a_dictionary_that_is_written_again_without_a_change_is_not_touched(
    tmp_path: Path,
) -> None:
    store = FolderLabelStore(tmp_path)
    store.put_label(make_label())
    store.put_sets(make_sets())
    write_dictionary(tmp_path, store, make_info())
    files = [tmp_path / "scores/labels.sqlite", *tmp_path.glob("records/*.sqlite")]
    before = [file.stat().st_ino for file in files]
    write_dictionary(tmp_path, store, make_info())
    assert [file.stat().st_ino for file in files] == before


def test_what_an_earlier_dictionary_of_other_labels_had_is_gone(tmp_path: Path) -> None:
    write_dictionary(tmp_path, make_store(), make_info())
    other = MemoryLabelStore()
    other.put_label(make_label(make_unit(9)))
    manifest = write_dictionary(tmp_path, other, make_info())
    names = set(files_of(tmp_path)) - {"manifest.json"}
    assert names == set(manifest.files) == {"labels.parquet", "labels.jsonl.gz", LABELS_FILE}
    assert FolderLabelStore(tmp_path).count() == 1


def test_what_a_killed_writer_left_half_done_is_not_done_to_the_next_dictionary(
    tmp_path: Path,
) -> None:
    killed = FolderLabelStore(tmp_path)
    killed.put_label(make_label())
    killed.put_sets(make_sets())
    for file in (LABELS_FILE, RECORDS_FILE):
        leave_half_done(tmp_path / file)
        assert (tmp_path / f"{file}-journal").stat().st_size
    write_dictionary(tmp_path, make_store(), make_info())
    assert not list(tmp_path.rglob("*-journal"))
    assert list(FolderLabelStore(tmp_path).labels()) == list(make_store().labels())


def test_a_dictionary_of_a_newer_version_is_not_replaced(tmp_path: Path) -> None:
    write_dictionary(tmp_path, make_store(), make_info())
    with closing(sqlite3.connect(tmp_path / RECORDS_FILE)) as connection:
        connection.execute("PRAGMA user_version = 9")
    before = {name: (tmp_path / name).read_bytes() for name in (LABELS_FILE, RECORDS_FILE)}
    with pytest.raises(InputError, match="was written by a newer autointerp"):
        write_dictionary(tmp_path, MemoryLabelStore(), make_info())
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


def test_rows_leave_memory_in_groups(tmp_path: Path) -> None:
    label = make_label(results=(), candidates=())
    row = label_row(label)
    with table_writer(tmp_path) as tables:
        for _ in range(5000):
            tables.add(row)
    table = pq.ParquetFile(tmp_path / "labels.parquet")
    assert [table.metadata.row_group(i).num_rows for i in (0, 1)] == [4096, 904]
    assert len(lines_of(tmp_path)) == 5000


def test_a_failure_half_way_leaves_no_manifest_and_no_half_table(tmp_path: Path) -> None:
    write_dictionary(tmp_path, make_store(), make_info())
    before = (tmp_path / "labels.parquet").read_bytes()
    store = FolderLabelStore(tmp_path / "store")
    store.put_label(make_label(text="changed"))
    store.put_label(make_label(make_unit(200)))
    stored_label(tmp_path / "store", 200).put(b"{half")
    with pytest.raises(StorageError, match=r"200 \(positive\) in .* is damaged"):
        write_dictionary(tmp_path, store, make_info())
    assert not (tmp_path / "manifest.json").exists()
    assert (tmp_path / "labels.parquet").read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_an_obstacle_in_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "scores").write_text("a file")
    with pytest.raises(StorageError, match="could not write .*scores"):
        write_dictionary(tmp_path, make_store(), make_info())


def test_a_side_without_a_scorer_has_records_without_predictions(tmp_path: Path) -> None:
    store = MemoryLabelStore()
    store.put_label(make_label(side=Side.POSITIVE, preferred=None, results=()))
    store.put_sets(make_sets())
    write_dictionary(tmp_path, store, make_info())
    records = open_dictionary(tmp_path).records(make_unit(), Side.POSITIVE)
    assert records is not None
    assert {record.predicted for record in records.held_out} == {None}


def test_the_labels_of_the_example_give_the_bytes_of_its_databases(tmp_path: Path) -> None:
    # What texts and values are packed into is the same as when the example was made; so is the
    # digest by which a text is stored once, also in folders that are gone on with.
    example = open_example()
    copy = FolderLabelStore(tmp_path)
    copy_all(FolderLabelStore(example.folder), copy, refuse_unreadable)
    made = {name: without_sqlite_version(tmp_path / name) for name in copy.compact()}
    assert made == {name: without_sqlite_version(example.folder / name) for name in made}
    assert made.keys() == {name for name in example.manifest.files if name.endswith(".sqlite")}


def without_sqlite_version(path: Path) -> bytes:
    data = path.read_bytes()
    return data[:96] + data[100:]

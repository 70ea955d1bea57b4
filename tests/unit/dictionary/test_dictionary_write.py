from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from factories import (
    make_info,
    make_label,
    make_provenance,
    make_sets,
    make_store,
    make_unit,
)
from memory_store import MemoryLabelStore

from autointerp.core.errors import StorageError
from autointerp.core.explanations import Label, PromptRef
from autointerp.core.ids import Side
from autointerp.core.unreadable import OnUnreadable, refuse_unreadable
from autointerp.dictionary import COLUMNS, label_row, write_dictionary
from autointerp.dictionary.write import table_writer
from autointerp.store.labels import JsonLabelStore

UNIT = "blocks.5.mlp.hook_post/0000131"


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
    assert {f"scores/{UNIT}.positive.json", f"records/{UNIT}.negative.json.gz"} <= names
    assert sum(name.startswith("scores/") for name in names) == 5
    assert sum(name.startswith("records/") for name in names) == 3
    assert not any(name.endswith(".tmp") for name in names)


def test_lines_have_the_same_keys_in_reading_order(tmp_path: Path) -> None:
    write_dictionary(tmp_path, make_store(), make_info())
    lines = lines_of(tmp_path)
    assert {tuple(line) for line in lines} == {COLUMNS}
    assert [(line["layer"], line["index"], line["polarity"]) for line in lines] == [
        ("5", "7", "positive"),
        ("5", "8", "positive"),
        ("5", "131", "positive"),
        ("5", "131", "negative"),
        ("10", "0", "positive"),
    ]


def test_two_writes_of_the_same_labels_differ_in_the_manifest_s_time_only(tmp_path: Path) -> None:
    later = make_info(created=datetime(2026, 1, 1, tzinfo=UTC))
    write_dictionary(tmp_path / "a", make_store(), make_info())
    disk = JsonLabelStore(tmp_path / "store")
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


def test_compressed_files_hold_neither_time_nor_name(tmp_path: Path) -> None:
    write_dictionary(tmp_path, make_store(), make_info())
    packed = [data for name, data in files_of(tmp_path).items() if name.endswith(".gz")]
    assert len(packed) == 4
    for data in packed:
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
    assert manifest.counts.model_dump() == counts
    assert manifest.job == info.job
    assert manifest.seeds.model_dump() == {"run": 3, "corpus": 0, "collect": 0}
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


def test_records_hold_real_beside_predicted_by_window(tmp_path: Path) -> None:
    write_dictionary(tmp_path, make_store(), make_info())
    data = gzip.decompress((tmp_path / f"records/{UNIT}.positive.json.gz").read_bytes())
    value = json.loads(data)["value"]
    held_out = {record["window"]: record for record in value["held_out"]}
    assert held_out[20]["activations"] == [0.0, 3.5, 0.25, 0.0]
    assert held_out[20]["predicted"] == [0.0, 9.0, 1.0, 0.0]
    assert held_out[20]["tokens"] == [" the", " river", " runs", "\n"]
    assert held_out[22]["predicted"] is None
    assert [record["window"] for record in value["explain"]] == [1, 2]
    assert value["scorer"] == "simulation"


def test_scores_hold_every_result_with_its_trials_and_the_candidates(tmp_path: Path) -> None:
    write_dictionary(tmp_path, make_store(), make_info())
    value = json.loads((tmp_path / f"scores/{UNIT}.positive.json").read_bytes())["value"]
    assert [result["scorer"] for result in value["results"]] == [
        "simulation",
        "simulation_null",
        "detection",
        "lookup",
    ]
    assert [trial["window"] for trial in value["results"][0]["trials"]] == [20, 21, 22]
    assert value["results"][0]["trials"][2]["failure"] == "the reply was empty"
    assert value["candidates"][0]["chosen"] is True


def test_an_empty_store_makes_an_empty_dictionary(tmp_path: Path) -> None:
    manifest = write_dictionary(tmp_path, MemoryLabelStore(), make_info())
    assert manifest.counts.labels == 0
    assert lines_of(tmp_path) == []
    assert set(manifest.files) == {"labels.parquet", "labels.jsonl.gz"}


def test_each_label_is_written_before_the_next_is_read(tmp_path: Path) -> None:
    scores = tmp_path / "scores" / "blocks.5.mlp.hook_post"

    passes: list[str] = []

    class Watching(MemoryLabelStore):
        def labels(self, on_unreadable: OnUnreadable = refuse_unreadable) -> Iterator[Label]:
            passes.append("begun")
            for n_read in range(20):
                # The first pass reads p-values only.
                written = len(list(scores.iterdir())) if scores.exists() else 0
                assert written == (n_read if len(passes) == 2 else 0)
                yield make_label(make_unit(n_read))

    assert write_dictionary(tmp_path, Watching(), make_info()).counts.labels == 20
    assert len(passes) == 2


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
    store = JsonLabelStore(tmp_path / "store")
    store.put_label(make_label(text="changed"))
    store.put_label(make_label(make_unit(200)))
    path = tmp_path / "store/labels/blocks.5.mlp.hook_post/0000200.positive.json"
    path.write_text("{half")
    with pytest.raises(StorageError, match=r"0000200\.positive\.json is damaged"):
        write_dictionary(tmp_path, store, make_info())
    assert not (tmp_path / "manifest.json").exists()
    assert (tmp_path / "labels.parquet").read_bytes() == before
    assert not list(tmp_path.rglob("*.tmp"))


def test_an_obstacle_in_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "scores").write_text("a file")
    with pytest.raises(StorageError, match="could not write .*scores"):
        write_dictionary(tmp_path, make_store(), make_info())


def test_a_side_without_a_scorer_has_records_without_predictions(tmp_path: Path) -> None:
    store = MemoryLabelStore()
    store.put_label(make_label(side=Side.POSITIVE, preferred=None, results=()))
    store.put_sets(make_sets())
    write_dictionary(tmp_path, store, make_info())
    data = gzip.decompress((tmp_path / f"records/{UNIT}.positive.json.gz").read_bytes())
    assert {str(r["predicted"]) for r in json.loads(data)["value"]["held_out"]} == {"None"}

"""Workers leave what a newer version wrote as it is, and say so."""

from __future__ import annotations

import io
import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from damaged_rows import ROW_DAMAGES, StoredRow, all_stored_sets, stored_labels
from fake_endpoint import FakeEndpoint
from worker_in_process import WorkerInProcess, tiny_spec

from autointerp.core.config import CorpusConfig
from autointerp.core.job_state import JobState, Stage
from autointerp.dictionary import row_json
from autointerp.orchestration.plan import SUMMARY, chunk_name, plan_name, required, shard_name
from autointerp.store.artifacts import Artifacts
from autointerp.store.jobs import COLLECTION
from autointerp.store.labels import LabelStores
from autointerp.store.labels.folder_stores import FolderLabelStores


@pytest.fixture
def room_of_files(tmp_path: Path, model_folder: Path, texts: Path) -> WorkerInProcess:
    def in_files(_artifacts: Artifacts) -> LabelStores:
        return FolderLabelStores(tmp_path / "labels", row_json)

    return WorkerInProcess(tmp_path, model_folder, texts, stores=in_files)


Rows = dict[StoredRow, bytes | None]


def contents(rows: list[StoredRow]) -> Rows:
    return {row: row.content for row in rows}


def made_newer(rows: list[StoredRow]) -> Rows:
    """Rows as a newer version would have written them."""
    for row in rows:
        row.damage(ROW_DAMAGES["newer"])
    return contents(rows)


def unchanged(before: Rows) -> bool:
    return contents(list(before)) == before


@pytest.mark.parametrize("sides", ["stronger", "both"])
def test_a_finished_label_does_not_replace_one_of_a_newer_version(
    room_of_files: WorkerInProcess, tmp_path: Path, texts: Path, sides: str
) -> None:
    room, spec = room_of_files, tiny_spec(texts, sides=sides)
    assert room.finished(spec).state is JobState.SUCCEEDED
    folder = tmp_path / "labels" / "tiny"
    newer = made_newer([row for row in stored_labels(folder) if row.index % 10 == 3])
    records = [row for row in all_stored_sets(folder) if row.index % 10 == 3]
    before = {**newer, **contents(records)}
    job, n = room.finished(spec), 1 if sides == "stronger" else 2
    assert (job.state, job.counts.failed, len(newer)) == (JobState.PARTIAL, n, n)
    assert unchanged(before)
    assert job.reason is not None
    assert f"{n} of {job.counts.total} labels failed: " in job.reason
    assert "was written by a newer autointerp (schema 9" in job.reason


def test_no_llm_is_asked_about_a_unit_whose_label_is_of_a_newer_version(
    tmp_path: Path, model_folder: Path, texts: Path
) -> None:
    def in_files(_artifacts: Artifacts) -> LabelStores:
        return FolderLabelStores(tmp_path / "labels", row_json)

    with FakeEndpoint(lambda _request: "yes") as endpoint:
        llm = {"llm_base_url": endpoint.base_url, "llm_model": "fake"}
        room = WorkerInProcess(tmp_path, model_folder, texts, stores=in_files, **llm)
        assert room.finished(tiny_spec(texts)).state is JobState.SUCCEEDED
        newer = made_newer(stored_labels(tmp_path / "labels" / "tiny"))
        job = room.finished(tiny_spec(texts, llm="default"))
        assert (endpoint.bodies, job.counts.failed) == ([], 6)
    assert unchanged(newer)


def test_records_of_a_newer_version_stay_beside_a_new_label(
    room_of_files: WorkerInProcess, tmp_path: Path, texts: Path
) -> None:
    room = room_of_files
    assert room.finished(tiny_spec(texts)).state is JobState.SUCCEEDED
    newer = made_newer(all_stored_sets(tmp_path / "labels" / "tiny"))
    assert room.finished(tiny_spec(texts, seed=1)).state is JobState.SUCCEEDED
    assert len(newer) == 6
    assert unchanged(newer)


def test_a_label_whose_program_is_of_a_later_language_is_kept(
    room_of_files: WorkerInProcess, tmp_path: Path, texts: Path
) -> None:
    room = room_of_files
    assert room.finished(tiny_spec(texts)).state is JobState.SUCCEEDED
    store = room.stores.of("tiny")
    label = next(label for label in store.labels() if label.explanation is not None)
    assert label.explanation is not None
    later = replace(label.explanation, program="9: near ~ /a/")
    store.put_label(replace(label, explanation=later))
    folder = tmp_path / "labels" / "tiny"
    rows = [*stored_labels(folder), *all_stored_sets(folder)]
    of_unit = (label.unit.index, label.unit.hook)
    before = contents([row for row in rows if (row.index, row.hook) == of_unit])
    job = room.finished(tiny_spec(texts))
    assert (job.state, job.counts.failed, len(before)) == (JobState.PARTIAL, 1, 2)
    assert "was written by a newer autointerp (the program of its explanation" in str(job.reason)
    assert unchanged(before)


@pytest.mark.parametrize(
    ("known", "other"),
    [(rb"schema_version\":3", rb"schema_version\":4"), (rb"\"0.1.0\"", rb"\"9.9.9\"")],
    ids=["schema", "package"],
)
def test_a_checkpoint_of_a_newer_version_stays_and_the_shard_is_collected_beside_it(
    room: WorkerInProcess, texts: Path, caplog: pytest.LogCaptureFixture, known: bytes, other: bytes
) -> None:
    caplog.set_level(logging.INFO)
    room.finished(tiny_spec(texts))
    job = room.submit(tiny_spec(texts, corpus=other_text(texts)))
    room.work(most=1)
    collection = room.backend.jobs.note(job.id, COLLECTION)
    assert collection is not None
    newer = room.dependencies.folder / shard_name(collection, 0, 1)
    newer.parent.mkdir(parents=True)
    first = next(name for name in room.artifacts.names("collections/") if name.endswith(SUMMARY))
    newer.write_bytes(room.artifacts.fetch(first).read_bytes().replace(known, other))
    before = newer.read_bytes()
    room.work()
    assert room.found(job.id).state is JobState.SUCCEEDED
    assert list(newer.parent.iterdir()) == [newer]
    assert newer.read_bytes() == before
    assert "and is left as it is" in caplog.text


def other_text(texts: Path) -> CorpusConfig:
    return CorpusConfig(corpus=str(texts), n_tokens=3000, n_ctx=16)


def test_records_of_a_newer_version_on_their_way_stay_and_end_the_job_with_the_sentence(
    room: WorkerInProcess, texts: Path
) -> None:
    job = room.submit(tiny_spec(texts))
    while room.sent[0].stage is not Stage.LABEL:
        room.work(most=1)
    item, name = room.sent.popleft(), chunk_name(job.id, 0)
    data = required(room.artifacts, name)
    room.artifacts.put_bytes(name, with_head(data, version=2))
    before = room.artifacts.get_bytes(name)
    for _ in range(4):
        room.worker.do(item)
    found = room.found(job.id)
    assert (found.state, found.counts.failed) == (JobState.FAILED, 6)
    assert f"{name} was written by a newer autointerp (schema 2" in str(found.reason)
    assert room.artifacts.get_bytes(name) == before


@pytest.mark.parametrize("of_job", [True, False])
def test_a_plan_of_a_newer_version_ends_the_job_with_the_sentence_and_stays(
    room: WorkerInProcess, texts: Path, of_job: bool
) -> None:
    first = room.submit(tiny_spec(texts))
    room.work(most=1)
    collection = room.backend.jobs.note(first.id, COLLECTION)
    assert collection is not None
    name = plan_name(first.id if of_job else collection)
    plan = json.loads(required(room.artifacts, name))
    room.artifacts.put_bytes(name, json.dumps({**plan, "later": 1}).encode())
    before = room.artifacts.get_bytes(name)
    room.work()
    second = first if of_job else room.finished(tiny_spec(texts, seed=1))
    for job in (first, second):
        assert room.found(job.id).state is JobState.FAILED
        assert "was written by a newer autointerp (this one does not know later)" in str(
            room.found(job.id).reason
        )
    assert room.artifacts.get_bytes(name) == before


def with_head(data: bytes, **changes: object) -> bytes:
    """The file of a chunk with other values in its head."""
    with np.load(io.BytesIO(data)) as arrays:
        parts = {name: arrays[name] for name in arrays.files}
    head = {**json.loads(parts["head"].tobytes()), **changes}
    parts["head"] = np.frombuffer(json.dumps(head).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **parts)
    return buffer.getvalue()

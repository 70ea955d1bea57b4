"""What a worker does with a collection's summary that it cannot load."""

from __future__ import annotations

from pathlib import Path

import pytest
from opened_files import no_more_files
from worker_in_process import WorkerInProcess, tiny_spec

from autointerp.core.errors import StorageError
from autointerp.jobs.worker.resources import fetched_summary
from autointerp.orchestration.plan import summary_name
from autointerp.store.jobs import COLLECTION


@pytest.fixture
def name(room: WorkerInProcess, texts: Path) -> str:
    """Of the summary that a finished job has left."""
    job = room.finished(tiny_spec(texts))
    collection = room.backend.jobs.note(job.id, COLLECTION)
    assert collection is not None
    return summary_name(collection)


def test_a_summary_that_cannot_be_opened_now_is_kept(room: WorkerInProcess, name: str) -> None:
    fetched_summary(room.artifacts, name)
    with no_more_files(), pytest.raises(StorageError, match="could not read .*Too many open files"):
        fetched_summary(room.artifacts, name)
    assert fetched_summary(room.artifacts, name).whole


@pytest.mark.parametrize(
    ("known", "other"),
    [(rb"schema_version\":3", rb"schema_version\":4"), (rb"\"shards\"", rb"\"sharps\"")],
    ids=["version", "field"],
)
def test_a_summary_of_another_version_is_kept_for_a_worker_of_that_version(
    room: WorkerInProcess, name: str, known: bytes, other: bytes
) -> None:
    path = room.artifacts.fetch(name)
    data = path.read_bytes().replace(known, other)
    path.write_bytes(data)
    with pytest.raises(StorageError, match="use the version that wrote it"):
        fetched_summary(room.artifacts, name)
    assert path.read_bytes() == data


def test_a_damaged_summary_is_deleted(room: WorkerInProcess, name: str) -> None:
    path = room.artifacts.fetch(name)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(StorageError, match="is collected again: .* is not a complete summary"):
        fetched_summary(room.artifacts, name)
    assert not path.exists()

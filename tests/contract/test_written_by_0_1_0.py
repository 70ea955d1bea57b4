"""What autointerp 0.1.0 stored opens with the tree of today, and is continued."""

from __future__ import annotations

import base64
import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from fake_endpoint import FakeEndpoint
from labelling import Labelling
from numpy.typing import NDArray
from planted_llm import noise
from safetensors.numpy import load_file
from worker_in_process import WorkerInProcess

from autointerp.activations.kernels.decoding import from_fixed, unpack_ranked
from autointerp.activations.summary_file import open_summary
from autointerp.core.explanations import Label, LabelStatus
from autointerp.core.files import gunzip
from autointerp.core.job_state import JobState
from autointerp.dictionary import COLUMNS, open_dictionary, row_json
from autointerp.dictionary.rows import current_row
from autointerp.orchestration.schedule import reconcile
from autointerp.store.artifacts import Artifacts
from autointerp.store.codec import LABELS, SETS
from autointerp.store.jobs.redis_backend import redis_backend
from autointerp.store.labels.folder_store import FolderLabelStore
from autointerp.store.labels.redis_store import RedisLabelStores
from autointerp.store.packed_labels import as_stored
from autointerp.store.packed_sets import pack_sets, unpack_sets
from autointerp.store.redis_connection import RedisConnection
from autointerp.store.search.label_index import LabelIndex, LabelQuery

ARCHIVE = Path(__file__).parent.parent / "fixtures" / "written_by_0_1_0" / "stores.tar.xz"
SHAPE = ("--units", "0:0-1", "--corpus", "texts", "--tokens", "2500", "--n-ctx", "16")
TABLES = {"labels.parquet", "labels.jsonl.gz"}
DATABASES = {"scores/labels.sqlite", "records/blocks.0.mlp.hook_post.sqlite"}
STATES = ("succeeded", "partial", "running", "queued")


@pytest.fixture
def folder(
    tmp_path: Path, model_folder: Path, texts: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """What was stored, in the working folder, with the model and the texts that it names."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    (tmp_path / "model").symlink_to(model_folder)
    (tmp_path / "texts").symlink_to(texts)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTOINTERP_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("TERM", "dumb")
    return tmp_path


@pytest.fixture
def command(folder: Path, capsys: pytest.CaptureFixture[str]) -> Labelling:
    return Labelling(Path("model"), Path("texts"), folder, capsys)


@pytest.fixture
def stored(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "redis.json").read_text())
    return found


@pytest.fixture
def link(redis_url: str, stored: dict[str, Any]) -> Iterator[RedisConnection]:
    with redis.Redis.from_url(redis_url) as client:
        for key, (kind, value) in stored["keys"].items():
            restore(client, key, kind, value)
    link = RedisConnection(redis_url)
    yield link
    link.close()


def as_bytes(value: Any) -> Any:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value


def restore(client: redis.Redis, key: str, kind: str, value: Any) -> None:
    if kind == "string":
        client.set(key, as_bytes(value))
    elif kind == "hash":
        client.hset(key, mapping={name: as_bytes(each) for name, each in value})
    elif kind == "set":
        client.sadd(key, *value)
    elif kind == "zset":
        client.zadd(key, dict(value))
    elif kind == "stream":
        for number, fields in value:
            client.xadd(key, dict(fields), id=number)
    else:
        raise AssertionError(f"{key} is a {kind}")


def files(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but those that are written anew whenever it is opened."""
    anew = {".lock", "manifest.json", "spent.jsonl"}
    paths = (path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: path.read_bytes() for name, path in names.items() if name not in anew}


@pytest.mark.parametrize("copied", [False, True])
def test_the_labels_of_a_run_are_read_before_and_after_they_were_copied(
    folder: Path, copied: bool
) -> None:
    store = FolderLabelStore(folder / "run", row_json)
    if copied:
        store.compact()
    assert len(store.rows_since(0, 10)[0]) == 2
    assert (folder / "run" / "scores/labels.sqlite").exists() == copied
    labels = list(store.labels())
    assert [str(label.unit) for label in labels] == [
        f"model/blocks.0.mlp.hook_post/{index}" for index in (0, 1)
    ]
    assert [label.summary for label in labels] == list(store.summaries())
    assert store.hooks(0) == ["blocks.0.mlp.hook_post"]
    for label in labels:
        name = f"{label.unit.hook}/{label.unit.index:07d}.{label.side}.json"
        assert store.get_label(label.unit, label.side) == label
        stored = LABELS.read(folder / "run" / "labels" / name)
        assert stored is not None
        assert as_stored(stored) == label
        assert [len(r.trials) for r in stored.results if r.scorer == "lookup"] != [0]
        assert label.headline.value is not None
        sets = store.get_sets(label.unit, label.side)
        assert sets is not None
        packed = (folder / "run" / "sets" / f"{name}.gz").read_bytes()
        before = SETS.decode(gunzip(packed, where=name), where=name)
        windows, data = pack_sets(before)
        assert sets == (unpack_sets(windows, data, where=name) if copied else before)


def test_the_dictionary_of_a_run_opens(folder: Path) -> None:
    dictionary = open_dictionary(folder / "run")
    assert dictionary.manifest.counts.labels == 2
    assert list(dictionary.labels()) == list(FolderLabelStore(folder / "run").labels())
    rows = list(dictionary.rows())
    assert [row["index"] for row in rows] == [0, 1]
    for label in dictionary.labels():
        records = dictionary.records(label.unit, label.side)
        assert records is not None
        assert records.explain


def test_a_dictionary_alone_opens_and_is_copied_into_a_store(
    command: Labelling, folder: Path
) -> None:
    """As it was downloaded: without what its run also had."""
    run = folder / "run"
    whole = list(FolderLabelStore(run).labels())
    for name in ("labels", "sets"):
        shutil.rmtree(run / name)
    dictionary = open_dictionary(run)
    assert list(dictionary.labels()) == whole
    assert dictionary.find("0:1")[0] == whole[1]
    records = [dictionary.records(label.unit, label.side) for label in whole]
    assert all(one is not None and one.held_out[0].predicted for one in records)
    assert command(["store", "copy", f"json:{run}", "json:copy"]).code == 0
    copy = FolderLabelStore(folder / "copy" / "model")
    assert list(copy.labels()) == whole
    assert len(copy.sides_with_sets()) == 2


def test_a_finished_run_is_resumed_without_doing_anything(command: Labelling, folder: Path) -> None:
    before, rows = files(folder / "run"), list(open_dictionary(folder / "run").rows())
    llm = json.loads((folder / "run" / "job.json").read_text())["llm"]
    asked = ["label", "model", *SHAPE, "--llm", llm, "--llm-model", "fake", "--out", "run"]
    ended = command([*asked, "--resume"])
    assert ended.code == 0, ended.err
    # Nobody listens at the address of the endpoint.
    assert "the job so far: 2,294 tokens" in " ".join(ended.out.split())
    after = files(folder / "run")
    # What it had as a file a label is copied into databases, once, and left as it was.
    assert after.keys() - before.keys() == {*DATABASES, ".copying.lock"}
    # Tables have columns that they had not; no row says anything else than before.
    assert {name for name in before if after[name] != before[name]} == TABLES
    assert command([*asked, "--resume"]).code == 0
    assert files(folder / "run") == after
    now = list(open_dictionary(folder / "run").rows())
    later = {"corpus"}
    assert [{k: v for k, v in row.items() if k not in later} for row in now] == [
        {k: v for k, v in row.items() if k not in later} for row in rows
    ]
    assert {row["corpus"] for row in rows} == {None}
    assert None not in {row["corpus"] for row in now}
    shown = command(["show", "0:1", "--dir", "run"])
    assert shown.code == 0, shown.err
    assert 'the token " the"' in shown.out


def _assert_equal_but_for_rounding(name: str, old: NDArray[Any], now: NDArray[Any]) -> None:
    """Processors round differently, and the shards were collected on another one."""
    part = name.rpartition("/")[2]
    if part == "top":
        (old, windows), (now, expected) = unpack_ranked(old), unpack_ranked(now)
        np.testing.assert_array_equal(np.sort(windows), np.sort(expected), name)
    elif part in {"total", "squares"}:
        old, now = from_fixed(old), from_fixed(now)
    if old.dtype.kind == "f":
        np.testing.assert_allclose(old, now, rtol=1e-5, atol=1e-5, err_msg=name)
    else:
        np.testing.assert_array_equal(old, now, name)


def test_old_shards_are_merged_to_what_one_pass_collects_today(
    command: Labelling, folder: Path
) -> None:
    assert command(["merge", "shard1", "shard2", "--out", "merged"]).code == 0
    # They were collected before token tables could be kept.
    whole = ["collect", "model", *SHAPE, "--no-token-tables", "--out", "whole"]
    assert command(whole).code == 0
    name = "summary.safetensors"
    merged, today = (load_file(folder / way / name) for way in ("merged", "whole"))
    assert merged.keys() == today.keys()
    for tensor, values in merged.items():
        _assert_equal_but_for_rounding(tensor, values, today[tensor])
    whole = open_summary(folder / "run" / "summary" / name)
    assert open_summary(folder / "shard1" / name).identity.revision == whole.identity.revision


def test_labels_in_redis_are_read_listed_and_searched(link: RedisConnection, folder: Path) -> None:
    stores = RedisLabelStores(link, Artifacts(str(folder / "service" / "artifacts")), row_json)
    assert stores.models() == ["tiny"]
    store = stores.of("tiny")
    labels = list(store.labels())
    assert (len(labels), store.count(), len(store.sides_with_sets())) == (2, 2, 2)
    assert [label.summary for label in labels] == list(store.summaries())
    assert store.get_sides(labels[1].unit) == (labels[1],)
    assert store.get_sets(labels[1].unit, labels[1].side) is not None
    page = LabelIndex(store).page(LabelQuery(words="under", sort="unit"))
    assert [json.loads(row)["index"] for row in page.rows] == [str(labels[1].unit.index)]
    index = LabelIndex(store, n_columns=len(COLUMNS), current=current_row)
    rows = [json.loads(row) for row in index.page(LabelQuery(sort="unit")).rows]
    assert [row["index"] for row in rows] == [label.unit.index for label in labels]
    assert [tuple(row) for row in rows] == [COLUMNS, COLUMNS]


def test_jobs_are_listed_with_what_happened_to_them(
    link: RedisConnection, stored: dict[str, Any]
) -> None:
    backend = redis_backend(link)
    jobs = {name: backend.jobs.get(stored["jobs"][name]) for name in STATES}
    assert {name: job.state for name, job in jobs.items() if job} == {
        n: JobState(n) for n in STATES
    }
    assert [job.id for job in backend.jobs.find()] == [
        stored["jobs"][name] for name in STATES[::-1]
    ]
    done, partial = jobs["succeeded"], jobs["partial"]
    assert done is not None
    assert partial is not None
    assert (done.counts.ok, done.spec.units, done.owner) == (2, "0:0-1", "local")
    assert (partial.budget.tokens, partial.tokens) == (3300, 876)
    assert (done.spec.explain.description, done.spec.score.n_receipts) == ("better", 0)
    assert set(backend.jobs.committed(done.id).values()) == {LabelStatus.OK}
    kinds = [event.kind for event in backend.jobs.events(done.id)]
    assert (kinds.count("label"), kinds[-1]) == (2, "state")


def test_jobs_that_were_stopped_anywhere_are_continued(
    link: RedisConnection, stored: dict[str, Any], folder: Path
) -> None:
    with FakeEndpoint(noise(0)) as llm:
        room = WorkerInProcess(
            folder / "service",
            Path("model"),
            folder / "texts",
            backend=redis_backend(link),
            stores=lambda artifacts: RedisLabelStores(link, artifacts, row_json),
            corpora=("texts",),
            llm_base_url=llm.base_url,
            llm_model="fake",
        )
        reconcile(room.backend, room.sent.extend)
        room.work()
        assert room.job_service.retry(stored["jobs"]["partial"]) == 2
        room.work()
    jobs = {name: room.backend.jobs.get(stored["jobs"][name]) for name in STATES}
    ended = {name: job.state for name, job in jobs.items() if job}
    assert ended.pop("partial") is JobState.PARTIAL
    assert set(ended.values()) == {JobState.SUCCEEDED}
    assert room.backend.jobs.get(stored["jobs"]["running"]).counts.ok == 2
    assert {unit(label) for label in room.stores.of("tiny").labels()} >= {
        "0/0",
        "0/1",
        "1/1",
        "2/0",
    }


def unit(label: Label) -> str:
    return f"{label.unit.layer}/{label.unit.index}"

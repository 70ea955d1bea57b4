"""One damaged value in Redis costs itself only: a label, its row, a job."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from api_service import ADMIN, HEADERS, SUBMIT, make_service
from factories import make_job, make_label, make_unit
from starlette.testclient import TestClient

from autointerp.api.api_config import KeyRing
from autointerp.core.config import Budget
from autointerp.core.errors import AutointerpError, InputError, StorageError
from autointerp.core.ids import Side
from autointerp.core.job_state import Job, JobState
from autointerp.dictionary import row_json
from autointerp.orchestration import reconcile
from autointerp.store.artifacts import Artifacts
from autointerp.store.jobs import JobBackend
from autointerp.store.jobs.redis_backend import redis_backend
from autointerp.store.labels.redis_store import RedisLabelStore, RedisLabelStores
from autointerp.store.redis_connection import PREFIX, RedisConnection
from autointerp.store.search.label_index import LabelIndex, LabelQuery

DEEP = b"[" * 200_000 + b"]" * 200_000
DAMAGES = (b"", b"\xff\xfe", b"{", DEEP, b"null", b'{"schema":9,"kind":"label"}', b"\0" * 50)
FIELD = "blocks.5.mlp.hook_post/131/positive"


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def connection(redis_url: str) -> Iterator[RedisConnection]:
    connection = RedisConnection(redis_url)
    yield connection
    connection.close()


@pytest.fixture
def store(connection: RedisConnection, tmp_path: Path) -> RedisLabelStore:
    store = RedisLabelStores(connection, Artifacts(str(tmp_path)), row_json).of("tiny")
    for index in (130, 131, 132):
        store.put_label(make_label(make_unit(index)))
    return store


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda data: str(data[:8]))
def test_a_damaged_label_is_left_out_and_told(
    store: RedisLabelStore, client: redis.Redis, damage: bytes
) -> None:
    client.hset(f"{PREFIX}labels:tiny", FIELD, damage)
    errors: list[AutointerpError] = []
    assert [label.unit.index for label in store.labels(errors.append)] == [130, 132]
    assert [label.unit.index for label in store.summaries(errors.append)] == [130, 132]
    assert [FIELD in str(error) for error in errors] == [True, True]
    assert store.get_sides(make_unit(131), errors.append) == ()
    with pytest.raises(StorageError, match="is damaged"):
        store.get_label(make_unit(131), Side.POSITIVE)


@pytest.mark.parametrize("name", [b"", b"\xff", b"a/b", b"blocks.5.mlp.hook_post/x/positive"])
def test_a_field_that_names_no_unit_is_left_out_and_told(
    store: RedisLabelStore, client: redis.Redis, name: bytes
) -> None:
    client.hset(f"{PREFIX}labels:tiny", name, b"x")
    errors: list[AutointerpError] = []
    assert [label.unit.index for label in store.labels(errors.append)] == [130, 131, 132]
    assert "names no unit" in str(errors[0])


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda data: str(data[:8]))
def test_a_damaged_row_is_left_out_and_told(
    store: RedisLabelStore, client: redis.Redis, damage: bytes
) -> None:
    client.hset(f"{PREFIX}rows:tiny", FIELD, damage)
    index = LabelIndex(store, max_age_s=0)
    assert len(index.page(LabelQuery()).rows) == 2
    assert len(index.left_out()) == 1
    assert FIELD in index.left_out()[0]
    store.put_label(make_label(make_unit(131)))
    assert len(index.page(LabelQuery()).rows) == 3
    assert index.left_out() == ()


def test_a_row_that_is_mended_in_place_is_listed_and_no_longer_told(
    store: RedisLabelStore, client: redis.Redis
) -> None:
    good = client.hget(f"{PREFIX}rows:tiny", FIELD)
    client.hset(f"{PREFIX}rows:tiny", FIELD, b"{")
    index = LabelIndex(store, max_age_s=0)
    before, _ = index.rows()
    client.hset(f"{PREFIX}rows:tiny", FIELD, good)
    assert index.left_out() == ()
    after, _ = index.rows()
    assert (len(before), len(after)) == (2, 3)
    assert index.left_out() == ()
    assert len(index.page(LabelQuery()).rows) == 3


@pytest.mark.parametrize("key", ["labels", "row-changes"])
def test_a_damaged_row_whose_label_is_deleted_is_no_longer_told(
    store: RedisLabelStore, client: redis.Redis, key: str
) -> None:
    client.hset(f"{PREFIX}rows:tiny", FIELD, b"{")
    index = LabelIndex(store, max_age_s=0)
    index.page(LabelQuery())
    assert len(index.left_out()) == 1
    if key == "labels":
        client.hdel(f"{PREFIX}labels:tiny", FIELD)
    else:
        client.zrem(f"{PREFIX}row-changes:tiny", FIELD)
    assert index.left_out() == ()
    assert len(index.page(LabelQuery()).rows) == 2


def test_many_damaged_rows_hide_no_good_one(store: RedisLabelStore, client: redis.Redis) -> None:
    row = client.hget(f"{PREFIX}rows:tiny", FIELD).replace(b"blocks.5", b"blocks.4")
    with client.pipeline() as pipe:
        for n in range(2500):
            name = f"blocks.4.mlp.hook_post/{n}/positive"
            text = b"{" if n % 2 else row.replace(b'"index":131', b'"index":%d' % n)
            pipe.hset(f"{PREFIX}rows:tiny", name, text).hset(f"{PREFIX}labels:tiny", name, b"x")
            pipe.zadd(f"{PREFIX}row-changes:tiny", {name: 10 + n})
        pipe.set(f"{PREFIX}row-change:tiny", 10 + 2500).execute()
    index = LabelIndex(store, max_age_s=0)
    assert len(index.rows()[0]) == len(index.rows()[0]) == 3 + 1250


def test_a_row_that_is_gone_is_left_out(store: RedisLabelStore, client: redis.Redis) -> None:
    client.hdel(f"{PREFIX}rows:tiny", FIELD)
    assert len(LabelIndex(store).page(LabelQuery()).rows) == 2


def submitted(backend: JobBackend, n: int) -> list[str]:
    jobs = (
        Job(f"job_{place}", Budget(), "me", JobState.QUEUED, 1.0 + place, spec=make_job())
        for place in range(n)
    )
    return [backend.jobs.submit(job).id for job in jobs]


JOB_DAMAGES: dict[str, Callable[[redis.Redis, str], object]] = {
    **{
        f"{field} is {value[:6]!r}": lambda client, key, field=field, value=value: client.hset(
            key, field, value
        )
        for field in ("brief", "money", "created", "state", "schema", "spec")
        for value in (b"", b"\xff\xfe", b"{", DEEP, b"null")
    },
    **{
        f"{field} is gone": lambda client, key, field=field: client.hdel(key, field)
        for field in ("brief", "money", "created", "state", "owner", "spec")
    },
}


@pytest.mark.parametrize("damage", JOB_DAMAGES)
def test_a_damaged_job_holds_up_no_other(
    connection: RedisConnection, client: redis.Redis, damage: str
) -> None:
    backend = redis_backend(connection)
    first, damaged, last = submitted(backend, 3)
    JOB_DAMAGES[damage](client, f"{PREFIX}job:{damaged}")
    errors: list[AutointerpError] = []
    found = [job.id for job in backend.jobs.find(limit=2, on_unreadable=errors.append)]
    assert last in found
    assert len(found) == 2
    assert [damaged in str(error) for error in errors] == [True] * len(errors)
    assert first in [job.id for job in backend.jobs.find()]
    sent: list[str] = []
    reconcile(backend, lambda items: sent.extend(item.owner for item in items))
    assert {first, last} <= set(sent)


@pytest.mark.parametrize("damage", [*JOB_DAMAGES, "everything is gone"])
def test_a_damaged_job_that_has_ended_can_be_deleted_over_rest(
    connection: RedisConnection, client: redis.Redis, tmp_path: Path, damage: str
) -> None:
    service = make_service(tmp_path, backend=redis_backend(connection))
    jobs = service.backend.jobs
    damaged, other = submitted(service.backend, 2)
    jobs.transition(damaged, JobState.FAILED, among={JobState.QUEUED})
    fields = client.hkeys(f"{PREFIX}job:{damaged}")
    if damage in JOB_DAMAGES:
        JOB_DAMAGES[damage](client, f"{PREFIX}job:{damaged}")
    else:
        client.hdel(f"{PREFIX}job:{damaged}", *fields)
        client.hset(f"{PREFIX}job:{damaged}", "failed", 1)
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as rest:
        assert rest.delete(f"/v1/jobs/{damaged}").status_code == 204
        assert rest.delete(f"/v1/jobs/{damaged}").status_code == 404
        page = rest.get("/v1/jobs").json()
        assert ([job["id"] for job in page["items"]], page["unreadable"]) == ([other], [])
        assert rest.delete(f"/v1/jobs/{other}").status_code == 409
    assert not [key for key in client.scan_iter() if damaged.encode() in key]
    assert jobs.open_ids() == [other]


def test_a_damaged_job_without_an_owner_is_deleted_by_an_administrator_only(
    connection: RedisConnection, client: redis.Redis, tmp_path: Path
) -> None:
    keys = KeyRing.of(
        f"{name}:{scopes}:{hashlib.sha256(key.encode()).hexdigest()}"
        for name, scopes, key in (("one", "submit", SUBMIT), ("two", "submit+admin", ADMIN))
    )
    service = make_service(tmp_path, backend=redis_backend(connection), keys=keys)
    (damaged,) = submitted(service.backend, 1)
    service.backend.jobs.transition(damaged, JobState.FAILED, among={JobState.QUEUED})
    client.hdel(f"{PREFIX}job:{damaged}", "owner")
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as rest:
        codes = [
            rest.delete(f"/v1/jobs/{damaged}", headers={"x-api-key": key}).status_code
            for key in (SUBMIT, ADMIN)
        ]
    assert codes == [403, 204]


def test_a_job_whose_summary_is_damaged_ends(
    connection: RedisConnection, client: redis.Redis
) -> None:
    backend = redis_backend(connection)
    (damaged,) = submitted(backend, 1)
    before = client.hget(f"{PREFIX}job:{damaged}", "money")
    client.hset(f"{PREFIX}job:{damaged}", "money", b"{")
    reconcile(backend, lambda _items: None)
    assert backend.jobs.open_ids() == []
    client.hset(f"{PREFIX}job:{damaged}", "money", before)
    job = backend.jobs.get(damaged)
    assert job is not None
    assert job.state is JobState.FAILED
    assert "is damaged" in str(job.reason)


def test_a_job_of_a_newer_version_whose_brief_says_more_waits(
    connection: RedisConnection, client: redis.Redis
) -> None:
    backend = redis_backend(connection)
    (newer,) = submitted(backend, 1)
    brief = {"subject": "tiny", "units": "0:0", "llm": "none", "scorers": "detection"}
    client.hset(f"{PREFIX}job:{newer}", mapping={"schema": 3, "brief": json.dumps(brief)})
    reconcile(backend, lambda _items: None)
    assert backend.jobs.open_ids() == [newer]
    assert client.hget(f"{PREFIX}job:{newer}", "state") == b"queued"
    with pytest.raises(InputError, match="was written by a newer autointerp"):
        backend.jobs.summary(newer)

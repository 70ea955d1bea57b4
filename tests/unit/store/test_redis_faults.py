"""What jobs and label stores do while Redis is away, full, newer or another program's."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import redis
from factories import make_job, make_label, make_unit
from labelling import wait_until
from redis_refusals import REFUSALS

from autointerp.core.config import Budget
from autointerp.core.errors import InputError, StorageError, UpstreamError
from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side
from autointerp.core.job_state import Job, JobState, Stage, WorkItem
from autointerp.dictionary import row_json
from autointerp.serving import Valkey
from autointerp.store.artifacts import Artifacts
from autointerp.store.jobs import JobBackend
from autointerp.store.jobs.redis_backend import redis_backend
from autointerp.store.labels.redis_store import RedisLabelStores
from autointerp.store.redis_connection import RedisConnection, open_client

N_LABELS, N_DEATHS = 1500, 3


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path / "valkey") as started:
        yield started


def put_up(backend: JobBackend) -> str:
    spec = make_job()
    return backend.jobs.submit(
        Job("job_1", Budget(), "ann", JobState.QUEUED, time.time(), spec=spec)
    ).id


def kill_and_restart(server: Valkey, done: list[bool]) -> None:
    """Kills it when a quarter, a half and so on of all is done."""
    for number in range(1, N_DEATHS + 1):
        wait_until(lambda n=number: len(done) >= n * 2 * N_LABELS / (N_DEATHS + 1))
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        time.sleep(0.5)
        server.start()


def test_nothing_is_lost_or_counted_twice_while_the_server_dies(server: Valkey) -> None:
    backend = redis_backend(RedisConnection(server.url))
    job = put_up(backend)
    backend.queue.set_items(job, Stage.LABEL, N_LABELS)
    n_new: list[bool] = []

    def work(index: int) -> None:
        lease = backend.queue.take(WorkItem(job, Stage.LABEL, index), "w", ttl_s=600)
        assert lease is not None
        # Twice, as a chunk that is done again would.
        for _ in range(2):
            new = backend.jobs.commit(
                job, make_unit(index), Side.POSITIVE, LabelStatus.OK, summary="{}"
            )
            n_new.append(new)
        backend.jobs.spend(job, requests=1, tokens=10, usd=0.5)
        assert backend.queue.release(lease, done=True)
        time.sleep(0.005)

    with ThreadPoolExecutor(5) as pool:
        deaths = pool.submit(kill_and_restart, server, n_new)
        list(pool.map(work, range(N_LABELS)))
        deaths.result()
    found = backend.jobs.get(job)
    assert found is not None
    assert (found.counts.ok, sum(n_new)) == (N_LABELS, N_LABELS)
    assert (found.requests, found.tokens, found.usd) == (N_LABELS, 10 * N_LABELS, N_LABELS / 2)
    assert found.stages[Stage.LABEL].done == N_LABELS
    assert len(backend.jobs.committed(job)) == N_LABELS
    events = backend.jobs.events(job, limit=10 * N_LABELS)
    assert sum(event.kind == "label" for event in events) == N_LABELS
    assert len({event.id for event in events}) == len(events)


def test_a_server_that_cannot_be_reached_is_told_in_a_sentence() -> None:
    took = []
    for _ in range(3):
        began = time.monotonic()
        with pytest.raises(UpstreamError, match=r"at redis://127.0.0.1:1/0 cannot be reached"):
            RedisConnection("redis://:secret@127.0.0.1:1/0", patience_s=0.2)
        took.append(time.monotonic() - began)
    assert min(took) < 2


def test_a_server_that_goes_away_is_waited_for_as_long_as_was_asked(server: Valkey) -> None:
    backend = redis_backend(RedisConnection(server.url, patience_s=0.5))
    put_up(backend)
    server.stop()
    began = time.monotonic()
    with pytest.raises(UpstreamError, match="cannot be reached") as caught:
        backend.jobs.get("job_1")
    assert caught.value.retryable
    assert time.monotonic() - began < 60
    with pytest.raises(UpstreamError):
        backend.jobs.ping()


def test_a_waiting_reader_outlives_a_restart(server: Valkey) -> None:
    backend = redis_backend(RedisConnection(server.url))
    last = backend.jobs.events(put_up(backend))[-1].id
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(backend.jobs.events, "job_1", after=last, wait_s=200)
        time.sleep(0.2)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        time.sleep(0.3)
        server.start()
        backend.jobs.transition("job_1", JobState.RUNNING, among={JobState.QUEUED})
        assert [event.data["state"] for event in waiting.result(timeout=300)] == ["running"]


def fill(link: RedisConnection) -> None:
    for size in (100_000, 1_000, 10):
        with suppress(StorageError):
            for number in itertools.count():
                key, value = f"filler-{size}-{number}", b"x" * size
                link.run(lambda client, k=key, v=value: client.set(k, v))


def test_a_full_server_refuses_whole_and_goes_on_reading(tmp_path: Path) -> None:
    with Valkey(tmp_path / "full", max_memory=6_000_000) as server:
        link = RedisConnection(server.url)
        backend, stores = (
            redis_backend(link),
            RedisLabelStores(link, Artifacts(str(tmp_path)), row_json),
        )
        job, store = put_up(backend), stores.of("tiny")
        store.put_label(make_label())
        fill(link)
        with pytest.raises(StorageError, match="is full: its maxmemory is reached"):
            store.put_label(make_label(make_unit(2)))
        with pytest.raises(StorageError, match="is full"):
            backend.jobs.commit(job, make_unit(2), Side.POSITIVE, LabelStatus.OK, summary="{}")
        with pytest.raises(StorageError, match="is full"):
            backend.jobs.transition(job, JobState.RUNNING, among={JobState.QUEUED})
        assert store.count() == 1
        assert len(store.rows_since(0, 10)[0]) == 1
        found = redis_backend(RedisConnection(server.url)).jobs.get(job)
        assert found is not None
        assert (found.state, found.counts.ok, len(backend.jobs.events(job))) == (
            JobState.QUEUED,
            0,
            1,
        )


def test_a_server_that_cannot_write_its_file_goes_on_reading_over_idle_connections(
    server: Valkey,
) -> None:
    with redis.Redis.from_url(server.url) as other:
        other.set("a", "kept")
        place = Path(other.config_get("dir")["dir"], other.config_get("dbfilename")["dbfilename"])
        place.unlink(missing_ok=True)
        # A folder with something in it is not replaced by a file.
        (place / "something").mkdir(parents=True)
        other.config_set("save", "3600 1")
        other.bgsave()
        wait_until(lambda: other.info("persistence")["rdb_last_bgsave_status"] == "err")
    client = open_client(server.url, answer_s=20.0, check_s=1)
    client.connection_pool.connection_kwargs["health_check_interval"] = 1e-6
    connection = RedisConnection(server.url)
    for _ in range(3):
        assert client.get("a") == b"kept"
        assert connection.run(lambda it: it.get("a")) == b"kept"
    with pytest.raises(StorageError, match="cannot write to its disk; free some space there"):
        connection.ping()


def test_what_a_newer_version_wrote_is_refused(server: Valkey) -> None:
    link = RedisConnection(server.url)
    put_up(redis_backend(link))
    link.run(lambda client: client.hset("autointerp:1:job:job_1", "schema", 3))
    with pytest.raises(InputError, match="job job_1 was written by a newer autointerp"):
        redis_backend(link).jobs.get("job_1")
    link.run(lambda client: client.set("autointerp:schema", 2))
    with pytest.raises(InputError, match=r"newer autointerp \(schema 2, this one reads 1\)"):
        RedisConnection(server.url)


def test_a_damaged_label_is_told_with_its_place(server: Valkey, tmp_path: Path) -> None:
    link = RedisConnection(server.url)
    store = RedisLabelStores(link, Artifacts(str(tmp_path))).of("tiny")
    store.put_label(make_label())
    field = "blocks.5.mlp.hook_post/131/positive"
    link.run(lambda client: client.hset("autointerp:1:labels:tiny", field, b"\x00rubbish"))
    with pytest.raises(StorageError, match=f"{field} in unix://.* is damaged"):
        store.get_label(make_unit(), Side.POSITIVE)
    with pytest.raises(StorageError, match=f"{field} in unix://.* is damaged"):
        list(store.summaries())


def test_of_several_units_that_are_read_at_once_a_damaged_one_fails_alone(
    server: Valkey, tmp_path: Path
) -> None:
    link = RedisConnection(server.url)
    store = RedisLabelStores(link, Artifacts(str(tmp_path))).of("tiny")
    for index in (1, 2, 3):
        store.put_label(make_label(make_unit(index)))
    field = "blocks.5.mlp.hook_post/2/positive"
    link.run(lambda client: client.hset("autointerp:1:labels:tiny", field, b"\x00rubbish"))
    first, second, third = store.sides_of([make_unit(index) for index in (1, 2, 3)])
    assert [label.unit.index for label in (*first(), *third())] == [1, 3]
    with pytest.raises(StorageError, match=f"{field} in unix://.* is damaged"):
        second()


@pytest.mark.parametrize("url", ["http://127.0.0.1:6379", "redis://h:port/0", "nothing"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="is not an address of Redis"):
        RedisConnection(url, patience_s=0)


WAITED_FOR = [name for name in REFUSALS if name != "full"]


@pytest.mark.parametrize("name", WAITED_FOR)
def test_a_server_that_refuses_for_a_while_is_waited_for(server: Valkey, name: str) -> None:
    link = RedisConnection(server.url)
    job = put_up(redis_backend(link))
    with ThreadPoolExecutor(1) as pool, redis.Redis.from_url(server.url) as client:
        client.ping()
        with REFUSALS[name](client):
            time.sleep(0.3)
            moved = pool.submit(
                redis_backend(link).jobs.transition,
                job,
                JobState.RUNNING,
                among={JobState.QUEUED},
            )
            time.sleep(0.7)
        assert moved.result(timeout=300)
    found = redis_backend(link).jobs.get(job)
    assert found is not None
    assert found.state is JobState.RUNNING


@pytest.mark.parametrize("name", ["replica", "stale_replica", "alone", "other_password", "busy"])
def test_a_server_that_goes_on_refusing_is_told_as_one_that_may_come_back(
    server: Valkey, name: str
) -> None:
    link = RedisConnection(server.url, patience_s=0.3)
    job = put_up(redis_backend(link))
    with redis.Redis.from_url(server.url) as client:
        client.ping()
        with REFUSALS[name](client):
            time.sleep(0.3)
            with pytest.raises(UpstreamError, match=r"^Redis at unix://") as caught:
                redis_backend(link).jobs.transition(job, JobState.RUNNING, among={JobState.QUEUED})
    assert caught.value.retryable


def test_a_wrong_password_at_the_beginning_is_not_waited_for(server: Valkey) -> None:
    with redis.Redis.from_url(server.url) as client, REFUSALS["other_password"](client):
        began = time.monotonic()
        with pytest.raises(UpstreamError, match="refuses the user name or password") as caught:
            RedisConnection(server.url)
        assert not caught.value.retryable
        assert time.monotonic() - began < 2

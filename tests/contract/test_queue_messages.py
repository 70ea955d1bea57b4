"""Messages in the queues of workers: as many as there is work, however often it is scheduled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from stored_jobs import put_up

from autointerp.core.errors import UpstreamError
from autointerp.core.job_state import Stage, WorkItem
from autointerp.orchestration import reconcile
from autointerp.orchestration.plan import ACTIVATIONS, LABELS
from autointerp.store.jobs import JobBackend
from autointerp.store.jobs.redis_backend import redis_backend
from autointerp.store.redis_connection import RedisConnection
from workers.celery_app import build_app, request_sender, sender


@pytest.fixture
def server(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def stored(redis_url: str) -> JobBackend:
    return redis_backend(RedisConnection(redis_url))


def lengths(server: redis.Redis) -> tuple[object, object]:
    return server.llen(ACTIVATIONS), server.llen(LABELS)


def test_a_message_that_waits_is_not_sent_again(redis_url: str, server: redis.Redis) -> None:
    send = sender(build_app(redis_url))
    labels = [WorkItem("job_1", Stage.LABEL, n) for n in range(5)]
    others = [WorkItem("job_1", Stage.RECORDS, n) for n in range(3)]
    for _ in range(10):
        send([*labels, *others])
    assert lengths(server) == (3, 5)
    server.rpop(LABELS)  # As a worker that dies with it.
    send(labels)
    assert lengths(server) == (3, 5)
    send([WorkItem("job_2", Stage.LABEL, 0)])
    assert lengths(server) == (3, 6)


def test_reconciling_behind_a_busy_worker_piles_nothing_up(
    redis_url: str, server: redis.Redis, stored: JobBackend
) -> None:
    for number in range(1, 27):
        put_up(stored, number)
    send = sender(build_app(redis_url))
    for _ in range(12):
        reconcile(stored, send)
        # A minute passes.
        for number in range(1, 27):
            server.hdel(f"autointerp:1:items:job_{number:026d}/plan", "s0")
    assert lengths(server) == (26, 0)


def test_one_message_wakes_a_worker_for_all_requests(
    redis_url: str, server: redis.Redis, stored: JobBackend
) -> None:
    send = request_sender(build_app(redis_url), stored.mailbox)
    for number in range(20):
        send(f"ask_{number}", "activations", "{}", 30)
    assert lengths(server) == (1, 0)
    server.delete(ACTIVATIONS)
    send("ask_20", "activations", "{}", 30)
    assert lengths(server) == (1, 0)


def test_queues_that_cannot_be_reached_are_told() -> None:
    with pytest.raises(UpstreamError, match="queues in Redis cannot be reached"):
        sender(build_app("redis://127.0.0.1:9/0"))([WorkItem("job_1", Stage.PLAN, 0)])

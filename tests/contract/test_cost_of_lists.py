"""What a list of jobs costs depends on its page, and not on what the jobs were asked to do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from stored_jobs import make_service_job, put_up

from autointerp.core.job_state import JobState
from autointerp.orchestration import reconcile
from autointerp.store.jobs import JobBackend
from autointerp.store.jobs.redis_backend import redis_backend
from autointerp.store.redis_connection import RedisConnection

WIDE = ",".join(f"5:{n}" for n in range(3_000))


@pytest.fixture
def server(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def stored(redis_url: str, server: redis.Redis) -> JobBackend:
    return redis_backend(RedisConnection(redis_url))


def sent_bytes(server: redis.Redis) -> int:
    found: Any = server.info("stats")
    return int(found["total_net_output_bytes"])


def cost(server: redis.Redis, action: Any) -> int:
    """Bytes that the server sends for an action."""
    action()  # Scripts are loaded, summaries of earlier versions made.
    before = sent_bytes(server)
    action()
    return sent_bytes(server) - before


def test_a_page_costs_the_same_for_small_and_for_large_jobs(
    stored: JobBackend, server: redis.Redis
) -> None:
    for number in range(1, 41):
        put_up(stored, number)
    small = cost(server, lambda: stored.jobs.find(limit=10))
    for number in range(41, 81):
        put_up(stored, number, units=WIDE)
    large = cost(server, lambda: stored.jobs.find(limit=10))
    assert large < small + 10 * 300
    assert cost(server, lambda: stored.jobs.find(limit=40)) < 5 * large
    assert cost(server, lambda: stored.jobs.find(limit=5)) < 0.8 * large


def test_reconciling_reads_no_specification(stored: JobBackend, server: redis.Redis) -> None:
    for number in range(1, 21):
        put_up(stored, number, units=WIDE)
    assert cost(server, lambda: reconcile(stored, lambda items: None)) < 20 * len(WIDE) / 2


def test_open_jobs_are_found_without_a_look_at_those_that_ended(
    stored: JobBackend, server: redis.Redis
) -> None:
    for number in range(1, 201):
        put_up(stored, number)
        if number != 3:
            stored.jobs.transition(
                make_service_job(number).id, JobState.FAILED, among={JobState.QUEUED}
            )
    open_states = {JobState.QUEUED, JobState.RUNNING}
    assert [job.id for job in stored.jobs.find(states=open_states)] == [make_service_job(3).id]
    assert cost(server, lambda: stored.jobs.find(states=open_states)) < 5_000


def as_before(server: redis.Redis, job_id: str, spec: dict[str, Any]) -> None:
    """Stores a specification as the version did that kept no summaries."""
    key = f"autointerp:1:job:{job_id}"
    server.hset(key, "spec", json.dumps(spec))
    server.hdel(key, "brief")


def test_jobs_that_were_stored_without_a_summary_are_listed_whatever_they_hold(
    stored: JobBackend, server: redis.Redis
) -> None:
    ids = [put_up(stored, number) for number in range(1, 4)]
    kept = json.loads(server.hget(f"autointerp:1:job:{ids[0]}", "spec") or "")
    as_before(server, ids[0], kept)
    # What is refused today.
    kept["explain"]["explainers"] = ["x" * 1_000] * 500
    as_before(server, ids[1], {**kept, "units": WIDE})
    server.hset(f"autointerp:1:job:{ids[2]}", "spec", "[" * 100_000)
    server.hdel(f"autointerp:1:job:{ids[2]}", "brief")
    found = stored.jobs.find()
    assert [job.id for job in found] == ids[::-1]
    assert [job.asked.units[:7] for job in found] == ["damaged", "5:0,5:1", kept["units"][:7]]
    first = cost(server, stored.jobs.find)
    assert first < 10_000
    assert stored.jobs.find() == found
    assert re.fullmatch(r"job_\d+", found[0].id)

"""A job outlives whatever a Redis that answers may refuse for a while, and its workers too."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from labelling import wait_until
from redis_refusals import REFUSALS
from service import Service
from worker_in_process import tiny_spec

from autointerp.core.job_state import JobState, Stage

FAULT_S = 6.0
"""Longer than any timer of Celery's that asks Redis by itself."""


@pytest.fixture(scope="module")
def service(
    model_folder: Path, texts: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    settings = {"models": f"tiny={model_folder}", "folders": texts.parent}
    with Service(tmp_path_factory.mktemp("service"), settings) as running:
        yield running


@pytest.mark.parametrize("name", REFUSALS)
def test_a_job_goes_on_after_redis_refused_for_a_while(
    service: Service, texts: Path, name: str
) -> None:
    seed = 100 + list(REFUSALS).index(name)
    pids = {queue: process.pid for queue, process in service.processes.items()}
    with redis.Redis.from_url(service.server.url) as client:
        client.ping()
        job = service.submit(tiny_spec(texts, units="0:0-23,1:0-23,2:0-17", seed=seed))
        wait_until(lambda: service.is_held(job.id, Stage.RECORDS), said=service.said)
        with REFUSALS[name](client):
            time.sleep(FAULT_S)
        ended = service.ended(job.id)
        assert (ended.state, ended.counts.done) == (JobState.SUCCEEDED, 66), ended.reason
        # Workers that had nothing to do meanwhile take work again, too.
        with REFUSALS[name](client):
            time.sleep(FAULT_S)
    again = service.ended(service.submit(tiny_spec(texts, seed=seed + 100)).id)
    assert again.state is JobState.SUCCEEDED, again.reason
    assert all(process.poll() is None for process in service.processes.values()), service.said()
    assert pids == {queue: process.pid for queue, process in service.processes.items()}

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
from autointerp.orchestration.plan import QUEUES
from workers.celery_app import WORK, build_app

FAULT_S = 3.0
"""Longer than the 2 s after which Celery asks Redis by itself again."""


@pytest.fixture(scope="module")
def service(
    model_folder: Path, texts: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    settings = {"models": f"tiny={model_folder}", "folders": texts.parent}
    with Service(tmp_path_factory.mktemp("service"), settings) as running:
        yield running


def alive(service: Service, pids: dict[str, int]) -> bool:
    now = {name: one.pid for name, one in service.processes.items() if one.poll() is None}
    return now == pids


@pytest.mark.parametrize("name", ["replica", "alone", "full", "other_password", "cut"])
def test_a_job_goes_on_after_redis_refused_for_a_while(
    service: Service, texts: Path, name: str
) -> None:
    seed = 100 + list(REFUSALS).index(name)
    pids = {queue: process.pid for queue, process in service.processes.items()}
    with redis.Redis.from_url(service.server.url) as client:
        client.ping()
        job = service.submit(tiny_spec(texts, seed=seed))
        wait_until(
            lambda: service.is_held(job.id, Stage.RECORDS) or service.job(job.id).state.is_final,
            said=service.said,
        )
        with REFUSALS[name](client):
            time.sleep(FAULT_S)
    ended = service.ended(job.id)
    assert (ended.state, ended.counts.done) == (JobState.SUCCEEDED, 6), ended.reason
    assert alive(service, pids), service.said()


@pytest.mark.parametrize("name", REFUSALS)
def test_an_idle_worker_takes_work_again_after_redis_refused_for_a_while(
    service: Service, name: str
) -> None:
    pids = {queue: process.pid for queue, process in service.processes.items()}
    with redis.Redis.from_url(service.server.url) as client:
        client.ping()
        with REFUSALS[name](client):
            time.sleep(FAULT_S)
        app = build_app(service.server.url)
        for queue in QUEUES:
            # Of no job: it is taken, and nothing comes of it.
            app.send_task(WORK, args=["job_none", "label", 0], queue=queue, ignore_result=True)
        wait_until(
            lambda: not any(client.llen(queue) for queue in QUEUES) or not alive(service, pids),
            said=service.said,
        )
    assert alive(service, pids), service.said()

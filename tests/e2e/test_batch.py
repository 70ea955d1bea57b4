"""A whole labelling job through the Batch API, killed and gone on with."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fake_batch import FakeBatches
from fake_endpoint import read_request
from faulty import answering
from labelling import Labelling, wait_until

JOB = ("--explainer", "token_activation", "--batch")
# Explaining, choosing, scoring, and scoring another unit's explanation.
N_STAGES = 4


@pytest.fixture
def batches() -> Iterator[FakeBatches]:
    answer = answering(0)

    def handler(body: dict[str, Any]) -> str:
        return answer(read_request(body))

    with FakeBatches(handler) as running:
        yield running


def submitted(batches: FakeBatches) -> list[str]:
    """Custom ids in all batches."""
    files = [batches.files[batch.input_file_id] for batch in batches.batches.values()]
    return [json.loads(line)["custom_id"] for data in files for line in data.splitlines()]


def test_a_job_takes_a_batch_a_stage(labelling: Labelling, batches: FakeBatches) -> None:
    ended = labelling(labelling.arguments("a", *JOB, "--json", llm=batches.base_url))
    assert ended.code == 0, ended.err
    assert len(batches.batches) == N_STAGES
    assert len(set(batches.paid)) == len(batches.paid) == len(submitted(batches))
    spent = json.loads(ended.out)["spent"]
    assert spent["requests"] == 1 + len(batches.paid)
    assert "batch_1: completed" in ended.err


@pytest.mark.parametrize("n_batches", [1, 3])
def test_a_job_killed_after_a_submission_submits_nothing_twice(
    labelling: Labelling, batches: FakeBatches, n_batches: int
) -> None:
    arguments = labelling.arguments("a", *JOB, llm=batches.base_url)
    answer, is_killed = batches.handler, threading.Event()

    def hold(body: dict[str, Any]) -> Any:
        if len(batches.batches) >= n_batches:
            assert is_killed.wait(300)
        return answer(body)

    batches.handler = hold
    running = labelling.spawn(arguments)
    wait_until(lambda: len(batches.batches) >= n_batches or running.poll() is not None)
    running.send_signal(signal.SIGKILL)
    _, printed = running.communicate(timeout=300)
    assert running.returncode == -signal.SIGKILL, printed
    is_killed.set()

    resumed = labelling([*arguments, "--resume", "--json"])
    assert resumed.code == 0, resumed.err
    assert len(batches.batches) == N_STAGES
    assert len(set(submitted(batches))) == len(submitted(batches)) == len(batches.paid)
    spent = json.loads(resumed.out)["spent"]
    assert (spent["requests"], spent["assumed"]) == (1 + len(batches.paid), 0)
    whole = labelling(labelling.arguments("whole", *JOB, llm=batches.base_url))
    assert whole.code == 0, whole.err
    assert len(batches.batches) == N_STAGES
    assert labelling.tables("a") == labelling.tables("whole")

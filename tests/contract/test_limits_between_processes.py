"""One limit of an endpoint, kept by processes of their own through a real server."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise

import limited_caller
from fake_endpoint import FakeEndpoint, status
from labelling import wait_until

from autointerp.core.limits import EndpointLimits, LimitGrant, LimitReport
from autointerp.llm import ChatRequest
from autointerp.store.redis_limits import RedisLimitStore

LIMIT, ANSWER_S, SECONDS = 8, 0.2, 3.0
WANTED = tuple([1] * 20)


def slowly(seconds: float) -> Callable[[ChatRequest], str]:
    def answer(_: ChatRequest) -> str:
        time.sleep(seconds)
        return "x"

    return answer


def caller(url: str, endpoint: FakeEndpoint, *more: float) -> subprocess.Popen[str]:
    """A process that asks when `begin` says so."""
    program = [sys.executable, limited_caller.__file__, url, endpoint.base_url, str(LIMIT)]
    pipe = subprocess.PIPE
    return subprocess.Popen([*program, *map(str, more)], stdin=pipe, stdout=pipe, text=True)


def begin(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def n_answered(*processes: subprocess.Popen[str]) -> list[int]:
    return [int(process.communicate()[0].split()[0]) for process in processes]


def test_two_processes_use_one_limit_whole_and_never_more(redis_url: str) -> None:
    with FakeEndpoint(slowly(ANSWER_S)) as endpoint:
        pair = [caller(redis_url, endpoint, SECONDS) for _ in range(2)]
        begin(*pair)
        both = n_answered(*pair)
        assert endpoint.most_in_flight == LIMIT
        assert min(both) >= 0.1 * sum(both)


def test_a_retry_after_that_one_process_was_given_holds_the_other_back_too(
    redis_url: str,
) -> None:
    moments = list[float]()

    def note(_: ChatRequest) -> str:
        moments.append(time.monotonic())
        time.sleep(ANSWER_S)
        return "x"

    with FakeEndpoint(note) as endpoint:
        pair = [caller(redis_url, endpoint, 6.0) for _ in range(2)]
        begin(*pair)
        wait_until(lambda: len(moments) > 3 * LIMIT)
        endpoint.faults.append(status(429, headers={"Retry-After": "2"}))
        answered = n_answered(*pair)
    # For a while nobody asks at all, and then both do again.
    assert max(after - before for before, after in pairwise(moments)) >= 1.5
    assert min(answered) > 0


def test_the_places_of_a_process_that_was_killed_come_back(redis_url: str) -> None:
    with FakeEndpoint(slowly(0.3)) as endpoint:
        dying = caller(redis_url, endpoint, 30, 1.0)
        begin(dying)
        wait_until(lambda: endpoint.in_flight == LIMIT)
        store = RedisLimitStore(redis_url)
        limits = EndpointLimits(LIMIT)

        def other(name: str = "other", used: int = 0) -> LimitGrant:
            report = LimitReport(name, used, WANTED, lease_s=1.0)
            return store.exchange(endpoint.base_url, limits, report)

        first = other()
        assert first.n < LIMIT
        assert 0 < first.wait_s <= 1
        dying.kill()
        dying.communicate()
        killed = time.monotonic()
        used = first.n
        while used < LIMIT:
            assert time.monotonic() < killed + 60
            used += other(used=used).n
            time.sleep(0.05)
        assert other(used=used).n == 0
    store.close()

"""What is counted of an LLM's calls."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from decimal import Decimal

import pytest
from endpoint_client import HELLO, LEVELS, TurningClock
from fake_endpoint import FakeEndpoint, Fault, completion, cut, hang_up, html, json_body, status

from autointerp.core.errors import UpstreamError
from autointerp.core.worker_metrics import LATENCY_BUCKETS_S, LlmMetrics
from autointerp.llm import (
    ClientDependencies,
    ClientOptions,
    CostLog,
    Meter,
    OpenAICompatible,
    Spent,
)


def read(base_url: str, meter: Meter, **options: float) -> LlmMetrics:
    """What one question, asked until it is answered or given up, adds up to."""
    world = TurningClock()

    async def ask() -> None:
        model = OpenAICompatible(
            base_url,
            "fake",
            options=ClientOptions(negotiates=False, **options),  # type: ignore[arg-type]
            dependencies=ClientDependencies(sleep=world.sleep, clock=world.clock, meter=meter),
        )
        with suppress(UpstreamError):
            await model.reply(HELLO)
        await model.close()

    asyncio.run(ask())
    return meter.reading


@pytest.mark.parametrize(
    ("fault", "error", "passes"),
    [
        (status(429, code="rate_limit_exceeded"), "rate_limited", True),
        (status(503, headers={"Retry-After": "1"}), "rate_limited", True),
        (status(500), "server", True),
        (html(), "unreadable", True),
        (json_body({"choices": 3}), "unreadable", True),
        (hang_up(), "cut", True),
        (cut(), "cut", True),
        (status(400, code="content_filter"), "refused", False),
        (status(401), "rejected", False),
        (status(429, code="insufficient_quota"), "rejected", False),
    ],
)
def test_every_failure_has_a_class(
    endpoint: FakeEndpoint, fault: Fault, error: str, passes: bool
) -> None:
    endpoint.faults.append(fault)
    found = read(endpoint.base_url, Meter())
    assert found.errors == {error: 1}
    assert (found.calls, sum(found.buckets)) == (1 + passes, passes)


def test_an_answer_that_does_not_come_in_time_is_a_timeout() -> None:
    with FakeEndpoint(lambda _: LEVELS) as endpoint:
        endpoint.faults.append(Fault(drip=True))
        found = read(endpoint.base_url, Meter(), timeout_s=0.1, attempts=1)
    assert (found.calls, found.errors) == (1, {"timeout": 1})


def test_an_endpoint_that_is_not_there_is_unreachable() -> None:
    found = read("http://127.0.0.1:9/v1", Meter(), attempts=2)
    assert (found.calls, found.errors, sum(found.buckets)) == (2, {"unreachable": 2}, 0)


def test_a_parameter_that_is_left_out_is_no_error(endpoint: FakeEndpoint) -> None:
    endpoint.rejected["temperature"] = status(400, "nein")
    found = read(endpoint.base_url, Meter())
    n_sent = len(endpoint.bodies) + len(endpoint.probes)
    assert (found.calls, found.errors) == (n_sent, {})


def test_latencies_go_into_the_bucket_whose_bound_they_keep(endpoint: FakeEndpoint) -> None:
    meter = Meter()
    for seconds in (0.05, 0.051, 1000.0):
        meter.answered(seconds)
    found = meter.reading
    assert found.buckets == (1, 1, *(0,) * (len(LATENCY_BUCKETS_S) - 2), 1)
    assert found.seconds == pytest.approx(1000.101)
    endpoint.faults.append(completion({"content": "x"}))
    assert sum(read(endpoint.base_url, meter).buckets) == 4


def test_what_is_booked_is_counted_but_for_what_is_assumed() -> None:
    meter, cost_log = Meter(), CostLog()
    cost_log.add(Spent(cached_replies=1))
    cost_log.on_cost(meter.add_cost)
    cost_log.add(Spent(cached_replies=1))
    worst = Spent(1, prompt_tokens=900, completion_tokens=100, usd=Decimal("0.5"))
    cost_log.end_call(cost_log.begin_call("a", worst), Spent(1, 0, 30, 0, 7, Decimal("0.25")))
    cost_log.end_call(cost_log.begin_call("b", worst), Spent(1, 0, 900, 0, 100, None, assumed=1))
    found = meter.reading
    assert (found.cache_hits, found.prompt_tokens, found.completion_tokens) == (1, 30, 7)
    assert found.usd == 0.25

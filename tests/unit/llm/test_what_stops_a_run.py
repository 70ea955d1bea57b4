"""A key that is not taken, or a quota that is used up, stops a run at once with its words."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from endpoint_cases import STOPPING
from endpoint_client import HELLO, TurningClock, client
from fake_endpoint import FakeEndpoint

from autointerp.core.errors import RequestFailedError, RequestRefusedError, UpstreamError


def found(endpoint: FakeEndpoint, name: str, *, answered: bool) -> tuple[list[object], int, float]:
    """What comes of six questions at once, the requests that they take, and the waits."""
    world = TurningClock()
    model = client(endpoint.base_url, world, negotiates=True, max_in_flight=2)

    async def ask() -> tuple[list[object], int]:
        if answered:
            await model.reply(HELLO)
        n_before = len(endpoint.bodies) + len(endpoint.probes)
        endpoint.dress = lambda _: STOPPING[name]
        asked = (model.reply(replace(HELLO, seed=seed)) for seed in range(6))
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        await model.close()
        return list(outcomes), n_before

    outcomes, n_before = asyncio.run(ask())
    return outcomes, len(endpoint.bodies) + len(endpoint.probes) - n_before, sum(world.slept)


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("name", STOPPING)
def test_what_is_refused_to_all_stops_them_in_seconds(
    endpoint: FakeEndpoint, name: str, answered: bool
) -> None:
    outcomes, n_sent, seconds = found(endpoint, name, answered=answered)
    for one in outcomes:
        assert isinstance(one, UpstreamError)
        assert not isinstance(one, RequestFailedError | RequestRefusedError)
        assert not one.retryable
    # One server of several might be what refuses, once others were answered.
    assert n_sent <= 12
    assert seconds <= 6


@pytest.mark.parametrize("name", [name for name in STOPPING if not name.startswith("429 in")])
def test_a_status_or_a_code_that_says_so_is_waited_for_nowhere(
    endpoint: FakeEndpoint, name: str
) -> None:
    _, _, seconds = found(endpoint, name, answered=False)
    assert seconds == 0

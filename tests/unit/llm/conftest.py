"""A fake endpoint, a world without waiting, and a client between them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from endpoint_client import HELLO, LEVELS, Ask, Clockwork, client, run
from fake_endpoint import FakeEndpoint

from autointerp.llm import ChatReply, ChatRequest


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
    with FakeEndpoint(lambda _: LEVELS) as running:
        yield running


@pytest.fixture
def world() -> Clockwork:
    return Clockwork()


@pytest.fixture
def ask(endpoint: FakeEndpoint, world: Clockwork) -> Ask:
    def _ask(request: ChatRequest = HELLO, **options: object) -> ChatReply:
        return run(client(endpoint.base_url, world, **options), request)

    return _ask

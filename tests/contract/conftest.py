"""A real Valkey server, and the boards, for the suites that run over Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from autointerp.serving import Valkey
from autointerp.store.board import Board
from autointerp.store.memory_board import MemoryBoard
from autointerp.store.redis import RedisBoard
from autointerp.store.redis_connection import RedisConnection


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def redis_url(valkey: Valkey) -> str:
    """The server's address; the server is empty."""
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()
    return valkey.url


@pytest.fixture(params=["memory", "redis"])
def board(request: pytest.FixtureRequest) -> Iterator[Board]:
    if request.param == "memory":
        yield MemoryBoard()
        return
    link = RedisConnection(request.getfixturevalue("redis_url"))
    yield RedisBoard(link)
    link.close()

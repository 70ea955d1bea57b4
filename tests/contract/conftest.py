"""A real Valkey server, and both backends of jobs, for the suites that run over Redis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from memory_jobs import MemoryJobs
from typing_extensions import override

from autointerp.serving import Valkey
from autointerp.store.jobs import JobBackend
from autointerp.store.jobs.redis_backend import redis_backend
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


class RepeatingConnection(RedisConnection):
    """Sends every script twice, as it is where the reply to the first was lost."""

    @override
    def script(self, text: str, keys: list[str], args: list[Any]) -> Any:
        super().script(text, keys, args)
        return super().script(text, keys, args)


@pytest.fixture(params=["memory", "redis", "redis, each script sent twice"])
def backend(request: pytest.FixtureRequest) -> Iterator[JobBackend]:
    if request.param == "memory":
        yield MemoryJobs().backend
        return
    kind = RedisConnection if request.param == "redis" else RepeatingConnection
    connection = kind(request.getfixturevalue("redis_url"))
    yield redis_backend(connection)
    connection.close()

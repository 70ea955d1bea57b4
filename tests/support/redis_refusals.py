"""What a Redis that answers may refuse for a while; each lasts for the block."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

import redis


@contextmanager
def replica(client: redis.Redis) -> Iterator[None]:
    """It became a replica, which takes no writes, as in a failover."""
    client.replicaof("127.0.0.1", 1)  # type: ignore[no-untyped-call]
    yield
    client.replicaof("NO", "ONE")  # type: ignore[no-untyped-call]


@contextmanager
def stale_replica(client: redis.Redis) -> Iterator[None]:
    """It became one that hands out nothing either, as its primary is away."""
    client.config_set("replica-serve-stale-data", "no")
    with replica(client):
        yield
    client.config_set("replica-serve-stale-data", "yes")


@contextmanager
def alone(client: redis.Redis) -> Iterator[None]:
    """It lacks the replicas without which it takes no writes."""
    client.config_set("min-replicas-to-write", 1)
    yield
    client.config_set("min-replicas-to-write", 0)


@contextmanager
def full(client: redis.Redis) -> Iterator[None]:
    """Its memory is used up."""
    client.config_set("maxmemory", 1 << 20)
    yield
    client.config_set("maxmemory", 0)


@contextmanager
def other_password(client: redis.Redis) -> Iterator[None]:
    """Somebody gave it a password, and ended the connections of before."""
    client.config_set("requirepass", "another")
    client.client_kill_filter(_type="normal", skipme=True)  # type: ignore[no-untyped-call]
    yield
    client.config_set("requirepass", "")


@contextmanager
def cut(client: redis.Redis) -> Iterator[None]:
    """Connections end all the time, wherever they are."""
    with _repeated(lambda: client.client_kill_filter(_type="normal", skipme=True)):  # type: ignore[no-untyped-call]
        yield


@contextmanager
def without_scripts(client: redis.Redis) -> Iterator[None]:
    """It forgets the scripts that it knew."""
    with _repeated(client.script_flush):
        yield


@contextmanager
def busy(client: redis.Redis) -> Iterator[None]:
    """A script does not end; others are told so after a moment."""
    client.config_set("busy-reply-threshold", 50)
    options = client.connection_pool.connection_kwargs
    kind = type(client.connection_pool.make_connection())  # type: ignore[no-untyped-call]

    def spin() -> None:
        pool = redis.ConnectionPool(kind, **options)
        with suppress(redis.RedisError), redis.Redis(connection_pool=pool) as other:
            other.eval("while true do end", 0)

    thread = threading.Thread(target=spin)
    thread.start()
    yield
    client.script_kill()
    thread.join()


@contextmanager
def _repeated(action: Callable[[], object]) -> Iterator[None]:
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(0.02):
            action()

    thread = threading.Thread(target=repeat)
    thread.start()
    yield
    ended.set()
    thread.join()


Refusal = Callable[[redis.Redis], AbstractContextManager[None]]
REFUSALS: dict[str, Refusal] = {
    refusal.__name__: refusal
    for refusal in (
        replica,
        stale_replica,
        alone,
        full,
        other_password,
        cut,
        without_scripts,
        busy,
    )
}

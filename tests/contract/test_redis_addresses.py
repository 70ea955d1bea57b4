"""Every connection to Redis verifies its server, and says when Redis may lose what it keeps."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest
import redis
from tls_proxy import Authority, tls_proxy

from autointerp.core.errors import AutointerpError, StorageError
from autointerp.core.job_state import Stage, WorkItem
from autointerp.core.limits import EndpointLimits, LimitReport
from autointerp.serving import Valkey
from autointerp.settings import Settings
from autointerp.store.artifacts import Artifacts
from autointerp.store.labels.stores import open_label_stores
from autointerp.store.redis_connection import RedisConnection
from autointerp.store.redis_limits import RedisLimitStore
from autointerp.wiring.diagnostics import State, upstream_checks
from workers.celery_app import build_app, sender


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("tls"), tcp=True) as started:
        yield started


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


def job_store(url: str) -> None:
    RedisConnection(url, patience_s=0).ping()


def limits_of_llms(url: str) -> None:
    report = LimitReport(holder="me", lease_s=10, used=0, wanted=(1,))
    RedisLimitStore(url).exchange("llm", EndpointLimits(1), report)


def queues_of_celery(url: str) -> None:
    sender(build_app(url))([WorkItem("job_1", Stage.PLAN, 0)])


def results_of_celery(url: str) -> None:
    app = build_app(url)
    app.conf.result_backend = url
    try:
        app.backend.client.ping()
    except redis.RedisError as error:
        raise StorageError(str(error)) from error


def doctor(url: str) -> None:
    for check in upstream_checks(Settings.model_validate({"redis_url": url})):
        if check.name == "redis" and check.state is not State.OK:
            raise StorageError(check.detail)


CLIENTS = (job_store, limits_of_llms, queues_of_celery, results_of_celery, doctor)


def url_of(server: Valkey, port: int, options: str) -> str:
    """The server's address, through TLS."""
    secret = server.url.removeprefix("redis://").partition("@")[0]
    return f"rediss://{secret}@localhost:{port}/0?{options}".rstrip("?")


def port_of(server: Valkey) -> int:
    return int(server.url.rpartition(":")[2].partition("/")[0])


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_each_connection_verifies_the_certificate_of_its_server(
    server: Valkey, authority: Authority, client: Callable[[str], None]
) -> None:
    trusting = f"ssl_ca_certs={authority.path}"
    # One proxy each: Celery keeps its connections by host and port.
    for host, options, verified in (
        ("localhost", trusting, True),
        ("localhost", "ssl_cert_reqs=none", True),
        ("localhost", "", False),
        ("elsewhere.example", trusting, False),
    ):
        with tls_proxy(authority.context(host), port_of(server)) as port:
            url = url_of(server, port, options)
            with nullcontext() if verified else pytest.raises(AutointerpError):
                client(url)


def test_doctor_says_that_a_certificate_is_not_trusted(
    server: Valkey, authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path)
    with tls_proxy(authority.context("localhost"), port_of(server)) as port:
        url = url_of(server, port, f"ssl_ca_certs={other.path}")
        checks = {c.name: c for c in upstream_checks(Settings.model_validate({"redis_url": url}))}
    assert "its certificate is not trusted: certificate signature" in checks["redis"].detail
    assert "ssl_ca_certs=FILE" in checks["redis"].advice


def with_policy(tmp_path: Path, policy: str, memory: int | None = 64 << 20) -> Valkey:
    started = Valkey(tmp_path / "valkey", max_memory=memory)
    started.start()
    with redis.Redis.from_url(started.url) as client:
        client.config_set("maxmemory-policy", policy)
    return started


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "allkeys-random"])
def test_a_redis_that_evicts_is_told_by_doctor_and_by_the_stores(
    tmp_path: Path, policy: str
) -> None:
    server = with_policy(tmp_path, policy)
    try:
        for setting in ("redis_url", "store"):
            checks = upstream_checks(Settings.model_validate({setting: server.url}))
            found = [check for check in checks if check.name != "llm"]
            assert [check.state for check in found] == [State.PROBLEM]
            assert f"maxmemory-policy is {policy}" in found[0].detail
            assert found[0].advice == "set maxmemory-policy noeviction"
        stores = open_label_stores(server.url, artifacts=Artifacts(str(tmp_path / "artifacts")))
        for ping in (RedisConnection(server.url).ping, stores.ping):
            with pytest.raises(StorageError, match=f"is {policy}.*set maxmemory-policy noeviction"):
                ping()
    finally:
        server.stop()


def user(rules: str) -> Callable[[redis.Redis], str]:
    """A user who may do so much; the address with its name and password."""

    def make(client: redis.Redis) -> str:
        client.execute_command("ACL", "SETUSER", "ada", "reset", "on", ">pw", *rules.split())
        return "ada:pw"

    return make


def replica(client: redis.Redis) -> str:
    client.replicaof("127.0.0.1", 1)
    return ""


def stale(client: redis.Redis) -> str:
    client.config_set("replica-serve-stale-data", "no")
    return replica(client)


def alone(client: redis.Redis) -> str:
    client.config_set("min-replicas-to-write", 1)
    return ""


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (replica, "a replica that takes no writes"),
        (stale, "a replica that takes no writes"),
        (alone, "Not enough good replicas to write"),
        (user("+@all ~other:*"), "No permissions to access a key"),
        (user("+@read +@connection +info ~*"), "has no permissions to run the"),
        (user("+@all -eval -evalsha ~*"), "has no permissions to run the 'eval' command"),
    ],
    ids=range(6),
)
def test_a_redis_that_takes_no_jobs_is_told_by_doctor_and_by_readiness(
    tmp_path: Path, spoil: Callable[[redis.Redis], str], says: str
) -> None:
    with Valkey(tmp_path / "valkey", tcp=True) as server:
        with redis.Redis.from_url(server.url) as client:
            client.set("autointerp:schema", 1)
            name = spoil(client)
        secret = server.url.removeprefix("redis://").partition("@")[0]
        url = server.url.replace(secret, name) if name else server.url
        checks = {c.name: c for c in upstream_checks(Settings.model_validate({"redis_url": url}))}
        assert (checks["redis"].state, says in checks["redis"].detail) == (State.PROBLEM, True)
        assert checks["redis"].advice
        with pytest.raises(AutointerpError, match=says):
            RedisConnection(url, patience_s=1).ping()


def fill(url: str) -> None:
    """Puts ever smaller values, until not even a small one is taken.

    Each size has a client of its own: the server keeps room for what a client sends.
    """
    for size in (1 << 18, 1 << 12, 1 << 8):
        with redis.Redis.from_url(url) as client, suppress(redis.OutOfMemoryError):
            for number in range(10_000):
                client.set(f"{size} {number}", b"x" * size)


def test_a_redis_that_is_full_is_told_by_doctor_and_by_the_stores(tmp_path: Path) -> None:
    server = with_policy(tmp_path, "noeviction", 4 << 20)
    try:
        connection = RedisConnection(server.url)
        connection.ping()
        fill(server.url)
        with pytest.raises(StorageError, match="it is full|is full: its maxmemory"):
            connection.ping()
        checks = {c.name: c for c in upstream_checks(Settings(redis_url=server.url))}
        assert "it is full" in checks["redis"].detail
        assert "raise maxmemory or delete data" in checks["redis"].advice
    finally:
        server.stop()
        shutil.rmtree(tmp_path / "valkey", ignore_errors=True)

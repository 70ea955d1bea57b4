"""The supervised server: a real one."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import kombu
import pytest
import redis

from autointerp.core.errors import InputError, StorageError, UpstreamError
from autointerp.serving import Valkey
from autointerp.serving.valkey import find_server
from autointerp.serving.valkey_address import LONGEST
from autointerp.store.redis_connection import RedisConnection
from workers.celery_app import build_app


def client_of(server: Valkey) -> redis.Redis:
    return redis.Redis.from_url(server.url)


def eventually(holds: Callable[[], bool], within_s: float = 300) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.02)
    return holds()


def kill(server: Valkey) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    assert eventually(lambda: not server.alive())


def test_what_was_written_is_there_after_a_stop_and_a_start(tmp_path: Path) -> None:
    for number in (1, 2):
        with Valkey(tmp_path) as server, client_of(server) as client:
            assert server.alive()
            assert client.incr("n") == number
        assert not server.alive()


def test_a_server_that_stands_still_for_a_while_is_not_gone(tmp_path: Path) -> None:
    # A second one on the same folder would write into the same file.
    with Valkey(tmp_path) as server, client_of(server) as client:
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            assert server.alive()
        finally:
            os.kill(pid, signal.SIGCONT)
        assert client.incr("n") == 1
        assert server.pid == pid


def test_only_this_user_may_open_the_socket(tmp_path: Path) -> None:
    with Valkey(tmp_path / "data") as server:
        path = Path(server.url.removeprefix("unix://").partition("?")[0])
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_server_keeps_every_write_and_evicts_nothing(tmp_path: Path) -> None:
    with Valkey(tmp_path) as server, client_of(server) as client:
        found = {**client.config_get("append*"), **client.config_get("maxmemory-policy")}
        assert found["appendonly"] == "yes"
        assert found["appendfsync"] == "everysec"
        assert found["maxmemory-policy"] == "noeviction"


def test_a_folder_with_a_long_or_strange_name_is_served(tmp_path: Path) -> None:
    folder = tmp_path / ("é" * 60) / 'a "quoted" \\ name'
    with Valkey(folder) as server, client_of(server) as client:
        client.set("a", 1)
        path = server.url.removeprefix("unix://").partition("?")[0]
        assert len(os.fsencode(path)) <= LONGEST
    with Valkey(folder) as server, client_of(server) as client:
        assert client.get("a") == b"1"


def test_clients_and_brokers_find_a_socket_with_a_strange_name(tmp_path: Path) -> None:
    with Valkey(tmp_path / "a b%41?#é") as server, client_of(server) as client:
        client.set("a", 1)
        with kombu.Connection(build_app(server.url).conf.broker_url) as broker:
            broker.connect()
            assert broker.default_channel.client.get("a") == b"1"


def test_a_killed_server_is_started_again_with_its_data(tmp_path: Path) -> None:
    with Valkey(tmp_path) as server, client_of(server) as client:
        client.set("a", 1)
        kill(server)
        server.start()
        assert client.get("a") == b"1"


def test_one_process_serves_a_folder(tmp_path: Path) -> None:
    with (
        Valkey(tmp_path) as server,
        pytest.raises(InputError, match=f"written by process {os.getpid()}; stop it"),
    ):
        Valkey(tmp_path).start()
    assert not server.alive()
    Valkey(tmp_path).stop()


def test_a_server_that_was_left_alive_is_adopted_and_stopped(tmp_path: Path) -> None:
    with Valkey(tmp_path):
        pass
    config, log = str(tmp_path / "valkey.conf"), (tmp_path / "left.log").open("wb")
    left = subprocess.Popen([str(find_server()), config], stdout=log, stderr=log)
    try:
        adopter = Valkey(tmp_path)
        assert eventually((tmp_path / "run" / "valkey.sock").exists)
        with adopter:
            assert adopter.pid is None
            assert adopter.alive()
        assert left.wait(timeout=300) == 0
    finally:
        left.kill()
        left.wait()
        log.close()


STARTER = """
import sys, time
from autointerp.serving import Valkey
server = Valkey(sys.argv[1])
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""


def has_ended(pid: int) -> bool:
    """Whether the process is gone, or is left for its parent to look at."""
    stat_file = Path(f"/proc/{pid}/stat")
    try:
        return stat_file.read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of a death")
def test_the_server_ends_with_a_killed_supervisor_and_the_next_one_has_the_data(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", STARTER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        probe = Valkey(tmp_path)
        url = f"unix://{tmp_path}/run/valkey.sock"
        with redis.Redis.from_url(url) as client:
            client.set("a", 1)
        supervisor.kill()
    assert eventually(lambda: has_ended(pid))
    with probe as server, client_of(server) as client:
        assert server.pid not in (None, pid)
        assert client.get("a") == b"1"


def test_a_server_on_tcp_wants_its_password(tmp_path: Path) -> None:
    with Valkey(tmp_path, tcp=True) as server:
        RedisConnection(server.url).ping()
        without = "redis://" + server.url.partition("@")[2]
        with pytest.raises(UpstreamError, match="refuses the user name or password") as caught:
            RedisConnection(without)
        assert not caught.value.retryable
        secret = server.url.partition("@")[0].rpartition(":")[2]
        with pytest.raises(UpstreamError) as wrong:
            RedisConnection(server.url.replace(secret, "wrong-secret"))
        assert "wrong-secret" not in str(wrong.value)
    assert stat.S_IMODE((tmp_path / "valkey.conf").stat().st_mode) == 0o600


def test_a_binary_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not an executable"):
        Valkey(tmp_path, binary=tmp_path / "none").start()
    # Nothing is left behind: the folder can be served.
    with Valkey(tmp_path, binary=find_server()) as server:
        assert server.alive()


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").write_text("a file where a folder should be")
    with pytest.raises(UpstreamError, match="did not start: .*append"):
        Valkey(tmp_path).start()


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="could not make"):
        Valkey(tmp_path / "file" / "data").start()

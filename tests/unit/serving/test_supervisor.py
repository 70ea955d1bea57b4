"""The supervisor of programs, around a real server and real processes."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from labelling import wait_until

from autointerp.core.errors import InputError
from autointerp.orchestration.plan import QUEUES
from autointerp.serving import Valkey
from autointerp.serving.supervisor import (
    ServiceProgram,
    Supervisor,
    api_program,
    worker_program,
)


@contextmanager
def supervised(folder: Path, program: ServiceProgram) -> Iterator[Valkey]:
    server = Valkey(folder / "valkey")
    supervisor = Supervisor(server, (program,), lambda _: os.environ, folder / "logs")
    thread = threading.Thread(
        target=supervisor.run, kwargs={"ready": server.alive, "on_event": lambda _: None}
    )
    thread.start()
    try:
        yield server
    finally:
        supervisor.stop()
        thread.join(timeout=60)
    assert not thread.is_alive()


def lives_counted(file: Path, *, then: str) -> ServiceProgram:
    code = f"f = open({str(file)!r}, 'a'); f.write('x'); f.close(); {then}"
    return ServiceProgram("child", ("-c", code), fails_for_good=2)


def n_lives(file: Path) -> int:
    return len(file.read_text()) if file.exists() else 0


def test_a_program_that_ends_is_started_again(tmp_path: Path) -> None:
    file = tmp_path / "lives"
    with supervised(tmp_path, lives_counted(file, then="raise SystemExit(1)")):
        wait_until(lambda: n_lives(file) >= 3)


def test_workers_give_way_to_those_who_read(tmp_path: Path) -> None:
    file = tmp_path / "nice"
    code = f"import os, time; time.sleep(0.5); open({str(file)!r}, 'w').write(str(os.nice(0)))"
    mine = os.nice(0)
    given = ServiceProgram("child", ("-c", f"{code}; time.sleep(60)"), nice=min(19, mine + 3))
    with supervised(tmp_path, given):
        wait_until(lambda: file.exists() and bool(file.read_text()))
    assert int(file.read_text()) == min(19, mine + 3)
    assert {worker_program(queue).nice for queue in QUEUES} == {5}
    assert api_program(host="127.0.0.1", port=1).nice == 0


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="shares by process alone")
def test_workers_give_way_where_cores_are_shared_by_session(tmp_path: Path) -> None:
    file = tmp_path / "session"
    code = (
        "import os, time, pathlib; time.sleep(0.5); "
        f"pathlib.Path({str(file)!r}).write_text(pathlib.Path('/proc/self/autogroup').read_text())"
    )
    given = ServiceProgram("child", ("-c", f"{code}; time.sleep(60)"), nice=19)
    with supervised(tmp_path, given):
        wait_until(lambda: file.exists() and bool(file.read_text()))
    assert file.read_text().split()[-2:] == ["nice", "19"]


def test_a_disk_that_refuses_the_log_is_waited_for(tmp_path: Path) -> None:
    log, file = tmp_path / "logs" / "child.log", tmp_path / "lives"
    log.mkdir(parents=True)
    with supervised(tmp_path, lives_counted(file, then="import time; time.sleep(60)")) as server:
        wait_until(server.alive)
        assert n_lives(file) == 0
        log.rmdir()
        wait_until(lambda: n_lives(file) == 1)


def test_a_server_that_was_killed_is_back_when_its_disk_takes_its_settings(tmp_path: Path) -> None:
    file = tmp_path / "lives"
    with supervised(tmp_path, lives_counted(file, then="import time; time.sleep(60)")) as server:
        wait_until(lambda: n_lives(file) == 1)
        settings = server.folder / "valkey.conf"
        settings.unlink()
        settings.mkdir()
        assert server.pid is not None
        os.kill(server.pid, 9)
        wait_until(lambda: not server.alive())
        settings.rmdir()
        wait_until(server.alive)


def test_a_program_that_finds_its_settings_wrong_ends_everything(tmp_path: Path) -> None:
    program = lives_counted(tmp_path / "lives", then="print('no such model'); raise SystemExit(2)")
    server = Valkey(tmp_path / "valkey")
    supervisor = Supervisor(server, (program,), lambda _: os.environ, tmp_path / "logs")
    with pytest.raises(InputError, match="child cannot run: no such model"):
        supervisor.run(ready=lambda: False, on_event=lambda _: None)
    assert not server.alive()

"""``autointerp serve --embedded``: ready, mended after kills, alone in its folder, gone at ^C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from embedded_service import Embedded
from labelling import wait_until


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[tuple[Embedded, subprocess.Popen[bytes]]]:
    made = Embedded(tmp_path / "data")
    running = made.spawn()
    yield made, running
    running.kill()
    running.wait()


def children(pid: int) -> dict[str, int]:
    """Process ids by what they are."""
    listed = subprocess.run(
        ["ps", "-ww", "--ppid", str(pid), "-o", "pid=,args="],
        capture_output=True,
        text=True,
        check=False,
    )
    found = {}
    for line in listed.stdout.splitlines():
        number, _, command = line.strip().partition(" ")
        for name in ("valkey-server", "activations", "labels", "serve"):
            if name in command:
                found.setdefault(name, int(number))
                break  # "serve" stands in "valkey-server" too.
    return found


def test_the_embedded_service_mends_itself_and_leaves_nothing_behind(
    embedded: tuple[Embedded, subprocess.Popen[bytes]],
) -> None:
    service, running = embedded
    wait_until(lambda: "ready: http" in service.said.read_text(), said=service.logs)
    wait_until(service.is_ready, said=service.logs)

    second = service.spawn()
    assert second.wait(timeout=300) == 2
    assert f"is being written by process {running.pid}" in " ".join(
        service.said.read_text().split()
    )

    before = children(running.pid)
    assert set(before) == {"valkey-server", "activations", "labels", "serve"}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)

    def all_new() -> bool:
        now = children(running.pid)
        return set(now) == set(before) and not set(now.values()) & set(before.values())

    wait_until(all_new, said=service.logs)
    wait_until(service.is_ready, said=service.logs)

    ours = children(running.pid)
    running.send_signal(signal.SIGINT)
    assert running.wait(timeout=300) == 0, service.logs()
    assert not any(Path(f"/proc/{pid}").exists() for pid in ours.values())


def test_what_is_wrong_is_said_before_anything_is_started(tmp_path: Path) -> None:
    for arguments, sentence in (
        (["--embedded", "--host", "0.0.0.0"], "without API keys the server listens on loopback"),
        (["--embedded", "--redis", "redis://127.0.0.1:1"], "leave out --redis or --embedded"),
        ([], "the service needs Redis: set AUTOINTERP_REDIS_URL, or use serve --embedded"),
    ):
        ended = subprocess.run(
            [sys.executable, "-m", "autointerp.cli", "serve", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 2, ended.stderr
        assert sentence in " ".join(ended.stderr.split())
        assert not list(tmp_path.iterdir())

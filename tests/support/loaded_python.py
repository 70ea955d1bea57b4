"""Programs in processes of their own that begin with the product's libraries loaded.

Loading them takes seconds of a processor, many times more than what most tests do in such a
process. So one process loads them, runs nothing itself, and divides in two for each program.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Self

_SERVER = Path(__file__).with_name("loaded_server.py")


class LoadedProgram:
    """A running program, with what of `subprocess.Popen` the tests use."""

    def __init__(self, pid: int, ended: int, stdout: IO[str] | None, stderr: IO[str] | None):
        self.pid, self.returncode = pid, None
        self.stdout, self.stderr = stdout, stderr
        self._ended = ended

    returncode: int | None

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._look(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, when it has ended."""
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("program", timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Sends it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Asks it to end."""
        self.send_signal(signal.SIGTERM)

    def communicate(self, timeout: float) -> tuple[str, str]:
        """What it wrote where that was asked for, when it has ended."""
        until = time.monotonic() + timeout
        open_ones = [one for one in (self.stdout, self.stderr) if one]
        said = {one: b"" for one in open_ones}
        while open_ones:
            readable, _, _ = select.select(open_ones, [], [], max(0.0, until - time.monotonic()))
            if not readable:
                raise subprocess.TimeoutExpired("program", timeout)
            for one in readable:
                read = os.read(one.fileno(), 65536)
                said[one] += read
                if not read:
                    open_ones.remove(one)
        self.wait(max(0.0, until - time.monotonic()))
        out, err = (said[one].decode() if one else "" for one in (self.stdout, self.stderr))
        self._close()
        return out, err

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()
        self._close()

    def __del__(self) -> None:
        self._close()
        if self._ended >= 0:
            os.close(self._ended)

    def _close(self) -> None:
        for one in (self.stdout, self.stderr):
            if one:
                one.close()

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._ended], [], [], timeout)[0]:
            self.returncode = int(os.read(self._ended, 64))
        return self.returncode


def start_loaded(
    code: str,
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path | None = None,
    outputs: Sequence[str] = ("stderr",),
) -> LoadedProgram:
    """A program of Python in a process of its own.

    Args:
        code: what is run as ``__main__``.
        arguments: what follows the program's name in `sys.argv`.
        environment: all of it.
        log: where its output goes, to the end of the file.
        outputs: without a log, which of ``stdout`` and ``stderr`` are kept to be read.
    """
    ours: dict[str, IO[str]] = {}
    theirs = {"stdout": os.dup(1), "stderr": os.dup(2)}
    for name in theirs if log else outputs:
        os.close(theirs[name])
        if log:
            theirs[name] = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        else:
            read, theirs[name] = os.pipe()
            ours[name] = open(read, encoding="utf-8")  # noqa: SIM115 - closed by its owner
    ended, tell = os.pipe()
    asked = {"code": code, "arguments": list(arguments), "environment": dict(environment)}
    fds = [theirs["stdout"], theirs["stderr"], tell]
    pid = _server().ask({**asked, "folder": os.getcwd()}, fds)
    for fd in fds:
        os.close(fd)
    return LoadedProgram(pid, ended, ours.get("stdout"), ours.get("stderr"))


class _Server:
    """The process that divides; it ends when this one does."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "ignore", str(_SERVER), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        atexit.register(self._stop)

    def ask(self, asked: object, fds: list[int]) -> int:
        """Starts a program; its process id."""
        message = json.dumps(asked).encode()
        socket.send_fds(self._socket, [len(message).to_bytes(8, "big")], fds)
        self._socket.sendall(message)
        told = self._socket.recv(8)
        if not told:
            # Signals to process 0 would reach everybody in the tests' own group.
            raise EOFError("the process that starts programs has ended")
        return int.from_bytes(told, "big")

    def _stop(self) -> None:
        self._socket.close()
        self._process.wait()


@cache
def _server() -> _Server:
    return _Server()

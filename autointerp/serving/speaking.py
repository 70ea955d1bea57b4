"""Where a server listens, and one question to it in its own protocol, without a client."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote


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

    @property
    def broker_url(self) -> str:
        """For kombu."""
        if self.path is not None:
            return f"redis+socket://{quote(str(self.path))}?virtual_host=0"
        return self.url

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


def ask(address: Address, *words: str, timeout_s: float = 1.0) -> str | None:
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

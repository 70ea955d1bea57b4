"""``autointerp serve --embedded`` in a process of its own."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from autointerp.serving.supervisor import settings_for

_START = """
import signal, sys
# A test suite in the background ignores SIGINT, and so would every process it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
from autointerp.cli import run
sys.exit(run(sys.argv[1:]))
"""


def port_of_nobody() -> int:
    """A free port, outside of those that the kernel gives to who asks for any."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.SystemRandom().sample(range(first // 2, first), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no port is free")


class Embedded:
    """One data folder and one port."""

    def __init__(self, folder: Path, settings: Mapping[str, object] | None = None) -> None:
        """Nothing is started yet.

        Args:
            folder: for its data.
            settings: names and values, without the prefix.
        """
        self.folder = folder
        self.port = port_of_nobody()
        self.said = folder.parent / "said.txt"
        self._settings = {"cache_dir": folder / "cache", **(settings or {})}

    def spawn(self) -> subprocess.Popen[bytes]:
        """Starts it."""
        command = ["serve", "--embedded", "--data", str(self.folder), "--port", str(self.port)]
        with self.said.open("ab") as said:
            return subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", _START, *command],
                stderr=said,
                env=settings_for(os.environ, **self._settings),
            )

    def is_ready(self) -> bool:
        """Whether everything answers."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/readyz", timeout=60
            ) as reply:
                return bool(json.load(reply)["ready"])
        except (urllib.error.URLError, OSError, ValueError):
            return False

    def logs(self) -> str:
        """The ends of all logs."""
        logs = [self.said, *sorted((self.folder / "logs").glob("*.log"))]
        return "\n".join(f"{log.name}: {log.read_text()[-1500:]}" for log in logs)

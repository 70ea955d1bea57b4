"""``python -m workers.health``: whether the worker of this machine said lately that it lives."""

from __future__ import annotations

import socket
import sys

from autointerp.core.errors import AutointerpError
from autointerp.settings import read_settings
from autointerp.wiring.backends import open_backends


def main() -> int:
    """0 where it did."""
    try:
        living = open_backends(read_settings()).backend.workers.alive()
    except AutointerpError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    here = f"{socket.gethostname()}:"
    return 0 if any(worker.name.startswith(here) for worker in living) else 1


if __name__ == "__main__":
    sys.exit(main())

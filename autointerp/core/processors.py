"""How many processors there are for this process."""

from __future__ import annotations

import os
import sys


def n_processors() -> int:
    """Those that the process may run on."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

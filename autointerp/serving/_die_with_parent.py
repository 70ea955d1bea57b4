"""Becomes another program that ends when its parent ends. Run as a script, by path.

Arguments: the parent's process id, then the program and its arguments. Linux only: it asks the
kernel for SIGTERM at the parent's death, which outlives the change of program.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Replaces this process."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    # The parent may have died before the kernel was asked.
    if os.getppid() == parent:
        os.execv(program[0], program)


if __name__ == "__main__":
    main()

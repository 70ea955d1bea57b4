"""What the exit codes of commands mean."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit code of a command; 0 where everything was done."""

    SOME_FAILED = 1
    """Some units failed, or a check did not pass."""
    INPUT = 2
    """The input was wrong."""
    UPSTREAM = 3
    """An LLM, a store or the disk could not be used."""
    BUG = 70
    INTERRUPTED = 130

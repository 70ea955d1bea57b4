from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "transformer_lens", "openai", "pyarrow", "pandas")
YARDSTICK = "import asyncio, decimal, email.message, http.client, typing, unittest.mock"
"""What takes the machine that these tests were written on about 60 ms."""
N_YARDSTICKS = 8


def spent_s(*arguments: str) -> float:
    """The processor time that a Python process took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


@pytest.mark.parametrize("command", ["help", "show"])
def test_a_command_that_computes_nothing_starts_in_half_a_second(command: str, a_run: Path) -> None:
    arguments = ("--help",) if command == "help" else ("show", "5:131", "--dir", str(a_run))
    # Processor time, against that of something known, and the best of some: the machine may be
    # slower, or busy with something else.
    pairs = [
        (spent_s("-c", YARDSTICK), spent_s("-m", "autointerp.cli", *arguments)) for _ in range(5)
    ]
    yardstick, spent = (min(times) for times in zip(*pairs, strict=True))
    assert spent < N_YARDSTICKS * yardstick


@pytest.mark.parametrize("command", ["show", "--help", "label --help", "submit --help"])
def test_what_computes_nothing_loads_nothing_heavy(command: str, a_run: Path) -> None:
    arguments = ["show", "5:131", "--dir", str(a_run)] if command == "show" else command.split()
    program = (
        "import sys\n"
        "from autointerp.cli import run\n"
        f"assert run({arguments!r}) == 0\n"
        f"print('loaded:', [m for m in {HEAVY} if m in sys.modules])"
    )
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "loaded: []"


def test_a_terminal_without_unicode_shows_numbers_for_characters(a_run: Path) -> None:
    command = [sys.executable, "-m", "autointerp.cli", "show", "5:131", "--dir", str(a_run)]
    environment = {"PYTHONIOENCODING": "ascii", "PATH": ""}
    ended = subprocess.run(command, capture_output=True, check=True, env=environment)
    assert b"\\u21b5" in ended.stdout
    assert ended.stderr == b""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "transformer_lens", "openai", "pyarrow", "pandas")
LIMIT_S = 0.5


def run_cli(*arguments: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """The finished process and the processor time that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "autointerp.cli", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return ended, spent


@pytest.mark.parametrize("command", ["help", "show"])
def test_a_command_that_computes_nothing_starts_in_half_a_second(command: str, a_run: Path) -> None:
    arguments = ("--help",) if command == "help" else ("show", "5:131", "--dir", str(a_run))
    # Processor time and the best of five: the machine may be busy with something else.
    assert min(run_cli(*arguments)[1] for _ in range(5)) < LIMIT_S


def test_showing_a_run_loads_nothing_heavy(a_run: Path) -> None:
    program = (
        "import sys\n"
        "from autointerp.cli import run\n"
        f"assert run(['show', '5:131', '--dir', {str(a_run)!r}]) == 0\n"
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

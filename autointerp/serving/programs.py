"""The programs that make up the service on one machine, and how they are started."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from autointerp.core.errors import InputError
from autointerp.core.files import storage_errors
from autointerp.serving import _die_with_parent

_WRONG_INPUT = 2
_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Program:
    """One program of the service."""

    name: str
    arguments: tuple[str, ...]
    """Of this Python."""
    fails_for_good: int | None = None
    """Exit code with which starting it again is pointless."""


def api_program(*, host: str, port: int) -> Program:
    """The API on a port."""
    arguments = ("-m", "autointerp.cli", "serve", "--host", host, "--port", str(port))
    return Program("api", arguments, _WRONG_INPUT)


def worker_program(queue: str) -> Program:
    """A worker of a queue."""
    return Program(queue, ("-m", workers_package(), queue), _WRONG_INPUT)


def workers_package() -> str:
    """``autointerp.workers`` in a wheel; in a checkout it stands at the top of the tree.

    Raises:
        InputError: Celery is not installed.
    """
    if find_spec("celery") is None:
        msg = 'the service needs Celery: run `pip install "celery[redis]"`'
        raise InputError(msg)
    inside = _PACKAGE / "workers"
    return "autointerp.workers" if inside.is_dir() else "workers"


def start(
    program: Program, *, environment: Mapping[str, str], logs: Path
) -> subprocess.Popen[bytes]:
    """The program in a process of its own, which on Linux ends when this one does.

    What it says goes to a file of its name.
    """
    command = [sys.executable, *program.arguments]
    if sys.platform == "linux":
        command = [
            sys.executable,
            "-I",
            "-S",
            _die_with_parent.__file__,
            str(os.getpid()),
            *command,
        ]
    # A checkout is found from any folder.
    root = str(_PACKAGE.parent)
    paths = [root, *filter(None, [environment.get("PYTHONPATH")])]
    log = logs / f"{program.name}.log"
    with storage_errors(log):
        logs.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as message:
            return subprocess.Popen(
                command,
                env={**environment, "PYTHONPATH": os.pathsep.join(paths)},
                stdin=subprocess.DEVNULL,
                stdout=message,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the supervisor, which ends them.
            )


def last_words(program: Program, logs: Path) -> str:
    """The last line that it said."""
    message = (logs / f"{program.name}.log").read_text("utf-8", errors="replace").strip()
    return message.rpartition("\n")[2]


def settings_for(environment: Mapping[str, str], **values: object) -> dict[str, str]:
    """The environment with settings replaced."""
    return {**environment, **{f"AUTOINTERP_{n.upper()}": str(v) for n, v in values.items()}}

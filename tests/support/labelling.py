"""``autointerp label`` on a tiny model folder: in this process, or in one of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from damaged_rows import StoredRow, stored_labels
from loaded_python import LoadedProgram, start_loaded

from autointerp.cli import run
from autointerp.llm import ClientOptions
from autointerp.llm.batch_model import BatchOptions
from autointerp.wiring.runs import run_job

IMPATIENT = ClientOptions(
    max_in_flight=4, timeout_s=30.0, attempts=3, first_wait_s=0.001, longest_wait_s=0.01
)
"""Gives up on an endpoint within moments."""
QUICK = BatchOptions(quiet_s=0.1, first_poll_s=0.02, longest_poll_s=0.05)
"""Looks at batches all the time."""
SIMULATED = {
    "--explainer": ("token_activation", "token_lookup"),
    "--scorer": ("simulation",),
    "--samples": ("2",),
    "--heldout": ("12",),
    "--receipts": ("0",),
}
"""What runs with an LLM where a test names nothing else: two answers, and levels of each token."""
_START = """
import signal, sys
from functools import partial
# A test suite in the background ignores SIGINT, and so would every process it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
from autointerp.wiring.runs import run_job
from autointerp.cli import run
from autointerp.llm.batch_model import BatchOptions
quick = BatchOptions(quiet_s=0.1, first_poll_s=0.02, longest_poll_s=0.05)
sys.exit(run(sys.argv[1:], runner=partial(run_job, batch_options=quick)))
"""


def wait_until(
    condition: Callable[[], bool], *, seconds: float = 300, said: Callable[[], str] = str
) -> None:
    """Waits, and fails where it never becomes true; what is true for a moment only is enough.

    Args:
        condition: looked at again and again.
        seconds: far more than a slow and busy machine takes.
        said: what the failure shows, such as the logs of the processes that are waited for.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s\n{said()}"
        time.sleep(0.005)


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str
    """What was said, white space folded: the terminal wraps it anywhere."""


@dataclass(frozen=True)
class Labelling:
    """Six units of a tiny model, with a cache folder of its own."""

    model: Path
    texts: Path
    folder: Path
    capsys: pytest.CaptureFixture[str]

    def arguments(self, out: str, *more: str, llm: str) -> list[str]:
        """Arguments of ``autointerp``; an option that is given takes the place of the usual one."""
        options = {
            "--units": "0:0-3,1:0-1",
            "--corpus": str(self.texts),
            "--tokens": "2500",
            "--n-ctx": "16",
            "--llm": llm,
            "--llm-model": "fake",
            "--out": str(self.folder / out),
        }
        usual = {} if llm == "none" else SIMULATED
        variants = [(name, value) for name, values in usual.items() for value in values]
        given = [*options.items(), *((name, value) for name, value in variants if name not in more)]
        return ["label", str(self.model), *(x for pair in given for x in pair), *more]

    def __call__(self, arguments: list[str], *, options: ClientOptions = IMPATIENT) -> Ended:
        """Runs in this process."""
        runner = partial(run_job, options=options, batch_options=QUICK)
        code = run(arguments, runner=runner)
        captured = self.capsys.readouterr()
        return Ended(code, captured.out, " ".join(captured.err.split()))

    def spawn(self, arguments: list[str]) -> LoadedProgram:
        """Starts a process of its own."""
        # No more than this at once, so that units end one after the other.
        environment = {**os.environ, "AUTOINTERP_LLM_MAX_IN_FLIGHT": "4"}
        return start_loaded(_START, arguments, environment=environment)

    def labels(self, out: str) -> list[StoredRow]:
        """The labels kept so far."""
        return stored_labels(self.folder / out)

    def contents(self, out: str) -> dict[StoredRow, bytes | None]:
        """The labels kept so far, as they are stored."""
        return {row: row.content for row in self.labels(out)}

    def tables(self, out: str) -> list[bytes]:
        """The dictionary's two tables of labels, as bytes."""
        return [(self.folder / out / f"labels.{s}").read_bytes() for s in ("parquet", "jsonl.gz")]

"""The command line: each command parses, calls one thing below, and prints."""

import os

# Matrix products of numpy are small here: threads that wait for each other take four times the
# CPU. numpy reads this when it is imported, which stores of labels do.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from autointerp.cli.application import main, run  # noqa: E402 - after what numpy reads

__all__ = ["main", "run"]

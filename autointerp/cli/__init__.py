"""The command line: each command parses, calls one thing below, and prints."""

from autointerp.cli.application import main, run

__all__ = ["main", "run"]

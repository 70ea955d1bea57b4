"""Writes what `autointerp plan` prints into docs/scale.md, in place of what stands there."""

from __future__ import annotations

import io
import os
import re
import shlex
from contextlib import redirect_stdout
from pathlib import Path

from autointerp.cli import run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scale.md"
_BLOCK = re.compile(r"(?ms)^```\nautointerp (plan [^\n]*)\n\n.*?^```$")


def with_plans(text: str) -> str:
    """The page with every plan as the command prints it now, in 80 columns."""
    return _BLOCK.sub(
        lambda block: f"```\nautointerp {block[1]}\n\n{_printed(block[1])}\n```", text
    )


def _printed(command: str) -> str:
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "80"
    try:
        with redirect_stdout(io.StringIO()) as out:
            code = run(shlex.split(command))
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    if code:
        raise SystemExit(f"autointerp {command} ended with {code}")
    return "\n".join(line.rstrip() for line in out.getvalue().strip("\n").split("\n"))


if __name__ == "__main__":
    PAGE.write_text(with_plans(PAGE.read_text()))

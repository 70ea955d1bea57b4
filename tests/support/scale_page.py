"""Writes what `autointerp plan` prints into docs/scale.md, in place of what stands there.

Times are those of the machine on which the constants were measured, whatever machine this is.
"""

from __future__ import annotations

import io
import os
import re
import shlex
from contextlib import redirect_stdout
from pathlib import Path
from unittest.mock import patch

from autointerp.cli import run
from autointerp.orchestration import machine_speed
from autointerp.orchestration.machine_costs import EPYC

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
    machine_speed.this_machine.cache_clear()
    try:
        with (
            patch.object(machine_speed, "measure_speed", lambda: EPYC.speed),
            redirect_stdout(io.StringIO()) as out,
        ):
            code = run(shlex.split(command))
    finally:
        machine_speed.this_machine.cache_clear()
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    if code:
        raise SystemExit(f"autointerp {command} ended with {code}")
    return "\n".join(line.rstrip() for line in out.getvalue().strip("\n").split("\n"))


if __name__ == "__main__":
    PAGE.write_text(with_plans(PAGE.read_text()))

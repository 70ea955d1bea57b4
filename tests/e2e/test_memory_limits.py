"""A run that its limits leave no room for ends before anything is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv.pop(1)),) * 2)
from autointerp.cli import main
main()
"""


@pytest.mark.parametrize(("units", "advice"), [("all", " at a time (--units layer:0"), ("5:0", "")])
def test_too_few_addresses_are_one_sentence_with_what_would_fit(
    tmp_path: Path, units: str, advice: str
) -> None:
    ended = limited(5 * 2**30 // 2 if units == "5:0" else 5 * 2**30, units, tmp_path / "a")
    assert ended.returncode == 2, ended.stderr
    said = ended.stderr.strip().splitlines()[-1]
    assert "of address space (ulimit -v), but" in said
    assert advice in said
    assert "loading smollm2" not in ended.stderr


def limited(n_bytes: int, units: str, out: Path) -> subprocess.CompletedProcess[str]:
    arguments = ["label", "--units", units, "--llm", "none", "--out", str(out)]
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", _LIMITED, str(n_bytes), *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "1000"},
        capture_output=True,
        text=True,
        check=False,
    )

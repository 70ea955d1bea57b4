"""The benchmark of receipts: survival tells true explanations of planted units from false ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from fake_endpoint import FakeEndpoint
from text_writer import TextWriter, around, common_words

ROOT = Path(__file__).parents[2]


def ran(cache: Path, *options: str) -> list[str]:
    script = ROOT / "benchmarks" / "receipts_planted.py"
    done = subprocess.run(
        [sys.executable, str(script), "--texts", "4", *options],
        capture_output=True,
        text=True,
        env={**os.environ, "AUTOINTERP_CACHE_DIR": str(cache)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_with_the_scripted_writer_every_true_explanation_survives_and_no_false_one(
    tmp_path: Path,
) -> None:
    lines = ran(tmp_path, "--units", "6")
    assert "true : n 6, median 1.000, 1.00 to 1.00" in lines
    assert "false: n 6, median 0.500, 0.50 to 0.50" in lines
    assert "AUC 1.000" in lines


def test_an_endpoint_can_write_the_texts(tmp_path: Path) -> None:
    months = "names of months"
    writes = {months: around("March"), "names of the days of the week": common_words}
    false = "words that end in -ing"
    with FakeEndpoint(TextWriter({**writes, false: common_words})) as endpoint:
        lines = ran(tmp_path, "--units", "1", "--llm", endpoint.base_url, "--llm-model", "fake")
    assert lines[:2] == [f"  0 true  1.00  {months}", f"  0 false 0.50  {false}"]
    assert "AUC 1.000" in lines

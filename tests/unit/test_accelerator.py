"""The benchmark of a GPU runs whole on the CPU, and says what is missing and what failed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "accelerator.py"
PARTS = ["gpu tests", "gpt2-small", "llama-1b", "sae"]


def run(*options: str, without: str = "", folder: Path) -> tuple[subprocess.CompletedProcess, Any]:
    """The script, where some modules cannot be imported; its report."""
    blocker = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {without.split()!r}:\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Missing())\n"
    )
    (folder / "sitecustomize.py").write_text(blocker)
    out = folder / "report.json"
    # Limits are for a GPU; the machine of a test may be busy.
    command = [sys.executable, str(SCRIPT), "--device", "cpu", "--tiny", "--limit", "9"]
    done = subprocess.run(
        [*command, "--out", str(out), *options],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(folder)},
        check=False,
    )
    return done, json.loads(out.read_text()) if out.is_file() else None


def test_all_of_it_runs_here_without_transformer_lens(tmp_path: Path) -> None:
    done, report = run(without="transformer_lens openai celery", folder=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "transformer_lens (without it models are read at their own modules" in done.stderr
    assert "pip install --no-index --no-deps wheels/*.whl" in done.stderr
    assert list(report["parts"]) == PARTS
    assert report["parts"]["gpu tests"]["skipped"] > 0
    for name in PARTS[1:]:
        part = report["parts"][name]
        assert (part["error"], part["dtype"], part["read_by"]) == (None, "bfloat16", "PlainModel")
        assert part["peak_tflops_bf16_fp32"] is None
        for what in ("collection", "records", "live"):
            assert part["measured"][what]["tokens_per_s"] > 0
            assert part["measured"][what]["share_of_peak"] is None
            assert part["agreement"][what]["agrees"]


def test_with_transformer_lens_models_are_wrapped(tmp_path: Path) -> None:
    done, report = run("--only", "llama-1b", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert report["parts"]["llama-1b"]["read_by"] == "TransformerBridge"


def test_a_part_that_fails_is_a_line_and_ends_no_other(tmp_path: Path) -> None:
    options = ("--only", "llama-1b", "--only", "sae", "--limit", "0.01", "--device", "abacus")
    done, report = run(*options, folder=tmp_path)
    assert done.returncode == 1
    assert list(report["parts"]) == ["llama-1b", "sae"]
    assert report["parts"]["sae"]["error"] == "stopped at its limit of 1 s"
    assert "sae: stopped at its limit of 1 s" in done.stdout


def test_without_what_everything_needs_nothing_runs_and_a_sentence_says_so(tmp_path: Path) -> None:
    done, report = run(without="pydantic", folder=tmp_path)
    assert (done.returncode, report) == (2, None)
    assert done.stderr.startswith("missing: pydantic (nothing runs without it); where there is a")

"""Whether a CUDA device computes what the CPU does, and how fast: one run of at most 8 minutes.

Runs the tests marked `gpu`, then collection, records and live activations for the shapes of
GPT-2 small, of a Llama of 1B parameters, and of an SAE of 16 times the width: random weights made
in memory, in bfloat16; nothing is downloaded. Each part is a process of its own with a time limit,
and one that fails ends no other. Ends with 1 where a part failed. `--device cpu --tiny` tries the
whole of it where there is no such device.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]
NEEDED = {
    "jaxtyping": "jaxtyping",
    "numba": "numba",
    "numpy": "numpy",
    "pyarrow": "pyarrow",
    "pydantic": "pydantic pydantic-core annotated-types typing-inspection",
    "safetensors": "safetensors",
    "torch": "torch",
    "transformers": "transformers",
}
"""Modules without which nothing runs, and the wheels that bring each."""
WITHOUT = {
    "transformer_lens": (
        "transformer-lens beartype einops fancy-einsum typeguard transformers-stream-generator",
        "models are read at their own modules, and tests of wrapped ones are skipped",
    ),
    "pytest": ("pytest iniconfig pluggy", "no test runs"),
    "hypothesis": ("hypothesis sortedcontainers", "no test runs"),
}
"""Modules that may be missing, their wheels, and what is done without them."""
LIMITS_S = {"gpu tests": 110, "gpt2-small": 90, "llama-1b": 140, "sae": 90}
"""Parts, each with its time limit: 430 seconds in all."""


def there(module: str) -> bool:
    """Whether a module can be imported, as far as can be told without doing so."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def lack() -> tuple[str, bool]:
    """A sentence on what is missing and how it is installed, and whether anything can run."""
    needed = [name for name in NEEDED if not there(name)]
    wished = [name for name in WITHOUT if not there(name)]
    if not needed and not wished:
        return "", True
    wheels = " ".join([NEEDED[name] for name in needed] + [WITHOUT[name][0] for name in wished])
    parts = [f"{name} (nothing runs without it)" for name in needed]
    parts += [f"{name} (without it {WITHOUT[name][1]})" for name in wished]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return (
        f"missing: {', '.join(parts)}; where there is a network, run `pip download --no-deps "
        f"--only-binary=:all: --python-version {version} --platform manylinux_2_28_x86_64 "
        f"--platform manylinux2014_x86_64 -d wheels {wheels}`, carry wheels/ here and run "
        f"`pip install --no-index --no-deps wheels/*.whl`",
        not needed,
    )


def cuda_if_there() -> str | None:
    """``cuda`` where PyTorch finds such a device."""
    import torch

    return "cuda" if torch.cuda.is_available() else None


def run_tests(limit_s: float) -> dict[str, Any]:
    """Counts and failures of every test marked `gpu`."""
    marked = re.compile(r"\bmark\.gpu\b")
    files = [
        str(p) for p in sorted(ROOT.glob("tests/**/test_*.py")) if marked.search(p.read_text())
    ]
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "junit.xml"
        # Warnings are errors where the constraints hold; here versions may be others.
        options = ["-q", "-m", "gpu", "-W", "default", "-p", "no:cacheprovider"]
        command = [sys.executable, "-m", "pytest", *options, f"--junitxml={written}", *files]
        ended = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=limit_s, check=False
        )
        if not written.is_file():
            raise RuntimeError(last_line(ended.stderr or ended.stdout))
        cases = list(ElementTree.parse(written).iter("testcase"))
    outcomes = {kind: [c for c in cases if c.find(kind) is not None] for kind in _KINDS}
    bad = [*outcomes["failure"], *outcomes["error"]]
    failures = [f"{c.get('name')}: {_message(c)}" for c in bad]
    result = {
        "run": len(cases) - len(outcomes["skipped"]),
        "failed": len(bad),
        "skipped": len(outcomes["skipped"]),
        "failures": failures,
        "why_skipped": sorted({_message(case) for case in outcomes["skipped"]}),
    }
    return result | ({"error": failures[0]} if failures else {})


_KINDS = ("failure", "error", "skipped")


def _message(case: ElementTree.Element) -> str:
    parts = (case.find(kind) for kind in _KINDS)
    return next(last_line(part.get("message") or "") for part in parts if part is not None)


def last_line(text: str) -> str:
    """The last line that is not blank, cut where it is long."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no word of why"


def run_part(name: str, *, device: str, tiny: bool, limit_s: float) -> dict[str, Any]:
    """What a part measured, in a process of its own; its error in one line where it failed."""
    start = time.monotonic()
    try:
        result = (
            run_tests(limit_s) if name == "gpu tests" else _measured(name, device, tiny, limit_s)
        )
    except subprocess.TimeoutExpired:
        result = {"error": _stopped(limit_s)}
    except (OSError, RuntimeError, ValueError) as error:
        result = {"error": last_line(str(error))}
    return {"seconds": round(time.monotonic() - start, 1), "error": None} | result


def _measured(name: str, device: str, tiny: bool, limit_s: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "part.json"
        script = str(Path(__file__).with_name("_accelerator_parts.py"))
        command = [sys.executable, script, name, device, str(written), *(["--tiny"] * tiny)]
        error = None
        try:
            ended = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, timeout=limit_s, check=False
            )
            error = last_line(ended.stderr) if ended.returncode else None
        except subprocess.TimeoutExpired:
            error = _stopped(limit_s)
        # What was measured before it ended is kept.
        found: dict[str, Any] = json.loads(written.read_text()) if written.is_file() else {}
    return {"error": error} | found


def _stopped(limit_s: float) -> str:
    return f"stopped at its limit of {limit_s:.0f} s"


def table(report: dict[str, Any]) -> str:
    """The report in lines: what ran, how fast, and whether it agrees with the CPU."""
    lines = [f"{'part':34} {'tokens/s':>12} {'ratio':>7} {'of peak':>8} {'peak MiB':>9}  agrees"]
    for name, part in report["parts"].items():
        for what, found in part.get("measured", {}).items():
            share = found["share_of_peak"]
            lines.append(
                f"{name + ', ' + what:34} {found['tokens_per_s']:12,.0f} {found['ratio']:7.2f} "
                f"{'' if share is None else format(share, '8.1%'):>8} {found['peak_mib']:9,.0f}  "
                f"{part.get('agreement', {}).get(what, {}).get('agrees', 'not compared')}"
            )
        if name == "gpu tests" and "run" in part:
            counts = f"{part['run']} run, {part['failed']} failed, {part['skipped']} skipped"
            lines.append(f"{name}: {counts}")
        if part["error"]:
            lines.append(f"{name}: {part['error']}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table; 1 where a part failed, 2 where nothing can run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", help="cuda, where nothing is given and there is one")
    parser.add_argument("--tiny", action="store_true", help="shapes for trying the script")
    parser.add_argument(
        "--only", choices=LIMITS_S, action="append", help="this part; again for more"
    )
    parser.add_argument("--limit", type=float, default=1.0, help="times each part's time limit")
    parser.add_argument("--out", type=Path, help="file for the results as JSON")
    given = parser.parse_args(arguments)
    missing, can_run = lack()
    if missing:
        print(missing, file=sys.stderr)
    if not can_run:
        return 2
    device = given.device or cuda_if_there()
    if device is None:
        print("no CUDA device is here, so nothing was measured; try --device cpu --tiny")
        return 0
    report: dict[str, Any] = {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "device": device,
        "tiny": given.tiny,
        "missing": missing or None,
        "parts": {},
    }
    for name in given.only or LIMITS_S:
        limit_s = LIMITS_S[name] * given.limit
        report["parts"][name] = run_part(name, device=device, tiny=given.tiny, limit_s=limit_s)
        # After each part: what has been measured stays, whatever comes.
        if given.out is not None:
            given.out.write_text(json.dumps(report, indent=1) + "\n")
    print(table(report))
    return int(any(part["error"] for part in report["parts"].values()))


if __name__ == "__main__":
    sys.exit(main())

"""What it costs to open one unit of a large summary, in a fresh process without torch.

A synthetic summary is written first, tensor by tensor, in the layout of a real one. Each figure is
taken by a process of its own; loading the whole file as arrays is the comparison.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from autointerp.activations import HookSummary, Summary, save_summary
from autointerp.activations.kernels.encoding import value_keys
from autointerp.activations.kernels.hook_state import HookState, empty_state
from autointerp.activations.summary_manifest import SummaryIdentity
from autointerp.core.config import CollectConfig
from autointerp.core.text import Split

N_TOKENS, N_WINDOWS, N_SHARED = 20_000, 400, 4
CONFIG = CollectConfig(top_k=4, sample_size=4, shared_windows=N_SHARED)

# Each prints one JSON line. Memory is the peak that the kernel saw, less what was there before;
# a child's ru_maxrss would hold its parent's.
PEAK = """
def status(name):
    lines = open("/proc/self/status").read().split("\\n")
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
"""
ONE_UNIT = """
import json, sys, time
from pathlib import Path
start = time.perf_counter()
from autointerp.activations import open_summary
from autointerp.core.text import Split
imported = time.perf_counter()
before = status("VmRSS:")
began = time.perf_counter()
opened = open_summary(Path(sys.argv[1]))
hook = opened.hooks[int(sys.argv[2])]
index = int(sys.argv[3])
units = [opened.unit(hook, index, split) for split in list(Split)[: int(sys.argv[4])]]
took = time.perf_counter() - began
assert all(unit.index == index for unit in units) and "torch" not in sys.modules
print(json.dumps([took, (status("VmHWM:") - before) / 1024, imported - start]))
"""
WHOLE = """
import json, sys, time
from safetensors.numpy import load_file
import numpy
before = status("VmRSS:")
start = time.perf_counter()
arrays = load_file(sys.argv[1])
took = time.perf_counter() - start
print(json.dumps([took, (status("VmHWM:") - before) / 1024, 0.0]))
"""


def random_state(n_units: int, seed: int) -> HookState:
    """A state whose counts and keys have the sizes that a real one has."""
    torch.manual_seed(seed)
    state = empty_state(n_units, CONFIG, torch.device("cpu"), n_shared=N_SHARED)
    for counts in (state.histogram, state.peak_histogram, state.active_tokens):
        counts.copy_(torch.randint(0, 2_000, counts.shape))
    state.active_windows.random_(0, N_WINDOWS)
    state.total.random_(0, 2**50)
    state.squares.random_(0, 2**50)
    state.minimum.normal_()
    state.maximum.copy_(state.minimum + 1)
    windows = torch.randint(0, N_WINDOWS, state.top.shape)
    state.top.copy_(value_keys(torch.randn(state.top.shape), windows))
    state.sample.random_(0, 2**60)
    state.sample_peaks.normal_()
    state.shared_peaks.normal_()
    return state


def synthetic(n_hooks: int, n_units: int) -> Summary:
    """Hooks share one state a split: the file holds it once a hook, memory holds it once."""
    hooks = [f"blocks.{layer}.mlp.hook_post" for layer in range(n_hooks)]
    indices = tuple(range(n_units))
    identity = SummaryIdentity(
        *("synthetic", "0", "float32", "none", "none", "0", "0"),
        n_ctx=64,
        seed=0,
        units=tuple((hook, indices) for hook in hooks),
        config=CONFIG,
        token_means=False,
    )
    parts = {
        split: HookSummary(
            random_state(n_units, place),
            n_tokens=N_TOKENS,
            n_windows=N_WINDOWS,
            shared_windows=np.arange(N_SHARED, dtype=np.int64),
        )
        for place, split in enumerate(Split)
    }
    found = {(hook, split): parts[split] for hook in hooks for split in Split}
    return Summary(identity, found, {}, frozenset((split, 0) for split in Split))


def measure(program: str, *arguments: object) -> list[float]:
    """What a fresh process printed: seconds, MiB that its memory grew by, seconds of imports."""
    command = [sys.executable, "-c", PEAK + program, *(str(argument) for argument in arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(number) for number in json.loads(ended.stdout)]


def evict(path: Path) -> None:
    """Asks the kernel to forget the file's pages."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main() -> None:
    """Writes the file, opens units of it, prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hooks", type=int, default=100)
    parser.add_argument("--units", type=int, default=10_000, help="units a hook point")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "summary.safetensors"
        started = time.perf_counter()
        save_summary(synthetic(options.hooks, options.units), path)
        size = path.stat().st_size / 2**20
        n = options.hooks * options.units
        print(f"{n:,} units, {size:,.0f} MiB, written in {time.perf_counter() - started:.1f} s")
        report(path, options.hooks, options.units, options.repeats)


def report(path: Path, n_hooks: int, n_units: int, repeats: int) -> None:
    """Prints medians over units spread over the file."""
    places = [(i * n_hooks // repeats, i * n_units // repeats) for i in range(repeats)]
    print("\n| read | page cache | ms, median (worst) | MiB | imports, s |\n|---|---|---|---|---|")
    for n_splits in (1, 3):
        for cold in (True, False):
            rows = []
            for hook, index in places:
                if cold:
                    evict(path)
                else:
                    measure(ONE_UNIT, path, hook, index, n_splits)
                rows.append(measure(ONE_UNIT, path, hook, index, n_splits))
            row(f"one unit, {n_splits} of 3 splits", "empty" if cold else "warm", rows)
    row("the whole file as arrays", "warm", [measure(WHOLE, path)])


def row(name: str, cache: str, measured: list[list[float]]) -> None:
    """Prints one row of the table."""
    seconds, grown, imports = (statistics.median(column) for column in zip(*measured, strict=True))
    worst = max(found[0] for found in measured)
    print(
        f"| {name} | {cache} | {seconds * 1e3:,.1f} ({worst * 1e3:,.1f}) | {grown:,.1f} "
        f"| {imports:.2f} |"
    )


if __name__ == "__main__":
    main()

"""What records cost beside the forward passes that they need.

200 units of a GPT-2 of 6 layers and width 256, 60 windows each: reading the windows' activations
and building the records, less the plain forward of the same windows, by unit. Then windows for
records and, of each unit, 84 more whose contexts are read: in one pass, and one after the other.
"""

from __future__ import annotations

import argparse
import random
import statistics

import numpy as np
import torch
from _parts import compare, header, plain_forward, random_gpt2, random_text

from autointerp.activations import (
    WindowSample,
    read_contexts,
    read_windows,
    read_windows_and_contexts,
)
from autointerp.activations.sampling.strata import TOP, SampledWindow
from autointerp.core.ids import Side, UnitId

N_UNITS, N_WINDOWS, BATCH, N_CONTEXTS = 200, 60, 32, 84


def main() -> None:
    """Prints milliseconds a unit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    arguments = parser.parse_args()
    subject, corpus = random_gpt2(), random_text(64 * 2048)
    rng = random.Random(0)
    hook = f"blocks.{subject.n_layers - 1}.mlp.hook_post"
    units = rng.sample(range(subject.width(hook)), N_UNITS)
    requests = {(hook, unit): rng.sample(range(len(corpus)), N_WINDOWS) for unit in units}
    windows = sorted({window for asked in requests.values() for window in asked})

    def plain() -> None:
        for first in range(0, len(windows), BATCH):
            tokens, _ = corpus.batch(windows[first : first + BATCH])
            plain_forward(subject, torch.from_numpy(tokens.astype(np.int64)))

    def records() -> None:
        read_windows(subject, corpus, requests, batch_windows=BATCH)

    found = compare(plain, records, arguments.rounds)
    beside = [1e3 * (m - b) / N_UNITS for b, m in zip(found.base, found.measured, strict=True)]
    print(header(), "\n")
    print(f"{N_UNITS} units x {N_WINDOWS} windows, {len(windows)} different windows")
    forward, whole = statistics.median(found.base), statistics.median(found.measured)
    print(f"plain forward {forward:.2f} s, records {whole:.2f} s")
    print(f"beside the forward: {statistics.median(beside):.2f} ms a unit")

    samples = {
        (UnitId(subject.name, hook, unit), Side.POSITIVE): WindowSample(
            tuple(
                SampledWindow(window, TOP, 1.0)
                for window in rng.sample(range(len(corpus) // 2), N_CONTEXTS)
            )
        )
        for unit in units
    }
    peaks = dict.fromkeys(samples, 1.0)

    def apart() -> None:
        read_windows(subject, corpus, requests, batch_windows=BATCH)
        read_contexts(subject, corpus, samples, peaks=peaks, batch_windows=BATCH)

    def together() -> None:
        read_windows_and_contexts(
            subject, corpus, requests, samples, peaks=peaks, batch_windows=BATCH
        )

    found = compare(apart, together, arguments.rounds)
    first, then = statistics.median(found.base), statistics.median(found.measured)
    print(f"windows and contexts: one after the other {first:.2f} s, in one pass {then:.2f} s")


if __name__ == "__main__":
    main()

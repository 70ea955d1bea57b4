"""Compiled loops give the same bits where they were just compiled and where they were kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import hashlib
import numpy as np
from autointerp.statistics.compiled.curve_areas import precision_areas, roc_areas
from autointerp.statistics.compiled.permuted_scores import permuted_scores
from autointerp.statistics.compiled.random_numbers import drawing_state
from autointerp.statistics.compiled.token_sums import token_sums

rng = np.random.default_rng(0)
for n, length in ((8, 16), (40, 63), (76, 64)):
    x, y, weights = rng.random((n, length)), rng.random((n, length)), rng.random(n)
    lengths, firsts = np.full(n, length), np.array([0, n // 2])
    sizes = np.array([n // 2, n - n // 2])
    rows, parts = token_sums(x.ravel(), y.ravel(), lengths, firsts, sizes, weights, 12)
    curves = np.cumsum(rng.random((3 * length + 1, 100)), axis=0)
    kinds, times = rng.random((2, 3 * length + 1)), rng.random((100, 2))
    areas = [areas_of(curves, kinds, times) for areas_of in (precision_areas, roc_areas)]
    states = np.stack([drawing_state([1, part]) for part in (0, 1)])
    flat = x.ravel(), y.ravel(), lengths
    scores = permuted_scores(*flat, weights, np.arange(n), sizes, states, 50)
    for found in (scores.round(9), rows, parts, *areas):
        print(hashlib.sha256(found.tobytes()).hexdigest())
"""


def test_kept_code_gives_what_the_code_gave_that_was_just_compiled(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    compiled, kept = (
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    )
    assert compiled.count("\n") == 15
    assert kept == compiled

"""How long the exact search for sparse probes takes, against a probe on every subset.

Rectified activations of 50 correlated units; the feature is the sum of a few (`sum`), the same
with noise (`noisy sum`), of all of them (`all`), or none (`none`), where many subsets are nearly
as good. Every subset would take as long as a sample of them does, times their number: an estimate.
Processor time, one thread.
"""

from __future__ import annotations

import argparse
import time
from itertools import combinations

import numpy as np
from _parts import header

from autointerp.statistics.probing.exact_search import search_exactly
from autointerp.statistics.probing.examples import LabelledExamples
from autointerp.statistics.probing.logistic import RIDGE, Design

KINDS = ("sum", "noisy sum", "all", "none")
N_UNITS = 50
N_SAMPLED = 500


def examples(kind: str, n: int, seed: int) -> LabelledExamples:
    """A fifth of the examples have the feature."""
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((n, 8)) @ rng.standard_normal((8, N_UNITS))
    values = np.maximum(shared + 2 * rng.standard_normal((n, N_UNITS)), 0)
    signal = values[:, 3] + values[:, 17] + values[:, 29]
    if kind == "noisy sum":
        signal = signal + values[:, 5] / 2 + rng.standard_normal(n)
    elif kind == "all":
        signal = values @ rng.random(N_UNITS)
    elif kind == "none":
        signal = rng.standard_normal(n)
    return LabelledExamples(values, signal > np.quantile(signal, 0.8), np.arange(n), np.ones(n))


def seconds_of_all(design: Design, k: int) -> float:
    """Processor time of a probe on every subset, from a sample of them."""
    from autointerp.statistics.compiled.subset_probes import solve_subsets

    listed = np.array(list(combinations(range(1, N_UNITS + 1), k)), dtype=np.int64)
    chosen = listed[np.random.default_rng(0).choice(len(listed), min(N_SAMPLED, len(listed)))]
    subsets = np.concatenate([np.zeros((len(chosen), 1), np.int64), chosen], axis=1)
    starts = np.zeros(subsets.shape)
    begun = time.process_time()
    solve_subsets(design.rows, design.weights, subsets, starts, (RIDGE, np.inf, 1e-6))
    return (time.process_time() - begun) / len(chosen) * len(listed)


def main() -> None:
    """Prints a line a kind and number of examples."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2000, 4096])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("-k", type=int, default=4)
    asked = parser.parse_args()
    print(header())
    warm = Design.of(examples("none", 100, 0))
    search_exactly(warm, range(8), 3)
    for n in asked.sizes:
        for kind in KINDS:
            for seed in range(asked.seeds):
                design = Design.of(examples(kind, n, seed))
                found = search_exactly(
                    design, range(N_UNITS), asked.k, time_limit_s=300, clock=time.process_time
                )
                every = seconds_of_all(design, asked.k)
                print(
                    f"{n} examples, {kind}: {found.seconds:.2f} s, {found.n_solved:,} of "
                    f"{found.n_subsets:,} subsets solved, gap {found.gap:.1e} nats "
                    f"(certified: {found.certified}); all of them {every:.0f} s, "
                    f"{every / found.seconds:.0f} times as long"
                )


if __name__ == "__main__":
    main()

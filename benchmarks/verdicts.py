"""How often the verdict on a planted feature is what was planted, by how strongly it is there.

Units are rectified, correlated by shared factors and heavy-tailed; a fifth of the examples has the
feature, by document. It is in one unit, in three of which each has its own part, in the sum of
three that cancel each other, or nowhere. The strength is added before units are rectified, where
one has a standard deviation of about 0.9. Everything is as `autointerp find` does it, but for fewer
units and draws.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np
from _parts import header

from autointerp.statistics.probing.baselines import (
    Baseline,
    fit_dense_probe,
    rotated_basis,
    shuffled_labels,
    units_by_the_same_search,
)
from autointerp.statistics.probing.examples import LabelledExamples, split_examples
from autointerp.statistics.probing.sparse_probes import SweepOptions, sweep_sparse_probes
from autointerp.statistics.probing.verdict import ProbeVerdict, judge

KINDS = ("one unit", "union of units", "superposition", "absent")
STRENGTHS = (0.5, 1.0, 2.0, 4.0)
N_UNITS, N_DOCUMENTS, N_EACH = 40, 150, 12
PLANTED = (2, 9, 17)
KS = (8, 4, 3, 2, 1)


def planted(kind: str, strength: float, seed: int) -> LabelledExamples:
    """Examples with the feature in units 2, 9 and 17, or in 9 alone, or in none."""
    rng = np.random.default_rng(seed)
    n = N_DOCUMENTS * N_EACH
    documents = np.arange(n) // N_EACH
    # Some documents have it more often than others.
    has = rng.random(n) < rng.beta(0.5, 2.0, N_DOCUMENTS)[documents]
    shared = rng.standard_t(5, (n, 6)) @ rng.standard_normal((6, N_UNITS)) / 6**0.5
    noise = (shared + rng.standard_t(5, (n, N_UNITS))) / 2
    part = rng.integers(3, size=n)
    if kind == "superposition":
        cancelling = 3 * rng.standard_normal((n, 2))
        noise[:, PLANTED[0]] += cancelling[:, 0]
        noise[:, PLANTED[1]] += cancelling[:, 1] - cancelling[:, 0]
        noise[:, PLANTED[2]] -= cancelling[:, 1]
        noise[:, list(PLANTED)] += strength * has[:, None]
        # What is rectified no longer cancels.
        return LabelledExamples(noise, has, documents, np.ones(n))
    if kind == "one unit":
        noise[:, PLANTED[1]] += strength * has
    elif kind == "union of units":
        for own, unit in enumerate(PLANTED):
            noise[:, unit] += strength * (has & (part == own))
    return LabelledExamples(np.maximum(noise, 0.0), has, documents, np.ones(n))


def verdict(examples: LabelledExamples, seed: int) -> ProbeVerdict:
    """With all that stands beside it in `find`."""
    sides = split_examples(examples, seed=seed)
    probes = sweep_sparse_probes(*sides, SweepOptions(ks=KS, seed=seed))
    chance = [shuffled_labels(sides, k, n_draws=5, seed=seed) for k in (1, 4)]
    one_layer = np.zeros(N_UNITS, np.intp)

    def bases(k: int) -> tuple[Baseline, Baseline]:
        turned = rotated_basis(sides, one_layer, k, n_draws=5, seed=seed)
        return units_by_the_same_search(sides, k), turned

    return judge(probes, fit_dense_probe(*sides, seed=seed), chance, *sides, bases=bases)


def main() -> None:
    """Prints a line for each kind and strength."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=40)
    options = parser.parse_args()
    print(header())
    print(f"{'planted':16}{'strength':>9}  {'  '.join(f'{kind:>14}' for kind in KINDS)}  best MCC")
    for kind in KINDS:
        for strength in STRENGTHS if kind != "absent" else (0.0,):
            found = [verdict(planted(kind, strength, seed), seed) for seed in range(options.seeds)]
            counted = Counter(str(one.carrier) for one in found)
            shares = "  ".join(f"{counted[own] / len(found):14.0%}" for own in KINDS)
            best = np.median([one.best_mcc for one in found])
            print(f"{kind:16}{strength:9.1f}  {shares}  {best:8.2f}", flush=True)


if __name__ == "__main__":
    main()

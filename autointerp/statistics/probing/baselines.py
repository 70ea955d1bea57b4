"""What probes score that cannot know the feature, or that use everything.

All are fitted and tested on the same documents as the probes that they stand beside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from autointerp.statistics.confusion import confusion_entries, confusion_statistic
from autointerp.statistics.probing.examples import Indices, LabelledExamples
from autointerp.statistics.probing.logistic import Design
from autointerp.statistics.probing.probe_scores import ProbeScores, matthews
from autointerp.statistics.probing.sparse_probes import (
    SparseProbe,
    fit_probe,
    score_probe,
    threshold_units,
)

Sides = tuple[LabelledExamples, LabelledExamples]
"""Examples to fit on and to test on."""
BaselineName = Literal["random units", "units, same search", "rotated basis", "shuffled labels"]
N_DRAWS = 20
"""Random draws of each baseline."""
# From so many units or directions with the largest difference of means the best are chosen, in a
# basis and for a labelling that were drawn, and in the units' own basis beside them.
_N_CANDIDATES = 50


@dataclass(frozen=True, slots=True)
class Baseline:
    """Held-out scores of probes on k units of random draws, ascending."""

    name: BaselineName
    k: int
    f1: tuple[float, ...]
    mcc: tuple[float, ...]

    @property
    def highest_mcc(self) -> float:
        """The highest of all draws."""
        return self.mcc[-1]


@dataclass(frozen=True, slots=True)
class DenseProbe:
    """The probe on every unit there is."""

    n_units: int
    scores: ProbeScores


def fit_dense_probe(
    train: LabelledExamples, test: LabelledExamples, *, seed: int = 0
) -> DenseProbe:
    """The probe on all units of the examples, with its held-out scores."""
    probe = fit_probe(train, range(train.n_units))
    return DenseProbe(train.n_units, score_probe(probe, test, seed=seed))


def random_units(sides: Sides, k: int, *, n_draws: int = N_DRAWS, seed: int = 0) -> Baseline:
    """Probes on k units drawn at random of those of the examples."""

    def draw(rng: np.random.Generator) -> tuple[float, float]:
        units = rng.choice(sides[0].n_units, size=k, replace=False)
        return _held_out(fit_probe(sides[0].columns(units), range(k)), sides[1].columns(units))

    return _drawn("random units", k, draw, n_draws, seed)


def units_by_the_same_search(sides: Sides, k: int) -> Baseline:
    """The probe on the k units that are chosen as rotated directions and shuffled labels' are.

    Those two are to be read against it: the probes of `sweep_sparse_probes` are searched for
    among more.
    """

    def draw(_rng: np.random.Generator) -> tuple[float, float]:
        return _held_out(_best_probe(sides[0], k), sides[1])

    return _drawn("units, same search", k, draw, 1, 0)


def rotated_basis(
    sides: Sides,
    layers: NDArray[np.integer],
    k: int,
    *,
    n_draws: int = N_DRAWS,
    seed: int = 0,
) -> Baseline:
    """Probes on the best k of random orthogonal directions, as many as units.

    Activations of each layer are rotated at random, apart from other layers, and the k directions
    are chosen as in `units_by_the_same_search`. Units that are better than these are so because
    they are units.

    Args:
        sides: examples; units in their own scale, standardised here.
        layers: layer of each unit, any numbers, shape (n_units,).
        k: directions of a probe.
        n_draws: rotations.
        seed: of the rotations.
    """
    design = Design.of(sides[0])
    flat = [((one.activations - design.means) / design.scales) for one in sides]

    def draw(rng: np.random.Generator) -> tuple[float, float]:
        turned = [values.copy() for values in flat]
        for layer in np.unique(layers):
            own = np.flatnonzero(layers == layer)
            turn = _rotation(len(own), rng)
            for old, new in zip(flat, turned, strict=True):
                new[:, own] = old[:, own] @ turn
        first, second = (
            LabelledExamples(values, side.has, side.documents, side.weights)
            for values, side in zip(turned, sides, strict=True)
        )
        return _held_out(_best_probe(first, k), second)

    return _drawn("rotated basis", k, draw, n_draws, seed)


def shuffled_labels(sides: Sides, k: int, *, n_draws: int = N_DRAWS, seed: int = 0) -> Baseline:
    """Probes on the k units that are best for labels of other documents, on each side apart."""

    def draw(rng: np.random.Generator) -> tuple[float, float]:
        first, second = (side.with_labels_of(shuffled_places(side, rng)) for side in sides)
        return _held_out(_best_probe(first, k), second)

    return _drawn("shuffled labels", k, draw, n_draws, seed)


def shuffled_places(examples: LabelledExamples, rng: np.random.Generator) -> Indices:
    """Of which example each gets label and weight: another order of whole documents.

    Documents are laid end to end in that order, each in its own. Where they are of unequal length
    the labels of one come to lie over parts of two.
    """
    order = np.argsort(examples.documents, kind="stable")
    documents = np.unique(examples.documents)
    moved = [np.flatnonzero(examples.documents == d) for d in rng.permutation(documents)]
    places = np.empty(len(order), np.intp)
    places[order] = np.concatenate(moved)
    return places


def _rotation(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """A random orthogonal matrix, all equally likely (Stewart 1980)."""
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    return np.asarray(q * np.sign(np.diag(r)))


def _best_probe(train: LabelledExamples, k: int) -> SparseProbe:
    design = Design.of(train)
    differences = np.abs(design.rows[1:] @ design.weights)
    n = max(k, min(_N_CANDIDATES, train.n_units))
    best: Indices = np.argsort(-differences, kind="stable")[:n]
    (units,) = threshold_units(design, best.tolist(), {k})
    return fit_probe(train, units.tolist(), design=design)


def _held_out(probe: SparseProbe, test: LabelledExamples) -> tuple[float, float]:
    """F1 and Matthews' correlation on the test examples."""
    answers = probe.sums(test) >= probe.threshold
    cells = confusion_entries(test.has, answers).T @ test.weights
    return float(confusion_statistic("f1")(cells)), float(matthews(cells))


def _drawn(
    name: BaselineName,
    k: int,
    draw: Callable[[np.random.Generator], tuple[float, float]],
    n_draws: int,
    seed: int,
) -> Baseline:
    found = [draw(np.random.default_rng([seed, k, i])) for i in range(n_draws)]
    f1, mcc = (tuple(sorted(column)) for column in zip(*found, strict=True))
    return Baseline(name, k, f1, mcc)

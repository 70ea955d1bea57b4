"""What explanations add to the token table: error of the estimate, coverage, claims of nothing.

Populations of 600 windows with the token lookup table fitted on 600 others, and explanations that
know nothing, the tokens, or what the tokens do not tell. The truth is the rise of the correlation
over all 600 windows with the best shares; windows are drawn as jobs draw them. Run with
``--quick`` for a look.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from _populations import (
    KINDS,
    Floats,
    Population,
    drawn,
    influence,
    levels,
    pearson,
    predictions,
    real_activations,
    standard,
    text_and_unit,
)
from numpy.typing import NDArray

from autointerp.core.scores import Score
from autointerp.scorers.scorer_inputs import ScoringSet
from autointerp.statistics.added_value import added_value
from autointerp.statistics.bootstrap import Resampling
from autointerp.statistics.population import population_weights
from autointerp.statistics.scored_windows import ScoredWindow

SIZES = (10, 20, 40)
NULLS = ("noise", "rare noise", "another unit", "topic alone", "opposite", "table and noise")
RESAMPLING = Resampling(n_bootstrap=400)


@dataclass(frozen=True)
class Unit:
    """A unit with its table and explanations of it, each of shape (n_windows, n_tokens)."""

    real: Floats
    table: Floats
    peak: float
    explanations: dict[str, Floats]


def unit(rng: np.random.Generator, kind: str) -> Unit:
    """One unit of a kind; levels are in model units."""
    tokens, real, table, peak = text_and_unit(rng, kind)
    said = explanations(rng, tokens, real, table)
    return Unit(real, table, peak, {name: e * peak / 10 for name, e in said.items()})


def explanations(
    rng: np.random.Generator, tokens: NDArray[np.int64], real: Floats, table: Floats
) -> dict[str, Floats]:
    """Levels 0..10; those of `NULLS` add nothing."""
    shape, strong = real.shape, real > real.max() / 10
    noise = standard(np.exp(rng.normal(size=shape)))
    topic = np.exp(rng.normal(size=(shape[0], 1))) + np.zeros(shape)
    other = real_activations(rng, KINDS[rng.integers(len(KINDS))], tokens)
    return {
        "noise": levels(noise),
        "rare noise": 10 * (rng.random(shape) < 0.004) * rng.random(shape),
        "another unit": levels(other) if other.any() else levels(noise),
        "topic alone": levels(topic),
        "opposite": levels(0.3 * real.std() * rng.normal(size=shape) - np.sqrt(real)),
        "table and noise": levels(standard(table) + standard(np.exp(rng.normal(size=shape)))),
        "half of the strong": _said(rng, strong, 0.5, 0.003),
        "a fifth of them": _said(rng, strong, 0.2, 0.01),
        "r 0.2": predictions(rng, real, table, 0.2),
        "r 0.4": predictions(rng, real, table, 0.4),
        "r 0.7": predictions(rng, real, table, 0.7),
    }


def _said(rng: np.random.Generator, strong: NDArray[np.bool_], hit: float, alarm: float) -> Floats:
    return np.where(rng.random(strong.shape) < np.where(strong, hit, alarm), 6.0, 0.0)


def truth(real: Floats, table: Floats, explained: Floats) -> float:
    """The rise with the best shares over all windows, none of them below 0."""
    t, e = standard(table), standard(explained)
    mixed = [np.cos(angle) * t + np.sin(angle) * e for angle in np.linspace(0, np.pi / 2, 181)]
    return max(pearson(real, one) for one in mixed) - pearson(real, t)


def fitted_per_fold(
    explained: list[ScoredWindow], table: list[ScoredWindow], weights: Floats, *, positive: bool
) -> float:
    """The rise with scale, share and offset fitted by weighted least squares in five folds."""
    y = np.array([window.real for window in explained])
    e, t = (np.array([window.predicted for window in part]) for part in (explained, table))
    fold, mixed = np.arange(len(y)) % 5, np.zeros(y.shape)
    for k in range(5):
        here, seen = fold == k, fold != k
        fit = _least_squares(y[seen], [t[seen], e[seen]], weights[seen])
        if positive and fit[1] < 0:
            fit = np.insert(_least_squares(y[seen], [t[seen]], weights[seen]), 1, 0.0)
        mixed[here] = fit[0] * t[here] + fit[1] * e[here] + fit[2]
    return _weighted(y, mixed, weights) - _weighted(y, t, weights)


def _least_squares(y: Floats, columns: list[Floats], weights: Floats) -> Floats:
    root = np.sqrt(np.repeat(weights, y.shape[1]))
    design = np.stack([*(c.ravel() for c in columns), np.ones(y.size)], axis=1)
    found = np.linalg.lstsq(design * root[:, None], y.ravel() * root, rcond=None)
    return np.asarray(found[0])


def _weighted(x: Floats, y: Floats, weights: Floats) -> float:
    c = np.cov(x.ravel(), y.ravel(), aweights=np.repeat(weights, x.shape[1]))
    return float(c[0, 1] / np.sqrt(c[0, 0] * c[1, 1])) if c[1, 1] > 0 else 0.0


@dataclass
class Found:
    """Estimates of one kind of explanation at one number of windows."""

    truths: list[float]
    scores: list[Score]
    others: list[tuple[float, float]]

    @classmethod
    def together(cls, parts: Sequence[Found]) -> Found:
        """All of them."""
        return cls(
            [true for part in parts for true in part.truths],
            [score for part in parts for score in part.scores],
            [pair for part in parts for pair in part.others],
        )

    def add(self, one: Unit, name: str, part: ScoringSet, true: float) -> None:
        """One draw, scored and fitted in the other ways."""
        said = (one.explanations[name], one.table)
        explained, table = (
            Population(one.real, e, one.peak, one.real[:, 0]).judged(part) for e in said
        )
        self.truths.append(true)
        self.scores.append(added_value(explained, table, part.strata, RESAMPLING))
        weights = np.array(population_weights(explained, part.strata))
        pair = [fitted_per_fold(explained, table, weights, positive=p) for p in (False, True)]
        self.others.append((pair[0], pair[1]))

    def line(self) -> str:
        """Truth, errors of three estimates, misses, width, share claimed to add something."""
        true, others = np.array(self.truths), np.array(self.others)
        value = np.array([score.value for score in self.scores])
        low = np.array([-2.0 if s.low is None else s.low for s in self.scores])
        high = np.array([2.0 if s.high is None else s.high for s in self.scores])
        errors = [*(others - true[:, None]).T, value - true]
        above, below = low > true + 1e-4, high < true - 1e-4
        shares = [100 * float(np.mean(part)) for part in (~above & ~below, above, below, low > 0)]
        return (
            f"{true.mean():8.3f}{value.mean():8.3f}"
            + "".join(f"{np.sqrt((e**2).mean()):9.4f}" for e in errors)
            + "".join(f"{share:8.1f}" for share in shares)
            + f"{np.median(high - low):8.3f}"
        )


def table(n_units: int, n_draws: int) -> list[str]:
    """One line a number of windows and an explanation."""
    found: dict[tuple[int, str], Found] = {}
    for k, kind in enumerate(KINDS):
        for i in range(n_units):
            rng = np.random.default_rng([k, i, 5])
            one = unit(rng, kind)
            people = Population(one.real, one.table, one.peak, influence(one.real, one.table))
            true = {name: truth(one.real, one.table, e) for name, e in one.explanations.items()}
            for whole in [drawn(rng, people, max(SIZES)) for _ in range(n_draws)]:
                for n in SIZES:
                    for name in one.explanations:
                        own = found.setdefault((n, name), Found([], [], []))
                        own.add(one, name, whole.first(n), true[name])
    head = (
        f"{'':34s}   truth   value  rmse: scale and offset a fold, the same with b >= 0, shares"
        "; held, above, below, low > 0, width"
    )
    lines = []
    for n in SIZES:
        parts = {name: part for (size, name), part in found.items() if size == n}
        parts["all"] = Found.together(list(parts.values()))
        parts["nulls"] = Found.together([parts[name] for name in NULLS])
        lines += [f"n = {n:3d} {name:26s}{part.line()}" for name, part in parts.items()]
    return [head, *lines]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the units")
    quick = parser.parse_args().quick
    print("\n".join(table(2 if quick else 20, 4)))


if __name__ == "__main__":
    main()

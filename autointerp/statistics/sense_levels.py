"""How active a unit is where each sense of its label applies, fitted on judged windows.

Who writes a sense guesses a level from exemplars, where the unit is active. Over all text a sense
applies in many places where it is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from autointerp.core.errors import InputError
from autointerp.core.records import Stratum
from autointerp.statistics.population import population_weights
from autointerp.statistics.scored_windows import Floats, ScoredWindows

# Chosen with benchmarks/sense_levels.py: what a guess counts for, in places; how often an
# activation is seen where a sense applies, as a share of its guess, and for how many senses that
# counts; the power of the windows' weights.
_GUESS_PLACES = 5.0
_USUAL_SCALE, _SCALE_SENSES = 0.4, 0.5
_TEMPER = 0.5
_ROUNDS = 4
# A sense whose level is below this share of its scaled guess is dropped unless its own places
# are more active than the background by a standard error.
_LOW, _ERRORS = 0.6, 1.0
# From so many effective places on, none of its own says that a sense repeats another.
_MIN_REPEATED = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class SenseWindows:
    """Judged windows, and which senses a reader says apply at each of their tokens."""

    windows: ScoredWindows
    """Real activations of the side, at least 0; what is predicted is not read."""
    applies: Floats
    """Shape (n_tokens, n_senses), from 0, does not apply, to 1."""

    @classmethod
    def of(
        cls,
        real: Sequence[Sequence[float]],
        applies: Sequence[NDArray[np.generic]],
        strata: Sequence[str],
        weights: Sequence[float],
    ) -> SenseWindows:
        """One entry a window: activations, a matrix (n_tokens, n_senses), stratum and weight.

        Raises:
            InputError: shapes that differ, values out of range or not finite.
        """
        windows = ScoredWindows.checked(real, real, strata, weights)
        matrices = [np.asarray(matrix, dtype=np.float64) for matrix in applies]
        shapes = [matrix.shape for matrix in matrices]
        wanted = [(len(row), *shapes[0][1:]) for row in real] if shapes else []
        if shapes != wanted or any(len(shape) != 2 for shape in shapes):
            raise InputError(
                "each window needs a matrix of tokens and senses, found shapes "
                f"{sorted(set(shapes))[:3]} for windows of {sorted(set(map(len, real)))[:3]} tokens"
            )
        joined = np.concatenate(matrices) if matrices else np.zeros((0, 0))
        if not np.all((joined >= 0) & (joined <= 1)):
            raise InputError("how surely a sense applies must be a number from 0 to 1")
        if windows.real.min(initial=0.0) < 0:
            raise InputError(
                "senses are of one side: activations must be at least 0, found "
                f"{windows.real.min()}; rectify them first"
            )
        return cls(windows, joined)

    def in_order(self) -> SenseWindows:
        """The windows in an order that does not depend on the caller's."""
        parts = np.split(self.applies, np.cumsum(self.windows.lengths)[:-1])
        keys = [
            (key[:3], part.tobytes()) for key, part in zip(self.windows.keys(), parts, strict=False)
        ]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        joined = np.concatenate([parts[i] for i in order]) if order else self.applies
        return SenseWindows(self.windows.taken(order), joined)

    def predicted(self, levels: FittedLevels) -> ScoredWindows:
        """The windows with what the senses together predict."""
        return replace(self.windows, predicted=levels.predicted(self.applies))


@dataclass(frozen=True, slots=True)
class FittedLevels:
    """What each sense predicts where it applies, one entry a sense in the order given."""

    activations: tuple[float, ...]
    """Model units; of dropped senses too."""
    background: float
    """Mean activation where no sense applies, model units."""
    scale: float
    """What the guesses were multiplied by to shrink towards them."""
    n_places: tuple[int, ...]
    """Tokens where each applies."""
    n_effective: tuple[float, ...]
    """Equally weighted places that would tell as much as those where it is the strongest."""
    dropped: tuple[str | None, ...]
    """Why a sense predicts nothing, None where it is kept."""

    @property
    def gains(self) -> Floats:
        """By how much each kept sense is above the background, model units; 0 for the others."""
        above = np.array(self.activations, dtype=np.float64) - self.background
        return np.where([reason is None for reason in self.dropped], above, 0.0)

    def predicted(self, applies: Floats) -> Floats:
        """Activation at each token: the greatest of those that apply, else the background."""
        return np.asarray(self.background + (applies * self.gains).max(axis=1, initial=0.0))

    def strongest(self, applies: Floats) -> Floats:
        """How surely each kept sense applies where it predicts most, 0 elsewhere."""
        return _strongest(applies, self.gains)

    def without(self, sense: int) -> FittedLevels:
        """The same with one sense (0-based) left out."""
        reasons = list(self.dropped)
        reasons[sense] = "left out"
        return replace(self, dropped=tuple(reasons))


def fit_levels(
    judged: SenseWindows, priors: Sequence[float], strata: Sequence[Stratum]
) -> FittedLevels:
    """Levels from validation windows, shrunk towards the guesses where places are few.

    A sense's level is its mean activation at the places where it is the strongest that applies,
    and its guess, times a scale fitted over all senses, counts as 5 places more. A place counts
    with the root of its window's weight: windows that are drawn by influence have weights that
    span a thousand, and a mean by them is that of two or three.

    A sense is dropped where that level is far below its guess and its places are no more active
    than the background, or where it applies to nothing that another does not explain better. One
    that applies nowhere in the windows is kept at its guess: nothing speaks against it.

    Args:
        judged: validation windows; one whose reader failed is left out.
        priors: each sense's guessed activation, model units: level times peak / 10.
        strata: all strata that the windows were drawn from, with their true sizes.

    Raises:
        InputError: as many priors as senses are needed, at least 0 and finite.
    """
    guesses = _checked(judged, priors)
    judged = judged.in_order()
    weights = np.array(population_weights(judged.windows, strata), dtype=np.float64)
    own = np.repeat(weights, judged.windows.lengths)
    silent = 1.0 - judged.applies.max(axis=1, initial=0.0)
    background = _mean(judged.windows.real, own * silent)
    fit = _Fit(judged.windows.real, judged.applies, own**_TEMPER, guesses)
    levels, places = guesses, fit.of(judged.applies)
    for _ in range(_ROUNDS):
        levels = fit.shrunk(places)
        places = fit.of(_strongest(judged.applies, levels))
    levels, scale = fit.shrunk(places), fit.scale(places)
    tempered = _mean(judged.windows.real, own**_TEMPER * silent)
    return FittedLevels(
        tuple(levels.tolist()),
        background,
        scale,
        tuple(np.count_nonzero(judged.applies, axis=0).tolist()),
        tuple(places.n.tolist()),
        tuple(fit.why_dropped(places, levels, background, tempered)),
    )


@dataclass(frozen=True, slots=True)
class _Places:
    """What is known of the places of each sense, one value a sense."""

    n: Floats
    """Effective number."""
    mean: Floats
    variance: Floats
    alone: NDArray[np.bool_]
    """Where it is the strongest that applies, and not only where it applies."""


@dataclass(frozen=True, slots=True)
class _Fit:
    real: Floats
    applies: Floats
    weights: Floats
    guesses: Floats

    def of(self, strongest: Floats) -> _Places:
        """Of the places where each is the strongest; where it never is, of all its places."""
        alone = np.asarray(strongest.any(axis=0))
        weights = np.where(alone, strongest, self.applies) * self.weights[:, None]
        total = weights.sum(axis=0)
        safe = np.where(total > 0, total, 1.0)
        mean = self.real @ weights / safe
        spread = ((self.real[:, None] - mean) ** 2 * weights).sum(axis=0) / safe
        squares = (weights**2).sum(axis=0)
        return _Places(total**2 / np.where(squares > 0, squares, 1.0), mean, spread, alone)

    def scale(self, places: _Places) -> float:
        """Of the guesses, by least squares; a sense counts by what its places tell."""
        share = places.n / (places.n + _GUESS_PLACES)
        usual = _SCALE_SENSES * float(np.mean(self.guesses**2)) if len(share) else 0.0
        square = float(share @ self.guesses**2) + usual
        if square <= 0:
            return _USUAL_SCALE
        return float(share @ (places.mean * self.guesses) + usual * _USUAL_SCALE) / square

    def shrunk(self, places: _Places) -> Floats:
        """The means, drawn towards the scaled guesses."""
        guessed = _GUESS_PLACES * self.scale(places) * self.guesses
        return np.asarray((places.n * places.mean + guessed) / (places.n + _GUESS_PLACES))

    def why_dropped(
        self, places: _Places, levels: Floats, background: float, tempered: float
    ) -> list[str | None]:
        """The reason of each sense; `tempered` is the background with the places' weights."""
        low = levels - background < _LOW * self.scale(places) * self.guesses
        error = np.sqrt(places.variance / np.where(places.n > 0, places.n, 1.0))
        faint = places.mean - tempered <= _ERRORS * error
        repeated = ~places.alone & (places.n >= _MIN_REPEATED)
        reasons: list[str | None] = []
        for sense, level in enumerate(levels):
            if level <= background or (low[sense] and faint[sense]):
                reasons.append("the unit is no more active there than where no sense applies")
            elif repeated[sense]:
                reasons.append("it applies only where a stronger sense does")
            else:
                reasons.append(None)
        return reasons


def _strongest(applies: Floats, levels: Floats) -> Floats:
    """How surely each sense applies where it predicts most, 0 elsewhere; of equals the first."""
    if not applies.shape[1]:
        return applies
    predicted = applies * levels
    here = np.arange(applies.shape[1]) == predicted.argmax(axis=1)[:, None]
    return np.where(here & (predicted > 0), applies, 0.0)


def _mean(values: Floats, weights: Floats) -> float:
    total = float(weights.sum())
    return float(values @ weights) / total if total > 0 else 0.0


def _checked(judged: SenseWindows, priors: Sequence[float]) -> Floats:
    guesses = np.array(priors, dtype=np.float64)
    n_senses = judged.applies.shape[1]
    if len(judged.windows) and guesses.shape != (n_senses,):
        raise InputError(f"{n_senses} senses need as many guessed levels, found {len(guesses)}")
    if not np.all(np.isfinite(guesses) & (guesses >= 0)):
        raise InputError(f"guessed levels must be finite and at least 0, found {list(priors)}")
    return guesses

"""How often intervals of the score of both sides together hold its value over all windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from _populations import (
    N_TOKENS,
    N_VOCAB,
    N_WINDOWS,
    SIZES,
    Floats,
    Misses,
    Population,
    drawn,
    influence,
    pearson,
    predictions,
)

from autointerp.core.ids import Side
from autointerp.core.scores import Score
from autointerp.scorers.both_sides import JudgedSide, both_sides_score
from autointerp.scorers.evidence import ScoringSet

TARGETS = (0.0, 0.4, 0.7, 0.9)
N_BOOTSTRAP = 300


def both_sides_table(n_populations: int, n_draws: int) -> list[str]:
    """One line a number of windows of each side; each side is asked about the windows of both."""
    found = {n: Misses() for n in SIZES}
    for t, target in enumerate(TARGETS):
        for uneven in (False, True):
            rng = np.random.default_rng([t, uneven, 9])
            for _ in range(n_populations):
                real, sides = unit_of_both_sides(rng, target, uneven=uneven)
                said = sides[Side.POSITIVE].predicted - sides[Side.NEGATIVE].predicted
                truth = pearson(real, said)
                for n in SIZES:
                    for _ in range(n_draws):
                        score = _score(rng, real, sides, n)
                        if score.low is not None and score.high is not None:
                            found[n].add(target, score.low, score.high, truth)
    return [Misses.head(TARGETS), *(found[n].line(f"n = {n:3d} both_sides") for n in SIZES)]


def unit_of_both_sides(
    rng: np.random.Generator, target: float, *, uneven: bool
) -> tuple[Floats, dict[Side, Population]]:
    """Raw held-out activations, and each side with predictions of about that correlation."""
    odds = 1.0 / np.arange(1, N_VOCAB + 1)
    tokens = rng.choice(N_VOCAB, size=(2 * N_WINDOWS, N_TOKENS), p=odds / odds.sum())
    gate = rng.normal(size=tokens.shape) + 0.5 * rng.normal(size=(len(tokens), 1))
    drive = (rng.normal(size=N_VOCAB)[tokens] + 0.5 * rng.normal(size=tokens.shape)) * gate
    threshold = np.where(drive > 0, 2.0, 3.0) if uneven else 2.5
    raw = np.sign(drive) * np.maximum(0.0, np.abs(drive) - threshold)
    raw *= np.exp(0.3 * rng.normal(size=raw.shape))
    (seen, real), (words, tokens) = np.split(raw, 2), np.split(tokens, 2)
    counts = np.bincount(words.ravel(), minlength=N_VOCAB)
    sides = {}
    for side in Side:
        explain, held_out = (np.maximum(0.0, side.sign * a) for a in (seen, real))
        sums = np.bincount(words.ravel(), explain.ravel(), N_VOCAB)
        lookup = np.where(counts > 0, sums / np.maximum(1, counts), explain.mean())[tokens]
        peak = float(explain.max())
        said = predictions(rng, held_out, lookup, target) * peak / 10
        sides[side] = Population(held_out, said, peak, influence(held_out, lookup))
    return real, sides


def _score(rng: np.random.Generator, real: Floats, sides: dict[Side, Population], n: int) -> Score:
    draws: dict[Side, ScoringSet] = {}
    for side, people in sides.items():
        windows = drawn(rng, people, n)
        records = tuple(replace(r, activations=tuple(real[r.window])) for r in windows.records)
        draws[side] = replace(windows, side=side, records=records, n_bootstrap=N_BOOTSTRAP)
    union = {record.window for windows in draws.values() for record in windows.records}
    plus, minus = (
        JudgedSide(draws[side], {i: tuple(sides[side].predicted[i]) for i in union})
        for side in (Side.POSITIVE, Side.NEGATIVE)
    )
    return both_sides_score(plus, minus)

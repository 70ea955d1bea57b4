"""Units made of senses, labels of them, and what a reader says of their text."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from _populations import N_TOKENS, Floats, Population, drawn, influence
from numpy.typing import NDArray

from autointerp.core.records import Stratum
from autointerp.statistics.sense_levels import SenseWindows

N_VALIDATION, N_HELD_OUT = 600, 1500
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Text:
    """Windows of a split, what the unit does and what the reader says of them."""

    real: Floats
    """Shape (n_windows, n_tokens)."""
    said: Flags
    """Shape (n_windows, n_tokens, n_senses): the senses of the label."""
    strongest: NDArray[np.int64]
    """The true sense behind each token's activation, -1 for none; shape (n_windows, n_tokens)."""

    def drawn(
        self, rng: np.random.Generator, unit: SenseUnit, n: int
    ) -> tuple[SenseWindows, tuple[Stratum, ...]]:
        """Windows drawn by influence; the token table knows some of the senses."""
        known = rng.random(len(unit.guesses)) < 0.6
        table = (self.said[..., known] * unit.guesses[known] / 2).max(axis=-1, initial=0.0)
        table = table + 1e-3 * unit.peak * rng.random(self.real.shape)
        people = Population(self.real, table, unit.peak, influence(self.real, table))
        part = drawn(rng, people, n)
        ids = [record.window for record in part.records]
        judged = SenseWindows.of(
            [tuple(self.real[i]) for i in ids],
            [self.said[i] for i in ids],
            [record.stratum for record in part.records],
            [record.weight for record in part.records],
        )
        return judged, part.strata


@dataclass(frozen=True)
class SenseUnit:
    """A unit with a label of senses."""

    validation: Text
    held_out: Text
    guesses: Floats
    """Activation that the label's writer expects of each sense."""
    peak: float
    n_true: int
    """Senses of the label that are the unit's own; they come first, wrong ones after them."""


def uncertain_unit(
    rng: np.random.Generator, *, nested: bool, broad: float, rare: bool
) -> SenseUnit:
    """One to six senses that apply in more places than the unit is active in, two more unsaid.

    Args:
        rng: chance.
        nested: broad senses hold special ones.
        broad: share of senses that apply to 2 to 7 % of tokens, hardly ever active there, and
            are guessed at level 3 and more.
        rare: senses have 1 to 5 places in 16 windows, most of them.
    """
    n_said = int(rng.integers(1, 7))
    n = n_said + int(rng.integers(0, 3))
    is_broad = (rng.random(n) < broad) & (np.arange(n) < n_said)
    rate = np.where(is_broad, rng.uniform(0.02, 0.07, n), 10 ** rng.uniform(-3.5, -1.7 - rare, n))
    height = np.where(is_broad, rng.uniform(0.1, 0.4, n), rng.uniform(0.15, 1.0, n))
    right = np.where(is_broad, rng.uniform(0.02, 0.2, n), rng.beta(1.2, 0.8, n))
    applies = bursts(rng, rate)
    spread = rng.uniform(0.2, 0.8, n)
    fires = applies & (rng.random(applies.shape) < right)
    by_sense: Floats = np.where(fires, height, 0.0) * np.exp(
        spread * rng.normal(size=applies.shape) - spread**2 / 2
    )
    said = applies[..., :n_said].copy()
    if nested:
        nest(rng, said, is_broad)
    recall, alarms = rng.choice([1.0, 0.8]), rng.choice([0.0, 0.2])
    said = read(rng, said, rate[:n_said], recall=recall, alarms=alarms)
    return labelled(rng, by_sense, said, height[:n_said], is_broad[:n_said])


def nest(rng: np.random.Generator, said: Flags, is_broad: Flags) -> None:
    """Some broad senses apply wherever a special one does, and some special ones too."""
    for k in range(said.shape[-1]):
        for j in range(said.shape[-1]):
            broader = is_broad[k] and not is_broad[j]
            pair = k < j and not is_broad[k] and not is_broad[j]
            if (broader and rng.random() < 0.6) or (pair and rng.random() < 0.2):
                said[..., k] |= said[..., j]


def planted_unit(rng: np.random.Generator, *, quality: float) -> SenseUnit:
    """One to four senses at rates 1:1 to 1:50, labelled with up to two that are wrong and broad.

    Of the places where a sense applies the reader names the share `quality`, and of what it names
    that share is right.
    """
    n_true, n_wrong = int(rng.integers(1, 5)), int(rng.integers(0, 3))
    rate = 10 ** rng.uniform(-2.2, -1.5) / np.append(1.0, 50 ** rng.random(n_true - 1))
    rate = np.append(rate, rate[0] * rng.uniform(1.0, 4.0, n_wrong))
    height = np.append(rng.uniform(0.3, 1.0, n_true), rng.uniform(0.2, 0.5, n_wrong))
    applies = bursts(rng, rate)
    shape = (*applies.shape[:2], n_true)
    by_sense = applies[..., :n_true] * height[:n_true] * np.exp(0.3 * rng.normal(size=shape))
    said = read(rng, applies, rate, recall=quality, alarms=1 - quality)
    unit = labelled(rng, by_sense, said, height, np.zeros(len(rate), dtype=np.bool_))
    return replace(unit, n_true=n_true)


def bursts(rng: np.random.Generator, rate: Floats) -> Flags:
    """Where senses apply: in some windows far more often than in others."""
    many = rng.gamma(0.7, 1 / 0.7, (N_VALIDATION + N_HELD_OUT, 1, len(rate)))
    tokens = rng.random((len(many), N_TOKENS, len(rate)))
    return np.asarray(tokens < np.minimum(rate * many, 1.0))


def read(
    rng: np.random.Generator, applies: Flags, rate: Floats, *, recall: float, alarms: float
) -> Flags:
    """What a reader says; false alarms are a share of how often a sense applies."""
    hit = applies & (rng.random(applies.shape) < recall)
    return np.asarray(hit | (rng.random(applies.shape) < alarms * rate))


def labelled(
    rng: np.random.Generator, by_sense: Floats, said: Flags, height: Floats, is_broad: Flags
) -> SenseUnit:
    """The unit with guesses from where it is active, a third too high and uncertain."""
    shape = by_sense.shape[:2]
    stray = (rng.random(shape) < 0.02) * rng.exponential(0.05, shape)
    real = np.maximum(by_sense.max(axis=-1), stray)
    strongest = np.where(by_sense.max(axis=-1) > 0, by_sense.argmax(axis=-1), -1)
    peak = float(np.quantile(real[real > 0], 0.999))
    guess = np.round(13 * height / peak * np.exp(0.3 * rng.normal(size=len(height))))
    guess = np.clip(guess, np.where(is_broad, 3, 1), 10)
    validation, held_out = (
        Text(real[part], said[part], strongest[part])
        for part in (slice(N_VALIDATION), slice(N_VALIDATION, None))
    )
    return SenseUnit(validation, held_out, guess * peak / 10, peak, len(height))

"""Fitted levels of senses against guessed ones, and whether number and mass of senses come out.

Levels are fitted on 16 windows that are drawn by influence of 600; what the senses then predict
together is compared with the activations of 1,500 others. Run with ``--quick`` for a look.
``--clusters`` looks for senses that are planted on real text by what a real model reads there.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field

import numpy as np
from _populations import Floats, holds, pearson
from _sense_units import SenseUnit, planted_unit, uncertain_unit

from autointerp.statistics.bootstrap import Resampling
from autointerp.statistics.sense_levels import FittedLevels, fit_levels
from autointerp.statistics.sense_mass import mass_explained

N_VALIDATION, N_HELD_OUT = 16, 40
RESAMPLING = Resampling(n_bootstrap=400)
WORLDS = {
    "broad senses": (False, 0.25, False),
    "broad, few places": (False, 0.25, True),
    "broad, nested": (True, 0.25, False),
    "broad, nested, few places": (True, 0.25, True),
    "none broad, few places": (False, 0.0, True),
}


def correlation_of(unit: SenseUnit, levels: FittedLevels) -> float:
    """Over all held-out text; 0 where nothing is predicted."""
    said = unit.held_out.said.reshape(-1, len(unit.guesses)).astype(np.float64)
    predicted = levels.predicted(said)
    return pearson(unit.held_out.real, predicted) if np.ptp(predicted) > 0 else 0.0


def guessed(unit: SenseUnit) -> FittedLevels:
    """The levels as the label's writer gave them."""
    n = len(unit.guesses)
    return FittedLevels(tuple(unit.guesses), 0.0, 1.0, (0,) * n, (0.0,) * n, (None,) * n)


def levels_table(n_units: int) -> list[str]:
    """One line a kind of unit."""
    lines = [
        f"{'':28s}places of a sense, quartiles; guessed, fitted (mean, median); at least the"
        " guesses', within 0.01 of them; worst twentieth"
    ]
    for w, (name, (nested, broad, rare)) in enumerate(WORLDS.items()):
        values: list[tuple[float, float]] = []
        places: list[int] = []
        for i in range(n_units):
            rng = np.random.default_rng([w, i, 1])
            unit = uncertain_unit(rng, nested=nested, broad=broad, rare=rare)
            judged, strata = unit.validation.drawn(rng, unit, N_VALIDATION)
            levels = fit_levels(judged, unit.guesses.tolist(), strata)
            places += levels.n_places
            values.append((correlation_of(unit, guessed(unit)), correlation_of(unit, levels)))
        before, after = np.array(values).T
        gain = after - before
        quartiles = "/".join(f"{q:.0f}" for q in np.quantile(places, [0.25, 0.5, 0.75]))
        lines.append(
            f"{name:28s}{quartiles:>8s}  {before.mean():.3f} {np.median(before):.3f}"
            f"  {after.mean():.3f} {np.median(after):.3f}"
            f"  {100 * np.mean(gain >= -1e-9):.1f}  {100 * np.mean(gain >= -0.01):.1f}"
            f"  {np.quantile(gain, 0.05):+.3f}"
        )
    return lines


@dataclass
class Planted:
    """What came out of planted units."""

    right: list[bool] = field(default_factory=list)
    true_dropped: int = 0
    wrong_kept: int = 0
    errors: dict[str, list[float]] = field(default_factory=dict)
    held: dict[str, list[bool]] = field(default_factory=dict)

    def add(self, unit: SenseUnit, rng: np.random.Generator) -> None:
        """Fit, then account for the mass on other windows."""
        judged, strata = unit.validation.drawn(rng, unit, N_VALIDATION)
        levels = fit_levels(judged, unit.guesses.tolist(), strata)
        kept = np.array([reason is None for reason in levels.dropped])
        self.right.append(int(kept.sum()) == unit.n_true)
        self.true_dropped += int((~kept[: unit.n_true]).sum())
        self.wrong_kept += int(kept[unit.n_true :].sum())
        judged, strata = unit.held_out.drawn(rng, unit, N_HELD_OUT)
        mass = mass_explained(judged, levels, strata, RESAMPLING)
        for what, score, want in zip(
            ["all", *["share"] * len(kept)],
            [mass.explained, *mass.shares],
            shares_of_reader(unit, levels),
            strict=True,
        ):
            if score.value is not None:
                self.errors.setdefault(what, []).append(score.value - want)
                self.held.setdefault(what, []).append(holds(score.low, score.high, want))
        for score, want in zip(mass.gains, gains(unit, levels), strict=True):
            if score.value is None:
                continue
            self.errors.setdefault("gain", []).append(score.value - want)
            if score.low is not None:
                self.held.setdefault("gain", []).append(holds(score.low, score.high, want))
        self._relative(unit, [s.value or 0.0 for s in mass.shares], mass.explained.value or 1.0)

    def _relative(self, unit: SenseUnit, shares: list[float], explained: float) -> None:
        """Shares of what is explained against the true senses' shares of their activation."""
        text = unit.held_out
        true = [text.real[text.strongest == k].sum() for k in range(unit.n_true)]
        for share, want in zip(shares, np.array(true) / sum(true), strict=False):
            self.errors.setdefault("relative", []).append(share / (explained or 1.0) - want)

    def lines(self, name: str) -> list[str]:
        """Number, shares within 0.1, coverage."""
        within = {k: np.mean(np.abs(v) <= 0.1) for k, v in self.errors.items()}
        return [
            f"{name}: right number {100 * np.mean(self.right):.1f} %, true senses dropped "
            f"{self.true_dropped}, wrong ones kept {self.wrong_kept}, of {len(self.right)} units",
            *(
                f"  {what}: rmse {np.sqrt(np.mean(np.square(e))):.3f}, within 0.1 "
                f"{100 * within[what]:.1f} %"
                + (f", held {100 * np.mean(self.held[what]):.1f} %" if what in self.held else "")
                for what, e in self.errors.items()
            ),
        ]


def shares_of_reader(unit: SenseUnit, levels: FittedLevels) -> list[float]:
    """Mass over all held-out text by what this reader says: of all senses, then of each."""
    said = unit.held_out.said.reshape(-1, len(unit.guesses)).astype(np.float64)
    real: Floats = unit.held_out.real.ravel()
    each = real @ levels.strongest(said) / real.sum()
    return [float(each.sum()), *each.tolist()]


def gains(unit: SenseUnit, levels: FittedLevels) -> list[float]:
    """What the correlation over all held-out text loses without each sense."""
    whole = correlation_of(unit, levels)
    return [whole - correlation_of(unit, levels.without(k)) for k in range(len(unit.guesses))]


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the units")
    parser.add_argument("--clusters", action="store_true", help="how many senses clusters find")
    asked = parser.parse_args()
    if asked.clusters:
        from _cluster_units import RealText, clusters_table

        print("\n".join(clusters_table(RealText.read(), 20 if asked.quick else 120)))
        return
    n_units = 30 if asked.quick else 300
    print("\n".join(levels_table(n_units)))
    for name, quality in (("a perfect reader", 1.0), ("a reader of 80 %", 0.8)):
        found = Planted()
        for i in range(n_units):
            rng = np.random.default_rng([i, round(10 * quality), 2])
            found.add(planted_unit(rng, quality=quality), rng)
        print("\n".join(found.lines(name)))


if __name__ == "__main__":
    main()

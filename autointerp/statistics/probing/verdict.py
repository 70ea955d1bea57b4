"""How a feature is carried: by one unit, by a union of units, by their sum only, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from autointerp.core.errors import InputError
from autointerp.core.scores import Score
from autointerp.statistics.probing.any_unit_rule import (
    AnyUnitRule,
    fit_any_unit_rule,
    own_correlations,
)
from autointerp.statistics.probing.baselines import Baseline, DenseProbe, Sides
from autointerp.statistics.probing.examples import LabelledExamples
from autointerp.statistics.probing.sparse_probes import ProbeAtK

LEAST_MCC = 0.2
"""Below that on held-out documents no probe is said to find the feature."""
ENOUGH = 0.9
"""Share of the best probe's correlation from which on fewer units are enough."""
OWN = 0.1
"""Correlation from which on a unit tells the feature by itself, where that is beyond chance."""
MOST = 0.5
"""Share of the sum's correlation that one unit then has at least."""
OWN_PART = 0.1
"""Share of the positives that a unit with a part of its own finds alone."""
_LEAST_PARTS = 2
FEW = 30
"""Positives held out below which a verdict says that it is open."""
GRAIN = 0.1
"""By which precision and recall differ where the probe is coarser or finer than the feature."""

Carrier = Literal["one unit", "union of units", "superposition", "absent"]
_Spread = tuple[float, float | None, float | None]
Grain = Literal["coarser", "finer", "as fine"]
Bases = Callable[[int], tuple[Baseline, Baseline] | None]
"""Of k: the units by the same search as a rotated basis, and that; None where none can be made."""


@dataclass(frozen=True, slots=True)
class ProbeVerdict:
    """How the feature is carried, with the numbers that say so, all on held-out documents."""

    carrier: Carrier
    grain: Grain | None
    """Of the probe against the feature; None where the feature is absent."""
    k: int | None
    """Fewest units whose probe is enough, or those of the best probe; None where absent."""
    units: tuple[int, ...]
    """Their columns in the examples, strongest first; empty where absent."""
    best_mcc: float
    """Of the best probe, the dense one included."""
    chance_mcc: float
    """The highest of all probes on shuffled labels."""
    mcc: float | None
    """Of the probe on those units."""
    rule: AnyUnitRule | None
    """"Any unit fires" in place of the sum; None of one unit."""
    precision_less_recall: _Spread | None
    """Value and interval, by which the grain is judged."""
    reason: str
    """The rule that decided, with its numbers, as a sentence."""


def judge(  # noqa: PLR0913 - all that speaks for and against it
    probes: Sequence[ProbeAtK],
    dense: DenseProbe,
    shuffled: Sequence[Baseline],
    train: LabelledExamples,
    test: LabelledExamples,
    *,
    bases: Bases = lambda _k: None,
) -> ProbeVerdict:
    """The verdict on a feature.

    Absent: the best probe's correlation is under `LEAST_MCC`, or no higher than a probe's on
    shuffled labels. Else the fewest units are taken whose correlation is `ENOUGH` of the best. Of
    several, it is one unit if only that of the probe on one unit tells the feature by itself
    (`OWN`), `MOST` of what their sum does: the others take out what it shares with them. They are
    a union if "any of them fires" is `ENOUGH` of their sum, and two or more find `OWN_PART` of the
    positives alone each; otherwise only the sum separates: superposition, as where no probe but
    the dense one is enough, and where as many random directions do as well. With fewer than `FEW`
    positives held out the reason says that it is open.

    Args:
        probes: of several sizes, with k = 1 among them.
        dense: the probe on all units.
        shuffled: baselines on shuffled labels, at least one.
        train: what the probes were fitted on.
        test: what they were scored on.
        bases: of a k, what directions of a rotated basis are judged by.

    Raises:
        InputError: no probe is on one unit.
    """
    if all(one.k != 1 for one in probes):
        raise InputError("a verdict needs the probe on one unit: add k = 1 to the sizes")
    found = _judged(probes, dense, shuffled, (train, test), bases)
    n_positive = int(test.has.sum())
    if n_positive >= FEW:
        return found
    return replace(
        found, reason=f"{found.reason}; with {n_positive} positives held out this is open"
    )


def _judged(
    probes: Sequence[ProbeAtK],
    dense: DenseProbe,
    shuffled: Sequence[Baseline],
    sides: Sides,
    bases: Bases,
) -> ProbeVerdict:
    mccs = [_mcc(one) for one in probes]
    best, chance = max(dense.scores.mcc.value or 0.0, *mccs), max(b.highest_mcc for b in shuffled)
    if best < LEAST_MCC or best <= chance:
        what = f"under {LEAST_MCC}" if best < LEAST_MCC else "no higher than that"
        reason = (
            f"no probe finds it: the best correlation is {best:.2f}, probes on shuffled labels "
            f"reach {chance:.2f}, and that is {what}"
        )
        return ProbeVerdict("absent", None, None, (), best, chance, None, None, None, reason)
    enough = [one for one in probes if _mcc(one) >= ENOUGH * best]
    if not enough:
        most = max(probes, key=_mcc)
        reason = (
            f"only more units than {max(one.k for one in probes)} separate it: all "
            f"{dense.n_units} reach a correlation of {best:.2f}, {most.k} of them {_mcc(most):.2f}"
        )
        return _verdict("superposition", most, best, chance, None, reason)
    fewest = min(enough, key=lambda one: one.k)
    alone = min(probes, key=lambda one: one.k)
    found = _of_the_fewest(fewest, alone, best, chance, sides)
    return _against_directions(found, bases(found.k or fewest.k))


def _of_the_fewest(
    fewest: ProbeAtK, alone: ProbeAtK, best: float, chance: float, sides: Sides
) -> ProbeVerdict:
    if fewest.k == 1:
        reason = f"one unit reaches a correlation of {_mcc(fewest):.2f}, the best probe {best:.2f}"
        return _verdict("one unit", fewest, best, chance, None, reason)
    own = dict(zip(fewest.probe.units, own_correlations(fewest.probe, *sides), strict=True))
    least = max(OWN, chance)
    carriers = [unit for unit, mcc in own.items() if mcc >= least]
    if carriers == list(alone.probe.units) and _mcc(alone) >= MOST * _mcc(fewest):
        others = max(mcc for unit, mcc in own.items() if unit not in alone.probe.units)
        reason = (
            f"one unit reaches a correlation of {_mcc(alone):.2f}; of the {fewest.k - 1} others "
            f"with which it reaches {_mcc(fewest):.2f} none tells the feature by itself (at most "
            f"{others:.2f}): they take out what it shares with them"
        )
        return _verdict("one unit", alone, best, chance, None, reason)
    rule = fit_any_unit_rule(fewest.probe, *sides)
    carrier, reason = _of_several(fewest, rule)
    return _verdict(carrier, fewest, best, chance, rule, reason)


def _against_directions(
    found: ProbeVerdict, bases: tuple[Baseline, Baseline] | None
) -> ProbeVerdict:
    """The verdict, with what it says of units taken back where random directions do as well."""
    if bases is None:
        return found
    units, rotated = bases
    if units.highest_mcc > rotated.highest_mcc:
        return found
    reason = (
        f"{found.reason}; random directions do as well ({rotated.highest_mcc:.2f}), so it is not a "
        "matter of units"
    )
    return replace(found, carrier="superposition", reason=reason)


def _of_several(probe: ProbeAtK, rule: AnyUnitRule) -> tuple[Carrier, str]:
    """Union or superposition, and why."""
    found = (
        f'their sum reaches a correlation of {_mcc(probe):.2f}, "any of them fires" {rule.mcc:.2f}'
    )
    own = [share for share in rule.own_shares if share >= OWN_PART]
    if rule.mcc < ENOUGH * _mcc(probe):
        return "superposition", f"only the sum of {probe.k} units separates it: {found}"
    if len(own) < _LEAST_PARTS:
        return "superposition", (
            f"{probe.k} units fire on the same examples: {found}, but {len(own)} of them finds "
            f"at least {OWN_PART:.0%} of the positives alone"
        )
    return "union of units", (
        f"{len(own)} of {probe.k} units have their own part: {found}, and each of those finds at "
        f"least {min(own):.0%} of the positives alone"
    )


def _verdict(
    carrier: Carrier,
    probe: ProbeAtK,
    best: float,
    chance: float,
    rule: AnyUnitRule | None,
    reason: str,
) -> ProbeVerdict:
    more = probe.scores.precision_less_recall
    spread = None if more.value is None else (more.value, more.low, more.high)
    units, k = probe.probe.units, probe.k
    return ProbeVerdict(
        carrier, _grain(more), k, units, best, chance, _mcc(probe), rule, spread, reason
    )


def _grain(difference: Score) -> Grain:
    """From precision less recall: what is beyond chance over documents, and large."""
    value, low, high = difference.value, difference.low, difference.high
    if value is None or low is None or high is None:
        return "as fine"
    if value >= GRAIN and low > 0:
        return "finer"
    return "coarser" if value <= -GRAIN and high < 0 else "as fine"


def _mcc(probe: ProbeAtK) -> float:
    return probe.scores.mcc.value or 0.0

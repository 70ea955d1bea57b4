from __future__ import annotations

import numpy as np
import pytest

from autointerp.core.errors import InputError
from autointerp.statistics.probing.any_unit_rule import own_correlations
from autointerp.statistics.probing.baselines import (
    Baseline,
    fit_dense_probe,
    random_units,
    rotated_basis,
    shuffled_labels,
    shuffled_places,
    units_by_the_same_search,
)
from autointerp.statistics.probing.examples import LabelledExamples, split_examples
from autointerp.statistics.probing.sparse_probes import SweepOptions, sweep_sparse_probes
from autointerp.statistics.probing.verdict import ProbeVerdict, judge

N_UNITS = 24
PLANTED = (2, 9, 17)


def planted(kind: str, seed: int, n: int = 1600) -> LabelledExamples:
    """Rectified noise, and the feature in some of the units 2, 9 and 17."""
    rng = np.random.default_rng(seed)
    has = rng.random(n) < 0.25
    values = np.maximum(rng.standard_normal((n, N_UNITS)), 0)
    part = rng.integers(3, size=n)
    if kind == "one unit":
        values[:, 9] += 5 * has
    elif kind == "union":
        for i, unit in enumerate(PLANTED):
            values[:, unit] = 0.3 * rng.random(n) + 3 * (has & (part == i))
    elif kind == "superposition":
        others = 3 * rng.standard_normal((n, 2))
        mixed = np.stack([others[:, 0], others[:, 1] - others[:, 0], -others[:, 1]], axis=1)
        values[:, list(PLANTED)] = mixed + 2 * has[:, None] + 0.2 * rng.standard_normal((n, 3))
    elif kind == "coarser":
        values[:, 9] += 5 * (has | (rng.random(n) < 0.25))
    elif kind == "finer":
        values[:, 9] += 5 * (has & (part == 0))
    elif kind == "shared noise":
        noise = 2 * rng.standard_normal(n)
        values[:, 9] += 4 * has + noise
        values[:, 2] += noise
    elif kind == "dense":
        values = rng.standard_normal((n, N_UNITS)) + 0.8 * has[:, None]
    return LabelledExamples(values, has, np.arange(n) // 8, np.ones(n))


def turned(seed: int) -> LabelledExamples:
    """One direction carries the feature, which is no unit's more than any other's."""
    examples = planted("one unit", seed)
    turn, _ = np.linalg.qr(np.random.default_rng(seed + 100).standard_normal((N_UNITS, N_UNITS)))
    return LabelledExamples(
        examples.activations @ turn, examples.has, examples.documents, examples.weights
    )


def verdict_beside_rotations(examples: LabelledExamples, ks: tuple[int, ...]) -> ProbeVerdict:
    sides = split_examples(examples)
    probes = sweep_sparse_probes(*sides, SweepOptions(ks=ks))
    chance = [shuffled_labels(sides, 1, n_draws=3)]
    one_layer = np.zeros(N_UNITS, int)

    def bases(k: int) -> tuple[Baseline, Baseline]:
        return units_by_the_same_search(sides, k), rotated_basis(sides, one_layer, k, n_draws=5)

    return judge(probes, fit_dense_probe(*sides), chance, *sides, bases=bases)


def verdict_of(kind: str, seed: int) -> ProbeVerdict:
    sides = split_examples(planted(kind, seed), seed=seed)
    ks = (6, 4, 3, 2, 1)
    probes = sweep_sparse_probes(*sides, SweepOptions(ks=ks))
    chance = [shuffled_labels(sides, k, n_draws=5) for k in (1, 3)]
    return judge(probes, fit_dense_probe(*sides), chance, *sides)


@pytest.mark.parametrize("seed", range(4))
def test_one_unit_is_told(seed: int) -> None:
    found = verdict_of("one unit", seed)
    assert (found.carrier, found.units, found.grain) == ("one unit", (9,), "as fine")
    assert found.mcc is not None
    assert found.mcc > 0.9 > found.chance_mcc


@pytest.mark.parametrize("seed", range(4))
def test_what_only_takes_out_noise_that_a_unit_shares_does_not_carry_the_feature(seed: int) -> None:
    sides = split_examples(planted("shared noise", seed), seed=seed)
    one, two = sweep_sparse_probes(*sides, SweepOptions(ks=(2, 1)))[::-1]
    assert set(two.probe.units) == {2, 9}
    # The sum is so much better that one unit is not enough.
    assert (one.scores.mcc.value or 0) < 0.9 * (two.scores.mcc.value or 0)
    alone = dict(zip(two.probe.units, own_correlations(two.probe, *sides), strict=True))
    assert alone[9] == pytest.approx(one.scores.mcc.value)
    assert alone[2] < 0.1
    found = verdict_of("shared noise", seed)
    assert (found.carrier, found.units, found.k) == ("one unit", (9,), 1)
    assert "none tells the feature by itself" in found.reason


@pytest.mark.parametrize("seed", range(4))
def test_a_union_is_told_from_a_superposition(seed: int) -> None:
    union, summed = verdict_of("union", seed), verdict_of("superposition", seed)
    assert (union.carrier, union.k, set(union.units)) == ("union of units", 3, set(PLANTED))
    assert (summed.carrier, summed.k, set(summed.units)) == ("superposition", 3, set(PLANTED))
    assert union.rule is not None
    assert min(union.rule.own_shares) > 0.2
    assert min(union.rule.precisions) > 0.9
    assert summed.rule is not None
    assert summed.rule.mcc < 0.5 < (summed.mcc or 0)


@pytest.mark.parametrize("seed", range(4))
def test_a_feature_that_no_unit_carries_is_absent(seed: int) -> None:
    found = verdict_of("absent", seed)
    assert (found.carrier, found.units, found.grain, found.k) == ("absent", (), None, None)
    assert "no probe finds it" in found.reason


def test_a_feature_of_all_units_is_a_superposition_of_more_than_the_largest_probe() -> None:
    found = verdict_of("dense", 0)
    assert found.carrier == "superposition"
    assert "only more units than 6 separate it" in found.reason


@pytest.mark.parametrize("grain", ["coarser", "finer"])
@pytest.mark.parametrize("seed", range(3))
def test_a_unit_that_fires_on_more_or_on_less_is_told(grain: str, seed: int) -> None:
    found = verdict_of(grain, seed)
    assert (found.carrier, found.units, found.grain) == ("one unit", (9,), grain)
    assert found.precision_less_recall is not None
    assert (found.precision_less_recall[0] < 0) == (grain == "coarser")


@pytest.mark.parametrize("seed", range(3))
def test_a_feature_that_random_directions_carry_as_well_is_no_matter_of_units(seed: int) -> None:
    found = verdict_beside_rotations(turned(seed), (12, 8, 4, 2, 1))
    assert found.carrier == "superposition"
    assert "; random directions do as well (0." in found.reason
    assert "so it is not a matter of units" in found.reason
    for kind, carrier in (("one unit", "one unit"), ("union", "union of units")):
        own = verdict_beside_rotations(planted(kind, seed), (6, 4, 3, 2, 1))
        assert (own.carrier, "random directions" in own.reason) == (carrier, False)


@pytest.mark.parametrize("n", [200, 1600])
def test_few_positives_leave_a_verdict_open(n: int) -> None:
    sides = split_examples(planted("one unit", 0, n=n))
    probes = sweep_sparse_probes(*sides, SweepOptions(ks=(1,)))
    found = judge(probes, fit_dense_probe(*sides), [shuffled_labels(sides, 1, n_draws=3)], *sides)
    n_positive = int(sides[1].has.sum())
    assert (n_positive < 30) == (n == 200)
    said = f"with {n_positive} positives held out this is open"
    assert found.reason.endswith(said) == (n == 200)


def test_there_is_no_verdict_without_the_probe_on_one_unit() -> None:
    sides = split_examples(planted("one unit", 0))
    probes = sweep_sparse_probes(*sides, SweepOptions(ks=(4,)))
    chance = [shuffled_labels(sides, 1, n_draws=2)]
    with pytest.raises(InputError, match="add k = 1"):
        judge(probes, fit_dense_probe(*sides), chance, *sides)


def test_shuffled_labels_and_random_units_are_at_chance_and_rotations_below_the_unit() -> None:
    sides = split_examples(planted("one unit", 0))
    layers = np.repeat([0, 1], N_UNITS // 2)
    baselines = [
        shuffled_labels(sides, 1),
        random_units((sides[0].columns(range(10, 20)), sides[1].columns(range(10, 20))), 2),
    ]
    for baseline in baselines:
        assert len(baseline.mcc) == 20
        assert abs(float(np.mean(baseline.mcc))) < 0.05
        assert baseline.highest_mcc < 0.2
    rotated = rotated_basis(sides, layers, 1, n_draws=10)
    (one,) = sweep_sparse_probes(*sides, SweepOptions(ks=(1,)))
    assert rotated.highest_mcc < (one.scores.mcc.value or 0) - 0.2


def test_a_rotation_that_uses_all_directions_loses_nothing() -> None:
    """As many directions as units span what the units do."""
    sides = split_examples(planted("superposition", 1))
    rotated = rotated_basis(sides, np.zeros(N_UNITS, int), N_UNITS, n_draws=2)
    dense = fit_dense_probe(*sides).scores.mcc.value
    assert rotated.mcc == pytest.approx((dense, dense), abs=0.03)


def test_layers_are_rotated_apart() -> None:
    """A layer of which the other units are silent keeps its one unit that is not."""
    rng = np.random.default_rng(0)
    has = rng.random(600) < 0.3
    values = np.maximum(rng.standard_normal((600, 8)), 0)
    values[:, 0] = 5.0 * has
    sides = split_examples(LabelledExamples(values, has, np.arange(600) // 6, np.ones(600)))
    alone = rotated_basis(sides, np.array([0, 1, 1, 1, 1, 1, 1, 1]), 1, n_draws=3)
    mixed = rotated_basis(sides, np.zeros(8, int), 1, n_draws=3)
    assert min(alone.mcc) == pytest.approx(1.0)
    assert min(mixed.mcc) < 0.95


def test_shuffled_labels_stay_in_their_order_within_documents() -> None:
    has = np.array([True, True, False, False, True, False, False, False, False])
    documents = np.array([7, 7, 7, 3, 3, 3, 5, 5, 5])
    examples = LabelledExamples(np.zeros((9, 1)), has, documents, np.ones(9))
    pieces = {(True, True, False), (False, True, False), (False, False, False)}
    seen = set()
    for seed in range(12):
        moved = has[shuffled_places(examples, np.random.default_rng(seed))]
        assert {tuple(moved[documents == d].tolist()) for d in (3, 5, 7)} == pieces
        seen.add(tuple(moved.tolist()))
    assert len(seen) > 3


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_labels_keep_the_base_rate_of_the_text(seed: int) -> None:
    """A negative that stands for 40 tokens does so wherever its label comes to lie."""
    rng = np.random.default_rng(seed)
    has = rng.random(200) < 0.5
    examples = LabelledExamples(
        np.zeros((200, 1)), has, rng.integers(9, size=200), np.where(has, 1.0, 40.0)
    )
    moved = examples.with_labels_of(shuffled_places(examples, rng))
    assert (moved.has != has).any()
    assert moved.base_rate == pytest.approx(examples.base_rate)
    assert set(moved.weights[moved.has]) == {1.0}


def test_draws_are_those_of_their_seed() -> None:
    sides = split_examples(planted("union", 0, n=400))
    draws: list[Baseline] = [random_units(sides, 2, n_draws=3, seed=s) for s in (1, 1, 2)]
    assert draws[0] == draws[1]
    assert draws[0] != draws[2]

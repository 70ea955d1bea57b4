from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.core.errors import InputError
from autointerp.statistics.probing.class_histograms import ClassHistograms, merge_class_histograms
from autointerp.statistics.probing.ranking import MEASURES, measure_units

EDGES = np.array([-1.0, -0.3, 0.0, 0.2, 0.5, 1.0, 2.0])


def _examples(seed: int, n: int = 400, n_units: int = 7) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    has = rng.random(n) < 0.3
    has[:2] = True, False
    values = rng.standard_normal((n, n_units)) * rng.uniform(0.1, 5.0, n_units)
    values[:, 0] += 2 * has
    values[:, 1] -= 3 * has
    return values, has


@pytest.mark.parametrize("seed", range(5))
def test_measures_are_those_of_scikit_learn(seed: int) -> None:
    from sklearn.feature_selection import f_classif
    from sklearn.metrics import average_precision_score, mutual_info_score

    values, has = _examples(seed)
    measures = measure_units(ClassHistograms.of(values, has, EDGES))
    binned = np.searchsorted(EDGES, values, side="right")
    np.testing.assert_allclose(measures.f_statistic, f_classif(values, has)[0], rtol=1e-9)
    for unit in range(values.shape[1]):
        own = binned[:, unit]
        assert measures.average_precision[unit] == pytest.approx(average_precision_score(has, own))
        low = average_precision_score(has, -own)
        assert measures.average_precision_of_low[unit] == pytest.approx(low)
        information = mutual_info_score(has, own)
        assert measures.mutual_information[unit] == pytest.approx(information, abs=1e-12)
    difference = values[has].mean(axis=0) - values[~has].mean(axis=0)
    np.testing.assert_allclose(measures.mean_difference, difference, rtol=1e-9)


@given(st.integers(0, 10_000), st.lists(st.integers(1, 99), max_size=4))
def test_parts_of_the_examples_merge_to_the_whole(seed: int, cuts: list[int]) -> None:
    values, has = _examples(seed, n=100, n_units=3)
    bounds = [0, *sorted(cuts), 100]
    parts = [
        ClassHistograms.of(values[a:b], has[a:b], EDGES)
        for a, b in zip(bounds, bounds[1:], strict=False)
    ]
    merged, whole = merge_class_histograms(parts[::-1]), ClassHistograms.of(values, has, EDGES)
    assert (merged.counts == whole.counts).all()
    assert (merged.n_examples == whole.n_examples).all()
    np.testing.assert_allclose(merged.sums, whole.sums, atol=1e-9)
    np.testing.assert_allclose(merged.squares, whole.squares, rtol=1e-12)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_unit_that_is_low_where_the_feature_is_ranks_as_high_as_one_that_is_high(
    measure: str,
) -> None:
    values, has = _examples(0)
    values /= values[~has].std(axis=0)
    best = measure_units(ClassHistograms.of(values, has, EDGES)).best(measure, 2)
    assert set(best.tolist()) == {0, 1}


def test_a_unit_that_never_varies_has_no_measures_and_ranks_last() -> None:
    values, has = _examples(1)
    values[:, 3] = 0.1
    measures = measure_units(ClassHistograms.of(values, has, EDGES))
    for measure in ("f_statistic", "average_precision", "mutual_information"):
        assert np.isnan(getattr(measures, measure)[3])
        assert measures.best(measure, 7)[-1] == 3


def test_classes_that_do_not_vary_and_differ_have_an_infinite_f_and_rank_first() -> None:
    values, has = _examples(1)
    values[:, 4] = np.where(has, 0.7, 0.1)
    measures = measure_units(ClassHistograms.of(values, has, EDGES))
    assert np.isposinf(measures.f_statistic[4])
    assert measures.best("f_statistic", 1).tolist() == [4]
    assert measures.average_precision[4] == pytest.approx(1.0)


@pytest.mark.parametrize(("has", "kind"), [(True, "have"), (False, "lack")])
def test_one_class_alone_is_a_sentence(has: bool, kind: str) -> None:
    values, _ = _examples(1)
    histograms = ClassHistograms.of(values, np.full(len(values), has), EDGES)
    with pytest.raises(InputError, match=f"all 400 examples {kind} the feature"):
        measure_units(histograms)


def test_sums_of_other_units_do_not_merge() -> None:
    values, has = _examples(1)
    parts = [ClassHistograms.of(values[:, :n], has, EDGES) for n in (3, 4)]
    with pytest.raises(InputError, match="same units and bins"):
        merge_class_histograms(parts)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="found"):
        ClassHistograms(np.zeros(2, int), np.zeros((2, 3)), np.zeros((2, 4)), np.zeros((2, 3, 5)))

"""Units in the order of how well they tell a feature."""

from __future__ import annotations

import numpy as np

from autointerp.activations.feature_ranking import FeatureRanking
from autointerp.statistics.probing.ranking import UnitMeasures
from autointerp.subjects import HookUnits


def measures(f_statistic: list[float]) -> UnitMeasures:
    values = np.array(f_statistic)
    some = np.full(len(values), 0.5)
    return UnitMeasures(10, 10, some, values, some, some, some)


def test_a_perfect_unit_ranks_first_and_one_that_never_varies_last() -> None:
    groups = (HookUnits("a", (3, 5, 8)), HookUnits("b", (0, 2)), HookUnits("c", (4,)))
    found = FeatureRanking(
        "one",
        "f_statistic",
        groups,
        {
            "a": measures([7.0, 90.0, np.nan]),
            "b": measures([2.0, np.inf]),
            "c": measures([np.nan]),
        },
    )
    assert found.best(6) == (("b", 2), ("a", 5), ("a", 3), ("b", 0), ("a", 8), ("c", 4))
    assert [layer.hook for layer in found.layers()] == ["b", "a", "c"]
    assert [layer.value for layer in found.layers()] == [None, 90.0, None]
    assert found.candidates(1, 2) == (("b", 2), ("b", 0))

"""Drawing in proportion to size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.statistics.proportional_sampling import proportional_sample

sizes_of = st.lists(st.floats(1e-6, 1e6), max_size=40)


@given(sizes=sizes_of, n=st.integers(0, 50), seed=st.integers(0, 99))
def test_a_draw_has_as_many_places_as_asked_for_each_once(
    sizes: list[float], n: int, seed: int
) -> None:
    drawn = proportional_sample(sizes, n, seed=seed)
    places = [place for place, _ in drawn]
    assert len(places) == min(n, len(sizes))
    assert places == sorted(set(places))
    assert all(0 < chance <= 1 for _, chance in drawn)


def test_places_come_as_often_as_their_probabilities_say() -> None:
    sizes = [1.0, 2.0, 3.0, 50.0, 4.0]
    tally = [0] * 5
    for seed in range(4000):
        for place, _ in proportional_sample(sizes, 3, seed=seed):
            tally[place] += 1
    # The fourth is too large: it is certain, and the others share two places.
    assert tally[3] == 4000
    expected = [2 * size / 10 for size in (1.0, 2.0, 3.0, 4.0)]
    assert [tally[i] / 4000 for i in (0, 1, 2, 4)] == pytest.approx(expected, abs=0.03)


def test_totals_over_probabilities_are_unbiased() -> None:
    sizes = [0.5, 1.0, 2.5, 4.0, 0.1, 3.0, 8.0]
    values = [1.0, -2.0, 3.0, 5.0, 0.5, 2.0, 9.0]
    found = [
        sum(values[i] / chance for i, chance in proportional_sample(sizes, 4, seed=seed))
        for seed in range(3000)
    ]
    assert sum(found) / len(found) == pytest.approx(sum(values), abs=0.15)


def test_the_same_seed_draws_the_same_places() -> None:
    sizes = [float(i + 1) for i in range(30)]
    draws = {tuple(proportional_sample(sizes, 6, seed=seed)) for seed in range(50)}
    assert len(draws) > 5
    assert proportional_sample(sizes, 6, seed=7) == proportional_sample(sizes, 6, seed=7)

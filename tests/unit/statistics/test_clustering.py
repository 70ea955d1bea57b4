"""Clusters of places by the direction of what a unit reads there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.core.errors import InputError
from autointerp.statistics.clustering import cluster_places


def planted(rng: np.random.Generator, sizes: list[int], *, width: int = 200) -> np.ndarray:
    """Places of senses that lie apart, with a cosine of about a half within each."""
    centres = rng.normal(size=(len(sizes), width))
    return np.repeat(centres, sizes, axis=0) + rng.normal(size=(sum(sizes), width))


def spans(sizes: list[int]) -> list[tuple[int, ...]]:
    ends = np.cumsum([0, *sizes])
    return [tuple(range(a, b)) for a, b in zip(ends, ends[1:], strict=False)]


@given(st.lists(st.integers(2, 30), min_size=1, max_size=6), st.integers(0, 10**6))
def test_planted_clusters_are_found_whole_the_largest_first(sizes: list[int], seed: int) -> None:
    found = cluster_places(planted(np.random.default_rng(seed), sizes), most=8)
    assert sorted(found) == spans(sizes)
    assert [len(own) for own in found] == sorted(sizes, reverse=True)


def test_a_cluster_of_one_is_none() -> None:
    vectors = planted(np.random.default_rng(0), [9, 1, 4, 1])
    assert cluster_places(vectors, most=8) == (tuple(range(9)), (10, 11, 12, 13))
    assert cluster_places(vectors[9:10], most=8) == ()
    assert cluster_places(np.zeros((0, 3)), most=8) == ()


def test_lengths_do_not_matter_and_a_vector_of_length_0_is_like_nothing() -> None:
    vectors = planted(np.random.default_rng(1), [5, 5])
    scaled = vectors * np.linspace(0.01, 100, 10)[:, None]
    both = [(0, 1, 2, 3, 4), (5, 6, 7, 8, 9)]
    assert sorted(cluster_places(scaled, most=8)) == both
    assert sorted(cluster_places(np.vstack([scaled, np.zeros((2, 200))]), most=8)) == both


def test_where_fewer_are_allowed_the_most_alike_are_joined() -> None:
    vectors = planted(np.random.default_rng(2), [6, 6, 6])
    vectors[12:] += 0.4 * vectors[:6]
    assert cluster_places(vectors, most=2) == (
        (0, 1, 2, 3, 4, 5, 12, 13, 14, 15, 16, 17),
        (6, 7, 8, 9, 10, 11),
    )


@pytest.mark.parametrize("vectors", [np.zeros(3), np.array([[1.0, np.nan], [1.0, 0.0]])])
def test_what_is_no_vector_is_refused(vectors: np.ndarray) -> None:
    with pytest.raises(InputError, match="one vector of finite numbers for each place"):
        cluster_places(vectors, most=3)


def test_no_cluster_cannot_be_asked_for() -> None:
    with pytest.raises(InputError, match="at least one cluster is needed, 0 are allowed"):
        cluster_places(np.ones((2, 2)), most=0)

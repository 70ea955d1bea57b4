"""Sums of pairs give the correlations, lines and intervals that all tokens at once would."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from autointerp.statistics.paired_moments import CrossMoments, DocumentMoments


def _batches(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, 3))
    first = shared @ rng.normal(size=(3, 5)) + rng.normal(size=(n, 5)) + 40
    second = shared @ rng.normal(size=(3, 4)) + rng.normal(size=(n, 4)) - 7
    return first.astype(np.float32), second.astype(np.float32)


def test_correlations_are_numpys_however_tokens_are_batched() -> None:
    first, second = _batches(5000, 0)
    whole, parts = CrossMoments(5, 4), CrossMoments(5, 4)
    whole.add(first, second)
    for start in range(0, 5000, 333):
        parts.add(first[start : start + 333], second[start : start + 333])
    known = np.corrcoef(first.T.astype(float), second.T.astype(float))[:5, 5:]
    assert whole.correlations() == pytest.approx(known, abs=1e-5)
    assert parts.correlations() == pytest.approx(known, abs=1e-5)
    assert parts.means[0] == pytest.approx(first.astype(float).mean(axis=0), rel=1e-6)


def test_a_side_that_does_not_vary_correlates_with_nothing() -> None:
    first, second = _batches(100, 1)
    first[:, 0] = 3.3
    moments = CrossMoments(5, 4)
    moments.add(first, second)
    assert not moments.correlations()[0].any()
    assert moments.varies(0).tolist() == [False, True, True, True, True]


def test_lines_are_least_squares() -> None:
    first, second = _batches(20_000, 2)
    moments = CrossMoments(5, 4)
    moments.add(first, second)
    chosen = np.array([[0, 1], [2, 3], [1, 2], [0, 3], [3, 1]])
    factors, added = moments.lines(0, chosen)
    for unit, columns in enumerate(chosen):
        design = np.column_stack((second[:, columns], np.ones(len(second)))).astype(float)
        known = np.linalg.lstsq(design, first[:, unit].astype(float), rcond=None)[0]
        # The ridge is a thousandth of the mean variance.
        assert factors[unit] == pytest.approx(known[:2], abs=0.01)
        assert added[unit] == pytest.approx(known[2], abs=0.1)


def test_share_explained_counts_a_shifted_prediction_as_wrong() -> None:
    moments = DocumentMoments(1, 3)
    rng = np.random.default_rng(3)
    real = rng.normal(size=(500, 1)).repeat(3, axis=1)
    predicted = np.column_stack((real[:, 0], real[:, 0] + 1, np.full(500, real[:, 0].mean())))
    moments.add(np.zeros(500, dtype=np.int64), real, predicted)
    same, shifted, mean = moments.values()
    assert same.explained == pytest.approx(1)
    assert shifted.correlation == pytest.approx(1)
    assert shifted.explained == pytest.approx(1 - 1 / real[:, 0].var(), rel=1e-6)
    assert mean.correlation is None
    assert mean.explained == pytest.approx(0, abs=1e-9)


def test_of_few_documents_nothing_is_said_of_others() -> None:
    few, enough = DocumentMoments(15, 1), DocumentMoments(16, 1)
    rng = np.random.default_rng(4)
    for moments, n in ((few, 15), (enough, 16)):
        x = rng.normal(size=(n * 20, 1))
        moments.add(np.repeat(np.arange(n), 20), x, x + rng.normal(size=x.shape))
    assert few.values()[0].low is None
    low, high = enough.values()[0].low, enough.values()[0].high
    assert low is not None
    assert high is not None
    assert low < 0.7071 < high


@pytest.mark.parametrize("n_documents", [16, 40])
def test_intervals_hold_the_truth_although_documents_differ(n_documents: int) -> None:
    rng = np.random.default_rng(5)
    truth = 0.5
    n_pairs, n_tokens = 400, 12
    # Each document has its own level, shared by both: tokens are no independent draws.
    level = rng.multivariate_normal([0, 0], [[1, truth], [truth, 1]], size=(n_documents, n_pairs))
    own = rng.multivariate_normal(
        [0, 0], [[1, truth], [truth, 1]], size=(n_documents, n_tokens, n_pairs)
    )
    values = (level[:, None] + own).reshape(-1, n_pairs, 2)
    moments = DocumentMoments(n_documents, n_pairs)
    moments.add(np.repeat(np.arange(n_documents), n_tokens), values[..., 0], values[..., 1])
    inside = [
        one.low <= truth <= one.high
        for one in moments.values()
        if one.low is not None and one.high is not None
    ]
    assert len(inside) == n_pairs
    assert 0.91 <= np.mean(inside) <= 0.99


def test_memory_does_not_grow_with_documents_and_intervals_stay() -> None:
    rng = np.random.default_rng(6)
    values = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], size=(40_000, 2))
    documents = np.repeat(np.arange(10_000), 4)
    tracemalloc.start()
    many = DocumentMoments(10_000, 200)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()
    many.add(documents, *(values[..., side].repeat(100, axis=1) for side in (0, 1)))
    assert many.n_documents == 10_000
    for one in many.values():
        assert one.low is not None
        assert one.high is not None
        # Fisher's z of independent draws has a standard error of 1 / 200.
        assert one.high - one.low == pytest.approx(2 * 1.96 * 0.75 / 200, rel=0.15)

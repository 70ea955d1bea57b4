from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.corpora.document_windows import (
    WINDOWS_A_DOCUMENT,
    WindowPool,
    cut_document,
    spread_order,
)

lengths = st.lists(st.integers(1, 400), min_size=1, max_size=30)


def fill(document_lengths: list[int], *, n_tokens: int, n_ctx: int) -> WindowPool:
    pool = WindowPool(n_tokens)
    for i, n in enumerate(document_lengths):
        tokens = np.arange(n, dtype=np.int32)
        pool.add(cut_document(tokens, document=f"d{i}", source="", n_ctx=n_ctx, seed=1))
    return pool


@given(st.integers(1, 500), st.integers(0, 2**32))
def test_a_document_is_cut_into_windows_that_make_it_whole_again(n: int, seed: int) -> None:
    tokens = np.arange(n, dtype=np.int32) + 7
    cut = cut_document(tokens, document="d", source="s", n_ctx=16, seed=seed)
    whole = cut.in_text_order()
    np.testing.assert_array_equal(whole.tokens, tokens)
    np.testing.assert_array_equal(whole.offsets, np.arange(0, n, 16))
    assert whole.lengths.tolist() == [16] * (n // 16) + ([n % 16] if n % 16 else [])


@given(st.integers(1, 3000), st.integers(0, 2**32))
def test_the_spread_order_holds_every_number_once(n: int, seed: int) -> None:
    order = spread_order(n, np.random.default_rng(seed))
    assert sorted(order.tolist()) == list(range(n))


@given(st.integers(64, 3000), st.integers(0, 2**32))
def test_the_first_eight_numbers_leave_no_quarter_of_the_range_empty(n: int, seed: int) -> None:
    first = np.sort(spread_order(n, np.random.default_rng(seed))[:8])
    gaps = np.diff(np.append(first, first[0] + n))
    assert gaps.max() <= n / 4 + 1


def test_every_window_is_equally_likely_to_be_taken_first() -> None:
    firsts = [spread_order(5, np.random.default_rng(seed))[0] for seed in range(2000)]
    counts = np.bincount(firsts, minlength=5)
    assert counts.min() > 330
    assert counts.max() < 470


@given(lengths, st.integers(2, 40), st.data())
def test_the_pool_stops_at_the_first_window_that_reaches_the_tokens_asked_for(
    document_lengths: list[int], n_ctx: int, data: st.DataObject
) -> None:
    n_tokens = data.draw(st.integers(1, sum(document_lengths)))
    pool = fill(document_lengths, n_tokens=n_tokens, n_ctx=n_ctx)
    n_taken = sum(len(d.tokens) for d in pool.chosen())
    assert pool.is_enough
    assert n_tokens <= n_taken < n_tokens + n_ctx


@given(lengths, st.integers(2, 40), st.data())
def test_no_more_windows_of_a_document_are_taken_than_needed(
    document_lengths: list[int], n_ctx: int, data: st.DataObject
) -> None:
    n_tokens = data.draw(st.integers(1, sum(document_lengths)))
    chosen = fill(document_lengths, n_tokens=n_tokens, n_ctx=n_ctx).chosen()
    most = max(len(d.offsets) for d in chosen)
    if most > WINDOWS_A_DOCUMENT:
        cut = [
            cut_document(
                np.zeros(n, dtype=np.int32), document=f"d{i}", source="", n_ctx=n_ctx, seed=1
            )
            for i, n in enumerate(document_lengths)
        ]
        assert sum(int(d.lengths[: most - 1].sum()) for d in cut) < n_tokens


@given(lengths, st.integers(2, 40), st.data())
def test_one_document_has_nine_windows_only_when_all_have_given_eight(
    document_lengths: list[int], n_ctx: int, data: st.DataObject
) -> None:
    n_tokens = data.draw(st.integers(1, sum(document_lengths)))
    chosen = fill(document_lengths, n_tokens=n_tokens, n_ctx=n_ctx).chosen()
    if max(len(d.offsets) for d in chosen) > WINDOWS_A_DOCUMENT:
        taken = {d.document: len(d.offsets) for d in chosen}
        for i, n in enumerate(document_lengths):
            assert taken[f"d{i}"] >= min(WINDOWS_A_DOCUMENT, -(-n // n_ctx))


def test_a_pool_is_full_as_soon_as_eight_windows_a_document_suffice() -> None:
    pool = fill([1000], n_tokens=90, n_ctx=10)
    assert not pool.is_full
    pool.add(cut_document(np.zeros(10, np.int32), document="e", source="", n_ctx=10, seed=1))
    assert pool.is_full
    assert [len(d.offsets) for d in pool.chosen()] == [8, 1]


def test_long_documents_do_not_stay_in_memory() -> None:
    pool = fill([100_000] * 5, n_tokens=1000, n_ctx=10)
    held = sum(len(d.tokens) for d in pool._documents)
    assert pool.n_read == 500_000
    assert held <= 2000


def test_dropping_windows_changes_nothing_that_is_taken() -> None:
    document_lengths = [5000, 30, 2000, 700, 5]
    kept = fill(document_lengths, n_tokens=3000, n_ctx=10)
    kept_all = fill(document_lengths, n_tokens=7000, n_ctx=10)
    kept_all._n_tokens = 3000
    assert sum(len(d.tokens) for d in kept._documents) < sum(
        len(d.tokens) for d in kept_all._documents
    )
    for a, b in zip(kept.chosen(), kept_all.chosen(), strict=True):
        np.testing.assert_array_equal(a.offsets, b.offsets)
        np.testing.assert_array_equal(a.tokens, b.tokens)


@pytest.mark.parametrize("seed", [1, 2])
def test_another_seed_takes_other_windows(seed: int) -> None:
    tokens = np.zeros(5000, dtype=np.int32)
    one = cut_document(tokens, document="d", source="", n_ctx=10, seed=seed)
    other = cut_document(tokens, document="d", source="", n_ctx=10, seed=seed + 1)
    assert one.offsets[:8].tolist() != other.offsets[:8].tolist()


def test_a_long_last_document_takes_nothing_from_those_before_it() -> None:
    pool = fill([90, 10_000], n_tokens=100, n_ctx=10)
    assert [len(d.offsets) for d in pool.chosen()] == [8, 2]

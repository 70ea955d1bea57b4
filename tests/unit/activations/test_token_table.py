from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autointerp.activations.collection_sizes import table_bytes
from autointerp.activations.token_table import TokenCounts, TokenTable, empty_table

ULP = 2.0**-32
BOTH = torch.tensor([True, True])
CPU = torch.device("cpu")


def empty(counts: dict[int, int], n_units: int = 1) -> TokenTable:
    return empty_table(TokenCounts(np.array([*counts]), np.array([*counts.values()])), n_units, CPU)


@pytest.fixture(params=[1, 2], ids=["once", "repeated"])
def table(request: pytest.FixtureRequest) -> TokenTable:
    return empty({5: 2, 9: request.param})


def test_sums_are_rounded_to_the_nearest_fixed_point_number(table: TokenTable) -> None:
    table.add(torch.tensor([5, 9]), torch.tensor([[0.75 * ULP], [-0.75 * ULP]]), real=BOTH)
    assert dict(table.means(0, 0).means) == {5: ULP, 9: 0.0}
    assert dict(table.means(1, 0).means) == {5: 0.0, 9: ULP}


def test_a_table_that_was_read_says_what_was_added_since(table: TokenTable) -> None:
    table.add(torch.tensor([5]), torch.tensor([[1.0]]), real=BOTH[:1])
    assert dict(table.means(0, 0).counts) == {5: 1}
    table.add(torch.tensor([5, 9]), torch.tensor([[2.0], [4.0]]), real=BOTH)
    after = table.means(0, 0)
    assert dict(after.means) == {5: 1.5, 9: 4.0}
    assert dict(after.counts) == {5: 2, 9: 1}
    assert after.overall == pytest.approx(7 / 3)


def test_what_is_no_real_token_counts_nowhere_even_where_it_is_not_a_number(
    table: TokenTable,
) -> None:
    activations = torch.tensor([[1.0], [torch.nan], [4.0]])
    table.add(torch.tensor([5, 5, 9]), activations, real=torch.tensor([True, False, True]))
    assert dict(table.means(0, 0).counts) == {5: 1, 9: 1}
    assert dict(table.means(0, 0).means) == {5: 1.0, 9: 4.0}


texts = st.lists(st.tuples(st.integers(0, 6), st.floats(-4, 4, width=32)), min_size=1, max_size=30)


@given(texts, st.integers(0, 30), st.booleans())
def test_tokens_that_occur_once_have_the_mean_that_sums_of_all_tokens_give(
    text: list[tuple[int, float]], cut: int, earlier: bool
) -> None:
    tokens = torch.tensor([token for token, _ in text])
    values = torch.tensor([[value, -value] for _, value in text])
    counts = {int(t): int((tokens == t).sum()) for t in tokens.unique()}
    sums = empty(dict.fromkeys(counts, 2), n_units=2)
    sums.add(tokens, values, real=torch.ones(len(tokens), dtype=torch.bool))
    parts = []
    for part in (slice(cut), slice(cut, None)):
        # What an earlier version began has sums of every token.
        known = dict.fromkeys(counts, 2) if earlier and not parts else counts
        parts.append(empty(known, n_units=2))
        real = torch.ones(len(tokens[part]), dtype=torch.bool)
        parts[-1].add(tokens[part], values[part], real=real)
    for merged in (parts[0].merged(parts[1]), parts[1].merged(parts[0])):
        for side in range(2):
            for column in range(2):
                assert merged.means(side, column) == sums.means(side, column)


def test_a_file_of_an_earlier_version_is_read_and_bytes_are_known_before() -> None:
    table = empty({5: 2, 9: 1}, n_units=3)
    assert table_bytes(2, 1, 3) == sum(
        t.nbytes for t in (table.types, table.counts, table.once, table.sums, table.single)
    )
    sums = empty({5: 2, 9: 2}, n_units=3)
    for one in (table, sums):
        one.add(torch.tensor([5, 9]), torch.tensor([[1.0] * 3, [-2.0] * 3]), real=BOTH)
    arrays = sums.arrays()
    earlier = TokenTable.from_arrays({name: arrays[name] for name in ("types", "counts", "sums")})
    assert earlier.means(1, 2) == table.means(1, 2)

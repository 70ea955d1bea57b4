from __future__ import annotations

import numpy as np
import pytest
import torch

from autointerp.activations.token_table import TokenTable, empty_table

ULP = 2.0**-32
BOTH = torch.tensor([True, True])


@pytest.fixture
def table() -> TokenTable:
    return empty_table(np.array([5, 9]), 1, torch.device("cpu"))


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

from __future__ import annotations

import numpy as np
import pytest
import torch

from autointerp.activations.token_table import TokenTable, empty_table

ULP = 2.0**-32


@pytest.fixture
def table() -> TokenTable:
    return empty_table(np.array([5, 9]), 1, torch.device("cpu"))


def test_sums_are_rounded_to_the_nearest_fixed_point_number(table: TokenTable) -> None:
    table.add(torch.tensor([5, 9]), torch.tensor([[0.75 * ULP], [-0.75 * ULP]]))
    assert dict(table.means(0, 0).means) == {5: ULP, 9: 0.0}
    assert dict(table.means(1, 0).means) == {5: 0.0, 9: ULP}


def test_a_table_that_was_read_says_what_was_added_since(table: TokenTable) -> None:
    table.add(torch.tensor([5]), torch.tensor([[1.0]]))
    assert dict(table.means(0, 0).counts) == {5: 1}
    table.add(torch.tensor([5, 9]), torch.tensor([[2.0], [4.0]]))
    after = table.means(0, 0)
    assert dict(after.means) == {5: 1.5, 9: 4.0}
    assert dict(after.counts) == {5: 2, 9: 1}
    assert after.overall == pytest.approx(7 / 3)

"""How many units are larger where a unit peaks, compiled and by PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from second_device import SECOND, SecondDevice

from autointerp.activations.layer_ranks import counted_by_torch, n_larger_at_peaks


def test_the_largest_unit_has_none_above_it_on_either_side() -> None:
    values = torch.zeros(4, 5)
    values[2] = torch.tensor([3.0, 1.0, -4.0, 0.0, 2.0])
    counts = n_larger_at_peaks(values, np.array([0, 1, 2, 4]))
    # A unit that is nowhere below 0 is least at its first 0, where nobody is larger.
    assert counts.tolist() == [[1, 0], [3, 0], [0, 0], [2, 0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("n_units", [2, 7, 130])
def test_every_device_counts_alike(dtype: torch.dtype, n_units: int) -> None:
    generator = torch.Generator().manual_seed(n_units)
    values = torch.randn(17, n_units, generator=generator).to(dtype)
    units = np.arange(0, n_units, 2)
    known = values.to(torch.float32).numpy()
    expected = []
    for unit in units:
        places = known[:, unit].argmax(), known[:, unit].argmin()
        expected.append([int((abs(known[at]) > abs(known[at, unit])).sum()) for at in places])
    assert n_larger_at_peaks(values, units).tolist() == expected
    assert counted_by_torch(values, units).tolist() == expected
    with SecondDevice():
        assert n_larger_at_peaks(values.to(SECOND), units).shape == (len(units), 2)


def test_more_units_than_two_bytes_count_are_the_most() -> None:
    values = torch.ones(1, 70_000)
    values[0, 3] = 0.5
    assert n_larger_at_peaks(values, np.array([3])).tolist() == [[65_535, 65_535]]


def test_more_units_than_are_compared_at_once_are_all_counted() -> None:
    values = torch.randn(2, 2100, generator=torch.Generator().manual_seed(1))
    units = np.arange(2100)
    assert counted_by_torch(values, units).tolist() == n_larger_at_peaks(values, units).tolist()

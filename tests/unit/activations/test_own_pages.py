"""Large tensors of a collection leave no memory behind."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from autointerp.activations.kernels.own_pages import zeros_in_own_pages

CPU = torch.device("cpu")


def own_memory_kb() -> int:
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["RssAnon"].split()[0])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_was_let_go_of_is_the_system_s_again_whatever_was_made_since() -> None:
    before = own_memory_kb()
    held, between = [], []
    for _ in range(64):
        held.append(zeros_in_own_pages((1 << 17,), torch.int64, CPU).fill_(1))
        # What stays would keep a heap from shrinking.
        between.append(torch.ones(1_000))
    assert own_memory_kb() - before > 60 << 10
    held.clear()
    assert own_memory_kb() - before < 8 << 10
    assert len(between) == 64


@pytest.mark.parametrize("shape", [(0, 3), (2, 3), (2, 3, 1 << 15)])
@pytest.mark.parametrize("dtype", [torch.int64, torch.float32])
def test_they_are_zeros_that_can_be_written(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    found = zeros_in_own_pages(shape, dtype, CPU)
    assert (found.dtype, tuple(found.shape)) == (dtype, shape)
    assert torch.equal(found, torch.zeros(shape, dtype=dtype))
    found += 1
    assert torch.equal(found, torch.ones(shape, dtype=dtype))


def test_memory_that_is_not_there_is_told_as_such() -> None:
    with pytest.raises(MemoryError):
        zeros_in_own_pages((1 << 57,), torch.float32, CPU)

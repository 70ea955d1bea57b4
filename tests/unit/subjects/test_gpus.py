from __future__ import annotations

import pytest
import torch

from autointerp.subjects import read_gpus


class FakeCuda:
    """Two devices, of which this process uses the second."""

    def __init__(self, *, busy: int | Exception, initialized: bool = True) -> None:
        self.busy, self.initialized = busy, initialized
        self.asked: list[int] = []

    def is_initialized(self) -> bool:
        return self.initialized

    def device_count(self) -> int:
        return 2

    def memory_allocated(self, device: int) -> int:
        return 100 * device

    def memory_reserved(self, device: int) -> int:
        return 200 * device

    def max_memory_allocated(self, device: int) -> int:
        return 150 * device

    def mem_get_info(self, device: int) -> tuple[int, int]:
        self.asked.append(device)
        return 700, 1000

    def utilization(self, device: int) -> int:
        if isinstance(self.busy, Exception):
            raise self.busy
        return self.busy


def test_memory_is_read_of_devices_in_use_only() -> None:
    cuda = FakeCuda(busy=50)
    found = read_gpus(cuda)
    assert list(found) == ["cuda:1"]
    memory = {"allocated": 100, "reserved": 200, "peak": 150, "used": 300, "total": 1000}
    assert found["cuda:1"].memory == memory
    assert (found["cuda:1"].utilization, cuda.asked) == (0.5, [1])


@pytest.mark.parametrize("why", [ModuleNotFoundError("pynvml"), RuntimeError("no driver")])
def test_utilization_is_unknown_where_nobody_can_tell_it(why: Exception) -> None:
    assert read_gpus(FakeCuda(busy=why))["cuda:1"].utilization is None


def test_a_process_without_cuda_tells_nothing() -> None:
    assert read_gpus(FakeCuda(busy=0, initialized=False)) == {}
    if not torch.cuda.is_initialized():
        assert read_gpus() == {}

"""How much of each GPU this process uses."""

from __future__ import annotations

from typing import Any, Protocol

import torch

from autointerp.core.worker_metrics import GpuMetrics


class Cuda(Protocol):
    """The part of ``torch.cuda`` that is read."""

    def is_initialized(self) -> bool: ...  # noqa: D102
    def device_count(self) -> int: ...  # noqa: D102
    def memory_allocated(self, device: Any) -> int: ...  # noqa: D102
    def memory_reserved(self, device: Any) -> int: ...  # noqa: D102
    def max_memory_allocated(self, device: Any) -> int: ...  # noqa: D102
    def mem_get_info(self, device: Any) -> tuple[int, int]: ...  # noqa: D102
    def utilization(self, device: Any) -> int: ...  # noqa: D102


def read_gpus(cuda: Cuda = torch.cuda) -> dict[str, GpuMetrics]:
    """The devices on which this process has memory, by name; none where there is no CUDA."""
    # Asking a device that is not in use yet would take memory of it.
    if not cuda.is_initialized():
        return {}
    used = [n for n in range(cuda.device_count()) if cuda.memory_reserved(n)]
    return {f"cuda:{n}": _read(cuda, n) for n in used}


def _read(cuda: Cuda, n: int) -> GpuMetrics:
    free, total = cuda.mem_get_info(n)
    return GpuMetrics(
        memory={
            "allocated": cuda.memory_allocated(n),
            "reserved": cuda.memory_reserved(n),
            "peak": cuda.max_memory_allocated(n),
            "used": total - free,
            "total": total,
        },
        utilization=_utilization(cuda, n),
    )


def _utilization(cuda: Cuda, n: int) -> float | None:
    try:
        return cuda.utilization(n) / 100
    except (ImportError, RuntimeError):
        # torch reads it through NVIDIA's library, which is a package of its own.
        return None

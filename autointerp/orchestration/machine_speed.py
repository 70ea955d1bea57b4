"""How fast the processor here is, by two pieces of work of a fixed size."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from autointerp.orchestration.machine_costs import EPYC, MachineCosts, MachineSpeed

_CPU_INFO = Path("/proc/cpuinfo")
_N_TIMES = 6


@dataclass(frozen=True, slots=True)
class _Work:
    """What a speed is tested with."""

    left: np.ndarray
    right: np.ndarray

    @classmethod
    def make(cls) -> _Work:
        """Matrices as wide as those of SmolLM2-135M."""
        return cls(np.ones((2048, 576), np.float32), np.ones((576, 1536), np.float32))

    def product(self) -> None:
        """Floating-point work, as that of a forward pass."""
        np.matmul(self.left, self.right)

    @staticmethod
    def python() -> float:
        """Small objects and short arrays, as those of a label."""
        rows = [
            (i, f"window {i % 89}", tuple(j * 0.5 for j in range(i, i + 12))) for i in range(2000)
        ]
        means = dict[str, list[float]]()
        for number, name, values in rows:
            means.setdefault(name, []).append(sum(values) / (number + 1))
        total = 0.0
        for _, found in sorted(means.items(), key=lambda item: -max(item[1])):
            for first in range(0, len(found), 4):
                part = np.array(found[first : first + 16])
                apart = part - part.mean()
                total += float(np.sqrt((apart * apart).sum())) + float(np.sort(part)[0])
        return total


def measure_speed() -> MachineSpeed:
    """The least CPU time of a few tries: other work on the machine matters little."""
    work = _Work.make()
    return MachineSpeed(_least_s(work.product), _least_s(work.python), _bfloat16_by())


@cache
def this_machine() -> MachineCosts:
    """What work costs here: measured once on another machine, and carried over by speed.

    Tested once in a process, which takes a quarter of a second.
    """
    return EPYC.at_speed(measure_speed())


def _least_s(work: Callable[[], object]) -> float:
    times = []
    for _ in range(_N_TIMES):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)


def _bfloat16_by() -> str | None:
    """The instructions that multiply bfloat16 here, of those that were measured."""
    try:
        flags = _CPU_INFO.read_text().split()
    except OSError:
        return None
    return next((name for name in EPYC.bfloat16_gain if name in flags), None)

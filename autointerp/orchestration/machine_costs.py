"""What work costs on a machine, as it was measured there (docs/scale.md says how)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MachineCosts:
    """CPU time of one core, unless a field says otherwise."""

    name: str
    """What the machine is, for people."""
    n_cores: int
    forward: Mapping[str, Mapping[int, float]]
    """By dtype and d_model: floating-point operations a second of a forward pass, of which
    only products with weights are counted."""
    second_core: float
    """How many times as fast text is read with all cores."""
    collect_s: float
    """Of an activation that is collected."""
    table_s: float
    """More for one of the explain text, for the token table."""
    choose_s: float
    """Of choosing the windows of a label."""
    line_s: float
    """Of keeping what a unit does in a window that is run for records."""
    label_s: float
    """Of a label without an LLM, records read and everything stored."""
    write_s: float
    """Of a label, for the tables and the manifest at the end."""
    start_s: float
    """Of starting a process with everything that it imports."""
    load_s: float
    """Of loading a weight."""
    text_s: float
    """Of tokenizing a token of the text."""

    def flops(self, d_model: int, dtype: str) -> float:
        """Floating-point operations a second of one core, between widths that were measured."""
        known = sorted(self.forward[dtype].items())
        below = [pair for pair in known if pair[0] <= d_model][-1:] or known[:1]
        above = [pair for pair in known if pair[0] >= d_model][:1] or known[-1:]
        (low, slow), (high, fast) = below[0], above[0]
        if low == high:
            return slow
        share = math.log(d_model / low) / math.log(high / low)
        return slow + share * (fast - slow)


XEON = MachineCosts(
    name="2 cores of an Intel Xeon with AMX",
    n_cores=2,
    forward={
        "float32": {128: 40e9, 256: 55e9, 576: 75e9, 1024: 80e9, 2048: 85e9, 4096: 85e9},
        "bfloat16": {128: 40e9, 256: 55e9, 576: 90e9, 1024: 150e9, 2048: 200e9, 4096: 250e9},
    },
    second_core=1.9,
    collect_s=1.9e-9,
    table_s=4.0e-9,
    choose_s=3.0e-3,
    line_s=4.0e-6,
    label_s=24e-3,
    write_s=0.3e-3,
    start_s=5.0,
    load_s=3.0e-8,
    text_s=1.0e-5,
)
"""The machine on which this was developed."""

"""What work costs on a machine, as it was measured there (docs/scale.md says how)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autointerp.core.model_shape import ModelShape


@dataclass(frozen=True, slots=True)
class MachineCosts:
    """CPU time of one core, unless a field says otherwise."""

    name: str
    """What the machine is, for people."""
    n_cores: int
    flops: Mapping[str, float]
    """By dtype: floating-point operations a second of products with wide matrices of weights."""
    element_s: Mapping[str, float]
    """By dtype: what all else of a forward pass takes (norms, activation functions, attention),
    for each of d_model and d_mlp, of a position and a layer."""
    ungated_element_s: Mapping[str, float]
    """The same of models without a gate, whose GELU and norms are many operations."""
    second_core: float
    """How many times as fast text is read with all cores."""
    collect_unit_s: float
    """Of a unit that is collected, whatever the text."""
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

    def layer_s(self, shape: ModelShape, dtype: str) -> float:
        """Of one position in one layer of a forward pass."""
        element_s = self.element_s if shape.gated else self.ungated_element_s
        products = 2 * shape.layer_weights / self.flops[dtype]
        return products + element_s[dtype] * (shape.d_model + shape.d_mlp)


XEON = MachineCosts(
    name="2 cores of an Intel Xeon with AMX",
    n_cores=2,
    flops={"float32": 121e9, "bfloat16": 452e9},
    element_s={"float32": 17e-9, "bfloat16": 8e-9},
    ungated_element_s={"float32": 60e-9, "bfloat16": 60e-9},
    second_core=1.9,
    collect_unit_s=1.5e-4,
    collect_s=2.0e-9,
    table_s=37e-9,
    choose_s=2.8e-3,
    line_s=10e-6,
    label_s=34e-3,
    write_s=1.2e-3,
    start_s=12.0,
    load_s=3.3e-8,
    text_s=6.0e-5,
)
"""The machine on which this was developed."""

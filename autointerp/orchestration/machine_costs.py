"""What work costs on a machine, as it was measured there (docs/scale.md says how)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from autointerp.core.model_shape import ModelShape


@dataclass(frozen=True, slots=True)
class MachineSpeed:
    """How long the work of `machine_speed` takes, in CPU time."""

    product_s: float
    python_s: float
    bfloat16_by: str | None
    """The processor's instructions for products in bfloat16, as Linux names them."""


@dataclass(frozen=True, slots=True)
class MachineCosts:
    """CPU time of one core, unless a field says otherwise."""

    name: str
    """What the machine is, for people."""
    speed: MachineSpeed
    """Of the machine when these were measured."""
    flops: float
    """Floating-point operations a second of float32 products with wide matrices of weights."""
    bfloat16_gain: Mapping[str | None, float]
    """Such products in bfloat16 a product in float32, by `MachineSpeed.bfloat16_by`."""
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
        gain = self.bfloat16_gain[self.speed.bfloat16_by] if dtype == "bfloat16" else 1.0
        products = 2 * shape.layer_weights / (self.flops * gain)
        return products + element_s[dtype] * (shape.d_model + shape.d_mlp)

    def at_speed(self, speed: MachineSpeed) -> MachineCosts:
        """What the same would cost on a machine of this speed."""
        products = self.speed.product_s / speed.product_s
        slower = speed.python_s / self.speed.python_s
        scaled = {name: getattr(self, name) * slower for name in _BY_PYTHON}

        def elements(costs: Mapping[str, float]) -> Mapping[str, float]:
            return {dtype: cost * slower for dtype, cost in costs.items()}

        return replace(
            self,
            name=f"a core here, tested: {products:.2f} times {self.name} in products of matrices, "
            f"{1 / slower:.2f} times in Python",
            speed=speed,
            flops=self.flops * products,
            element_s=elements(self.element_s),
            ungated_element_s=elements(self.ungated_element_s),
            **scaled,
        )


_BY_PYTHON = (
    *("collect_unit_s", "collect_s", "table_s", "choose_s", "line_s"),
    *("label_s", "write_s", "start_s", "load_s", "text_s"),
)

EPYC = MachineCosts(
    name="an AMD EPYC's",
    speed=MachineSpeed(product_s=30.0e-3, python_s=4.9e-3, bfloat16_by="avx512_bf16"),
    flops=110e9,
    bfloat16_gain={"amx_bf16": 3.7, "avx512_bf16": 4.6, None: 1.0},
    element_s={"float32": 9e-9, "bfloat16": 8e-9},
    ungated_element_s={"float32": 60e-9, "bfloat16": 60e-9},
    second_core=1.9,
    collect_unit_s=1.5e-4,
    collect_s=4.0e-9,
    table_s=44e-9,
    choose_s=1.15e-3,
    line_s=4e-6,
    label_s=19.6e-3,
    write_s=0.6e-3,
    start_s=7.0,
    load_s=1.5e-8,
    text_s=6.0e-5,
)
"""Measured on two cores of it; bfloat16 with ``amx_bf16`` on an Intel Xeon."""

"""What is refused before and while activations are collected."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from autointerp.core.errors import InputError
from autointerp.subjects import HookUnits, SubjectModel

LARGEST = 2.0**20
"""Sums of squares are kept in 62 bits; no working model's activations come near this."""


class ImpossibleActivationError(Exception):
    """An activation is NaN, infinite or beyond `LARGEST`; never leaves this package."""


def check_units(subject: SubjectModel, units: Sequence[HookUnits]) -> None:
    """Nothing, when the units exist and are given in order, each once.

    Raises:
        InputError: they are not.
    """
    for unit in units:
        width = subject.width(unit.hook)
        if not unit.indices or min(unit.indices) < 0 or max(unit.indices) >= width:
            msg = f"{unit.hook} of {subject.name} has the units 0 to {width - 1}; ask for those"
            raise InputError(msg)
        if list(unit.indices) != sorted(set(unit.indices)):
            msg = f"the units of {unit.hook} must ascend, each once; use parse_units"
            raise InputError(msg)
    if len({unit.hook for unit in units}) < len(units):
        msg = "a hook point was given twice; give its units together"
        raise InputError(msg)


def refuse_impossible(
    activations: Float[Tensor, "batch pos unit"],
    valid: Bool[Tensor, "batch pos"],
    hook: str,
    indices: Int64[Tensor, " unit"],
    ids: Sequence[int],
) -> None:
    """Nothing, when every real token's activation is a number within `LARGEST`.

    Args:
        activations: of the chosen units.
        valid: positions that hold real tokens.
        hook: hook point, for the message.
        indices: index of each unit at the hook point.
        ids: window of each row.

    Raises:
        InputError: one is not; hook point, unit, window and position are named.
    """
    # One pass without a mask in memory; NaN comes through, and compares false.
    low, high = torch.aminmax(activations)
    if bool(torch.maximum(-low, high) <= LARGEST):
        return
    bad = ~(activations.abs() <= LARGEST) & valid[..., None]
    if not bool(bad.any()):
        return
    row, position, column = (int(i) for i in bad.nonzero()[0])
    value = float(activations[row, position, column])
    msg = (
        f"activation of {hook} unit {int(indices[column])} is {value} in window {ids[row]} at "
        f"position {position}; load the subject model in float32 or find the broken weights"
    )
    raise InputError(msg)

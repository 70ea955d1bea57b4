"""Whether an encoder fits a model: the hook point that it reads is as wide as what it takes."""

from __future__ import annotations

from collections.abc import Callable

from autointerp.core.errors import InputError
from autointerp.core.ids import HookPoint
from autointerp.subjects.encoders import EncoderSizes

_USUAL = (
    "hook_resid_pre",
    "ln1.hook_normalized",
    "attn.hook_z",
    "hook_attn_out",
    "hook_resid_mid",
    "ln2.hook_normalized",
    "mlp.hook_pre",
    "mlp.hook_post",
    "hook_mlp_out",
    "hook_resid_post",
)


def check_fit(encoder: EncoderSizes, width: Callable[[str], int], *, name: str) -> None:
    """Nothing, when the model of that name is as wide at the encoder's hook point as it reads.

    Raises:
        InputError: otherwise, or there is no such hook point; `width` raises it.
    """
    there = width(encoder.hook)
    if there == encoder.d_in:
        return

    def fits(hook: str) -> bool:
        try:
            return width(hook) == encoder.d_in
        except InputError:
            return False

    layer = HookPoint(encoder.hook).layer
    usual = [hook for kind in _USUAL if fits(hook := f"blocks.{layer}.{kind}")]
    hint = f"{', '.join(usual)} are {encoder.d_in} wide" if usual else "it is of another model"
    raise InputError(
        f"{encoder.name} reads {encoder.d_in} values, but {encoder.hook} of {name} is "
        f"{there} wide; {hint}"
    )

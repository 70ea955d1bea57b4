"""Norms with the divisor that they have at one place of a text, which makes them linear."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from autointerp.core.errors import InputError
from autointerp.core.ids import HookPoint
from autointerp.evidence.norms import (
    component,
    final_norm,
    gain_of,
    has_norms_behind_blocks,
    norms_behind,
    offset_of,
)
from autointerp.evidence.output_weights import OF_EXPERTS, OF_MLP
from autointerp.evidence.write_sites import WriteSite
from autointerp.subjects import SubjectModel
from autointerp.subjects.experts import expert_hook


class _AtNorm(NamedTuple):
    entered: Float[Tensor, "pos d_model"]
    left: Float[Tensor, "pos d_model"]


class FrozenNorms:
    """The norms between what a unit writes and the unembedding, the final one last."""

    def __init__(self, subject: SubjectModel, site: WriteSite) -> None:
        """Finds those behind a place where units write."""
        self._subject = subject
        final = final_norm(subject.bridge)
        behind = list(_norms_of_block(subject, site))
        if has_norms_behind_blocks(subject.bridge):
            behind += norms_behind(subject, site.hook)
        self._final = final
        self._norms = [*behind, *([] if final is None else [final])]
        self._seen: dict[int, _AtNorm] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While it lasts, the first row of a pass is noted at every one of them."""
        with ExitStack() as stack:
            for place, norm in enumerate(self._norms):
                for module in _wrapped(self._subject, norm):
                    stack.callback(module.register_forward_hook(self._noting(place)).remove)
            yield

    def _noting(self, place: int) -> Any:
        def note(_module: nn.Module, args: Any, left: Any) -> None:
            out = left[0] if isinstance(left, tuple) else left
            width = out.shape[-1]
            rows = [part[:1].reshape(-1, width).to(torch.float32) for part in (args[0], out)]
            self._seen[place] = _AtNorm(*rows)

        return note

    def to_readout(
        self, written: Float[Tensor, "unit d_model"], position: int
    ) -> tuple[Float[Tensor, "unit d_model"], float]:
        """What is left before the final norm, and that norm's divisor, at a position of the pass.

        Raises:
            InputError: a norm was passed by.
        """
        divisor = 1.0
        for place, norm in enumerate(self._norms):
            seen = self._seen.get(place)
            if seen is None:
                raise InputError(
                    f"a norm of {self._subject.name} between its units and its logits is not run "
                    "as a module, so that its divisor is not known"
                )
            width = written.shape[1]
            gain, centred = gain_of(norm, width, self._subject.device)
            entered, left = seen.entered[position], seen.left[position]
            scaled = (entered - entered.mean() if centred else entered) * gain
            bias = offset_of(norm, width, self._subject.device)
            along = float(scaled.double() @ (left - bias).double())
            divisor = float(scaled.double().square().sum()) / along if along else 1.0
            if norm is self._final:
                return written, divisor
            rows = written - written.mean(dim=1, keepdim=True) if centred else written
            written = rows * gain / divisor
        return written, 1.0


def _norms_of_block(subject: SubjectModel, site: WriteSite) -> Sequence[Any]:
    """Norms of their block that what is written there goes through before the stream has it."""
    if site.module is None:
        return []
    kind = site.hook.split(".", 2)[2]
    names: Sequence[str] = OF_MLP
    if expert_hook(site.hook) is not None:
        names = OF_EXPERTS
    elif kind == "attn.hook_z":
        names = ("ln1_post",)
    block = subject.bridge.blocks[HookPoint(site.hook).layer]
    found = (component(block, name) for name in names)
    return [norm for norm in found if norm is not None]


def _wrapped(subject: SubjectModel, norm: nn.Module) -> list[nn.Module]:
    """The module itself and what TransformerLens wraps it in: either may be what is called."""
    around = [
        module
        for module in subject.bridge.modules()
        if getattr(module, "original_component", None) is norm and module is not norm
    ]
    return [norm, *around]

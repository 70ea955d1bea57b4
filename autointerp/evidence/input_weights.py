"""What units read of the residual stream, by their weights and the norm before them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from autointerp.core.ids import HookPoint
from autointerp.evidence.norms import component, gain_of, has_norms_behind_blocks
from autointerp.subjects import Directions, SparseEncoder, SubjectModel
from autointerp.subjects.experts import expert_hook
from autointerp.subjects.mlp_layers import block_of, gated, mlp_of
from autointerp.subjects.plain_model import PlainModel

_NEURONS = ("mlp.hook_post", "mlp.hook_mid", "mlp.hook_pre")
_NORMS, _ADDED, _ENTERED, _BARE = ("ln2", "ln1"), ("ln1_post", "attn"), ("block", "mlp"), "stream"
_PROBE = 5
"""Tokens of the text that shows which norm stands before an MLP."""


@dataclass(frozen=True, slots=True)
class InputRows:
    """What all units of a hook point read, as linear functions of the residual stream."""

    rows: Float[Tensor, "unit d_model"]
    """The weights, as they stand."""
    gain: Float[Tensor, " d_model"] | None
    """Of the norm before them, its divisor held at 1; None where there is none."""
    centred: bool
    """Whether that norm takes the mean over coordinates away."""
    bias: Float[Tensor, " unit"] | None
    """What is read of a stream of zeros; None where neither weights nor norm have a bias."""

    def along(self, directions: Float[Tensor, "n d_model"]) -> Float[Tensor, "n unit"]:
        """What each unit reads of each direction."""
        return self._through(directions) @ self.rows.to(torch.float32).T

    def with_reading(self, read: Float[Tensor, "n d_model"]) -> Float[Tensor, "n unit"]:
        """Products of directions that are read, as `of` gives them, with those of all units."""
        # The mean of such a direction is gone already.
        behind = read if self.gain is None else read * self.gain
        return behind @ self.rows.to(torch.float32).T

    def of(self, indices: Tensor | slice) -> Float[Tensor, "unit d_model"]:
        """The directions themselves, float32."""
        # Taking the mean away twice is taking it away once: what reads is what is read.
        return self._through(self.rows[indices].to(torch.float32), back=True)

    def _through(self, directions: Tensor, *, back: bool = False) -> Tensor:
        if back and self.gain is not None:
            directions = directions * self.gain
        if self.centred:
            directions = directions - directions.mean(dim=1, keepdim=True)
        return directions * self.gain if self.gain is not None and not back else directions


class NormsBefore:
    """Which norm stands before the MLP of each layer, found by what it gives on a short text."""

    def __init__(self, subject: SubjectModel) -> None:
        self._subject = subject
        self._known: dict[int, Any] | None = None

    def of(self, layer: int) -> tuple[bool, Any]:
        """Whether it is known what enters the MLP, and the norm; None for the bare stream."""
        if self._known is None:
            self._known = self._found()
        return layer in self._known, self._known.get(layer)

    def _found(self) -> dict[int, Any]:
        bridge = self._subject.bridge
        values: dict[tuple[int, str], Tensor] = {}
        with ExitStack() as stack:
            for layer in range(self._subject.n_layers):
                for name, part in _parts(bridge, layer):
                    note = partial(_note, values, (layer, name), entering=name in _ENTERED)
                    stack.callback(part.register_forward_hook(note, with_kwargs=True).remove)
            n = min(_PROBE, self._subject.max_n_ctx)
            ids = (torch.arange(n) * 37 + 11)[None] % self._subject.n_rows
            with torch.inference_mode():
                bridge(ids.to(self._subject.device), return_type=None)
        found = {}
        for layer in range(self._subject.n_layers):
            own = {name: value for (at, name), value in values.items() if at == layer}
            norm = _norm_before(own)
            if norm is not None:
                bare = norm == _BARE or has_norms_behind_blocks(bridge)
                found[layer] = None if bare else component(bridge.blocks[layer], norm)
        return found


def _parts(bridge: Any, layer: int) -> Iterator[tuple[str, torch.nn.Module]]:
    block = block_of(bridge, layer)
    parts = {"block": block, "mlp": mlp_of(bridge, layer)}
    parts |= {name: getattr(block, name, None) for name in (*_NORMS, *_ADDED)}
    yield from ((name, part) for name, part in parts.items() if isinstance(part, torch.nn.Module))


def _note(  # noqa: PLR0917 - what torch calls a hook with
    values: dict[tuple[int, str], Tensor],
    key: tuple[int, str],
    _module: torch.nn.Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    left: Any,
    *,
    entering: bool,
) -> None:
    given = (*args, *kwargs.values()) if entering else left if isinstance(left, tuple) else (left,)
    tensors = (part for part in given if isinstance(part, Tensor) and part.is_floating_point())
    if (first := next(tensors, None)) is not None:
        values[key] = first.clone()


def _norm_before(values: Mapping[str, Tensor]) -> str | None:
    """The norm whose output enters the MLP, `_BARE` where the stream does; None for neither."""
    entered, stream = values.get("mlp"), values.get("block")
    if entered is None:
        return None
    for name in _NORMS:
        if name in values and torch.equal(values[name], entered):
            return name
    if stream is None or stream.shape != entered.shape:
        return None
    added = [values[name] for name in _ADDED if name in values]
    sums = [stream, *(stream + part for part in added if part.shape == stream.shape)]
    return _BARE if any(torch.allclose(each, entered, atol=1e-5) for each in sums) else None


def input_rows(subject: SubjectModel, hook: str, norms: NormsBefore) -> dict[str, InputRows] | None:
    """What the units of a hook point read: ``input``, or of gated neurons ``gate`` and ``up``.

    None where it is not known: in parts that TransformerLens does not wrap, of neurons of experts,
    and of coordinates that are made of many others. Latents and directions read the hook point
    that they are of, whether or not that is the stream.
    """
    encoder = subject.encoders.get(hook)
    if encoder is not None:
        return _of_encoder(encoder)
    kind = hook.split(".", 2)[2]
    if kind not in _NEURONS or expert_hook(hook) or isinstance(subject.bridge, PlainModel):
        return None
    layer = HookPoint(hook).layer
    is_known, norm = norms.of(layer)
    mlp = mlp_of(subject.bridge, layer)
    if not is_known or mlp is None:
        return None
    names = {"gate": "gate", "up": "in"} if gated(subject.bridge, hook) else {"input": "in"}
    parts = {name: _projected(component(mlp, there)) for name, there in names.items()}
    known = {name: part for name, part in parts.items() if part is not None}
    if len(known) < len(names) or len({part[0].shape for part in known.values()}) > 1:
        return None
    return {name: _behind(norm, *part, device=subject.device) for name, part in known.items()}


def _projected(projection: Any) -> tuple[Tensor, Tensor | None] | None:
    weights, bias = getattr(projection, "weight", None), getattr(projection, "bias", None)
    if not isinstance(weights, Tensor) or weights.ndim != 2:
        return None
    # A Linear holds (out, in), the Conv1D of GPT-2 (in, out).
    rows = weights.detach() if isinstance(projection, torch.nn.Linear) else weights.detach().T
    return rows, bias.detach() if isinstance(bias, Tensor) else None


def _behind(norm: Any, rows: Tensor, bias: Tensor | None, *, device: torch.device) -> InputRows:
    if norm is None:
        return InputRows(rows, None, centred=False, bias=bias)
    width = int(rows.shape[1])
    gain, centred = gain_of(norm, width, device)
    with torch.inference_mode():
        dtype = next((weights.dtype for weights in norm.parameters()), torch.float32)
        shift = norm(torch.zeros(1, 1, width, device=device, dtype=dtype))[0, 0]
    moved = rows.to(torch.float32) @ shift.to(torch.float32) if bool(shift.any()) else None
    both = [part.to(torch.float32) for part in (bias, moved) if part is not None]
    return InputRows(rows, gain, centred=centred, bias=sum(both[1:], both[0]) if both else None)


def _of_encoder(encoder: Any) -> dict[str, InputRows] | None:
    if isinstance(encoder, Directions):
        bias = encoder.bias if bool(encoder.bias.any()) else None
        return {"input": InputRows(encoder.vectors, None, centred=False, bias=bias)}
    if not isinstance(encoder, SparseEncoder):
        return None
    rows = encoder.tensors["W_enc"].T
    bias = encoder.tensors.get("b_enc", encoder.tensors.get("b_gate"))
    if bias is not None and encoder.config.apply_b_dec_to_input:
        bias = bias - rows @ encoder.tensors["b_dec"]
    centred = encoder.config.normalize_activations == "layer_norm"
    return {"input": InputRows(rows, None, centred=centred, bias=bias)}

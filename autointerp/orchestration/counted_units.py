"""How many units a specification names at each hook point, told from the shape of a model."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from autointerp.core.errors import InputError
from autointerp.core.ids import HookPoint
from autointerp.core.model_shape import ModelShape
from autointerp.core.one_line import shortened
from autointerp.core.unit_spec import HookItem, RandomItem, parse_unit_spec

_OF_NEURONS = ("mlp.hook_post", "mlp.hook_pre", "mlp.hook_mid", "mlp.hook_pre_linear")
_OF_THE_STREAM = (
    *("hook_resid_pre", "hook_resid_mid", "hook_resid_post", "hook_in", "hook_out"),
    *("hook_attn_out", "hook_mlp_out"),
)


class UntoldUnitsError(InputError):
    """The shape of a model does not tell how many units there are."""


def counted_units(spec: str, shape: ModelShape) -> Mapping[str, int]:
    """Units by hook point, layers ascending; random ones as they spread in the mean.

    Raises:
        UntoldUnitsError: units of an encoder or of an unusual hook point.
        InputError: not of the grammar, or a layer or unit that the model does not have.
    """
    parsed = parse_unit_spec(spec)
    if parsed.all:
        return {_usual(layer): shape.d_mlp for layer in range(shape.n_layers)}
    if parsed.random is not None:
        return _spread(parsed.random, shape)
    chosen: dict[str, set[int]] = {}
    for item in parsed.items:
        if not isinstance(item, HookItem):
            raise UntoldUnitsError(
                f"units '{item}': a plan is made from the shape of a model, which does not tell "
                "how many units an SAE or a file of directions has; name neurons"
            )
        chosen.setdefault(item.hook, set()).update(_indices(item, shape))
    return {hook: len(chosen[hook]) for hook in sorted(chosen, key=_by_layer)}


def _usual(layer: int) -> str:
    return f"blocks.{layer}.mlp.hook_post"


def _by_layer(hook: str) -> tuple[int, str]:
    return HookPoint(hook).layer, hook


def _indices(item: HookItem, shape: ModelShape) -> range:
    _check_layer(item.hook, shape)
    most = _width(item.hook, shape)
    if item.indices is None:
        return range(most)
    if item.indices.high >= most:
        msg = f"units '{item}': {item.hook} of {shape.name} has the units 0 to {most - 1}"
        raise InputError(msg)
    return range(item.indices.low, item.indices.high + 1)


def _width(hook: str, shape: ModelShape) -> int:
    kind = hook.split(".", 2)[2]
    widths = dict.fromkeys(_OF_NEURONS, shape.d_mlp) | dict.fromkeys(_OF_THE_STREAM, shape.d_model)
    widths["attn.hook_z"] = shape.n_heads * shape.d_head
    if kind not in widths:
        near = get_close_matches(kind, widths, n=1)
        hint = f"did you mean {hook.removesuffix(kind)}{near[0]}? A" if near else "a"
        raise UntoldUnitsError(
            f"the shape of a model does not tell how wide {hook} is; {hint} plan knows "
            f"{', '.join(widths)}"
        )
    return widths[kind]


def _check_layer(hook: str, shape: ModelShape) -> None:
    layer = HookPoint(hook).layer
    if layer >= shape.n_layers:
        last = shape.n_layers - 1
        msg = f"{shape.name} has layers 0 to {last}; there is no layer {layer} for {hook}"
        raise InputError(msg)


def _spread(asked: RandomItem, shape: ModelShape) -> Mapping[str, int]:
    hooks = [_usual(int(layer)) for layer in asked.layers or map(str, range(shape.n_layers))]
    for hook in hooks:
        _check_layer(hook, shape)
    shares = {
        hook: asked.n // len(hooks) + (place < asked.n % len(hooks))
        for place, hook in enumerate(hooks)
    }
    # Those of some layers are drawn in each.
    drawn, there = asked.n, shape.d_mlp * len(hooks)
    if asked.layers:
        drawn, there = shares[hooks[0]], shape.d_mlp
    if drawn > there:
        msg = f"units {shortened(str(asked))}: {drawn} asked for, but there are only {there}"
        raise InputError(msg)
    return {hook: shares[hook] for hook in sorted(shares, key=_by_layer) if shares[hook]}

"""A model read at its own modules, where TransformerLens does not look into its MLPs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace
from typing import Any

from torch import Tensor, nn

from autointerp.subjects.experts import experts_of
from autointerp.subjects.mlp_layers import has_experts
from autointerp.subjects.mlp_search import FoundMlp, ShortRun, find_mlps, layers_of
from autointerp.subjects.model_facts import context_length

Listen = Callable[..., Tensor | None]


@dataclass(frozen=True, slots=True, eq=False)
class ModulePoint:
    """A hook point: what enters a module, or what leaves it."""

    module: nn.Module
    entering: bool = False
    gated: bool = False
    """Whether a gate multiplies the neurons that are read here."""

    def register(self, listen: Listen) -> Any:
        """A handle whose ``remove`` ends it; what ``listen`` gives back replaces the value."""

        def entered(_module: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
            if args:
                changed = listen(args[0], hook=self)
                return None if changed is None else ((changed, *args[1:]), kwargs)
            name = next(name for name, value in kwargs.items() if isinstance(value, Tensor))
            changed = listen(kwargs[name], hook=self)
            return None if changed is None else (args, kwargs | {name: changed})

        def left(_module: nn.Module, _args: Any, output: Any) -> Any:
            if isinstance(output, Tensor):
                return listen(output, hook=self)
            changed = listen(output[0], hook=self)
            return None if changed is None else (changed, *output[1:])

        if self.entering:
            return self.module.register_forward_pre_hook(entered, with_kwargs=True)
        return self.module.register_forward_hook(left)


@dataclass(frozen=True, slots=True, eq=False)
class PlainLayer:
    """A layer, named as TransformerLens names its parts."""

    original_component: nn.Module
    mlp: Any
    """With ``original_component`` and ``out``; None where none was found, or several."""
    lack: str | None
    """Why the layer has no neurons of a dense MLP; None where it has, or where nothing is known."""


class PlainModel(nn.Module):
    """What is used of a `TransformerBridge`, around a model whose modules stay what they are."""

    def __init__(self, model: Any, layers: Sequence[nn.Module], run: ShortRun) -> None:
        """Wraps the model, whose layers ran as recorded."""
        super().__init__()
        self.original_model = model
        self.blocks: tuple[PlainLayer, ...] = ()
        points: dict[str, ModulePoint] = {}
        for number, layer in enumerate(layers):
            points[f"blocks.{number}.hook_resid_pre"] = ModulePoint(layer, entering=True)
            points[f"blocks.{number}.hook_resid_post"] = ModulePoint(layer)
            block, own = _layer(number, layer, run)
            self.blocks += (block,)
            points |= own
        self.hook_dict: Mapping[str, ModulePoint] = MappingProxyType(points)
        config = model.config.get_text_config()
        self.cfg = SimpleNamespace(
            n_layers=len(layers),
            n_ctx=context_length(model),
            d_model=run.width(layers[0]),
            n_heads=getattr(config, "num_attention_heads", None),
            n_key_value_heads=getattr(config, "num_key_value_heads", None),
            device=next(model.parameters()).device,
        )

    @property
    def has_neurons(self) -> bool:
        """Whether neurons can be read in some layer, of an MLP or of experts."""
        experts = (experts_of(self, number) for number in range(len(self.blocks)))
        in_mlps = any(name.endswith(".hook_post") for name in self.hook_dict)
        return in_mlps or any(one is not None for one in experts)

    @property
    def looks_into_mlps(self) -> bool:
        """Whether some layer is one of an MLP alone whose neurons can be read."""
        return any(block.mlp is not None and block.lack is None for block in self.blocks)

    def forward(self, tokens: Tensor, return_type: str | None = None) -> Any:
        """Runs the model; the logits where ``return_type`` says so."""
        result = self.original_model(tokens.to(self.cfg.device), use_cache=False)
        return result.logits if return_type == "logits" else None

    @contextmanager
    def hooks(self, fwd_hooks: Sequence[tuple[str, Listen]]) -> Iterator[PlainModel]:
        """While it lasts, the functions are called with what is at the hook points."""
        with ExitStack() as stack:
            for name, listen in fwd_hooks:
                stack.callback(self.hook_dict[name].register(listen).remove)
            yield self


def plain_model(model: Any, ids: Sequence[int]) -> PlainModel | None:
    """The model read at its own modules; None where no layers with neurons were found in it."""
    run = ShortRun(model, ids)
    layers = layers_of(model, run)
    if layers is None:
        return None
    result = PlainModel(model, layers, run)
    return result if result.has_neurons else None


def _layer(
    number: int, layer: nn.Module, run: ShortRun
) -> tuple[PlainLayer, dict[str, ModulePoint]]:
    """A layer and the hook points inside it."""
    found = find_mlps(layer, run)
    parts = [mlp for mlp in found if not mlp.is_routed]
    routed = {mlp.path[0] for mlp in found if mlp.is_routed}
    experts = {n: part for n, part in layer.named_children() if n in routed or has_experts(part)}
    # Of a list of MLPs each may be one that all tokens go through.
    beside = {
        name: part
        for name, part in experts.items()
        if {mlp.path[1] for mlp in parts if mlp.path[0] == name} != set(dict(part.named_children()))
    }
    dense = [mlp for mlp in parts if mlp.path[0] not in beside]
    points: dict[str, ModulePoint] = {}
    shared = {}
    for mlp in parts:
        if mlp.path[0] in beside and len(mlp.path) > 2:  # noqa: PLR2004 - experts, one of them, its matrix
            shared[mlp.path[1]] = _part(mlp, layer)
            points |= _points(f"blocks.{number}.mlp.{mlp.path[1]}", mlp, layer, run)
    if len(dense) == 1:
        own = _points(f"blocks.{number}.mlp", dense[0], layer, run)
        points |= own
        if f"blocks.{number}.mlp.hook_out" in own:
            points[f"blocks.{number}.hook_mlp_out"] = ModulePoint(dense[0].out)
        return PlainLayer(layer, _part(dense[0], layer), None), points
    if dense:
        names = [f"blocks.{number}.{'.'.join(mlp.path[:-1])}".lower() for mlp in dense]
        points |= {
            p: at
            for n, mlp in zip(names, dense, strict=True)
            for p, at in _points(n, mlp, layer, run).items()
        }
        which = " or ".join(f"{name}.hook_post" for name in names)
        lack = f"layer {number} has {len(dense)} MLPs: read {which}"
    elif beside:
        name, part = next(iter(beside.items()))
        lack = f"layer {number} is a mixture of experts ({type(part).__name__})"
        return PlainLayer(layer, SimpleNamespace(original_component=part, **shared), lack), points
    elif (n_runs := run.most_runs(layer)) > 1:
        lack = f"parts of layer {number} are run {n_runs} times (layers share or repeat them)"
    else:
        lack = None
    return PlainLayer(layer, None, lack), points


def _part(mlp: FoundMlp, layer: nn.Module) -> SimpleNamespace:
    whole = layer.get_submodule(".".join(mlp.path[:-1]))
    return SimpleNamespace(original_component=whole, out=mlp.out)


def _points(name: str, mlp: FoundMlp, layer: nn.Module, run: ShortRun) -> dict[str, ModulePoint]:
    points = {
        f"{name}.hook_in": ModulePoint(mlp.before, entering=True),
        f"{name}.hook_post": ModulePoint(mlp.out, entering=True, gated=mlp.gated),
    }
    # In RWKV what leaves the projection is gated before the stream has it.
    if run.is_output_of(mlp.out, layer.get_submodule(".".join(mlp.path[:-1]))):
        points[f"{name}.hook_out"] = ModulePoint(mlp.out)
    if not mlp.fused:
        points[f"{name}.hook_pre"] = ModulePoint(mlp.before)
    return points

"""Where a model has its layers and their MLPs, found by what it computes on a short text.

Neurons are what enters the projection that ends an MLP: an activation function of what another
projection of the layer gives, or such a one times a third. Both are computed once more and
compared, so that nothing is taken for neurons that is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from autointerp.subjects.model_facts import NOT_RUN

_OF_ANOTHER_KIND = re.compile("attn|attention|norm|router", re.IGNORECASE)
"""In the names of parts of a layer that have small MLPs of their own."""
_CLOSE = {torch.float64: 1e-9, torch.float32: 1e-5}
_CLOSE_HALF = 2e-2
"""Parts of the greatest value by which values computed once more may differ."""
_Function = Callable[[Tensor], Tensor]
_FUNCTIONS: tuple[_Function, ...] = (
    functional.silu,
    functional.gelu,
    lambda x: functional.gelu(x, approximate="tanh"),
    lambda x: x * torch.sigmoid(1.702 * x),
    functional.relu,
    lambda x: functional.relu(x).square(),
    torch.sigmoid,
    torch.tanh,
    functional.mish,
    functional.elu,
    functional.leaky_relu,
    functional.relu6,
    functional.hardswish,
    functional.softplus,
)


class ShortRun:
    """What entered and left the projections and layers of a model in one pass."""

    def __init__(self, model: Any, ids: Sequence[int]) -> None:
        """Runs the model on the ids, and on them backwards beside it."""
        self.entered: dict[nn.Module, Tensor] = {}
        self.left: dict[nn.Module, Tensor] = {}
        self.n_runs: dict[nn.Module, int] = {}
        self._around: dict[nn.Module, Tensor] = {}
        tokens = torch.tensor([list(ids), list(ids)[::-1]])
        self.shape = tokens.shape
        listed = {
            part for each in model.modules() if isinstance(each, nn.ModuleList) for part in each
        }
        handles = [
            module.register_forward_hook(self._note, with_kwargs=True)
            if module in listed or is_linear(module)
            else module.register_forward_hook(self._note_around)
            for module in model.modules()
        ]
        try:
            with torch.inference_mode():
                model(tokens.to(next(model.parameters()).device), use_cache=False)
        finally:
            for handle in handles:
                handle.remove()

    def width(self, module: nn.Module) -> int:
        """Width of what leaves a module that ran."""
        return int(self.left[module].shape[-1])

    def most_runs(self, layer: nn.Module) -> int:
        """How often the projection of a layer ran that ran most often."""
        return max((self.n_runs.get(part, 0) for part in layer.modules()), default=0)

    def keeps_shape(self, module: nn.Module) -> bool:
        """Whether the module gives each token as many values as it had."""
        entered, left = self.entered.get(module), self.left.get(module)
        if entered is None or left is None:
            return False
        # Some keep several versions of the stream, in the axis before all others.
        whole = self.shape in (entered.shape[:2], entered.shape[1:3])
        return whole and entered.shape == left.shape

    def rows(self, values: Tensor) -> Tensor | None:
        """Values in one row for each token; None where there are not as many."""
        rows = values.flatten(0, -2)
        return rows if len(rows) == self.shape.numel() else None

    def is_output_of(self, out: nn.Module, whole: nn.Module) -> bool:
        """Whether what leaves the projection is what leaves the module that it ends."""
        left, around = self.left[out], self._around.get(whole)
        if around is None:
            return True
        return around.numel() == left.numel() and torch.equal(around.reshape(left.shape), left)

    def _note_around(self, module: nn.Module, _args: Any, output: Any) -> None:
        left = _first_tensor(output)
        if left is not None:
            self._around[module] = left

    def _note(self, module: nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        self.n_runs[module] = self.n_runs.get(module, 0) + 1
        entered, left = _first_tensor((*args, *kwargs.values())), _first_tensor(output)
        if entered is not None and left is not None:
            self.entered[module], self.left[module] = entered, left


@dataclass(frozen=True, slots=True, eq=False)
class FoundMlp:
    """An MLP in a layer."""

    path: tuple[str, ...]
    """Names that lead from the layer to `out`."""
    out: nn.Module
    """The projection that neurons enter."""
    before: nn.Module
    """The projection whose values go through the activation function."""
    gated: bool
    fused: bool
    """Whether `before` gives what is multiplied as well."""
    is_routed: bool = False
    """Whether it is one expert of several among which a router chooses."""


def layers_of(model: Any, run: ShortRun) -> Sequence[nn.Module] | None:
    """The layers of a model, in order; None where there is not one list of them."""
    lists: list[nn.ModuleList] = []
    for module in model.modules():
        listed = isinstance(module, nn.ModuleList) and len(module) > 0
        inside = any(module is part for outer in lists for part in outer.modules())
        if listed and not inside and all(map(run.keeps_shape, module)):
            lists.append(module)
    n_layers = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    fit = [each for each in lists if len(each) == n_layers] or lists
    return list(fit[0]) if len(fit) == 1 else None


def find_mlps(layer: nn.Module, run: ShortRun) -> list[FoundMlp]:
    """The MLPs of a layer, each of which ran once for all tokens of the short text."""
    named = [(name, part) for name, part in layer.named_modules() if _of_all_tokens(part, run)]
    functions = [*_FUNCTIONS, *_own_functions(layer)]
    result = []
    for name, out in named:
        if run.width(out) != run.width(layer) or _OF_ANOTHER_KIND.search(name):
            continue
        others = [part for _, part in named if part is not out]
        parts = _made_of(run, out, others, functions)
        if parts is not None:
            before, gated, fused = parts
            result.append(FoundMlp(tuple(name.split(".")), out, before, gated, fused))
    return [replace(mlp, is_routed=_is_routed(mlp, result, layer)) for mlp in result]


def _is_routed(mlp: FoundMlp, found: Sequence[FoundMlp], layer: nn.Module) -> bool:
    """Whether an MLP is one of several in one place, of which a router chooses some.

    One text may need one of them alone, or all. A router is told by a matrix with a row or column
    for each; in a list it may be a table, and then not all were run.
    """
    for depth, name in enumerate(mlp.path[:-1]):
        place = mlp.path[:depth]
        holder = layer.get_submodule(".".join(place))
        parts = dict(holder.named_children())
        alike = {other for other in parts if _kind(parts, other) == _kind(parts, name)}
        used = {other.path[depth] for other in found if other.path[:depth] == place}
        if isinstance(holder, nn.ModuleList) and not alike <= used:
            return True
        counts = {len(alike)}
        if isinstance(holder, nn.ModuleList | nn.ModuleDict):
            counts.add(len(parts))
        own = {id(weights) for other in alike for weights in parts[other].parameters()}
        matrices = (w for w in layer.parameters() if w.ndim == 2 and id(w) not in own)
        if any(n > 1 and n in weights.shape for weights in matrices for n in counts):
            return True
    return False


def _kind(parts: dict[str, nn.Module], name: str) -> tuple[type[nn.Module], str]:
    return type(parts[name]), re.sub(r"[0-9]+", "", name)


def is_linear(module: nn.Module) -> bool:
    """Whether a module is a projection, or stands for one (adapted, quantized)."""
    sizes = [getattr(module, name, None) for name in ("in_features", "out_features")]
    return isinstance(module, nn.Linear | Conv1D) or all(isinstance(n, int) for n in sizes)


def _of_all_tokens(part: nn.Module, run: ShortRun) -> bool:
    return (
        run.n_runs.get(part) == 1
        and part in run.left
        and is_linear(part)
        and run.rows(run.left[part]) is not None
    )


def _made_of(
    run: ShortRun, out: nn.Module, others: Sequence[nn.Module], functions: Sequence[_Function]
) -> tuple[nn.Module, bool, bool] | None:
    """What `FoundMlp` says of the MLP that ends in a projection: before, gated, fused."""
    values = run.rows(run.entered[out])
    if values is None:
        return None
    width = values.shape[-1]
    alike = [(part, rows) for part in others if (rows := run.rows(run.left[part])) is not None]
    same = [(part, rows) for part, rows in alike if rows.shape[-1] == width]
    for part, rows in same:
        if any(_equal(values, made) for made in _applied(functions, rows)):
            return part, False, False
    for part, rows in same:
        for other, factor in same:
            if other is not part and _times(values, rows, factor, functions):
                return part, True, False
    for part, rows in alike:
        if rows.shape[-1] == 2 * width:
            halves = (rows.chunk(2, dim=-1), (rows[..., ::2], rows[..., 1::2]))
            ways = [way for one, two in halves for way in ((one, two), (two, one))]
            if any(_times(values, gate, up, functions) for gate, up in ways):
                return part, True, True
    return None


def _times(values: Tensor, gate: Tensor, up: Tensor, functions: Sequence[_Function]) -> bool:
    made = _applied([*functions, lambda x: x], gate)
    return any(_equal(values, activated * up) for activated in made)


def _applied(functions: Sequence[_Function], rows: Tensor) -> Iterator[Tensor]:
    with torch.inference_mode():
        for function in functions:
            try:
                made = function(rows)
            except NOT_RUN:
                continue
            if isinstance(made, Tensor) and made.shape == rows.shape:
                yield made


def _equal(values: Tensor, made: Tensor) -> bool:
    close = _CLOSE.get(values.dtype, _CLOSE_HALF)
    values, made = values.double(), made.double()
    greatest = values.abs().max()
    return bool(greatest > 0 and (values - made).abs().max() <= close * greatest)


def _own_functions(layer: nn.Module) -> list[_Function]:
    """Activation functions that are modules of a layer: those that take each value by itself."""
    leaves = [part for part in layer.modules() if not any(True for _ in part.children())]
    others = {type(part): part for part in leaves if not is_linear(part)}
    return [part for part in others.values() if _elementwise(part)]


def _elementwise(part: nn.Module) -> bool:
    weights = next(part.parameters(), torch.zeros(1))
    values = torch.linspace(-2, 2, 12).reshape(3, 4).to(weights)
    moved = values.clone()
    moved[:, 0] += 1
    before, after = (next(_applied([part], each), None) for each in (values, moved))
    if before is None or after is None or torch.equal(before, values):
        return False
    return bool(torch.equal(before[:, 1:], after[:, 1:]))


def _first_tensor(given: Any) -> Tensor | None:
    if isinstance(given, Tensor):
        return given
    parts = given.values() if hasattr(given, "values") else given
    if not isinstance(given, tuple | list) and not hasattr(given, "values"):
        return None
    return next(
        (part for part in parts if isinstance(part, Tensor) and part.is_floating_point()), None
    )

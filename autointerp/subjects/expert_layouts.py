"""The forms in which models hold the experts of a layer.

Experts' insides are not modules that could be hooked: their neurons are computed once more
from what enters, and checked against what leaves (`experts.why_not_read`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

Entered = Sequence[Tensor]
"""The tensors that enter the module of the experts, in its order."""


class Experts(Protocol):
    """The experts of one layer."""

    module: nn.Module
    """What is listened to."""
    n_experts: int
    gated: bool
    """Whether a gate multiplies the neurons, so that their signs mean nothing."""

    def neurons(self, expert: int, entered: Entered) -> Float[Tensor, "token unit"]:
        """One expert's neurons on every token, zero where the router chose others."""

    def rows(self, expert: int) -> Float[Tensor, "unit d_model"]:
        """What a neuron of value 1 writes where the router gives its expert the weight 1."""

    def output(self, entered: Entered) -> Tensor:
        """What should leave the module, made up of the neurons."""

    def change(self, expert: int, entered: Entered, added: Float[Tensor, "token unit"]) -> Tensor:
        """By how much what leaves the module changes when one expert's neurons are so much more.

        As large as `output`; nothing comes of tokens for which the router chose others.
        """


def experts_in(module: nn.Module) -> Experts | None:
    """The experts of a module of a known form; None for other modules."""
    return next((kind(module) for kind in (_Stacked, _Scaled, _Grouped) if kind.fits(module)), None)


class _Stacked(Experts):
    """transformers' usual form: one tensor a matrix, called with the router's choice."""

    def __init__(self, module: Any) -> None:
        self.module, self._experts = module, module
        self.n_experts, self.gated = len(module.down_proj), bool(module.has_gate)

    @staticmethod
    def fits(module: nn.Module) -> bool:
        known = all(hasattr(module, name) for name in ("has_gate", "has_bias", "is_transposed"))
        return known and _three_axes(module, "down_proj")

    @override
    def neurons(self, expert: int, entered: Entered) -> Tensor:
        hidden, chosen = entered[0].flatten(0, -2), entered[1].flatten(0, -2)
        tokens = (chosen == expert).any(dim=-1).nonzero()[:, 0]
        name = "gate_up_proj" if self.gated else "up_proj"
        before = self._linear(name, expert, hidden[tokens])
        values = self._experts._apply_gate(before) if self.gated else self._experts.act_fn(before)
        return _spread(values, tokens, len(hidden))

    @override
    def rows(self, expert: int) -> Tensor:
        weights: Tensor = self._experts.down_proj[expert].detach()
        return weights if self._experts.is_transposed else weights.T

    @override
    def output(self, entered: Entered) -> Tensor:
        hidden, chosen, weights = (part.flatten(0, -2) for part in entered[:3])
        total = torch.zeros_like(hidden)
        for expert in sorted(set(chosen.flatten().tolist())):
            if expert >= self.n_experts:
                continue
            out = self._written(expert, self.neurons(expert, entered))
            total = total + _share(expert, chosen, weights) * out
        return total

    @override
    def change(self, expert: int, entered: Entered, added: Tensor) -> Tensor:
        _, chosen, weights = (part.flatten(0, -2) for part in entered[:3])
        before = self.neurons(expert, entered)
        both = [self._written(expert, values) for values in (before + added, before)]
        return _share(expert, chosen, weights) * (both[0] - both[1])

    def _written(self, expert: int, neurons: Tensor) -> Tensor:
        """What the neurons of an expert write at the router's weight 1."""
        out = self._linear("down_proj", expert, neurons)
        if getattr(self._experts, "has_post_expert_norm", False):
            return self._experts.post_expert_norm(out)  # type: ignore[no-any-return]
        return out

    def _linear(self, name: str, expert: int, inputs: Tensor) -> Tensor:
        experts = self._experts
        weights = getattr(experts, name)[expert]
        bias = getattr(experts, f"{name}_bias")[expert] if experts.has_bias else None
        return nn.functional.linear(inputs, weights.T if experts.is_transposed else weights, bias)


class _Scaled(Experts):
    """Llama 4: every expert is given all tokens, each multiplied by what the router gives it.

    The router's weight is in the neurons; where it is 0 they are.
    """

    gated = True

    def __init__(self, module: Any) -> None:
        self.module, self._experts = module, module
        self.n_experts = len(module.down_proj)

    @staticmethod
    def fits(module: nn.Module) -> bool:
        stacked = all(_three_axes(module, name) for name in ("gate_up_proj", "down_proj"))
        return stacked and hasattr(module, "expert_dim") and not hasattr(module, "has_gate")

    @override
    def neurons(self, expert: int, entered: Entered) -> Tensor:
        scaled = entered[0].reshape(self.n_experts, -1, entered[0].shape[-1])[expert]
        gate, up = (scaled @ self._experts.gate_up_proj[expert]).chunk(2, dim=-1)
        values: Tensor = up * self._experts.act_fn(gate)
        return values

    @override
    def rows(self, expert: int) -> Tensor:
        weights: Tensor = self._experts.down_proj[expert].detach()
        return weights

    @override
    def output(self, entered: Entered) -> Tensor:
        each = range(self.n_experts)
        return torch.cat([self.neurons(e, entered) @ self._experts.down_proj[e] for e in each])

    @override
    def change(self, expert: int, entered: Entered, added: Tensor) -> Tensor:
        result = torch.zeros_like(entered[0]).reshape(self.n_experts, *added.shape[:1], -1)
        result[expert] = added @ self._experts.down_proj[expert]
        return result.reshape(entered[0].shape)


class _Grouped(Experts):
    """JetMoE: the module routes, and hands each expert its own tokens."""

    gated = True

    def __init__(self, module: Any) -> None:
        self.module, self._experts = module, module
        self.n_experts = len(module.output_linear.weight)

    @staticmethod
    def fits(module: nn.Module) -> bool:
        linear = [getattr(module, name, None) for name in ("input_linear", "output_linear")]
        routed = hasattr(module, "router") and hasattr(module, "activation")
        return routed and all(_three_axes(part, "weight") for part in linear)

    @override
    def neurons(self, expert: int, entered: Entered) -> Tensor:
        hidden = entered[0].flatten(0, -2)
        tokens, _ = self._routed(hidden)[expert]
        before = nn.functional.linear(hidden[tokens], self._experts.input_linear.weight[expert])
        gate, up = before.chunk(2, dim=-1)
        return _spread(self._experts.activation(gate) * up, tokens, len(hidden))

    @override
    def rows(self, expert: int) -> Tensor:
        weights: Tensor = self._experts.output_linear.weight[expert].detach()
        return weights.T

    @override
    def output(self, entered: Entered) -> Tensor:
        hidden = entered[0].flatten(0, -2)
        total = torch.zeros_like(hidden)
        for expert, (tokens, weights) in enumerate(self._routed(hidden)):
            out = self.neurons(expert, entered)[tokens] @ self.rows(expert)
            total = total.index_add(0, tokens, weights[:, None] * out)
        bias = getattr(self._experts, "bias", None)
        return total if bias is None else total + bias

    @override
    def change(self, expert: int, entered: Entered, added: Tensor) -> Tensor:
        hidden = entered[0].flatten(0, -2)
        tokens, weights = self._routed(hidden)[expert]
        out = weights[:, None] * (added[tokens] @ self.rows(expert))
        return torch.zeros_like(hidden).index_add(0, tokens, out)

    def _routed(self, hidden: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Each expert's tokens, and the router's weights of them."""
        _, tokens, weights, n_tokens, *_ = self._experts.router(hidden)
        return list(zip(tokens.split(n_tokens), weights.split(n_tokens), strict=True))


def _share(expert: int, chosen: Tensor, weights: Tensor) -> Tensor:
    """The router's weight of one expert on every token, 0 where it chose others."""
    return torch.where(chosen == expert, weights, 0).sum(dim=-1, keepdim=True)


def _three_axes(module: Any, name: str) -> bool:
    weights = getattr(module, name, None)
    return isinstance(weights, Tensor) and weights.ndim == 3


def _spread(values: Tensor, tokens: Tensor, n_tokens: int) -> Tensor:
    """The values of some tokens among zeros for the others."""
    result = values.new_zeros((n_tokens, values.shape[1]))
    result[tokens] = values
    return result

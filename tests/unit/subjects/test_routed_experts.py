"""Experts that are modules of their own: none of them is an MLP that all tokens go through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from many_models import random_weights
from tiny import tiny_llama, tiny_subject
from torch import Tensor, nn

from autointerp.core.errors import InputError
from autointerp.subjects import SubjectModel

TOKENS = torch.randint(1, 250, (2, 7), generator=torch.Generator().manual_seed(1))
BEHIND_BOS = nn.functional.pad(TOKENS, (1, 0), value=0)
PREFERRED = 2
N_EXPERTS = 4


class Mlp(nn.Module):
    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(16, width), nn.Linear(width, 16)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.down(nn.functional.silu(self.up(x)))
        return result


class OtherMlp(Mlp):
    """An expert of another class."""


class Sparse(nn.Module):
    """A mixture whose router gives every token to the same expert, which alone is run."""

    def __init__(self, experts: Sequence[nn.Module], *, kind: str = "list", shared: bool) -> None:
        super().__init__()
        self.gate = nn.Linear(16, len(experts))
        self.kind, self.shared = kind, Mlp() if shared else None
        if kind == "list":
            self.experts: Any = nn.ModuleList(experts)
        elif kind == "dict":
            self.experts = nn.ModuleDict({f"expert_{n}": e for n, e in enumerate(experts)})
        else:
            for number, expert in enumerate(experts):
                self.add_module(f"expert_{number}", expert)

    def listed(self) -> list[nn.Module]:
        if self.kind == "names":
            return [part for name, part in self.named_children() if name.startswith("expert_")]
        return list(self.experts.children())

    def forward(self, x: Tensor) -> Tensor:
        chosen = self.gate(x).argmax(dim=-1)
        result = torch.zeros_like(x)
        for number, expert in enumerate(self.listed()):
            if (own := chosen == number).any():
                result[own] = expert(x[own])
        return result if self.shared is None else result + self.shared(x)


class Masked(Sparse):
    """Runs all experts on all tokens, and takes what the router chose."""

    def forward(self, x: Tensor) -> Tensor:
        chosen = self.gate(x).argmax(dim=-1, keepdim=True)
        each = [(chosen == n) * expert(x) for n, expert in enumerate(self.listed())]
        result = torch.stack(each).sum(dim=0)
        return result if self.shared is None else result + self.shared(x)


class Hashed(Sparse):
    """Chooses by a table instead of a router that has weights."""

    def __init__(self, experts: Sequence[nn.Module], *, kind: str = "list", shared: bool) -> None:
        super().__init__(experts, kind=kind, shared=shared)
        del self.gate

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.listed()[PREFERRED](x)
        return result if self.shared is None else result + self.shared(x)


def alike() -> list[nn.Module]:
    return [Mlp() for _ in range(N_EXPERTS)]


def of_other_sizes() -> list[nn.Module]:
    return [Mlp(20 + 2 * n) for n in range(N_EXPERTS)]


def of_other_classes() -> list[nn.Module]:
    return [OtherMlp(), nn.Identity(), Mlp()]


MIXTURES: dict[str, Callable[[bool], nn.Module]] = {
    "a list": lambda shared: Sparse(alike(), shared=shared),
    "names": lambda shared: Sparse(alike(), kind="names", shared=shared),
    "a dict": lambda shared: Sparse(alike(), kind="dict", shared=shared),
    "other sizes": lambda shared: Sparse(of_other_sizes(), shared=shared),
    "other classes": lambda shared: Sparse(of_other_classes(), shared=shared),
    "all are run": lambda shared: Masked(alike(), shared=shared),
    "a table": lambda shared: Hashed(alike(), shared=shared),
}


def subject_with(name: str, *, shared: bool) -> tuple[SubjectModel, Any]:
    model = tiny_llama(n_layers=2)
    model.model.layers[1].mlp = moe = MIXTURES[name](shared)
    random_weights(model)
    if hasattr(moe, "gate"):
        with torch.no_grad():
            moe.gate.bias.copy_(torch.eye(len(moe.gate.bias))[PREFERRED] * 1e6)  # type: ignore[union-attr, arg-type]
    return tiny_subject(model), model


@pytest.mark.parametrize("name", MIXTURES)
def test_an_expert_that_the_router_prefers_always_is_none_that_all_tokens_go_through(
    name: str,
) -> None:
    subject, _ = subject_with(name, shared=False)
    assert not any(hook.startswith("blocks.1.mlp") for hook in subject.bridge.hook_dict)
    with pytest.raises(InputError, match="layer 1 is a mixture of experts"):
        subject.width("blocks.1.mlp.hook_post")


@pytest.mark.parametrize("name", MIXTURES)
def test_the_shared_expert_beside_it_is_read(name: str) -> None:
    subject, model = subject_with(name, shared=True)
    posts = [hook for hook in subject.bridge.hook_dict if hook.endswith(".hook_post")]
    assert posts == ["blocks.0.mlp.hook_post", "blocks.1.mlp.shared.hook_post"]
    found: list[Tensor] = []
    subject.read(TOKENS, [posts[1]], lambda _name, acts: found.append(acts.clone()))
    expected: list[Tensor] = []
    model.model.layers[1].mlp.shared.down.register_forward_pre_hook(
        lambda _m, args: expected.append(args[0].detach()[:, 1:])
    )
    with torch.inference_mode():
        model(BEHIND_BOS)
    torch.testing.assert_close(found[0], expected[0])

"""Where what units write stands by itself, so that it can be turned to other directions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from autointerp.core.errors import InputError
from autointerp.core.ids import HookPoint
from autointerp.core.seeds import derive_seed
from autointerp.evidence.norms import component
from autointerp.subjects import Directions, SparseEncoder, SubjectModel
from autointerp.subjects.experts import expert_hook, experts_of
from autointerp.subjects.mlp_layers import NEURON_HOOKS, mlp_of, output_projection, part_of

_Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class WriteSite:
    """A hook point of the subject model, or what leaves one of its modules."""

    subject: SubjectModel
    hook: str
    module: nn.Module | None
    """None where the values are those at the hook point."""

    @classmethod
    def at(cls, subject: SubjectModel, hook: str) -> WriteSite:
        """The values at a hook point of the model itself."""
        return cls(subject, hook, None)

    @classmethod
    def of(cls, subject: SubjectModel, hook: str) -> WriteSite:
        """Where what the units of a hook point write can be changed, any norm behind it ahead.

        Of neurons what leaves their output projection, of experts what leaves these, of heads
        what leaves theirs; of all else the hook point, or that which an encoder writes to.

        Raises:
            InputError: their output weights were not found.
        """
        if (place := expert_hook(hook)) is not None:
            experts = experts_of(subject.bridge, place[0])
            return cls(subject, hook, None if experts is None else experts.module)
        encoder = subject.encoders.get(hook)
        if isinstance(encoder, SparseEncoder):
            hook = encoder.writes_to
        elif isinstance(encoder, Directions):
            hook = encoder.hook
        path, _, leaf = hook.split(".", 2)[2].rpartition(".")
        if leaf not in NEURON_HOOKS and leaf != "hook_z":
            return cls(subject, hook, None)
        module = _projection(subject, hook, path)
        if not isinstance(module, nn.Module):
            msg = f"the output weights behind {hook} of {subject.name} were not found"
            raise InputError(msg)
        return cls(subject, hook, module)

    @contextmanager
    def changing(self, change: _Change) -> Iterator[None]:
        """While it lasts, the values there are what `change` makes of them."""
        if self.module is None:

            def at_hook(activations: Tensor, *, hook: object) -> Tensor:  # noqa: ARG001
                return change(activations)

            name = self.subject.tl_name(self.hook)
            with self.subject.bridge.hooks(fwd_hooks=[(name, at_hook)]):
                yield
            return
        handle = self.module.register_forward_hook(lambda _module, _args, left: change(left))
        try:
            yield
        finally:
            handle.remove()


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """Rows in which what row 1 writes beyond row 0 is written in a random direction."""

    site: WriteSite
    rows: Sequence[tuple[int, int]]
    """(row, number of the direction)."""
    shape: tuple[int, int]
    """Rows and positions."""
    seed: int

    def during(self) -> Any:
        """While it lasts, passes have these rows turned."""
        return self.site.changing(self._turned)

    def _turned(self, written: Tensor) -> Tensor:
        parts = written.reshape(-1, *self.shape, written.shape[-1]).clone()
        change = (parts[:, 1] - parts[:, 0]).to(torch.float32)
        for row, number in self.rows:
            parts[:, row] += turned(change, number, seed=self.seed).to(parts.dtype)
        return parts.reshape(written.shape)


def turned(
    vectors: Float[Tensor, "*batch d"], number: int, *, seed: int
) -> Float[Tensor, "*batch d"]:
    """The vectors in the random orthonormal basis of that number: lengths and angles stay."""
    width = vectors.shape[-1]
    generator = torch.Generator().manual_seed(derive_seed(seed, "turned", number))
    order = torch.randperm(width, generator=generator)
    signs = torch.randint(0, 2, (width,), generator=generator) * 2.0 - 1.0
    # One basis for all numbers: its rows in random order and sign are as random as another.
    basis = _basis(width, seed).to(vectors.device)
    result: Tensor = (vectors[..., order.to(vectors.device)] * signs.to(vectors)) @ basis
    return result


@lru_cache(maxsize=2)
def _basis(width: int, seed: int) -> Float[Tensor, "d d"]:
    generator = torch.Generator().manual_seed(derive_seed(seed, "basis", width))
    factor, upper = torch.linalg.qr(torch.randn(width, width, generator=generator))
    basis: Tensor = factor * upper.diagonal().sign()
    return basis


def _projection(subject: SubjectModel, hook: str, path: str) -> Any:
    layer = HookPoint(hook).layer
    if path == "attn":
        return component(part_of(subject.bridge, layer, "attn"), "o")
    if path == "mlp" and mlp_of(subject.bridge, layer) is not None:
        return output_projection(subject.bridge, hook)
    return component(part_of(subject.bridge, layer, path), "out")

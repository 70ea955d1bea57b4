"""Directions: vectors in a hook point's space, read by projection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor

from autointerp.core.errors import InputError
from autointerp.core.ids import HookPoint
from autointerp.core.places import holds
from autointerp.core.seeds import derive_seed
from autointerp.subjects.encoders import EncoderHead, encoder_digest, slug

_HOW = (
    "save a tensor `directions` of shape (n, d), perhaps a `bias` of shape (n,), and the metadata "
    "hook=blocks.5.hook_resid_post or the like"
)


@dataclass(frozen=True, slots=True, eq=False)
class Directions:
    """Units whose activation is the dot product with a vector, plus a bias."""

    name: str
    """Last part of the derived hook point."""
    hook: str
    """Hook point whose space the vectors lie in."""
    vectors: Float[Tensor, "unit d_model"]
    """One row a unit, of any norm: projections are in units of it."""
    bias: Float[Tensor, " unit"]
    """Added to the projections; zeros where there is none."""
    digest: str
    """16 hex digits over hook point, vectors and bias."""

    @property
    def d_in(self) -> int:
        """Width of the hook point."""
        return int(self.vectors.shape[1])

    @property
    def n_units(self) -> int:
        """Number of directions."""
        return int(self.vectors.shape[0])

    @property
    def two_sided(self) -> bool:
        """True: a direction and its opposite are told apart by convention only."""
        return True

    @property
    def without_bos(self) -> bool:
        """False: text is read as the model's other units are."""
        return False

    def encode(
        self, activations: Float[Tensor, "batch pos d_model"]
    ) -> Float[Tensor, "batch pos unit"]:
        """Projections onto the vectors, in their dtype."""
        inputs = activations.to(self.vectors.dtype)
        return torch.nn.functional.linear(inputs, self.vectors, self.bias)

    def to(self, device: torch.device, dtype: torch.dtype) -> Directions:
        """The same on a device and in a floating dtype."""
        vectors, bias = self.vectors.to(device, dtype), self.bias.to(device, dtype)
        return replace(self, vectors=vectors, bias=bias)


def load_directions(file: Path, *, hook: str | None = None) -> Directions:
    """The directions in a safetensors file: `directions`, perhaps `bias`, metadata `hook`.

    A hook point that is given counts in place of the metadata.

    Raises:
        InputError: no such file, damaged, or of another content.
    """
    with _opened(file) as opened:
        hook = _checked_hook(file, opened, hook)
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    _check_values(file, tensors)
    vectors = tensors["directions"].to(torch.float32)
    bias = tensors.get("bias", torch.zeros(len(vectors))).to(torch.float32)
    return _directions(_name(file), hook, vectors, bias)


def read_directions_head(file: Path, *, hook: str | None = None) -> EncoderHead:
    """Where the directions in a file lie and how many there are; no tensor is read.

    Raises:
        InputError: as `load_directions`, as far as it can be told without the tensors.
    """
    with _opened(file) as opened:
        hook = HookPoint(_checked_hook(file, opened, hook)).name
        n, d = opened.get_slice("directions").get_shape()
    return EncoderHead(_name(file), hook, d, n)


def _name(file: Path) -> str:
    return f"dirs_{slug(file.with_suffix(''))}"


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    if not holds(file.parent, file.name):
        raise InputError(f"{file} is not a file; {_HOW}")
    try:
        with safe_open(file, framework="pt") as opened:
            yield opened
    except (OSError, SafetensorError) as error:
        raise InputError(f"{file} is not a complete safetensors file ({error}); {_HOW}") from error


def _checked_hook(file: Path, opened: Any, hook: str | None) -> str:
    """The hook point, its metadata's where none is given; the tensors have the right shapes."""
    hook = hook or (opened.metadata() or {}).get("hook")
    if hook is None:
        raise InputError(
            f"{file} does not say in its metadata at which hook point its directions lie; name it, "
            f"dirs:{file}@blocks.5.hook_resid_post, or {_HOW}"
        )
    shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    _check_shapes(file, shapes)
    return hook


def random_directions(hook: str, d: int, n: int, seed: int) -> Directions:
    """``n`` vectors of norm 1, uniform on the sphere of ``d`` dimensions: a null for units.

    Raises:
        InputError: the hook point is not of the right form, or there would be no direction.
    """
    if d < 1 or n < 1:
        raise InputError(f"{n} directions of width {d} were asked for; both must be at least 1")
    generator = torch.Generator().manual_seed(derive_seed(seed, "random directions", hook))
    drawn = torch.randn((n, d), generator=generator, dtype=torch.float64)
    vectors = (drawn / drawn.norm(dim=1, keepdim=True)).to(torch.float32)
    return _directions(f"dirs_random_{n}_seed_{seed}", hook, vectors, torch.zeros(n))


def _directions(name: str, hook: str, vectors: Tensor, bias: Tensor) -> Directions:
    hook = HookPoint(hook).name
    tensors = {"directions": vectors, "bias": bias}
    digest = encoder_digest("directions", {"hook": hook}, tensors)
    return Directions(name, hook, vectors, bias, digest)


def _check_shapes(file: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    main = shapes.get("directions", ())
    expected = {"directions": main, "bias": main[:1]}
    good = len(main) == 2 and 0 not in main
    if not good or any(shape != expected.get(name) for name, shape in shapes.items()):
        result = ", ".join(f"{name} {shape}" for name, shape in sorted(shapes.items()))
        raise InputError(f"{file} holds {result or 'no tensor'}; {_HOW}")


def _check_values(file: Path, tensors: dict[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or not bool(torch.isfinite(tensor).all()):
            msg = f"{name} of {file} must hold finite floating-point numbers only; fix the file"
            raise InputError(msg)

"""Encoders: what turns a hook point's activations into those of latents or directions."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import torch
from jaxtyping import Float
from torch import Tensor

from autointerp.core.errors import InputError

_NAME = re.compile(r"[a-z0-9_]+")
_LONGEST = 60

_Receiver = Callable[[str, Tensor], None]


class EncoderSizes(Protocol):
    """What an encoder reads and how many units it has, which its files tell without its weights."""

    @property
    def name(self) -> str:
        """Small letters, digits and underscores: the last part of the derived hook point."""

    @property
    def hook(self) -> str:
        """The hook point that is read, for example ``blocks.5.hook_resid_post``."""

    @property
    def d_in(self) -> int:
        """Width of that hook point."""

    @property
    def n_units(self) -> int:
        """Number of latents or directions."""


@dataclass(frozen=True, slots=True)
class EncoderHead(EncoderSizes):
    """The sizes of an encoder whose tensors were not read."""

    name: str
    hook: str
    d_in: int
    n_units: int
    digest: str = "not read"


class Encoder(EncoderSizes, Protocol):
    """Units computed from one hook point; they live at the hook point `derived_hook` names."""

    @property
    def digest(self) -> str:
        """16 hex digits that depend on kind, settings and tensors."""

    @property
    def two_sided(self) -> bool:
        """Whether the sign of a unit carries no preference."""

    @property
    def without_bos(self) -> bool:
        """Whether it is to be read without BOS in front of the text, whatever the model has."""

    def encode(
        self, activations: Float[Tensor, "batch pos d_model"]
    ) -> Float[Tensor, "batch pos unit"]:
        """The units' activations, computed and given in the dtype of the encoder's tensors."""

    def to(self, device: torch.device, dtype: torch.dtype) -> Self:
        """The same on a device and in a floating dtype."""


def derived_hook(encoder: EncoderSizes) -> str:
    """``blocks.5.hook_resid_post.sae_NAME``: where the units of an encoder live.

    Raises:
        InputError: the name could not stand in a unit's id.
    """
    if not _NAME.fullmatch(encoder.name):
        msg = f"an encoder cannot be named {encoder.name!r}; use small letters, digits and _"
        raise InputError(msg)
    return f"{encoder.hook}.{encoder.name}"


def receive_encoded(
    hooks: Sequence[str], encoders: Mapping[str, Encoder], receive: _Receiver
) -> tuple[list[str], _Receiver]:
    """The hook points to read, each once, and a receiver that encodes what they give.

    The given receiver is called with each of ``hooks``, derived ones among them; with a base hook
    point only where it is one of them.
    """
    asked = dict.fromkeys(hooks)
    derived: dict[str, list[str]] = {}
    for hook in asked:
        if hook in encoders:
            derived.setdefault(encoders[hook].hook, []).append(hook)
    bases = list(dict.fromkeys(encoders[hook].hook if hook in encoders else hook for hook in asked))

    def receive_both(base: str, activations: Tensor) -> None:
        if base in asked:
            receive(base, activations)
        for hook in derived.get(base, ()):
            receive(hook, encoders[hook].encode(activations))

    return bases, receive_both


def encoder_digest(kind: str, settings: Mapping[str, object], tensors: Mapping[str, Tensor]) -> str:
    """16 hex digits over the kind of an encoder, its settings and every tensor."""
    settings_json = json.dumps([kind, settings], sort_keys=True)
    return tensors_digest(hashlib.sha256(settings_json.encode()), tensors)


def tensors_digest(digest: Any, tensors: Mapping[str, Tensor]) -> str:
    """First 16 hex digits of a hash that every tensor has been added to."""
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        raw: Any = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8)
        digest.update(raw.numpy())
    return str(digest.hexdigest()[:16])


def slug(path: Path) -> str:
    """The last part of a path in small letters, digits and underscores."""
    name = re.sub(r"[^a-z0-9]+", "_", path.resolve().name.lower()).strip("_")
    return name[:_LONGEST].strip("_") or "unnamed"

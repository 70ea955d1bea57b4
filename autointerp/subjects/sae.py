"""Latents of SAEs and transcoders, loaded from SAELens folders and encoded here."""

from __future__ import annotations

import math
import os.path
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor

from autointerp.core.errors import InputError
from autointerp.core.files import git_pointer
from autointerp.core.ids import HookPoint
from autointerp.core.places import is_folder
from autointerp.subjects.encoders import EncoderHead, encoder_digest, slug
from autointerp.subjects.sae_config import SaeConfig, read_sae_config

_WEIGHTS = "sae_weights.safetensors"
_PICKLED = ("*.pt", "*.pth", "*.bin", "*.pkl", "*.ckpt")
# Present in some folders; none of them changes a latent.
_WITHOUT_EFFECT = frozenset({"W_skip", "scaling_factor", "finetuning_scaling_factor"})

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class SparseEncoder:
    """An SAE or a transcoder: its encoder, and the rows that its latents write."""

    name: str
    """Last part of the derived hook point."""
    config: SaeConfig
    """What decides the latents, beside the tensors."""
    tensors: Tensors
    """By SAELens name; ``decoder_norm`` holds the norms of the rows of ``W_dec``, which itself
    stays in its file, on the CPU, until rows of it are asked for."""
    digest: str
    """16 hex digits over configuration and all tensors but ``W_dec``."""

    @property
    def hook(self) -> str:
        """The hook point that is read."""
        return self.config.hook_name

    @property
    def d_in(self) -> int:
        """Width of that hook point; hook_z is read flat, heads first."""
        return self.config.d_in

    @property
    def n_units(self) -> int:
        """Number of latents."""
        return self.config.d_sae

    @property
    def two_sided(self) -> bool:
        """False: latents are never negative."""
        return False

    @property
    def without_bos(self) -> bool:
        """Whether its cfg.json asks for text without BOS."""
        return self.config.without_bos

    def encode(
        self, activations: Float[Tensor, "batch pos d_model"]
    ) -> Float[Tensor, "batch pos unit"]:
        """Latents, in the dtype of the tensors; NaN where an activation or its norm is."""
        inputs = _normalized(activations.to(self.tensors["W_enc"].dtype), self.config)
        if self.config.apply_b_dec_to_input:
            inputs = inputs - self.tensors["b_dec"]
        return _LATENTS[self.config.kind](inputs @ self.tensors["W_enc"], self.tensors, self.config)

    def scale(self, activations: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch one"]:
        """What decoder rows are multiplied by to stand beside the activations; 1 for most SAEs."""
        return _scale(activations, self.config)

    def to(self, device: torch.device, dtype: torch.dtype) -> SparseEncoder:
        """The same on a device and in a floating dtype."""
        moved = {
            name: tensor if name == "W_dec" else tensor.to(device, dtype)
            for name, tensor in self.tensors.items()
        }
        return replace(self, tensors=moved)

    @property
    def writes_to(self) -> str:
        """The hook point that latents write to."""
        mlp_out = f"blocks.{HookPoint(self.hook).layer}.hook_mlp_out"
        return (self.config.hook_name_out or mlp_out) if self.config.transcoder else self.hook

    def decoder_rows(self, indices: Sequence[int]) -> Float[Tensor, "unit d_model"]:
        """What a latent of value 1 adds there, float32 on the CPU.

        Where activations are normalized before they are encoded, in units of those.

        Raises:
            InputError: it holds no decoder, or one that is not finite.
        """
        decoder = self.tensors.get("W_dec")
        if decoder is None:
            raise InputError(
                f"{self.name} was loaded without its decoder W_dec, so what its latents write is "
                "not known; leave out what steers them or reads their logit effects"
            )
        chosen = torch.as_tensor(indices)
        rows = decoder.index_select(0, chosen.to(decoder.device)).cpu().to(torch.float32)
        finite = torch.isfinite(rows).all(dim=1)
        if not bool(finite.all()):
            row = indices[int((~finite).nonzero()[0])]
            msg = f"W_dec of {self.name} holds NaN or infinity in the row {row}; download it again"
            raise InputError(msg)
        if "decoder_norm" in self.tensors:
            rows = rows / self.tensors["decoder_norm"].cpu()[chosen][:, None].clamp_min(1e-30)
        return rows


def _scale(inputs: Tensor, config: SaeConfig) -> Tensor:
    """The length by which activations are divided before they are encoded."""
    if config.normalize_activations == "constant_norm_rescale":
        norms: Tensor = torch.linalg.vector_norm(inputs, dim=-1, keepdim=True)
        return norms / math.sqrt(config.d_in)
    if config.normalize_activations == "layer_norm":
        return inputs.std(dim=-1, keepdim=True) + 1e-5
    return torch.ones_like(inputs[..., :1])


def _normalized(inputs: Tensor, config: SaeConfig) -> Tensor:
    if config.normalize_activations == "constant_norm_rescale":
        norms = torch.linalg.vector_norm(inputs, dim=-1, keepdim=True)
        return inputs.mul(math.sqrt(config.d_in)).div(norms)
    if config.normalize_activations == "layer_norm":
        centred = inputs - inputs.mean(dim=-1, keepdim=True)
        return centred / (centred.std(dim=-1, keepdim=True) + 1e-5)
    return inputs


# Each takes x @ W_enc and may overwrite it. Masks name what is cut and not what is kept, so that
# NaN comes through and is refused by whoever reads it.


def _standard(projected: Tensor, tensors: Tensors, _config: SaeConfig) -> Tensor:
    return projected.add_(tensors["b_enc"]).relu_()


def _jump_relu(projected: Tensor, tensors: Tensors, _config: SaeConfig) -> Tensor:
    pre = projected.add_(tensors["b_enc"])
    return pre.masked_fill_(pre <= tensors["threshold"], 0.0).relu_()


def _top_k(projected: Tensor, tensors: Tensors, config: SaeConfig) -> Tensor:
    # Latents that tie with the k-th largest all stay, whatever their place: which of them
    # torch.topk would pick differs between devices.
    pre = projected.add_(tensors["b_enc"])
    if "decoder_norm" in tensors:
        pre = pre.mul_(tensors["decoder_norm"])
    smallest_kept = pre.topk(config.k or 0, dim=-1).values[..., -1:]
    return pre.masked_fill_(pre < smallest_kept, 0.0).relu_()


def _gated(projected: Tensor, tensors: Tensors, _config: SaeConfig) -> Tensor:
    closed = projected + tensors["b_gate"] <= 0
    magnitudes = projected.mul_(tensors["r_mag"].exp()).add_(tensors["b_mag"])
    return magnitudes.relu_().masked_fill_(closed, 0.0)


_LATENTS: dict[str, Callable[[Tensor, Tensors, SaeConfig], Tensor]] = {
    "standard": _standard,
    "topk": _top_k,
    "jumprelu": _jump_relu,
    "gated": _gated,
}
_OF_KIND = {
    "standard": ("b_enc",),
    "topk": ("b_enc",),
    "jumprelu": ("b_enc", "threshold"),
    "gated": ("b_gate", "b_mag", "r_mag"),
}


def load_sae(folder: Path, *, hook: str | None = None) -> SparseEncoder:
    """An SAE or transcoder in a SAELens folder, its encoder in float32 on the CPU.

    Standard, top-k, jump-ReLU and gated SAEs, and transcoders (jump-ReLU and skip too), in the
    layout of `cfg.json` and `sae_weights.safetensors`. A latent whose pre-activation is equal to
    its jump-ReLU threshold is silent; latents that tie for the k-th place are all active. A hook
    point that is given is read in place of what cfg.json says.

    Raises:
        InputError: not such a folder, pickled weights alone, an architecture or setting that is
            not done here exactly, tensors that are missing, of another shape or not finite.
    """
    folder, config = _configured(folder, hook)
    tensors = _load_tensors(_weights_file(folder), config)
    kind = "transcoder" if config.transcoder else "sae"
    deciding = {name: tensor for name, tensor in tensors.items() if name != "W_dec"}
    digest = encoder_digest(kind, config.settings, deciding)
    return SparseEncoder(_name(folder, config), config, tensors, digest)


def read_sae_head(folder: Path, *, hook: str | None = None) -> EncoderHead:
    """What an SAE or transcoder reads and how many latents it has; no tensor is read.

    Raises:
        InputError: as `load_sae`, as far as it can be told without the tensors.
    """
    folder, config = _configured(folder, hook)
    with _weights(_weights_file(folder)) as file:
        _check_shapes(_weights_file(folder), config, _shapes_in(file))
    return EncoderHead(_name(folder, config), config.hook_name, config.d_in, config.d_sae)


def _configured(folder: Path, hook: str | None) -> tuple[Path, SaeConfig]:
    folder = Path(os.path.expanduser(folder))
    if not is_folder(folder):
        raise InputError(f"{folder} is not an SAE folder; name one with cfg.json and {_WEIGHTS}")
    return folder, read_sae_config(folder, hook=hook)


def _name(folder: Path, config: SaeConfig) -> str:
    return f"{'transcoder' if config.transcoder else 'sae'}_{slug(folder)}"


@contextmanager
def _weights(path: Path) -> Iterator[Any]:
    """The file with the tensors, opened."""
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (OSError, SafetensorError) as error:
        damage = f"{path} is not a complete safetensors file ({error}); download the SAE again"
        left = git_pointer(path)
        raise InputError(damage if left is None else f"{path.parent}: {left}") from error


def _shapes_in(file: Any) -> dict[str, tuple[int, ...]]:
    return {name: tuple(file.get_slice(name).get_shape()) for name in set(file.keys())}


def _weights_file(folder: Path) -> Path:
    path = folder / _WEIGHTS
    if path.is_file():
        return path
    pickled = sorted(result.name for pattern in _PICKLED for result in folder.glob(pattern))
    if pickled:
        raise InputError(
            f"{folder} has its weights in {pickled[0]} alone, and pickled files, which can run "
            f"any code, are never opened; save them as {_WEIGHTS}"
        )
    raise InputError(f"{folder} has no {_WEIGHTS}; download the SAE again")


def _load_tensors(path: Path, config: SaeConfig) -> dict[str, Tensor]:
    with _weights(path) as file:
        _check_shapes(path, config, _shapes_in(file))
        needed = ["W_enc", *_OF_KIND[config.kind]]
        if config.apply_b_dec_to_input:
            needed.append("b_dec")
        tensors = {name: _read(path, name, file) for name in needed}
        if config.kind == "topk" and config.rescale_acts_by_decoder_norm:
            tensors["decoder_norm"] = _read(path, "W_dec", file).norm(dim=-1)
        # Mapped, not read: large, and of no use but to what steers latents.
        tensors["W_dec"] = file.get_tensor("W_dec")
    return tensors


def _check_shapes(path: Path, config: SaeConfig, shapes: Mapping[str, tuple[int, ...]]) -> None:
    d_in, d_sae = config.d_in, config.d_sae
    d_out = config.d_out if config.transcoder and config.d_out else d_in
    expected: dict[str, tuple[int, ...]] = {"W_enc": (d_in, d_sae), "W_dec": (d_sae, d_out)}
    expected |= dict.fromkeys(_OF_KIND[config.kind], (d_sae,)) | {"b_dec": (d_out,)}
    missing = sorted(expected.keys() - shapes.keys())
    if missing:
        raise InputError(
            f"{path} lacks {', '.join(missing)}, which a {config.architecture} SAE has; it holds "
            f"{', '.join(sorted(shapes)) or 'nothing'}; download it again or fix cfg.json"
        )
    for name, shape in expected.items():
        if shapes[name] != shape:
            raise InputError(
                f"{path}: {name} has the shape {shapes[name]}, but by cfg.json (d_in={d_in}, "
                f"d_sae={d_sae}) it should be {shape}; download it again or fix cfg.json"
            )
    surplus = sorted(shapes.keys() - expected.keys() - _WITHOUT_EFFECT)
    if surplus:
        raise InputError(
            f"{path} holds {', '.join(surplus)}, for which a {config.architecture} SAE has no "
            "use; is the architecture in cfg.json right?"
        )


def _read(path: Path, name: str, file: Any) -> Tensor:
    stored: Tensor = file.get_tensor(name)
    if not stored.is_floating_point() or stored.itemsize < 2:
        kind = str(stored.dtype).removeprefix("torch.")
        raise InputError(
            f"{path}: {name} is quantized ({kind}), which is not unpacked here; save it in float32"
        )
    tensor = stored.to(torch.float32)
    if not bool(torch.isfinite(tensor).all()):
        raise InputError(f"{path}: {name} holds NaN or infinity; download the SAE again")
    return tensor

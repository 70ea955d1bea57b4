"""The cfg.json of a SAELens folder, in the layouts of before and since its version 6."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autointerp.core.errors import InputError
from autointerp.core.files import read_file
from autointerp.core.ids import HookPoint
from autointerp.core.json_text import parse_json

Normalization = Literal["none", "constant_norm_rescale", "layer_norm"]

# The kind of encoder behind each name; a skip connection passes latents by.
ARCHITECTURES = {
    "standard": "standard",
    "topk": "topk",
    "jumprelu": "jumprelu",
    "gated": "gated",
    "transcoder": "standard",
    "skip_transcoder": "standard",
    "jumprelu_transcoder": "jumprelu",
    "jumprelu_skip_transcoder": "jumprelu",
}
_RENAMED = {
    "hook_point": "hook_name",
    "hook_point_head_index": "hook_head_index",
    "activation_fn_str": "activation_fn",
}
_CROSS_LAYER = re.compile(r"(?<![a-z])clts?(?![a-z])|cross[-_ ]?layer")
# What leaves a block, where an SAE was trained on a Hugging Face model: model.layers.5
_MODULE_OF_BLOCK = re.compile(r"(?:\w+\.)*(?:layers|h|blocks)\.([0-9]+)")
_OUTPUT_HOOKS = ("hook_name_out", "hook_names_out", "feature_output_hook", "hook_point_out")
# Changes to a model's weights that show in what is read at a hook point.
_PROCESSING = ("center_writing_weights", "fold_value_biases", "refactor_factored_attn_matrices")
_NORMALIZATIONS = ("none", "constant_norm_rescale", "layer_norm")
_NOT_SUPPORTED = {
    "expected_average_only_in": (
        "its scaling factor is not in the folder; multiply it into the weights with sae-lens' "
        "fold_activation_norm_scaling_factor and save again"
    ),
    "covariance_whitening": (
        "its whitening matrix is not in the folder; multiply it into the weights with sae-lens' "
        "fold_activation_whitening and save again"
    ),
}


_TOLD_ONLY = {"hook_name_out", "model_name", "context_size", "stated_hook"}


class SaeConfig(BaseModel):
    """What decides the latents; keys that serve training alone are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    architecture: str
    hook_name: str
    d_in: int = Field(gt=0)
    d_sae: int = Field(gt=0)
    d_out: int | None = None
    """Width of what a transcoder writes; None for an SAE."""
    hook_name_out: str | None = None
    """The hook point that a transcoder writes to, where that is said."""
    apply_b_dec_to_input: bool = True
    normalize_activations: Normalization = "none"
    reshape_activations: Literal["none", "hook_z"] = "none"
    k: int | None = None
    """Latents that stay active, top-k only."""
    rescale_acts_by_decoder_norm: bool = False
    prepend_bos: bool | None = None
    """Whether it was trained on text with BOS in front; None where that is not said."""
    model_name: str | None = None
    """The model that it was trained on, where that is said."""
    context_size: int | None = None
    """Tokens of the contexts that it was trained on, BOS among them."""
    stated_hook: str | None = None
    """The hook point that its cfg.json names, where another is read."""

    @property
    def without_bos(self) -> bool:
        """Whether what it reads must have no BOS in front."""
        return self.prepend_bos is False

    @property
    def settings(self) -> dict[str, Any]:
        """What goes into the encoder's digest: BOS only where the model's own use is not meant."""
        kept = set() if self.without_bos else {"prepend_bos"}
        return self.model_dump(mode="json", exclude=_TOLD_ONLY | kept)

    @property
    def transcoder(self) -> bool:
        """Whether it writes at another hook point than it reads."""
        return self.architecture.endswith("transcoder")

    @property
    def kind(self) -> str:
        """``standard``, ``topk``, ``jumprelu`` or ``gated``."""
        return ARCHITECTURES[self.architecture]


def _text(path: Path) -> bytes:
    data = read_file(path)
    if data is None:
        raise FileNotFoundError(path)
    return data


def read_sae_config(folder: Path, *, hook: str | None = None) -> SaeConfig:
    """What the cfg.json of a folder says; a hook point that is given counts in its place.

    Raises:
        InputError: there is none, it is damaged, or it asks for what is not done here exactly.
    """
    path = folder / "cfg.json"
    try:
        written = parse_json(_text(path))
    except FileNotFoundError as error:
        if any(folder.glob("W_enc_*.safetensors")) or _names_cross_layer(folder / "config.yaml"):
            refuse_cross_layer(str(folder))
        raise InputError(_without_config(folder)) from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); download the SAE again") from error
    if not isinstance(written, dict):
        raise InputError(f"{path} does not hold a JSON object; download the SAE again")
    flat = _flat(written)
    if hook is not None:
        stated = flat.get("hook_name")
        flat |= {"hook_name": hook, "stated_hook": None if stated == hook else _named(stated)}
    _refuse(path, flat)
    try:
        config = SaeConfig.model_validate(flat)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if where == "hook_name" and where not in flat:
            raise InputError(
                f"{path} does not say at which hook point the SAE reads; name it behind the "
                f"folder: {folder}@blocks.5.hook_resid_post"
            ) from error
        if where not in flat:
            layout = "a SAELens folder has it; SAEs of other libraries are not read"
            raise InputError(f"{path} does not say its {where}; {layout}") from error
        msg = f"{path}: {where} is {flat[where]!r} ({first['msg'].lower()}); fix it"
        raise InputError(msg) from error
    _refuse_contradictions(path, config)
    return config


def _without_config(folder: Path) -> str:
    """What to say of a folder without cfg.json: which SAEs are below it, or what else it holds."""
    lack = f"{folder} is not a SAELens folder: it has no cfg.json beside sae_weights.safetensors"
    inside = sorted(path.parent for path in folder.glob("*/**/cfg.json"))
    if inside:
        return f"{lack}; name one of the {len(inside)} below it, for example {inside[0]}"
    files = sorted(path.name for path in folder.iterdir() if path.is_file())[:5]
    if not files:
        return lack
    how = "SAEs of other libraries are read by the name of their release (sae:RELEASE/ID)"
    return f"{lack}, only {', '.join(files)}; {how}"


def is_cross_layer(name: str) -> bool:
    """Whether a name or a kind says that it is a cross-layer transcoder."""
    return _CROSS_LAYER.search(name.lower()) is not None


def refuse_cross_layer(name: str) -> NoReturn:
    """Refuses a cross-layer transcoder.

    Raises:
        InputError: always.
    """
    raise InputError(
        f"{name} is a cross-layer transcoder (CLT): its latents write to several layers, which is "
        "not supported; use a transcoder of one layer, or an SAE"
    )


def _names_cross_layer(path: Path) -> bool:
    return is_cross_layer((read_file(path) or b"").decode("utf-8", "replace"))


def _flat(written: dict[str, Any]) -> dict[str, Any]:
    merged = {**_mapping(written.get("metadata")), **written}
    flat = {_RENAMED.get(key, key): value for key, value in merged.items()}
    flat["architecture"] = str(flat.get("architecture", "standard"))
    # Before version 6, top-k was an activation function of the standard architecture.
    if flat["architecture"] == "standard" and flat.get("activation_fn") == "topk":
        flat["architecture"] = "topk"
        flat["k"] = _mapping(flat.get("activation_fn_kwargs")).get("k")
    normalize = flat.get("normalize_activations") or "none"
    # Before there were several, it was on or off.
    normalize = "expected_average_only_in" if normalize is True else str(normalize)
    flat["normalize_activations"] = normalize
    if flat["architecture"].endswith("transcoder"):
        flat.setdefault("apply_b_dec_to_input", False)
        named = (flat.get(name) for name in _OUTPUT_HOOKS)
        flat["hook_name_out"] = next((name for name in named if name), None)
    else:
        flat.pop("hook_name_out", None)
    if match := _MODULE_OF_BLOCK.fullmatch(str(flat.get("hook_name"))):
        flat["hook_name"] = f"blocks.{int(match[1])}.hook_resid_post"
    if flat.get("reshape_activations") is None:
        flat.pop("reshape_activations", None)
    # These are told and decide nothing, so no value of theirs is refused.
    size = flat.get("context_size")
    flat["context_size"] = size if type(size) is int and size > 0 else None
    flat["model_name"] = _named(flat.get("model_name"))
    flat.pop("stated_hook", None)
    return flat


def _named(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _refuse(path: Path, flat: dict[str, Any]) -> None:
    kinds = (flat["architecture"], flat.get("model_kind"), flat.get("feature_type"))
    several = any(isinstance(flat.get(name), list) for name in _OUTPUT_HOOKS)
    if several or any(is_cross_layer(str(kind)) for kind in kinds):
        refuse_cross_layer(str(path.parent))
    if flat["architecture"] not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        training = flat["architecture"].endswith("batchtopk")
        how = "save it with sae-lens' save_inference_model, as" if training else "use"
        raise InputError(
            f"{path}: architecture {flat['architecture']!r} is not supported; {how} one of {known}"
        )
    if flat.get("activation_fn", "relu") not in ("relu", "topk"):
        msg = f"{path}: activation_fn {flat['activation_fn']!r} is not supported; use relu or topk"
        raise InputError(msg)
    normalize = flat["normalize_activations"]
    if normalize not in _NORMALIZATIONS:
        why = _NOT_SUPPORTED.get(normalize, f"use one of {', '.join(_NORMALIZATIONS)}")
        raise InputError(f"{path}: normalize_activations {normalize!r} is not supported: {why}")
    if flat.get("hook_head_index") is not None:
        raise InputError(
            f"{path}: it reads head {flat['hook_head_index']} alone (hook_head_index), which is "
            "not supported; use an SAE of all heads of hook_z"
        )
    processed = _mapping(flat.get("model_from_pretrained_kwargs"))
    changed = [name for name in _PROCESSING if processed.get(name)]
    if changed:
        raise InputError(
            f"{path}: it was trained on a model loaded with {changed[0]}=True, whose activations "
            "differ; load the model so, wrap it with wrap_subject and remove that key from cfg.json"
        )


def _refuse_contradictions(path: Path, config: SaeConfig) -> None:
    try:
        HookPoint(config.hook_name)
        if config.hook_name_out is not None:
            HookPoint(config.hook_name_out)
    except InputError as error:
        raise InputError(f"{path}: hook_name {error}") from error
    if config.reshape_activations == "hook_z" and not config.hook_name.endswith("hook_z"):
        msg = f"{path}: it reshapes hook_z, but hook_name is {config.hook_name}; fix one of them"
        raise InputError(msg)
    if config.kind == "topk" and not 1 <= (config.k or 0) <= config.d_sae:
        msg = f"{path}: a topk SAE needs k from 1 to d_sae={config.d_sae}, but k is {config.k}"
        raise InputError(msg)
    if config.transcoder and (config.d_out is None or config.apply_b_dec_to_input):
        msg = f"{path}: a transcoder needs d_out, and apply_b_dec_to_input false; fix cfg.json"
        raise InputError(msg)

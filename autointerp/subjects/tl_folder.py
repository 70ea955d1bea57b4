"""Models in TransformerLens' own layout: its config.json beside weights in a ``.pth`` file.

Neel Nanda's toy models (SoLU, GELU, attention only) and their relatives are published so, with
training checkpoints as ``checkpoints/*_LABEL.pth``; safetensors are read too.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from huggingface_hub import HfApi, snapshot_download

from autointerp.core.errors import AutointerpError, InputError
from autointerp.core.files import read_file
from autointerp.core.json_text import parse_json
from autointerp.subjects.tl_weights import converted_weights, put_weights, read_weights
from autointerp.subjects.tokenizer_files import tokenizer_fault

_FAMILIES = ("NeelNanda/", "ArthurConmy/", "Baidicoot/")
_FILES = ("*final.pth", "*final.safetensors", "model.pth", "model.safetensors")
_TOKENIZER_FILES = (
    "tokenizer*",
    "*vocab*",
    "merges.txt",
    "special_tokens_map.json",
    "added_*.json",
)
_LABELLED = re.compile(r".*_(\d+)\.pth")
_SIZES = ("d_model", "n_layers", "n_heads", "d_head", "n_ctx", "d_vocab", "d_mlp")
_NEEDED = (*_SIZES[:-1], "act_fn")
_PASSED = (
    *_NEEDED, "d_mlp", "attn_only", "final_rms", "eps", "gated_mlp", "n_key_value_heads",
    "rotary_dim", "rotary_base", "use_attn_scale", "attn_scale", "tokenizer_name",
    "attn_scores_soft_cap", "output_logits_soft_cap",
)  # fmt: skip
_NOT_DONE = {
    "use_local_attn": "attention to a window of its own (use_local_attn)",
    "scale_attn_by_inverse_layer_idx": "attention scaled by the layer's number",
    "use_normalization_before_and_after": "norms behind each part of a block",
    "use_qk_norm": "norms of queries and keys (use_qk_norm)",
    "post_embedding_ln": "a norm behind the embedding (post_embedding_ln)",
    "use_NTK_by_parts_rope": "rotary positions scaled by parts (use_NTK_by_parts_rope)",
    "num_experts": "a mixture of experts (num_experts)",
    "parallel_attn_mlp": "attention and MLP in parallel",
}
"""Settings that TransformerLens' own models pass over, with what they would change."""
_NORMS = (None, "LN", "LNPre", "RMS", "RMSPre")


def legacy_name(name: str) -> tuple[str, str | None] | None:
    """(repository, checkpoint's label) that a name such as ``solu-1l@1000`` stands for.

    None where it is not a model of these families.
    """
    known, _, label = name.partition("@")
    try:
        from transformer_lens.tools.model_registry import registry_io  # noqa: PLC0415 - slow
    except ImportError:
        return None
    # TransformerLens 3 knows no short names here; repositories are named in full there.
    resolve = getattr(registry_io, "resolve_model_alias", None)
    repository = (resolve(known) if resolve is not None else None) or known
    return (repository, label or None) if repository.startswith(_FAMILIES) else None


def fetch_legacy(name: str, repository: str, label: str | None) -> Path:
    """The folder of a repository with what one model needs, downloaded where it is not here.

    Raises:
        InputError: it cannot be had, or has no such checkpoint.
    """
    weights = list(_FILES) if label is None else [f"checkpoints/*_{label}.pth"]
    patterns = ["config.json", *_TOKENIZER_FILES, *weights]
    try:
        if label is not None:
            files = HfApi().list_repo_files(repository)
            _checkpoint([Path(file) for file in files], repository, label)
        return Path(snapshot_download(repository, allow_patterns=patterns))
    except (OSError, ValueError) as error:
        why = str(error).strip().split("\n")[0]
        msg = f"{name} is {repository} on the Hugging Face hub, which cannot be reached: {why}"
        raise InputError(msg) from error


def is_tl_folder(folder: Path) -> bool:
    """Whether the config.json of a folder is TransformerLens' and not transformers'."""
    try:
        config = _read_config(folder)
    except AutointerpError:
        return False
    return "model_type" not in config and {"d_model", "n_layers"} <= config.keys()


def load_tl_folder(folder: Path, *, label: str | None, dtype: torch.dtype) -> tuple[Any, Any]:
    """(TransformerBridge, tokenizer) of a folder, at its end of training or at a checkpoint.

    Raises:
        InputError: what the folder holds is incomplete, damaged, or not known here.
    """
    written = _checked(folder, _read_config(folder))
    config = _bridge_config(folder, written)
    from transformer_lens.model_bridge.sources import tl_legacy  # noqa: PLC0415 - slow

    path = _weights_file(folder, label)
    try:
        tensors = converted_weights(read_weights(path), written, config, tl_legacy)
        bridge = _native(config, folder, dtype)
        put_weights({name: t.to(dtype) for name, t in tensors.items()}, bridge, path)
    except (KeyError, RuntimeError, ValueError, TypeError) as error:
        why = " ".join(str(error).split())[:300]
        raise InputError(f"the model in {folder} cannot be loaded: {why}") from error
    return bridge, _tokenizer(folder, written)


def unloaded_tl_folder(folder: Path) -> Any:
    """The TransformerBridge of a folder before its weights are put into it.

    Raises:
        InputError: its configuration is incomplete, damaged, or not known here.
    """
    config = _bridge_config(folder, _checked(folder, _read_config(folder)))
    return _native(config, folder, torch.float32)


def _native(config: Any, folder: Path, dtype: torch.dtype) -> Any:
    from transformer_lens.model_bridge import TransformerBridge  # noqa: PLC0415 - slow

    return TransformerBridge.boot_native(config, dtype=dtype, model_name=folder.name)


def _bridge_config(folder: Path, written: Mapping[str, Any]) -> Any:
    try:
        from transformer_lens.config import TransformerBridgeConfig  # noqa: PLC0415 - slow
        from transformer_lens.model_bridge.sources import tl_legacy  # noqa: F401, PLC0415
    except ImportError as error:
        msg = f"{folder} is in TransformerLens' layout, which needs transformer-lens 4 or newer"
        raise InputError(msg) from error
    settings = {name: written[name] for name in _PASSED if written.get(name) is not None}
    return TransformerBridgeConfig(
        **settings,
        normalization_type=written.get("normalization", written.get("normalization_type")),
        positional_embedding_type=written.get("positional_embedding_type") or "standard",
        architecture="TransformerLensNative",
        init_weights=False,
    )


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = parse_json(read_file(folder / "config.json") or b"")
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / 'config.json'} cannot be read: {error}") from error
    return config if isinstance(config, dict) else {}


def _checked(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    missing = [name for name in _NEEDED if name not in config]
    if missing:
        raise InputError(f"{folder / 'config.json'} lacks {', '.join(missing)}; copy it again")
    for name in _SIZES:
        if not isinstance(config.get(name), int | None):
            raise InputError(
                f"{folder / 'config.json'} has {config[name]!r} as {name}, which should be a whole "
                "number; copy it again"
            )
    positions = config.get("positional_embedding_type") or "standard"
    norm = config.get("normalization", config.get("normalization_type"))
    shortformer = config.get("shortformer_pos") or positions == "shortformer"
    unknown = {
        "shortformer positions": shortformer,
        f"{positions} positions": positions not in ("standard", "rotary", "shortformer"),
        "attention in both directions": config.get("attention_dir", "causal") != "causal",
        f"norms of the kind {norm}": norm not in _NORMS,
        **{what: config.get(name) for name, what in _NOT_DONE.items()},
    }
    unsupported = [what for what, is_there in unknown.items() if is_there]
    if unsupported:
        raise InputError(f"the model in {folder} has {unsupported[0]}, which is not supported here")
    return config


def _weights_file(folder: Path, label: str | None) -> Path:
    if label is not None:
        return _checkpoint(sorted(folder.glob("checkpoints/*.pth")), str(folder), label)
    files = [path for pattern in _FILES for path in sorted(folder.glob(pattern))]
    alone = [p for kind in ("*.pth", "*.pt", "*.safetensors") for p in sorted(folder.glob(kind))]
    if files or len(alone) == 1:
        return (files or alone)[0]
    raise InputError(
        f"{folder} has no weights; one of {', '.join(_FILES)} belongs beside config.json"
    )


def _checkpoint(files: list[Path], where: str, label: str) -> Path:
    labels = {match[1]: path for path in files if (match := _LABELLED.fullmatch(str(path)))}
    if label not in labels:
        known = ", ".join(sorted(labels, key=int)) or "none"
        shown = known if len(known) <= 200 else f"{known[:100]} ... {known[-60:]}"
        raise InputError(f"{where} has no checkpoint {label}; it has {shown}")
    return labels[label]


def _tokenizer(folder: Path, written: Mapping[str, Any]) -> Any:
    from transformers import AutoTokenizer, PreTrainedTokenizerFast  # noqa: PLC0415 - slow to import

    own = [path for kind in _TOKENIZER_FILES for path in folder.glob(kind)]
    name = str(folder) if own else written.get("tokenizer_name")
    if not name:
        raise InputError(
            f"{folder} has no tokenizer and names none as tokenizer_name; put one there"
        )
    try:
        if not own:
            return AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        with TemporaryDirectory() as apart:
            # Beside a config.json that is not its own, transformers reads that too.
            for path in own:
                shutil.copy(path, apart)
            if not (folder / "tokenizer_config.json").is_file():
                return PreTrainedTokenizerFast(tokenizer_file=str(Path(apart) / "tokenizer.json"))
            return AutoTokenizer.from_pretrained(apart, trust_remote_code=False)
    except Exception as error:  # noqa: BLE001 - tokenizers raises nothing more special
        raise InputError(tokenizer_fault(folder if own else name, error)) from error

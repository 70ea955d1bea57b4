"""The shape of a model that lies in a folder or a file; its weights are not read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autointerp.core.errors import AutointerpError, InputError
from autointerp.core.files import read_file
from autointerp.core.json_text import parse_json
from autointerp.core.model_shape import ModelShape, shape_of_config
from autointerp.core.places import holds
from autointerp.subjects.gguf import gguf_values, open_gguf
from autointerp.subjects.model_files import CONFIG

_OF_GGUF = {
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "max_position_embeddings": "context_length",
    "num_experts": "expert_count",
}


def shape_in(path: Path) -> ModelShape:
    """The shape of the model in a folder with a ``config.json``, or in a ``.gguf`` file.

    Raises:
        InputError: there is none, or it does not tell the sizes.
    """
    if path.suffix == ".gguf":
        return shape_of_config(path.stem, _gguf_config(path))
    file = path / CONFIG
    if not holds(path, CONFIG):
        raise InputError(
            f"{path} is not the folder of a model: it has no {CONFIG}; name a folder that has one, "
            "a .gguf file or a known model"
        )
    try:
        config = parse_json(read_file(file) or b"")
    except (AutointerpError, ValueError) as error:
        raise InputError(f"{file} cannot be read as JSON; download it again") from error
    if not isinstance(config, dict):
        raise InputError(f"{file} holds no JSON object; download it again")
    return shape_of_config(path.name or path.resolve().name, config)


def _gguf_config(path: Path) -> dict[str, Any]:
    """What the head of the file says, in the words of a ``config.json``."""
    reader = open_gguf(path)
    kind = str(gguf_values(path, reader, ["general.architecture"]).get("general.architecture", ""))
    found = gguf_values(path, reader, [f"{kind}.{theirs}" for theirs in _OF_GGUF.values()])
    # Where layers differ, a field is a list, which is told as no size.
    config = {
        ours: found[f"{kind}.{theirs}"]
        for ours, theirs in _OF_GGUF.items()
        if f"{kind}.{theirs}" in found
    }
    names = {tensor.name: tensor for tensor in reader.tensors}
    embedding = names.get("token_embd.weight")
    return config | {
        "model_type": kind,
        "vocab_size": None if embedding is None else int(embedding.shape[-1]),
        "gated_mlp": any(name.endswith("ffn_gate.weight") for name in names),
        "tie_word_embeddings": "output.weight" not in names,
    }

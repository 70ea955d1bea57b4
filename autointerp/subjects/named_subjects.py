"""Names that are refused as a subject: other files, adapters, addresses, packed weights."""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import safe_open
from transformers.quantizers import AutoHfQuantizer
from transformers.utils.hub import cached_file

from autointerp.core.errors import AutointerpError, InputError
from autointerp.core.files import read_file
from autointerp.core.json_text import parse_json
from autointerp.core.one_line import shortened
from autointerp.subjects.model_files import weight_files

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://|(www\.)?huggingface\.co/", re.IGNORECASE)
_ON_THE_HUB = re.compile(
    r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/(?P<name>[\w.-]+(?:/[\w.-]+)?)",
    re.IGNORECASE,
)
_PACKED = re.compile(r"[IU](4|8)|F(4|6|8)_.*")
_WEIGHT_FILES = ("model.safetensors", "model.safetensors.index.json")


def refuse_what_is_no_model_name(name: str) -> None:
    """Nothing, when the name may be that of a model: on the hub, a folder or a ``.gguf`` file.

    Raises:
        InputError: it is an address, another file, or the folder of an adapter.
    """
    if not name.strip():
        raise InputError("no subject was named; name a model of the hub, a folder or a .gguf file")
    if _ADDRESS.match(name):
        match = _ON_THE_HUB.match(name)
        how = f"write the model's name, {match['name']}" if match else _DOWNLOAD
        raise InputError(f"{name} is an address; {how}")
    path = _path_of(name)
    if path.is_file() and path.suffix != ".gguf":
        raise InputError(
            f"{path} is a file; name the folder of the model, {path.parent}, or a .gguf file"
        )
    described = path / "adapter_config.json"
    whole = (path / "config.json").is_file()
    if whole and described.is_file() and any(path.glob("adapter_model.*")):
        raise InputError(
            f"{path} holds an adapter beside a model, which would be left out; merge the two with "
            "peft's merge_and_unload, or move adapter_config.json away"
        )
    if described.is_file() and not whole:
        kind, base = _adapter(described)
        raise InputError(
            f"{path} is an adapter{kind} of {base}, not a whole model; merge the two with peft's "
            "merge_and_unload and save the result"
        )


def _path_of(name: str) -> Path:
    path = Path(os.path.expanduser(name))
    if str(path).startswith("~"):
        raise InputError(f"subject {shortened(name)}: there is no home folder {path.parts[0]}")
    try:
        path.exists()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"subject {shortened(name)} cannot be looked for: {why.lower()}"
        ) from error
    return path


_DOWNLOAD = "download the model and name its folder"


def _adapter(path: Path) -> tuple[str, str]:
    """The kind of an adapter, in brackets, and the model that it belongs to."""
    try:
        written = parse_json(read_file(path) or b"")
    except (AutointerpError, ValueError):
        written = None
    known = written if isinstance(written, dict) else {}
    kind, base = known.get("peft_type"), known.get("base_model_name_or_path")
    return f" ({kind})" if kind else "", str(base or "another model")


def refuse_packed_weights(name: str, folder: str, config: Any) -> None:
    """Nothing, when weights are stored as ordinary numbers, or as some that transformers unpacks.

    It takes any others for the numbers themselves.

    Raises:
        InputError: they are of 8 bits or fewer, and nothing unpacks them.
    """
    how = getattr(config, "quantization_config", None)
    if how is not None and AutoHfQuantizer.supports_quant_method(how):
        return
    for tensor, dtype in _stored_weights(folder):
        if _PACKED.fullmatch(dtype):
            raise InputError(
                f"the weights of {name} are quantized ({tensor} is {dtype}) and are not unpacked "
                "here; name the model in float32 or bfloat16"
            )


def _stored_weights(folder: str) -> Iterator[tuple[str, str]]:
    """Name and dtype of every weight in the safetensors files of a folder or of the hub's copy."""
    paths = (
        cached_file(
            folder, file, local_files_only=True, _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
        for file in _WEIGHT_FILES
    )  # fmt: skip
    place = next((Path(file).parent for file in paths if file), None)
    for path in weight_files(place) if place else ():
        with safe_open(path, framework="pt") as file:
            for tensor in file.keys():  # noqa: SIM118 - it is not a mapping
                if tensor.endswith("weight"):
                    yield tensor, file.get_slice(tensor).get_dtype()

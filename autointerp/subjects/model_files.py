"""Which file of a model's folder is at fault, where the model cannot be loaded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from transformers import CONFIG_MAPPING

from autointerp.core.errors import AutointerpError, InputError
from autointerp.core.files import MOST_BYTES, git_pointer, read_file
from autointerp.core.json_text import parse_json
from autointerp.subjects.model_facts import first_words

CONFIG, WEIGHTS = "config.json", "model.safetensors"
_INDEX = f"{WEIGHTS}.index.json"
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_READ_WHOLE = (".json", ".txt", ".model", ".jinja", ".tiktoken")
_AGAIN = "download it again"


def fault_of_model(folder: Path) -> str | None:
    """What is wrong with a file of a model; None where that cannot be told by reading them."""
    config = _object_in(folder / CONFIG)
    if isinstance(config, str):
        return config
    if "auto_map" in config and config.get("model_type") not in CONFIG_MAPPING:
        kind = config.get("model_type")
        return (
            f"its kind, {kind}, is code of its own (auto_map in {CONFIG}), and no code of a model "
            "is ever run; take a model whose kind transformers knows"
        )
    if (folder / WEIGHTS).is_file() or not (folder / _INDEX).is_file():
        return _fault_of_weights([folder / WEIGHTS], folder)
    index = _object_in(folder / _INDEX)
    if isinstance(index, str):
        return index
    parts = index.get("weight_map")
    if not isinstance(parts, dict):
        return f"{_INDEX} has no weight_map; {_AGAIN}"
    return _fault_of_weights(
        [folder / part for part in sorted(set(map(str, parts.values())))], folder
    )


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of which a model is loaded, and no others that lie beside them.

    They are chosen as transformers does; where it would find none, all are taken.

    Raises:
        InputError: some of those that the index lists are missing.
    """
    if (whole := folder / WEIGHTS).is_file():
        return [whole]
    index = _object_in(folder / _INDEX) if (folder / _INDEX).is_file() else {}
    parts = index.get("weight_map") if isinstance(index, dict) else None
    if isinstance(parts, dict):
        listed = [folder / part for part in sorted(set(map(str, parts.values())))]
        missing = [path for path in listed if not path.is_file()]
        if 0 < len(missing) < len(listed):
            raise InputError(f"{folder}: {_missing(missing[0].name, folder)}")
        if listed and not missing:
            return listed
    return sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("*.safetensors"))


def refuse_huge_texts(folder: Path) -> None:
    """Nothing, where no file beside the weights is larger than those that are read whole.

    Raises:
        InputError: one is.
    """
    for path in sorted(folder.iterdir()):
        if path.suffix in _READ_WHOLE and path.is_file() and path.stat().st_size > MOST_BYTES:
            raise InputError(
                f"the model in {folder} cannot be loaded: {path.name} has more than "
                f"{MOST_BYTES:,} bytes, which no such file has; {_AGAIN}"
            )


def _object_in(path: Path) -> dict[str, Any] | str:
    """The JSON object in a file, or what is wrong with it."""
    try:
        value = parse_json(read_file(path) or b"")
    except (AutointerpError, ValueError) as error:
        return git_pointer(path) or f"{path.name} is not JSON ({first_words(error)}); {_AGAIN}"
    if isinstance(value, dict):
        return value
    return f"{path.name} holds a {type(value).__name__}, not an object; {_AGAIN}"


def _fault_of_weights(paths: Iterable[Path], folder: Path) -> str | None:
    for path in paths:
        if not path.is_file():
            return _missing(path.name, folder)
        try:
            with safe_open(path, framework="pt"):
                pass
        except (OSError, SafetensorError) as error:
            return git_pointer(path) or f"{path.name} is damaged ({first_words(error)}); {_AGAIN}"
    return None


def _missing(name: str, folder: Path) -> str:
    pickled = sorted(path.name for pattern in _PICKLED for path in folder.glob(pattern))
    others = sorted(path.name for path in folder.glob("*.safetensors"))
    if pickled and not others:
        return (
            f"its weights are in {pickled[0]} alone, and pickled files, which can run any code, "
            f"are never opened; save the model again as {WEIGHTS}"
        )
    there = f", only {', '.join(others[:5])}" if others else ""
    return f"it has no {name}{there}; {_AGAIN}"

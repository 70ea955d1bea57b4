"""Tokenizers from files; which file it is that cannot be read."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import AutoTokenizer

from autointerp.core.errors import InputError
from autointerp.core.files import git_pointer, read_file
from autointerp.subjects.model_facts import first_words

_FAST = "tokenizer.json"
_CONFIG = "tokenizer_config.json"
_JSON = (_CONFIG, "special_tokens_map.json", "added_tokens.json", "vocab.json")
_OTHERS = ("tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.txt", "merges.txt")
_VOCABULARIES = {_FAST, "vocab.json", *_OTHERS}


def load_tokenizer(folder: str | Path) -> Any:
    """The Hugging Face tokenizer of a folder, or of a model on the hub.

    Raises:
        InputError: there is none, or it cannot be read; the message names the file.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=isinstance(folder, Path)
        )
        # Some settings are looked at only when a text is read.
        tokenizer.decode(tokenizer.encode("a text", verbose=False))
    except Exception as error:  # noqa: BLE001 - tokenizers raises nothing more special
        raise InputError(tokenizer_fault(folder, error)) from error
    return tokenizer


def tokenizer_fault(folder: str | Path, error: Exception) -> str:
    """What to say of a tokenizer that could not be loaded: the file that is at fault."""
    path = Path(folder)
    if not path.is_dir():
        return f"the tokenizer of {folder} cannot be loaded: {first_words(error)}"
    there = [name for name in (_FAST, *_JSON, *_OTHERS) if (path / name).is_file()]
    faults = [(name, why) for name in there if (why := _fault(path / name))]
    if not faults and _VOCABULARIES.isdisjoint(there):
        return (
            f"the model in {path} cannot be loaded: it has no tokenizer (no {_FAST} or "
            f"{_OTHERS[0]}); copy the model's tokenizer there"
        )
    if (left := next(filter(None, map(git_pointer, map(path.joinpath, there))), None)) is not None:
        return f"the tokenizer in {path} cannot be loaded: {left}"
    if not faults and b'"auto_map"' in (read_file(path / _CONFIG) or b""):
        return (
            f"the tokenizer in {path} cannot be loaded: it is code of its own (auto_map in "
            f"{_CONFIG}), and no code of a model is ever run; save it with a tokenizer.json"
        )
    # A file may be in order by itself and still say what nobody understands.
    all_of_them = f"one of {', '.join(there)}", first_words(error)
    name, why = next(iter(faults), all_of_them)
    ours = f"tokenizers {version('tokenizers')} and transformers {version('transformers')}"
    return (
        f"the tokenizer in {path} cannot be loaded: {name} is damaged, or made by newer versions "
        f"than {ours} ({why})"
    )


def _fault(path: Path) -> str | None:
    """Why a file cannot be read; None where it can, or where only its users could tell."""
    try:
        if path.suffix == ".json":
            content = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(content, dict):
                return f"it holds a {type(content).__name__}, not an object"
        if path.name == _FAST:
            Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001 - tokenizers raises nothing more special
        return first_words(error)
    return None

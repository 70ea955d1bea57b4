"""GGUF files, converted once into a Hugging Face folder in the cache."""

from __future__ import annotations

import copy
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from autointerp.core.errors import InputError, StorageError
from autointerp.subjects.tokenizer import HfTokenizer, quiet_transformers

# Part of the cache folder's name: raise it when the conversion changes.
_CONVERTER = "v1"
_MODEL, _TOKENIZER = "config.json", "tokenizer.json"


def file_digest(path: Path) -> str:
    """First 16 hex digits of a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def check_gguf(path: Path) -> None:
    """Nothing, when the file is a whole GGUF model.

    Raises:
        InputError: as `open_gguf`.
    """
    open_gguf(path)


def open_gguf(path: Path) -> Any:
    """The `GGUFReader` of a whole GGUF model.

    Raises:
        InputError: the file is missing, another kind of file, damaged, or cut short.
    """
    _check_magic(path)
    try:
        from gguf import GGUFReader  # noqa: PLC0415 - optional extra
    except ImportError as error:
        msg = 'reading GGUF files needs the package gguf: pip install "autointerp[embedded]"'
        raise InputError(msg) from error
    with _readable(path):
        reader = GGUFReader(path)
        end = max((int(t.data_offset) + int(t.n_bytes) for t in reader.tensors), default=0)
    missing = end - path.stat().st_size
    if missing > 0:
        raise InputError(f"{path} is cut short by at least {missing:,} bytes; download it again")
    return reader


def gguf_values(path: Path, reader: Any, names: Iterable[str]) -> dict[str, Any]:
    """What the head of a file says under those of the names that it has.

    Raises:
        InputError: a value is damaged.
    """
    with _readable(path):
        return {name: reader.fields[name].contents() for name in names if name in reader.fields}


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, IndexError, OverflowError, TypeError) as error:
        msg = f"{path} is a damaged or truncated GGUF file ({error}); download it again"
        raise InputError(msg) from error


def _check_magic(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"{path} is not a file; check the path")
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise InputError(
                f"{path} is not a GGUF file: it does not begin with the letters GGUF; "
                "give a GGUF file or a folder in Hugging Face layout"
            )


def convert_gguf(path: Path, cache_dir: Path) -> Path:
    """A folder in Hugging Face layout with the file's dequantized float32 weights.

    Loading from GGUF dequantizes and rebuilds the tokenizer every time (19 s for
    SmolLM2-135M), loading the folder takes under a second; so it is converted once.

    Raises:
        InputError: the file is not a whole GGUF model of an architecture that
            transformers can load.
        StorageError: the cache folder cannot be written.
    """
    _check_magic(path)
    target = _folder_of(path, cache_dir / "subjects")
    if not (target / _MODEL).is_file():
        check_gguf(path)
        _make(target, _MODEL, lambda scratch: _convert_into(scratch, path))
    return target


def converted_folder(path: Path, cache_dir: Path) -> Path | None:
    """The folder that `convert_gguf` has made of a file; None where it has not yet."""
    if not path.is_file():
        return None
    target = _folder_of(path, cache_dir / "subjects")
    return target if (target / _MODEL).is_file() else None


def gguf_tokenizer(path: Path, cache_dir: Path) -> HfTokenizer:
    """The file's tokenizer: from the cache in a moment, out of the file in seconds, once.

    Raises:
        InputError: the file is not a whole GGUF model, or transformers has no such tokenizer.
        StorageError: the cache folder cannot be written.
    """
    _check_magic(path)
    target = _folder_of(path, cache_dir / "subjects")
    if not (target / _TOKENIZER).is_file():
        target = _folder_of(path, cache_dir / "tokenizers")
    if not (target / _TOKENIZER).is_file():
        check_gguf(path)
        _make(target, _TOKENIZER, lambda scratch: _tokenizer_into(scratch, path))
    from autointerp.subjects.tokenizer_files import load_tokenizer  # noqa: PLC0415 - slow

    try:
        return HfTokenizer(load_tokenizer(target))
    except InputError as error:
        raise InputError(f"{error}; delete that folder, which is made anew") from error


def _folder_of(path: Path, parent: Path) -> Path:
    return parent / f"{path.stem}-{file_digest(path)}-{_CONVERTER}"


def _make(target: Path, needed: str, fill: Callable[[Path], None]) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".converting-", dir=target.parent))
        try:
            fill(scratch)
            try:
                os.replace(scratch, target)
            except OSError:
                # Another process finished the same conversion first: its result is as good.
                if not (target / needed).is_file():
                    raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except (OSError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or error
        msg = f"cannot write the converted model to {target.parent}: {why}; free some space there"
        raise StorageError(msg) from error


def _tokenizer_into(folder: Path, path: Path) -> None:
    from transformers import AutoTokenizer  # noqa: PLC0415 - slow to import

    with quiet_transformers():
        try:
            tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
        except (ValueError, KeyError, OSError, RuntimeError) as error:
            msg = f"transformers cannot load the tokenizer of {path}: {error}"
            raise InputError(msg) from error
        tokenizer.save_pretrained(folder)


def _convert_into(folder: Path, path: Path) -> None:
    with quiet_transformers():
        model, tokenizer = _load(path)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _load(path: Path) -> tuple[Any, Any]:
    # Slow to import, and not needed when the cache holds the model.
    import torch  # noqa: PLC0415
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415

    try:
        loaded = AutoModelForCausalLM.from_pretrained(
            path.parent, gguf_file=path.name, dtype=torch.float32
        )
        tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    except (ValueError, KeyError, OSError, RuntimeError) as error:
        raise InputError(f"transformers cannot load {path}: {error}") from error
    # The loaded model counts as quantized and refuses to be saved, though its weights are
    # plain float32 by now; a fresh model of the same shape takes them over.
    config = copy.deepcopy(loaded.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = AutoModelForCausalLM.from_config(config)
    model.load_state_dict(loaded.state_dict())
    return model, tokenizer

"""How many weights lie in a model's files, told from the heads of the files."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from autointerp.core.errors import InputError
from autointerp.subjects.gguf import open_gguf
from autointerp.subjects.model_files import weight_files

# Masks and positions that older files keep beside the weights.
_NO_WEIGHT = re.compile(r".*(\.attn\.(masked_)?bias|rotary_emb\.inv_freq)")
_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


@dataclass(frozen=True, slots=True)
class StoredWeights:
    """The weights in the files of a model."""

    n_weights: int | None
    """None where they were not counted."""
    by_dtype: Mapping[str, int]
    """Weights by the type in which they are stored, the most frequent first."""
    n_bytes: int
    """Of the files."""


def stored_weights(path: Path, *, known: bool = False) -> StoredWeights | None:
    """Those of a folder with safetensors files or of a ``.gguf`` file; None where there is none.

    What a known file holds is not counted: heads of ``.gguf`` files take seconds.

    Raises:
        InputError: a file is damaged or missing.
    """
    if path.suffix == ".gguf" and known:
        return StoredWeights(None, {}, path.stat().st_size)
    files = [path] if path.is_file() else weight_files(path)
    counts = Counter[str]()
    for file in files:
        for dtype, n in _in_gguf(file) if file.suffix == ".gguf" else _in_safetensors(file):
            counts[dtype] += n
    if not counts:
        return None
    n_bytes = sum(file.stat().st_size for file in files)
    return StoredWeights(counts.total(), dict(counts.most_common()), n_bytes)


def _in_safetensors(path: Path) -> Iterator[tuple[str, int]]:
    try:
        with safe_open(path, framework="np") as file:
            for name in file.keys():  # noqa: SIM118 - it is not a mapping
                if not _NO_WEIGHT.fullmatch(name):
                    part = file.get_slice(name)
                    dtype = part.get_dtype()
                    yield _NAMES.get(dtype, dtype), math.prod(part.get_shape())
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} is damaged ({error}); download it again") from error


def _in_gguf(path: Path) -> Iterator[tuple[str, int]]:
    for tensor in open_gguf(path).tensors:
        dtype = tensor.tensor_type.name
        yield _NAMES.get(dtype, dtype), int(tensor.n_elements)

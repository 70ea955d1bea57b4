"""Safetensors written array by array, and read row by row; numpy only.

The library writes all tensors of a dictionary at once, so that narrowed copies of all of them
would have to be in memory beside a state that may fill most of it. And it reads one slice after
the other: here all are announced to the disk first, which fetches them side by side.
"""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, TypeAdapter

from autointerp.core.files import release_pages

_NARROW = ("uint8", "uint16", "uint32")
_NAMES = {
    kind: f"{kind.kind.upper()}{8 * kind.itemsize}"
    for kind in map(np.dtype, (*_NARROW, "int64", "float32", "float64"))
}
_KINDS = {name: kind.newbyteorder("<") for kind, name in _NAMES.items()}
_HEADER_BYTES = 100_000_000
"""Of a header at most, as the library has it."""
_PIECE = 1 << 22
"""Elements that are converted at once."""


def write_tensors(
    path: Path, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> None:
    """Writes a safetensors file; equal arrays give equal bytes.

    Arrays are contiguous and int64, float32 or float64; integers are written in the narrowest
    unsigned type that holds all of an array.

    Raises:
        OSError: the disk refuses.
    """
    kinds = {name: _stored_as(array) for name, array in arrays.items()}
    # Wide types first, as the format's own writer does, so that every tensor is aligned.
    order = sorted(arrays, key=lambda name: (-kinds[name].itemsize, name))
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    start = 0
    for name in order:
        end = start + arrays[name].size * kinds[name].itemsize
        header[name] = {
            "dtype": _NAMES[kinds[name]],
            "shape": arrays[name].shape,
            "data_offsets": (start, end),
        }
        start = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            flat = arrays[name].reshape(-1)
            for first in range(0, len(flat), _PIECE):
                piece = flat[first : first + _PIECE]
                file.write(piece.astype(kinds[name].newbyteorder("<"), copy=False).data)


def _stored_as(array: NDArray[Any]) -> np.dtype[Any]:
    if array.dtype.kind == "i" and array.size and array.min() >= 0:
        largest = int(array.max())
        for kind in _NARROW:
            if largest <= np.iinfo(kind).max:
                return np.dtype(kind)
    return array.dtype


@dataclass(frozen=True, slots=True)
class _Tensor:
    dtype: str
    shape: tuple[NonNegativeInt, ...]
    data_offsets: tuple[NonNegativeInt, NonNegativeInt]


_Said = Annotated[_Tensor | dict[str, str], Field(union_mode="left_to_right")]
_HEADER: TypeAdapter[dict[str, _Said]] = TypeAdapter(dict[str, _Said])


class TensorFile:
    """A safetensors file whose tensors are views of it: what is not looked at is not read."""

    def __init__(self, path: Path) -> None:
        """Opens the file and reads its header.

        Raises:
            OSError: it cannot be read.
            ValueError: it is not a complete safetensors file, or has types that we never write.
        """
        with path.open("rb") as file:
            n_bytes = file.seek(0, 2)
            file.seek(0)
            size = int.from_bytes(file.read(8), "little")
            if not 2 <= size <= min(n_bytes - 8, _HEADER_BYTES):
                raise ValueError("its header is cut off")
            header = _HEADER.validate_json(file.read(size))
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._first = 8 + size
        self.metadata: dict[str, str] = {}
        self._tensors: dict[str, _Tensor] = {}
        for name, message in header.items():
            if isinstance(message, _Tensor):
                self._tensors[name] = message
            else:
                self.metadata |= message
        end = max((message.data_offsets[1] for message in self._tensors.values()), default=0)
        if self._first + end != n_bytes:
            raise ValueError(f"it has {n_bytes:,} bytes, not {self._first + end:,}")

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def __getitem__(self, name: str) -> NDArray[Any]:
        """A tensor, not writable.

        Raises:
            KeyError: the name is unknown.
            ValueError: its header contradicts itself.
        """
        message = self._tensors[name]
        (start, end), kind = message.data_offsets, _KINDS.get(message.dtype)
        n = math.prod(message.shape)
        if kind is None or end - start != kind.itemsize * n:
            msg = f"{name} is {end - start} bytes of {message.dtype} {list(message.shape)}"
            raise ValueError(msg)
        if not n:
            return np.zeros(message.shape, kind)
        return np.frombuffer(self._map, kind, n, self._first + start).reshape(message.shape)

    def release(self) -> None:
        """Gives back the memory of what was read; views stay good."""
        release_pages(self._map)

    def fetch(self, views: Iterable[NDArray[Any]]) -> None:
        """Tells the disk that these views will be read, all at once.

        They are of tensors of this file, and contiguous or so along their first axis.
        """
        if not hasattr(self._map, "madvise"):
            return
        base = np.frombuffer(self._map, np.uint8, 1).ctypes.data
        for view in views:
            for row in (view,) if view.flags.c_contiguous else view:
                if not row.size:
                    continue
                start = row.ctypes.data - base
                page = start - start % mmap.PAGESIZE
                self._map.madvise(mmap.MADV_WILLNEED, page, start - page + row.nbytes)

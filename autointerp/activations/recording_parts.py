"""A pass over the windows of all units in parts: a file a part, of which readers take one chunk.

A file holds the lines of one chunk of units after the other, each as an ``.npz``; then where each
begins, and the name of what was recorded.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autointerp.activations.activation_reading import UnitKey
from autointerp.core.errors import DamagedError
from autointerp.core.files import storage_errors
from autointerp.core.ids import HookPoint

Lines = Mapping[str, NDArray[np.void]]
"""Lines by hook point, as `RecordedWindows.lines_of` gives them."""


def requests_of_part(
    requests: Mapping[UnitKey, NDArray[np.int32]], number: int, of: int, *, batch_windows: int
) -> dict[UnitKey, NDArray[np.int32]]:
    """What is read in a part of the pass, 0-based; its batches are some of the whole pass's.

    So activations are to the bit those that one pass over all would give.
    """
    n_windows = 1 + max((int(w.max()) for w in requests.values() if len(w)), default=-1)
    depth = np.full(n_windows, -1, dtype=np.int64)
    for (hook, _), windows in requests.items():
        depth[windows] = np.maximum(depth[windows], HookPoint(hook).layer)
    order = np.lexsort((np.arange(n_windows), depth))[np.count_nonzero(depth < 0) :]
    n_batches = -(-len(order) // batch_windows)
    first, end = (batch_windows * (n_batches * place // of) for place in (number, number + 1))
    is_read = np.zeros(n_windows, dtype=bool)
    is_read[order[first:end]] = True
    chosen = {unit: windows[is_read[windows]] for unit, windows in requests.items()}
    return {unit: windows for unit, windows in chosen.items() if len(windows)}


def write_part(path: Path, name: str, chunks: Iterable[Lines]) -> None:
    """Writes the file of a part; the name is one that `recording_name` gave."""
    ends = [0]
    with storage_errors(path), path.open("wb") as file:
        for lines in chunks:
            block = io.BytesIO()
            np.savez(block, **lines)  # type: ignore[arg-type]
            ends.append(ends[-1] + file.write(block.getbuffer()))
        file.write(np.array(ends, dtype="<i8").tobytes() + name.encode())


def read_part(
    read: Callable[[int, int | None], bytes], name: str, *, chunk: int, n_chunks: int
) -> Lines:
    """The lines of a chunk, 0-based.

    Args:
        read: gives the bytes from one place to another; a negative one counts from the end.
        name: what should have been recorded.
        chunk: whose lines.
        n_chunks: how many the file has.

    Raises:
        DamagedError: they are damaged, or of something else.
    """
    known = name.encode()
    table = 8 * (n_chunks + 1)
    end = read(-table - len(known), None)
    if end[table:] != known:
        raise DamagedError("it is cut off, or records of another job")
    first, last = np.frombuffer(end[:table], dtype="<i8")[chunk : chunk + 2].tolist()
    try:
        with np.load(io.BytesIO(read(first, last)), allow_pickle=False) as arrays:
            return {hook: arrays[hook] for hook in arrays.files}
    # A damaged head may ask for a password or another version, which are told so.
    except (ValueError, KeyError, EOFError, OSError, RuntimeError, zipfile.BadZipFile) as error:
        raise DamagedError(f"chunk {chunk}: {error}") from error


def joined_lines(parts: Iterable[Lines]) -> dict[str, NDArray[np.void]]:
    """The lines of all parts."""
    found: dict[str, list[NDArray[np.void]]] = {}
    for part in parts:
        for hook, lines in part.items():
            found.setdefault(hook, []).append(lines)
    return {hook: np.concatenate(lines) for hook, lines in found.items()}

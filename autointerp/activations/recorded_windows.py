"""Activations of many units on the windows that each of them needs, read in one pass over the text.

One file a hook point holds a line a unit and window, as `store.recorded_lines` packs it, all of a
unit together. Beside it lies which windows those are. So a reader maps the file and takes the
lines of one unit without the rest, and an interrupted pass goes on where it was.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autointerp.activations.activation_reading import UnitKey, window_tokens
from autointerp.activations.layer_ranks import n_larger_at_peaks
from autointerp.activations.line_index import LineIndex, RecordedWindows, line_type, release_lines
from autointerp.core.errors import AutointerpError, InputError
from autointerp.core.files import read_file, storage_errors, write_atomic
from autointerp.core.ids import HookPoint
from autointerp.core.json_text import parse_json
from autointerp.core.progress import Progress
from autointerp.corpora import TokenCorpus
from autointerp.store.recorded_lines import pack_lines
from autointerp.subjects import SubjectModel

_STATE = "state.json"
_SAVE_EVERY_S = 30.0
_VERSION = 2
"""Of what a line holds; since 2 also how many units are larger."""
_MIB = 2**20
_UNUSABLE = (
    *(AutointerpError, OSError, EOFError, zipfile.BadZipFile),
    *(ValueError, KeyError, TypeError, AttributeError),
)
"""What reading a recording that was cut off or changed may end in."""


def record_windows(  # noqa: PLR0913 - what is read, and where it goes
    subject: SubjectModel,
    corpus: TokenCorpus,
    requests: Mapping[UnitKey, Sequence[int] | NDArray[np.int32]],
    *,
    folder: Path | None = None,
    name: str = "",
    batch_windows: int = 32,
    progress: Progress,
) -> RecordedWindows:
    """Runs every window that a unit asks for once, and keeps what the units do there.

    In memory, or in files of a folder, from which `opened_recording` goes on by the name.

    Raises:
        InputError: memory or the disk has no room for it; the message says how much is needed.
        StorageError: the disk refuses.
    """
    by_hook: dict[str, dict[int, Sequence[int] | NDArray[np.int32]]] = {}
    for (hook, index), windows in requests.items():
        by_hook.setdefault(hook, {})[index] = windows
    order = sorted(by_hook, key=lambda hook: (HookPoint(hook).layer, hook))
    lines = {hook: LineIndex.of(by_hook[hook]) for hook in order}
    size = line_type(corpus.n_ctx).itemsize
    n_bytes = sum(one.n_lines for one in lines.values()) * size
    if folder is None:
        packed = {
            hook: np.zeros(one.n_lines, line_type(corpus.n_ctx)) for hook, one in lines.items()
        }
        recording = _Recording(subject, corpus, lines, packed, None)
    else:
        # What is there is of no use any more, and takes room.
        remove_recording(folder)
        _refuse_full_disk(folder, n_bytes, n_units=len(requests))
        progress.note(f"records of {len(requests):,} units take {_size(n_bytes)} of disk")
        _begin(folder, name, lines, size)
        recording = _opened(subject, corpus, folder, lines)
    return recording.run(batch_windows, progress)


def opened_recording(  # noqa: PLR0913 - as `record_windows`
    subject: SubjectModel,
    corpus: TokenCorpus,
    folder: Path,
    name: str,
    *,
    batch_windows: int = 32,
    progress: Progress,
) -> RecordedWindows | None:
    """What `record_windows` left under that name, finished where it was interrupted.

    None where there is nothing, or something of another name or that is damaged.
    """
    try:
        state = parse_json(read_file(folder / _STATE) or b"")
        if state["name"] != name:
            return None
        lines = {hook: _read_lines(folder, hook) for hook in state["hooks"]}
        recording = _opened(subject, corpus, folder, lines)
        recording.n_done = int(state["n_done"])
    except _UNUSABLE:
        return None
    return recording.run(batch_windows, progress)


def recording_name(*parts: object) -> str:
    """A name that differs where any part does."""
    return hashlib.sha256(repr((_VERSION, *parts)).encode()).hexdigest()[:32]


def remove_recording(folder: Path) -> None:
    """Deletes what `record_windows` wrote there."""
    with storage_errors(folder):
        shutil.rmtree(folder, ignore_errors=True)


class _Recording:
    """A pass over the windows of `lines`, in one order whatever was done before."""

    def __init__(
        self,
        subject: SubjectModel,
        corpus: TokenCorpus,
        lines: Mapping[str, LineIndex],
        packed: Mapping[str, NDArray[np.void]],
        folder: Path | None,
    ) -> None:
        self._subject, self._corpus, self._lines = subject, corpus, lines
        self._packed, self._folder = packed, folder
        self.n_done = 0
        """Windows that were run."""

    def run(self, batch_windows: int, progress: Progress) -> RecordedWindows:
        """Runs what is left."""
        windows = self._windows()
        progress.start("records", len(windows), "windows")
        progress.advance("records", self.n_done)
        wanted = {hook: one.by_window() for hook, one in self._lines.items()}
        saved = time.monotonic()
        for first in range(self.n_done, len(windows), batch_windows):
            chunk = windows[first : first + batch_windows]
            self._run_batch(chunk, wanted)
            self.n_done = first + len(chunk)
            progress.advance("records", len(chunk))
            if time.monotonic() - saved > _SAVE_EVERY_S or self.n_done == len(windows):
                self._save()
                saved = time.monotonic()
        return RecordedWindows(self._corpus, self._lines, self._packed)

    def _windows(self) -> list[int]:
        """Every window once; those read to the same depth together, so that they stop early."""
        depth: dict[int, int] = {}
        for hook, lines in self._lines.items():
            layer = HookPoint(hook).layer
            depth |= {int(w): max(layer, depth.get(int(w), 0)) for w in np.unique(lines.windows)}
        return sorted(depth, key=lambda window: (depth[window], window))

    def _run_batch(
        self,
        chunk: Sequence[int],
        wanted: Mapping[str, tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]],
    ) -> None:
        tokens, lengths = window_tokens(self._corpus, chunk)
        parts: dict[str, list[tuple[int, slice]]] = {}
        for hook, (windows, _, _) in wanted.items():
            first = np.searchsorted(windows, chunk, side="left")
            last = np.searchsorted(windows, chunk, side="right")
            rows = [(row, slice(a, b)) for row, (a, b) in enumerate(zip(first, last, strict=True))]
            if any(part.start < part.stop for _, part in rows):
                parts[hook] = rows

        def receive(hook: str, activations: Tensor) -> None:
            _, units, places = wanted[hook]
            for row, part in parts[hook]:
                if part.start < part.stop:
                    columns = torch.from_numpy(units[part]).to(activations.device)
                    block = activations[row, : int(lengths[row])].index_select(1, columns)
                    values = block.T.to(torch.float32).cpu().numpy()
                    packed = pack_lines(values)
                    lines = np.zeros(len(values), self._packed[hook].dtype)
                    lines["peaks"], lines["shares"][:, : values.shape[1]] = packed
                    lines["larger"] = n_larger_at_peaks(
                        activations[row, : values.shape[1]], units[part]
                    )
                    self._packed[hook][places[part]] = lines

        self._subject.read(tokens, list(parts), receive)

    def _save(self) -> None:
        if self._folder is None:
            return
        with storage_errors(self._folder):
            for packed in self._packed.values():
                if isinstance(packed, np.memmap):
                    packed.flush()
                release_lines(packed)
        state = parse_json(read_file(self._folder / _STATE) or b"{}")
        _put_state(self._folder, {**state, "n_done": self.n_done})


def _begin(folder: Path, name: str, lines: Mapping[str, LineIndex], size: int) -> None:
    with storage_errors(folder):
        folder.mkdir(parents=True)
        for hook, one in lines.items():
            index = io.BytesIO()
            np.savez(index, units=one.units, starts=one.starts, windows=one.windows)
            write_atomic(folder / f"{hook}.npz", index.getvalue())
            with (folder / f"{hook}.lines").open("wb") as file:
                # Reserved now: a write into a mapped file cannot say that the disk is full.
                if one.n_lines and hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, one.n_lines * size)
                file.truncate(one.n_lines * size)
                os.fsync(file.fileno())
    _put_state(folder, {"name": name, "hooks": list(lines), "n_done": 0})


def _put_state(folder: Path, state: Mapping[str, object]) -> None:
    write_atomic(folder / _STATE, json.dumps(state).encode())


def _read_lines(folder: Path, hook: str) -> LineIndex:
    # Read first: numpy leaves the file of an archive that was cut off open.
    data = read_file(folder / f"{HookPoint(hook).name}.npz") or b""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return LineIndex(arrays["units"], arrays["starts"], arrays["windows"])


def _opened(
    subject: SubjectModel, corpus: TokenCorpus, folder: Path, lines: Mapping[str, LineIndex]
) -> _Recording:
    dtype, packed = line_type(corpus.n_ctx), {}
    for hook, one in lines.items():
        path = folder / f"{hook}.lines"
        with storage_errors(path, verb="read"):
            if path.stat().st_size != one.n_lines * dtype.itemsize:
                raise ValueError(f"{path} has not {one.n_lines} lines")
            packed[hook] = (
                np.memmap(path, dtype=dtype, mode="r+", shape=(one.n_lines,))
                if one.n_lines
                else np.zeros(0, dtype)
            )
    return _Recording(subject, corpus, lines, packed, folder)


def _refuse_full_disk(folder: Path, n_bytes: int, *, n_units: int) -> None:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if n_bytes > free:
        fit = int(n_units * free / n_bytes)
        raise InputError(
            f"the records of {n_units:,} units need {_size(n_bytes)} in {folder} while they are "
            f"labelled, but {_size(free)} are free; free some space, choose another --out, or "
            f"label at most {fit:,} units at once"
        )


def _size(n: int) -> str:
    return f"{n / 2**30:.1f} GiB" if n >= 2**30 else f"{max(1, round(n / _MIB))} MiB"

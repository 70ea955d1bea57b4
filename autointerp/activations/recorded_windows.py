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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autointerp.activations.activation_reading import Activations, UnitKey, window_tokens
from autointerp.core.errors import AutointerpError, InputError
from autointerp.core.files import read_file, storage_errors, write_atomic
from autointerp.core.ids import HookPoint
from autointerp.core.json_text import parse_json
from autointerp.core.progress import Progress
from autointerp.corpora import TokenCorpus
from autointerp.store.recorded_lines import PackedLines, as_recorded, pack_lines, unpack_lines
from autointerp.subjects import SubjectModel

_STATE = "state.json"
_SAVE_EVERY_S = 30.0
_MIB = 2**20
_UNUSABLE = (
    *(AutointerpError, OSError, EOFError, zipfile.BadZipFile),
    *(ValueError, KeyError, TypeError, AttributeError),
)
"""What reading a recording that was cut off or changed may end in."""


@dataclass(frozen=True, slots=True)
class _UnitLines:
    """Which lines the file of one hook point holds."""

    units: NDArray[np.int64]
    """Unit indices, ascending."""
    starts: NDArray[np.int64]
    """First line of each unit, and the number of all."""
    windows: NDArray[np.int32]
    """Window of each line, ascending within a unit."""

    @classmethod
    def of(cls, requests: Mapping[int, Sequence[int] | NDArray[np.int32]]) -> _UnitLines:
        """The windows of each unit index, each once."""
        indices = sorted(requests)
        windows = [np.unique(np.asarray(requests[i], dtype=np.int32)) for i in indices]
        starts = np.cumsum([0, *map(len, windows)], dtype=np.int64)
        whole = np.concatenate(windows) if windows else np.zeros(0, dtype=np.int32)
        return cls(np.asarray(indices, dtype=np.int64), starts, whole)

    @property
    def n_lines(self) -> int:
        """Lines of all units."""
        return len(self.windows)

    def place(self, index: int, window: int) -> int:
        """Number of a unit's line for a window.

        Raises:
            KeyError: it was not asked for.
        """
        unit = int(np.searchsorted(self.units, index))
        if unit == len(self.units) or self.units[unit] != index:
            raise KeyError((index, window))
        first, last = int(self.starts[unit]), int(self.starts[unit + 1])
        place = first + int(np.searchsorted(self.windows[first:last], window))
        if place == last or self.windows[place] != window:
            raise KeyError((index, window))
        return place

    def windows_of(self, index: int) -> NDArray[np.int32]:
        """The windows of a unit that is among them, ascending."""
        unit = int(np.searchsorted(self.units, index))
        return self.windows[self.starts[unit] : self.starts[unit + 1]]

    def by_window(self) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
        """(window, unit index, line) of every line, by window."""
        order = np.argsort(self.windows, kind="stable")
        units = np.repeat(self.units, np.diff(self.starts))
        return self.windows[order], units[order], order


class RecordedWindows(Mapping[tuple[str, int, int], NDArray[np.float32]]):
    """(hook point, unit index, window id) -> activations of the real tokens, shape (n_tokens,)."""

    def __init__(
        self,
        corpus: TokenCorpus,
        lines: Mapping[str, _UnitLines],
        packed: Mapping[str, NDArray[np.void]],
    ) -> None:
        self._corpus, self._lines, self._packed = corpus, lines, packed

    def __getitem__(self, key: tuple[str, int, int]) -> NDArray[np.float32]:
        hook, index, window = key
        place = self._lines[hook].place(index, window)
        n_tokens = self._corpus.starts[window + 1] - self._corpus.starts[window]
        return _unpacked(self._packed[hook][place])[:n_tokens]

    def __iter__(self) -> Iterator[tuple[str, int, int]]:
        for hook, lines in self._lines.items():
            windows, units, _ = lines.by_window()
            yield from ((hook, int(u), int(w)) for w, u in zip(windows, units, strict=True))

    def __len__(self) -> int:
        return sum(lines.n_lines for lines in self._lines.values())

    def of_unit(self, unit: UnitKey, windows: Sequence[int]) -> NDArray[np.float32]:
        """The lines of a unit, shape (len(windows), n_ctx), 0 behind a window's end."""
        hook, index = unit
        places = [self._lines[hook].place(index, window) for window in windows]
        return _unpacked(self._packed[hook][places])

    def has(self, unit: UnitKey, windows: Sequence[int] = ()) -> bool:
        """Whether the unit was recorded, on all of these windows."""
        hook, index = unit
        lines = self._lines.get(hook)
        if lines is None or not np.isin(index, lines.units):
            return False
        return bool(np.isin(windows, lines.windows_of(index)).all())


def recorded_lines(
    activations: Activations, unit: UnitKey, windows: Sequence[int], corpus: TokenCorpus
) -> list[list[float]]:
    """What records keep of a unit on windows: rounded as files round it, wherever it was read."""
    if isinstance(activations, RecordedWindows):
        lines: list[list[float]] = activations.of_unit(unit, windows).tolist()
        return lines
    values = np.zeros((len(windows), corpus.n_ctx), dtype=np.float32)
    for row, window in zip(values, windows, strict=True):
        line = activations[(*unit, window)]
        row[: len(line)] = line
    rounded: list[list[float]] = as_recorded(values).tolist()
    return rounded


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
    lines = {hook: _UnitLines.of(by_hook[hook]) for hook in order}
    size = _line_type(corpus.n_ctx).itemsize
    n_bytes = sum(one.n_lines for one in lines.values()) * size
    if folder is None:
        packed = {
            hook: np.zeros(one.n_lines, _line_type(corpus.n_ctx)) for hook, one in lines.items()
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
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


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
        lines: Mapping[str, _UnitLines],
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
                    self._packed[hook][places[part]] = lines

        self._subject.read(tokens, list(parts), receive)

    def _save(self) -> None:
        if self._folder is None:
            return
        with storage_errors(self._folder):
            for packed in self._packed.values():
                if isinstance(packed, np.memmap):
                    packed.flush()
        state = parse_json(read_file(self._folder / _STATE) or b"{}")
        _put_state(self._folder, {**state, "n_done": self.n_done})


def _line_type(n_ctx: int) -> np.dtype[np.void]:
    return np.dtype([("peaks", "<f4", (2,)), ("shares", "<f2", (n_ctx,))])


def _unpacked(lines: NDArray[np.void] | np.void) -> NDArray[np.float32]:
    return unpack_lines(PackedLines(lines["peaks"], lines["shares"]))


def _begin(folder: Path, name: str, lines: Mapping[str, _UnitLines], size: int) -> None:
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


def _read_lines(folder: Path, hook: str) -> _UnitLines:
    # Read first: numpy leaves the file of an archive that was cut off open.
    data = read_file(folder / f"{HookPoint(hook).name}.npz") or b""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return _UnitLines(arrays["units"], arrays["starts"], arrays["windows"])


def _opened(
    subject: SubjectModel, corpus: TokenCorpus, folder: Path, lines: Mapping[str, _UnitLines]
) -> _Recording:
    dtype, packed = _line_type(corpus.n_ctx), {}
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

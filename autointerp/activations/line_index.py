"""Lines of units: what each does on the windows that were read for it, as records round it."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autointerp.activations.activation_reading import Activations, UnitKey
from autointerp.core.files import release_pages
from autointerp.core.ids import Side
from autointerp.corpora import TokenCorpus
from autointerp.store.recorded_lines import PackedLines, as_recorded, unpack_lines


@dataclass(frozen=True, slots=True)
class LineIndex:
    """Which lines the file of one hook point holds."""

    units: NDArray[np.int64]
    """Unit indices, ascending."""
    starts: NDArray[np.int64]
    """First line of each unit, and the number of all."""
    windows: NDArray[np.int32]
    """Window of each line, ascending within a unit."""

    @classmethod
    def of(cls, requests: Mapping[int, Sequence[int] | NDArray[np.int32]]) -> LineIndex:
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
        """Number of a unit's line for a window, as `places` finds it."""
        return int(self.places(index, [window])[0])

    def places(self, index: int, windows: Sequence[int]) -> NDArray[np.int64]:
        """Numbers of a unit's lines for windows.

        Raises:
            KeyError: one was not asked for.
        """
        unit = self.unit(index)
        if unit is None:
            raise KeyError(index)
        first, last = int(self.starts[unit]), int(self.starts[unit + 1])
        asked, known = np.asarray(windows, dtype=np.int32), self.windows[first:last]
        found = np.searchsorted(known, asked)
        there = found < len(known)
        there[there] = known[found[there]] == asked[there]
        if not there.all():
            raise KeyError((index, int(asked[~there][0])))
        return np.asarray(first + found)

    def unit(self, index: int) -> int | None:
        """Place of a unit index among all; None where it is not there."""
        place = int(np.searchsorted(self.units, index))
        return place if place < len(self.units) and self.units[place] == index else None

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
        lines: Mapping[str, LineIndex],
        packed: Mapping[str, NDArray[np.void]],
    ) -> None:
        self._corpus, self._lines, self._packed = corpus, lines, packed
        self._latest: str | None = None

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

    @classmethod
    def of_lines(
        cls, corpus: TokenCorpus, lines: Mapping[str, NDArray[np.void]]
    ) -> RecordedWindows:
        """Of lines that say their unit and window, as `lines_of` gives them; in any order."""
        of, packed = {}, {}
        for hook, unsorted in lines.items():
            rows = unsorted[np.lexsort((unsorted["window"], unsorted["unit"]))]
            units, firsts = np.unique(rows["unit"], return_index=True)
            of[hook] = LineIndex(units, np.append(firsts, len(rows)), rows["window"])
            packed[hook] = rows
        return cls(corpus, of, packed)

    def lines_of(self, units: Iterable[UnitKey]) -> dict[str, NDArray[np.void]]:
        """All lines of some units by hook point, each with its ``unit`` and ``window``."""
        chosen: dict[str, list[NDArray[np.void]]] = {}
        for hook, index in dict.fromkeys(units):
            if not self.has((hook, index)):
                continue
            of = self._lines[hook]
            place = int(np.searchsorted(of.units, index))
            own = slice(int(of.starts[place]), int(of.starts[place + 1]))
            rows = np.zeros(own.stop - own.start, _marked_line_type(self._corpus.n_ctx))
            rows["unit"], rows["window"] = index, of.windows[own]
            for name in ("peaks", "shares", "larger"):
                rows[name] = self._packed[hook][own][name]
            chosen.setdefault(hook, []).append(rows)
        return {hook: np.concatenate(rows) for hook, rows in chosen.items()}

    def of_unit(self, unit: UnitKey, windows: Sequence[int]) -> NDArray[np.float32]:
        """The lines of a unit, shape (len(windows), n_ctx), 0 behind a window's end."""
        hook, index = unit
        if self._latest is not None and hook != self._latest:
            release_lines(self._packed[self._latest])
        self._latest = hook
        return _unpacked(self._packed[hook][self._lines[hook].places(index, windows)])

    def ranks(self, unit: UnitKey, windows: Sequence[int], side: Side) -> tuple[int, ...]:
        """How many units of the hook point are larger where the unit peaks in each window."""
        hook, index = unit
        lines = self._packed[hook][self._lines[hook].places(index, windows)]
        column = 0 if side is Side.POSITIVE else 1
        return tuple(lines["larger"][:, column].tolist())

    def has(self, unit: UnitKey, windows: Sequence[int] = ()) -> bool:
        """Whether the unit was recorded, on all of these windows."""
        hook, index = unit
        lines = self._lines.get(hook)
        if lines is None or lines.unit(index) is None:
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


def release_lines(packed: NDArray[np.void]) -> None:
    """Gives back the memory of lines that were read from a mapped file, or written to it."""
    if isinstance(packed.base, mmap.mmap):
        release_pages(packed.base)


def line_type(n_ctx: int) -> np.dtype[np.void]:
    """A packed line of a window."""
    return np.dtype(_fields(n_ctx))


def _fields(n_ctx: int) -> list[Any]:
    return [("peaks", "<f4", (2,)), ("shares", "<f2", (n_ctx,)), ("larger", "<u2", (2,))]


def _marked_line_type(n_ctx: int) -> np.dtype[np.void]:
    return np.dtype([("unit", "<i8"), ("window", "<i4"), *_fields(n_ctx)])


def _unpacked(lines: NDArray[np.void] | np.void) -> NDArray[np.float32]:
    return unpack_lines(PackedLines(lines["peaks"], lines["shares"]))

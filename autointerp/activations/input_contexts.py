"""What units read at the places where they are active, read beside their activations."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autointerp.activations.activation_reading import (
    Activations,
    UnitKey,
    lines_of,
    pairs_by_hook,
    window_batches,
    window_tokens,
    windows_wanted,
)
from autointerp.activations.sampling.strata import WindowSample
from autointerp.activations.sampling.window_records import sampled_records
from autointerp.core.ids import Side, UnitId
from autointerp.core.progress import Progress, SilentProgress
from autointerp.core.records import InputContexts
from autointerp.corpora import TokenCorpus
from autointerp.subjects import SubjectModel

# A rare sense has its places in few of 84 windows: with three of each it is seen twice or more in
# 98 of 100 planted units of 1:50, with the peaks alone in 90 (`benchmarks/senses.py --clusters`).
_PER_WINDOW = 3
_LEAST = 0.1
"""Share of the unit's peak from which a place counts: what prompts show as level 1."""
_Key = tuple[UnitId, Side]


@dataclass(slots=True)
class _Read:
    """What was read of one side of one unit."""

    peak: float
    """Of the explain text."""
    windows: frozenset[int]
    activations: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    """Of each window."""
    vectors: dict[tuple[int, int], NDArray[np.float32]] = field(default_factory=dict)
    """At (window, token)."""
    total: NDArray[np.float64] | float = 0.0
    n_tokens: int = 0

    def add(
        self, window: int, line: NDArray[np.float32], inputs: Tensor, places: Sequence[int]
    ) -> None:
        """One window: activations, shape (n_tokens,), and inputs, shape (n_tokens, width)."""
        self.activations[window] = line
        self.total = self.total + inputs.sum(dim=0, dtype=torch.float64).cpu().numpy()
        self.n_tokens += len(line)
        rows = inputs[list(places)].to(torch.float32).cpu().numpy()
        self.vectors |= {(window, place): row for place, row in zip(places, rows, strict=True)}


def read_contexts(  # noqa: PLR0913 - as `read_windows`, and the peaks
    subject: SubjectModel,
    corpus: TokenCorpus,
    samples: Mapping[_Key, WindowSample],
    *,
    peaks: Mapping[_Key, float],
    batch_windows: int = 32,
    progress: Progress | None = None,
) -> dict[_Key, InputContexts]:
    """The sampled windows of each side of a unit, and what the unit reads where it is active.

    Peaks are those of the explain text, model units.
    """
    options: dict[str, Any] = {"batch_windows": batch_windows, "progress": progress}
    return read_windows_and_contexts(subject, corpus, {}, samples, peaks=peaks, **options)[1]


def read_windows_and_contexts(  # noqa: PLR0913 - those of `read_windows` and `read_contexts`
    subject: SubjectModel,
    corpus: TokenCorpus,
    requests: Mapping[UnitKey, Sequence[int] | NDArray[np.int32]],
    samples: Mapping[_Key, WindowSample],
    *,
    peaks: Mapping[_Key, float],
    batch_windows: int = 32,
    progress: Progress | None = None,
) -> tuple[Activations, dict[_Key, InputContexts]]:
    """What `read_windows` gives for the requests and `read_contexts` for the samples.

    A window that both ask for is run once.
    """
    progress = progress or SilentProgress()
    windows: dict[UnitKey, list[int]] = {}
    for (unit, _), sample in samples.items():
        windows.setdefault((unit.hook, unit.index), []).extend(sample.windows)
    wanted, others = windows_wanted(windows), windows_wanted(requests)
    both = {key: [*wanted.get(key, ()), *others.get(key, ())] for key in wanted | others}
    read = {key: _Read(peaks[key], frozenset(samples[key].windows)) for key in samples}
    lines: dict[tuple[str, int, int], NDArray[np.float32]] = {}
    progress.start("records", len(both), "windows")
    for chunk in window_batches(both, batch_windows):
        batch = _Batch(subject, corpus, chunk, wanted, read)
        batch.run(pairs_by_hook(chunk, others), lines)
        progress.advance("records", len(chunk))
    contexts = {key: _contexts(key, samples[key], read[key], corpus, subject) for key in samples}
    return lines, contexts


class _Batch:
    """Some windows in one pass; what units read is let go of as soon as all of them have it."""

    def __init__(  # noqa: PLR0917
        self,
        subject: SubjectModel,
        corpus: TokenCorpus,
        chunk: Sequence[int],
        wanted: Mapping[int, Sequence[UnitKey]],
        read: Mapping[_Key, _Read],
    ) -> None:
        self._subject, self._corpus, self._chunk, self._read = subject, corpus, chunk, read
        asked = pairs_by_hook(chunk, wanted)
        self._asked = {hook: list(dict.fromkeys(pairs)) for hook, pairs in asked.items()}
        self._users: dict[str, set[str]] = {}
        for hook in self._asked:
            self._users.setdefault(subject.input_hook(hook), set()).add(hook)
        self._inputs: dict[str, Tensor] = {}
        self._lines: dict[str, dict[tuple[int, int], NDArray[np.float32]]] = {}

    def run(
        self,
        others: Mapping[str, Sequence[tuple[int, int]]],
        lines: dict[tuple[str, int, int], NDArray[np.float32]],
    ) -> None:
        """Adds to what was read; activations that others ask for, to ``lines``."""
        tokens, self._lengths = window_tokens(self._corpus, self._chunk)

        def receive(hook: str, activations: Tensor) -> None:
            for row, index, line in lines_of(activations, others.get(hook, ()), self._lengths):
                lines[hook, index, self._chunk[row]] = line
            self._receive(hook, activations)

        hooks = list(dict.fromkeys([*self._users, *self._asked, *others]))
        self._subject.read(tokens, hooks, receive)

    def _receive(self, hook: str, activations: Tensor) -> None:
        if hook in self._users:
            self._inputs[hook] = activations
        if hook in self._asked:
            read = lines_of(activations, self._asked[hook], self._lengths)
            self._lines[hook] = {(row, index): line for row, index, line in read}
        for entering in list(self._inputs):
            for user in self._users[entering] & self._lines.keys():
                self._add(user, self._lines.pop(user), self._inputs[entering])
                self._users[entering].discard(user)
            if not self._users[entering]:
                del self._inputs[entering]

    def _add(
        self, hook: str, lines: Mapping[tuple[int, int], NDArray[np.float32]], inputs: Tensor
    ) -> None:
        for (unit, side), read in self._read.items():
            for row, window in enumerate(self._chunk):
                if unit.hook == hook and window in read.windows:
                    line = lines[row, unit.index]
                    ids = self._corpus[window].token_ids
                    places = strongest_places(side.sign * line, ids, peak=read.peak)
                    read.add(window, line, inputs[row, : len(line)], places)


def strongest_places(
    side: NDArray[np.floating], token_ids: Sequence[int], *, peak: float
) -> tuple[int, ...]:
    """Places of different tokens in one window that are active from level 1 on, strongest first."""
    places: dict[int, int] = {}
    for place in np.argsort(-side, kind="stable").tolist():
        if len(places) == _PER_WINDOW or side[place] < _LEAST * peak:
            break
        places.setdefault(token_ids[place], place)
    return tuple(places.values())


def _contexts(
    key: _Key, sample: WindowSample, read: _Read, corpus: TokenCorpus, subject: SubjectModel
) -> InputContexts:
    unit = key[0]
    activations = {
        (unit.hook, unit.index, window): line for window, line in read.activations.items()
    }
    records = sampled_records(sample, unit, activations, corpus, subject)
    numbers = {record.window: number for number, record in enumerate(records)}
    mean = read.total / read.n_tokens if read.vectors else 0.0
    vectors = np.array(list(read.vectors.values())) - mean
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit_length = vectors / np.where(lengths > 0, lengths, 1.0)
    return InputContexts(
        records,
        tuple((numbers[window], place) for window, place in read.vectors),
        base64.b64encode(unit_length.astype("<f2").tobytes()).decode(),
        subject.input_hook(unit.hook),
    )

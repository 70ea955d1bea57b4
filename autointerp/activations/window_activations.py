"""Records: the chosen windows run again, their tokens and the asked units' activations kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autointerp.core.progress import Progress, SilentProgress
from autointerp.corpora import TokenCorpus
from autointerp.subjects import SubjectModel

UnitKey = tuple[str, int]
"""(hook point, unit index)."""

Activations = Mapping[tuple[str, int, int], NDArray[np.float32]]
"""(hook point, unit index, window id) -> activations of the real tokens, shape (n_tokens,)."""


def read_windows(
    subject: SubjectModel,
    corpus: TokenCorpus,
    requests: Mapping[UnitKey, Sequence[int]],
    *,
    batch_windows: int = 32,
    progress: Progress | None = None,
) -> Activations:
    """Activations of each asked unit on each window asked for it.

    Every window is run once, whoever asks for it, in batches by ascending id; within a batch
    the pass ends behind the last hook point that one of its windows needs. The values agree
    with those seen in collection to rounding: a batch of other windows may change last bits.
    """
    progress = progress or SilentProgress()
    wanted: dict[int, list[UnitKey]] = {}
    for unit, windows in requests.items():
        for window in dict.fromkeys(windows):
            wanted.setdefault(int(window), []).append(unit)
    # Windows that are read to the same depth share batches, so shallow ones stop early.
    ids = sorted(wanted, key=lambda window: (max(_layer(unit) for unit in wanted[window]), window))
    result: dict[tuple[str, int, int], NDArray[np.float32]] = {}
    progress.start("records", len(ids), "windows")
    for first in range(0, len(ids), batch_windows):
        chunk = ids[first : first + batch_windows]
        _read_batch(subject, corpus, chunk, wanted, result)
        progress.advance("records", len(chunk))
    return result


def _layer(unit: UnitKey) -> int:
    return int(unit[0].split(".", 2)[1])


def _read_batch(
    subject: SubjectModel,
    corpus: TokenCorpus,
    chunk: Sequence[int],
    wanted: Mapping[int, Sequence[UnitKey]],
    rows_read: dict[tuple[str, int, int], NDArray[np.float32]],
) -> None:
    tokens, lengths = corpus.batch(chunk)
    by_hook: dict[str, list[tuple[int, int]]] = {}
    for row, window in enumerate(chunk):
        for hook, index in wanted[window]:
            by_hook.setdefault(hook, []).append((row, index))

    def receive(hook: str, activations: Tensor) -> None:
        pairs = by_hook[hook]
        rows = torch.tensor([row for row, _ in pairs], device=activations.device)
        units = torch.tensor([index for _, index in pairs], device=activations.device)
        values = activations[rows, :, units].to(torch.float32).cpu().numpy()
        for (row, index), line in zip(pairs, values, strict=True):
            rows_read[hook, index, chunk[row]] = line[: int(lengths[row])].copy()

    subject.read(torch.from_numpy(tokens.astype(np.int64)), list(by_hook), receive)

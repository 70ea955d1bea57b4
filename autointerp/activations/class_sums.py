"""One streaming pass over labelled text: sums and histograms of every unit by class.

Memory follows the number of units, not that of tokens. Histograms have the bins of collections.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from autointerp.activations.kernels.cpu_classes import ClassArrays, add_classes
from autointerp.activations.kernels.cpu_kernel import MAX_PENDING, flush_units
from autointerp.activations.kernels.encoding import N_SIGNED_BINS, signed_bin_of
from autointerp.activations.kernels.updaters import as_many_threads_as_torch
from autointerp.core.errors import InputError
from autointerp.core.progress import Progress, SilentProgress
from autointerp.corpora.features import HARD, NEGATIVE, POSITIVE, LabelledCorpus
from autointerp.statistics.probing.class_histograms import ClassHistograms
from autointerp.subjects import HookUnits, SubjectModel

_ROWS = ((NEGATIVE, HARD), (POSITIVE,))
"""Classes of tokens in each row of the sums."""


def sum_by_class(  # noqa: PLR0913 - the parts of a pass
    subject: SubjectModel,
    labelled: LabelledCorpus,
    units: Sequence[HookUnits],
    windows: range,
    *,
    batch_windows: int = 32,
    progress: Progress | None = None,
) -> dict[str, ClassHistograms]:
    """The sums of the chosen units over the labelled tokens of some windows, by hook point.

    Negatives are hard ones and others together. Those of other windows merge with them.

    Raises:
        InputError: units that do not exist, or an activation that is NaN, infinite or so large
            that its square is.
    """
    options = {"batch_windows": batch_windows, "progress": progress}
    return sums_of_features(subject, [labelled], units, windows, **options)[0]  # type: ignore[arg-type]


def sums_of_features(  # noqa: PLR0913 - the parts of a pass
    subject: SubjectModel,
    features: Sequence[LabelledCorpus],
    units: Sequence[HookUnits],
    windows: range,
    *,
    batch_windows: int = 32,
    progress: Progress | None = None,
) -> list[dict[str, ClassHistograms]]:
    """As `sum_by_class`, of several features of one text in one pass, in their order."""
    for group in units:
        subject.check_indices(group.hook, group.indices)
    device, progress = subject.device, progress or SilentProgress()
    indices = {g.hook: torch.tensor(g.indices, device=device) for g in units}
    sums: list[dict[str, _Sums]] = [
        {
            hook: _CpuSums(len(own)) if device.type == "cpu" else _DeviceSums(len(own), device)
            for hook, own in indices.items()
        }
        for _ in features
    ]
    progress.start("rank", features[0].classes_of(windows).size, "tokens")
    for tokens, classes, n_tokens in _batches(features, windows, batch_windows):
        # Made once a batch, not once a hook point.
        places = [
            [torch.from_numpy(np.flatnonzero(np.isin(own, row))).to(device) for row in _ROWS]
            for own in classes
        ]

        def add(
            hook: str,
            acts: Float[Tensor, "batch pos unit"],
            places: list[list[Int64[Tensor, " token"]]] = places,
        ) -> None:
            own = indices[hook]
            chosen = acts.index_select(-1, own) if len(own) < acts.shape[-1] else acts
            for of_feature, there in zip(sums, places, strict=True):
                of_feature[hook].add(chosen, there)

        subject.read(torch.from_numpy(tokens.astype(np.int64)), list(indices), add)
        progress.advance("rank", n_tokens)
    return [
        {hook: _checked(hook, indices[hook], one.result()) for hook, one in of_feature.items()}
        for of_feature in sums
    ]


def _batches(
    features: Sequence[LabelledCorpus], windows: range, size: int
) -> Iterator[tuple[NDArray[np.int32], list[NDArray[np.int8]], int]]:
    """Tokens, their classes by feature, shape (batch, pos) all, and how many are no padding."""
    corpus = features[0].corpus
    for first in range(windows.start, windows.stop, size):
        ids = range(first, min(first + size, windows.stop))
        tokens, lengths = corpus.batch(ids)
        width = int(lengths.max())
        real = np.arange(width) < lengths[:, None]
        classes = [np.full(real.shape, -1, dtype=np.int8) for _ in features]
        for own, one in zip(classes, features, strict=True):
            own[real] = one.classes_of(ids)
        yield tokens[:, :width], classes, int(lengths.sum())


def _checked(hook: str, indices: Tensor, sums: ClassHistograms) -> ClassHistograms:
    bad = ~np.isfinite(sums.squares).all(axis=0)
    if bad.any():
        raise InputError(
            f"unit {int(indices[int(bad.argmax())])} of {hook} has an activation that is not a "
            "finite number; load the subject model in float32 or find the broken weights"
        )
    return sums


class _Sums(Protocol):
    def add(
        self, acts: Float[Tensor, "batch pos unit"], places: list[Int64[Tensor, " token"]]
    ) -> None:
        """Adds the tokens of each class, by their place in (batch, pos)."""

    def result(self) -> ClassHistograms:
        """What was added."""


class _CpuSums(_Sums):
    def __init__(self, n_units: int) -> None:
        self._arrays = ClassArrays(
            np.zeros((2, n_units)),
            np.zeros((2, n_units)),
            np.zeros((2, n_units, N_SIGNED_BINS), np.uint16),
        )
        self._counts = np.zeros((2, n_units, N_SIGNED_BINS), np.int64)
        self._n = np.zeros(2, np.int64)
        self._n_pending = 0

    @override
    def add(
        self, acts: Float[Tensor, "batch pos unit"], places: list[Int64[Tensor, " token"]]
    ) -> None:
        if acts.dtype not in {torch.float32, torch.bfloat16}:
            acts = acts.to(torch.float32)
        if acts.stride(2) != 1:
            acts = acts.contiguous()
        window_stride, pos_stride, _ = acts.stride()
        n = (acts.shape[0] - 1) * window_stride + (acts.shape[1] - 1) * pos_stride + acts.shape[2]
        flat = acts.as_strided((n,), (1,), acts.storage_offset())
        codes = flat.view(torch.int16 if flat.dtype is torch.bfloat16 else torch.int32).numpy()
        starts = [
            (row // acts.shape[1]) * window_stride + (row % acts.shape[1]) * pos_stride
            for row in (place.numpy() for place in places)
        ]
        sizes = np.array([len(one) for one in starts])
        for first in range(0, int(sizes.max()), MAX_PENDING // 2):
            part = [one[first : first + MAX_PENDING // 2] for one in starts]
            n_tokens = sum(map(len, part))
            if self._n_pending + n_tokens > MAX_PENDING:
                self._flush()
            self._n_pending += n_tokens
            bounds = np.cumsum([0, *map(len, part)])
            add_classes(
                self._arrays, codes, np.concatenate(part), bounds, as_many_threads_as_torch()
            )
        self._n += sizes

    @override
    def result(self) -> ClassHistograms:
        self._flush()
        return ClassHistograms(self._n, self._arrays.sums, self._arrays.squares, self._counts)

    def _flush(self) -> None:
        as_many_threads_as_torch()
        for row in range(2):
            flush_units(self._arrays.tokens[row], self._counts[row])
        self._n_pending = 0


class _DeviceSums(_Sums):
    """In whole-tensor operations, on any device."""

    def __init__(self, n_units: int, device: torch.device) -> None:
        self._sums = torch.zeros((2, n_units), dtype=torch.float64, device=device)
        self._squares = torch.zeros_like(self._sums)
        shape = (2, n_units, N_SIGNED_BINS)
        self._counts = torch.zeros(shape, dtype=torch.int64, device=device)
        self._n = np.zeros(2, np.int64)

    @override
    def add(
        self, acts: Float[Tensor, "batch pos unit"], places: list[Int64[Tensor, " token"]]
    ) -> None:
        rows = acts.flatten(0, 1)
        for number, place in enumerate(places):
            values = rows.index_select(0, place).to(torch.float32)
            exact = values.to(torch.float64)
            self._sums[number] += exact.sum(0)
            self._squares[number] += exact.square().sum(0)
            bins = signed_bin_of(values).T
            self._counts[number].scatter_add_(1, bins, torch.ones_like(bins))
            self._n[number] += len(place)

    @override
    def result(self) -> ClassHistograms:
        sums, squares, counts = (
            one.cpu().numpy() for one in (self._sums, self._squares, self._counts)
        )
        return ClassHistograms(self._n, sums, squares, counts)


def sums_by_device_operations(
    acts: Float[Tensor, "batch pos unit"], places: list[Int64[Tensor, " token"]]
) -> ClassHistograms:
    """The sums of one batch as an accelerator computes them."""
    sums = _DeviceSums(acts.shape[-1], acts.device)
    sums.add(acts, places)
    return sums.result()

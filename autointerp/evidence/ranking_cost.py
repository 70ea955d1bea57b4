"""What it takes to rank units for their own labels, from a short trial on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from autointerp.core.ids import Side
from autointerp.core.progress import Progress, SilentProgress
from autointerp.evidence.predicting_labels import MOST_BYTES, PredictingLabel, n_tokens_read
from autointerp.subjects import SubjectModel

_TRIED_WINDOWS, _TRIED_UNITS, _TRIED_TOKENS = 8, 256, 4096
_PRODUCTS = 3
"""Of activations with weights, of their squares, and with weighted predictions."""
_HALVES = 2
_MINUTE_S, _MANY_S = 60, 120
_LABEL_S = 0.005
"""Of dealing out one label's documents, and of its interval."""


@dataclass(frozen=True, slots=True)
class RankingCost:
    """Of the labels of one hook point."""

    n_labels: int
    n_tokens: int
    """Read, counted once a reading."""
    n_bytes: int
    """Of the activations that are held at a time, at most."""
    seconds: float


def ranking_cost(subject: SubjectModel, labels: Sequence[PredictingLabel]) -> RankingCost:
    """Of labels of one hook point; short passes and products are timed for it.

    Raises:
        InputError: memory has no room for one label.
    """
    texts = list(dict.fromkeys(w.text.token_ids for one in labels for w in one.windows))
    if not texts:
        return RankingCost(len(labels), 0, 0, 0.0)
    hook = labels[0].label.unit.hook
    width, n_tokens = subject.width(hook), n_tokens_read(subject, labels)
    tried = texts[:_TRIED_WINDOWS]
    read_s = _fastest(lambda: subject.read_rows(tried, {hook: range(width)}))
    read_s *= n_tokens / sum(map(len, tried))
    lines = np.ones((_TRIED_UNITS, _TRIED_TOKENS), dtype=np.float32)
    columns = np.ones((_TRIED_TOKENS, _TRIED_UNITS), dtype=np.float32)
    product_s = _fastest(lambda: lines @ columns) / (_TRIED_UNITS**2 * _TRIED_TOKENS)
    product_s *= len(Side) * _HALVES * _PRODUCTS * width * n_tokens * len(labels)
    n_bytes = min(MOST_BYTES, 4 * width * n_tokens)
    seconds = read_s + product_s + _LABEL_S * len(labels)
    return RankingCost(len(labels), n_tokens, n_bytes, seconds)


def say_ranking_cost(
    subject: SubjectModel,
    labels: Sequence[PredictingLabel],
    *,
    n_hooks: int,
    n_labels: int,
    label_s: float = 0.0,
    progress: Progress,
) -> None:
    """Says what all labels take, as if those of each hook point took as long as those of one.

    Args:
        subject: the model.
        labels: those of one hook point.
        n_hooks: how many there are.
        n_labels: of all hook points.
        label_s: for reading a label, of those that were not read yet.
        progress: told about it.

    Raises:
        InputError: memory has no room for one label.
    """
    if isinstance(progress, SilentProgress):
        return
    cost = ranking_cost(subject, labels)
    seconds = cost.seconds * n_labels / max(1, cost.n_labels)
    seconds += label_s * (n_labels - cost.n_labels)
    where = "" if n_hooks == 1 else f" at each of {n_hooks} hook points"
    progress.note(
        f"ranking units for {n_labels:,} label{'' if n_labels == 1 else 's'}: "
        f"{cost.n_tokens:,} tokens are read{where}, about {_time(seconds)}, with "
        f"{cost.n_bytes / 2**30:.2g} GiB of activations at a time"
    )


def _time(seconds: float) -> str:
    if seconds >= _MANY_S:
        return f"{seconds / _MINUTE_S:.0f} minutes"
    n = max(1, round(seconds))
    return f"{n} second{'' if n == 1 else 's'}"


def _fastest(run: Callable[[], object]) -> float:
    """Seconds of the faster of two, behind one that is not counted."""
    run()
    spent = []
    for _ in range(2):
        began = time.perf_counter()
        run()
        spent.append(time.perf_counter() - began)
    return min(spent)

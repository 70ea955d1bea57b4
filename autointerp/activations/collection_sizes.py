"""Bytes that a collection needs, in memory and in its file, from the shapes of what it keeps.

No torch: plans of jobs are made where there is none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from autointerp.activations.kernels.state_shapes import FLOATS, state_shapes
from autointerp.core.config import CollectConfig
from autointerp.core.sizes import size_text
from autointerp.core.text import Split

_LIVE = 4
"""A gated MLP has its two projections and their product at once; collecting holds one copy."""
_OF_TOKENS = frozenset({"active_tokens", "histogram"})
_OF_WINDOWS = frozenset({"active_windows", "peak_histogram"})


@dataclass(frozen=True, slots=True)
class BatchShape:
    """What decides the size of one batch's activations."""

    n_pos: int
    """Positions a window, BOS included."""
    width: int
    """Of the widest layer, in units."""
    itemsize: int
    """Bytes an activation."""


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Bytes that a collection needs; they do not depend on the number of tokens."""

    state: int
    """All units on all splits."""
    tables: int
    """Token lookup tables."""
    batch: int
    """Activations of one batch."""
    model: int
    """Weights, which are loaded before a collection starts."""
    n_units: int
    batch_windows: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.further + self.model

    @property
    def further(self) -> int:
        """What comes on top of the loaded model."""
        return self.state + self.tables + self.batch

    def __str__(self) -> str:
        parts = {
            f"the state of {self.n_units:,} units": self.state,
            "token tables": self.tables,
            f"a batch of {self.batch_windows:,} windows": self.batch,
            "the model": self.model,
        }
        shown = ", ".join(f"{size_text(n)} for {name}" for name, n in parts.items() if n)
        return f"{size_text(self.total)}: {shown}"


def table_bytes(n_types: int, n_once: int, n_units: int) -> int:
    """Bytes of the token table of so many units; ``n_once`` of the distinct tokens occur once."""
    return 17 * n_types + n_units * (16 * (n_types - n_once) + 4 * n_once)


def collection_memory(
    n_units: Mapping[str, int],
    config: CollectConfig,
    *,
    n_shared: Mapping[Split, int],
    batch: BatchShape,
    n_types: int = 0,
    n_once: int = 0,
    model_bytes: int = 0,
) -> MemoryNeed:
    """What collecting will need, from the shapes of what it keeps.

    Units are counted by hook point, shared windows by split; ``n_types`` are the distinct tokens
    of the explain text, 0 where no token tables are kept, of which ``n_once`` occur once.
    """
    state = tables = 0
    for n in n_units.values():
        for split in Split:
            parts = _parts(n, config, n_shared[split])
            state += sum(n_values * itemsize for _, n_values, itemsize in parts)
        if n_types:
            tables += table_bytes(n_types, n_once, n)
    return MemoryNeed(
        state=state,
        tables=tables,
        batch=config.batch_windows * batch.n_pos * batch.width * batch.itemsize * _LIVE,
        model=model_bytes,
        n_units=sum(n_units.values()),
        batch_windows=config.batch_windows,
    )


def summary_bytes(
    n_units: Mapping[str, int],
    config: CollectConfig,
    *,
    n_tokens: Mapping[Split, int],
    n_windows: Mapping[Split, int],
    n_types: int = 0,
    n_once: int = 0,
) -> int:
    """At most so many bytes has the file of a summary: counts are as wide as they could have to be.

    Units are counted by hook point; ``n_types`` are the distinct tokens of the explain text, 0
    where no token tables are kept, of which ``n_once`` occur once.
    """
    total = 0
    for n in n_units.values():
        for split in Split:
            widths = dict.fromkeys(_OF_TOKENS, _width(n_tokens[split]))
            widths |= dict.fromkeys(_OF_WINDOWS, _width(n_windows[split]))
            n_shared = min(config.shared_windows, n_windows[split])
            for name, n_values, itemsize in _parts(n, config, n_shared):
                total += n_values * widths.get(name, itemsize)
        total += table_bytes(n_types, n_once, n)
    return total


def _parts(n_units: int, config: CollectConfig, n_shared: int) -> Iterator[tuple[str, int, int]]:
    """The fields of a state: name, values, bytes a value."""
    for name, shape in state_shapes(n_units, config, n_shared=n_shared).items():
        yield name, math.prod(shape), 4 if name in FLOATS else 8


def _width(most: int) -> int:
    return np.min_scalar_type(most).itemsize

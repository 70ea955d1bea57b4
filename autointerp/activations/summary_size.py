"""How large the file of a summary will be, told from the shapes of what it holds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from autointerp.activations.kernels.hook_state import empty_state
from autointerp.activations.token_table import table_bytes
from autointerp.core.config import CollectConfig
from autointerp.core.text import Split

_OF_TOKENS = frozenset({"active_tokens", "histogram"})
_OF_WINDOWS = frozenset({"active_windows", "peak_histogram"})


def summary_bytes(
    n_units: Mapping[str, int],
    config: CollectConfig,
    *,
    n_tokens: Mapping[Split, int],
    n_windows: Mapping[Split, int],
    n_types: int = 0,
    n_once: int = 0,
) -> int:
    """At most so many bytes: counts are as wide as they could have to be.

    Units are counted by hook point; ``n_types`` are the distinct tokens of the explain text, 0
    where no token tables are kept, of which ``n_once`` occur once.
    """
    total = 0
    for n in n_units.values():
        for split in Split:
            n_shared = min(config.shared_windows, n_windows[split])
            state = empty_state(n, config, torch.device("meta"), n_shared=n_shared)
            widths = dict.fromkeys(_OF_TOKENS, _width(n_tokens[split]))
            widths |= dict.fromkeys(_OF_WINDOWS, _width(n_windows[split]))
            for name, tensor in state.tensors().items():
                total += tensor.numel() * widths.get(name, tensor.element_size())
        total += table_bytes(n_types, n_once, n)
    return total


def _width(most: int) -> int:
    return np.min_scalar_type(most).itemsize

"""Summaries of one made-up unit, from the peaks of its windows alone."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st

from autointerp.activations import HookSummary
from autointerp.activations.kernels.hook_state import WindowBatch, empty_state, update_state
from autointerp.core.config import CollectConfig

some_peaks = st.lists(
    st.one_of(st.just(0.0), st.floats(-50, 50, width=32), st.sampled_from([1.0, 1.1, 2.0])),
    min_size=1,
    max_size=80,
).map(lambda values: np.array(values, dtype=np.float32))


def heavy_tailed(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(n) < 0.6, np.exp(1.5 * rng.normal(size=n)), -1.0)


def summarize(
    peaks: np.ndarray, *, seed: int, top_k: int = 4, sample: int = 16, shared: int = 24
) -> HookSummary:
    """One unit whose window ``i`` has the peak ``peaks[i]``; windows of one token."""
    n = len(peaks)
    config = CollectConfig(top_k=top_k, sample_size=sample)
    rng = np.random.default_rng(seed)
    chosen = rng.choice(n, size=min(shared, n), replace=False)
    state = empty_state(1, config, torch.device("cpu"), n_shared=len(chosen))
    columns = torch.full((n,), -1)
    columns[torch.from_numpy(chosen)] = torch.arange(len(chosen))
    batch = WindowBatch(torch.arange(n), torch.ones(n, dtype=torch.int64), columns, str(seed))
    activations = torch.from_numpy(peaks.astype(np.float32))[:, None, None]
    update_state(state, activations, batch, units=torch.tensor([0]), threshold=0.0)
    return HookSummary(state, n_tokens=n, n_windows=n, shared_windows=chosen)

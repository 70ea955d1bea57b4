"""The compiled pass on the CPU keeps what the plain tensor operations keep."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from autointerp.activations.kernels.decoding import from_fixed
from autointerp.activations.kernels.hook_state import HookState, WindowBatch, empty_state
from autointerp.activations.kernels.updaters import (
    CpuUpdater,
    DeviceUpdater,
    ImpossibleActivationError,
)
from autointerp.core.config import CollectConfig

CPU = torch.device("cpu")
N_SHARED = 5
CONFIG = CollectConfig(top_k=3, sample_size=4)
SPECIAL = [0.0, -0.0, 1.0, -1.0, 1e-8, -3e-6, 700.0, -1500.0, 1e-42, -1e-42]
SPECIAL += [
    0.05,
    -0.05,
    0.0498,
    -0.0498,
    2.0**-16,
    -(2.0**-16) * 1.25,
    2.0**9.8,
    -(2.0**11),
    1.7499999,
    1.75,
]


@dataclass(frozen=True)
class Text:
    """Batches of windows with their activations."""

    acts: list[Tensor]
    batches: list[WindowBatch]
    threshold: float

    @classmethod
    def random(cls, seed: int, *, n_units: int, threshold: float = 0.0, zeros: float = 0.0) -> Text:
        rng = np.random.default_rng(seed)
        acts, batches, first = [], [], 0
        for _ in range(3):
            n, n_pos = int(rng.integers(1, 7)), int(rng.integers(1, 9))
            values = rng.standard_normal((n, n_pos + 1, n_units)).astype(np.float32)
            special = rng.choice(SPECIAL, size=values.shape).astype(np.float32)
            mixed = np.where(rng.random(values.shape) < 0.4, special, values)
            mixed[rng.random(values.shape) < zeros] = 0.0
            # As a model hands it over: BOS is cut off, so windows do not lie behind each other.
            acts.append(torch.from_numpy(mixed)[:, 1:])
            columns = np.full(n, -1)
            if first < N_SHARED:
                columns[0] = first
            windows = torch.arange(first, first + n)
            lengths = torch.from_numpy(rng.integers(1, n_pos + 1, size=n))
            batches.append(WindowBatch(windows, lengths, torch.from_numpy(columns), "salt"))
            first += n
        return cls(acts, batches, threshold)

    def added(self, updater: CpuUpdater | DeviceUpdater, n_units: int) -> HookState:
        state = empty_state(n_units, CONFIG, CPU, n_shared=N_SHARED)
        for acts, batch in zip(self.acts, self.batches, strict=True):
            state = updater.add(state, acts, batch, threshold=self.threshold)
        updater.settle()
        return state


def by_kernel(text: Text, n_units: int, *, threads: int = 1) -> HookState:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        made = text.added(CpuUpdater(torch.arange(n_units)), n_units)
        # Where the numbers differ, each makes the threads anew that it shares with the other.
        assert torch.get_num_threads() == threads
        assert numba.get_num_threads() == min(threads, numba.config.NUMBA_NUM_THREADS)
        return made
    finally:
        torch.set_num_threads(before)


def differing(a: HookState, b: HookState) -> set[str]:
    pairs = zip(a.tensors().items(), b.tensors().values(), strict=True)
    return {name for (name, x), y in pairs if x.numpy().tobytes() != y.numpy().tobytes()}


@given(seed=st.integers(0, 10**6), threshold=st.sampled_from([0.0, 0.05, 1.0]))
@settings(deadline=None, max_examples=60)
def test_counts_ranks_and_samples_are_those_of_the_plain_operations_to_the_bit(
    seed: int, threshold: float
) -> None:
    n_units = 5
    text = Text.random(seed, n_units=n_units, threshold=threshold)
    plain = text.added(DeviceUpdater(torch.arange(n_units)), n_units)
    compiled = by_kernel(text, n_units)
    # Sums of one batch are taken in another order.
    assert differing(plain, compiled) <= {"total", "squares"}
    for name in ("total", "squares"):
        pair = [from_fixed(getattr(state, name).numpy()) for state in (plain, compiled)]
        np.testing.assert_allclose(pair[0], pair[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("zeros", [0.9, 0.99, 1.0])
@pytest.mark.parametrize("n_units", [5, 70, 850])
def test_units_that_are_mostly_zero_are_counted_like_any_other(n_units: int, zeros: float) -> None:
    text = Text.random(n_units, n_units=n_units, zeros=zeros)
    plain = text.added(DeviceUpdater(torch.arange(n_units)), n_units)
    assert differing(plain, by_kernel(text, n_units)) <= {"total", "squares"}
    for name in ("total", "squares"):
        pair = [from_fixed(getattr(s, name).numpy()) for s in (plain, by_kernel(text, n_units))]
        np.testing.assert_allclose(pair[0], pair[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n_units", [5, 850])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("threshold", [0.0, 0.05])
def test_activations_of_half_the_width_are_counted_as_their_exact_float32(
    n_units: int, dtype: torch.dtype, threshold: float
) -> None:
    text = Text.random(n_units, n_units=n_units)
    narrow = Text([acts.to(dtype) for acts in text.acts], text.batches, threshold)
    wide = Text([acts.to(torch.float32) for acts in narrow.acts], text.batches, threshold)
    assert differing(by_kernel(narrow, n_units), by_kernel(wide, n_units)) == set()


@pytest.mark.parametrize("n_units", [1, 255, 256, 257, 600])
def test_any_number_of_threads_gives_the_same_bits(n_units: int) -> None:
    text = Text.random(n_units, n_units=n_units)
    alone = by_kernel(text, n_units)
    for threads in (2, 3):
        assert differing(alone, by_kernel(text, n_units, threads=threads)) == set()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_counts_that_outgrow_16_bits_are_complete(dtype: torch.dtype) -> None:
    n, n_pos = 60, 1200
    acts = torch.ones((n, n_pos, 2), dtype=dtype)
    batch = WindowBatch(torch.arange(n), torch.full((n,), n_pos), torch.full((n,), -1), "salt")
    text = Text([acts, acts], [batch, batch], 0.0)
    state = by_kernel(text, 2)
    assert state.histogram.sum(1).tolist() == [2 * n * n_pos] * 2
    assert state.active_tokens.tolist() == [[2 * n * n_pos] * 2, [0, 0]]
    assert state.peak_histogram[0].sum(1).tolist() == [2 * n] * 2


def test_counts_go_to_the_state_that_was_added_to() -> None:
    text = Text.random(3, n_units=2)
    states = [empty_state(2, CONFIG, CPU, n_shared=N_SHARED) for _ in range(2)]
    updater = CpuUpdater(torch.arange(2))
    for state, acts, batch in zip(states, text.acts, text.batches, strict=False):
        updater.add(state, acts, batch, threshold=0.0)
    updater.settle()
    n_tokens = [int(batch.lengths.sum()) for batch in text.batches[:2]]
    assert [int(state.histogram[0].sum()) for state in states] == n_tokens


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 2.0**21])
@pytest.mark.parametrize("place", [0, 260])
def test_an_impossible_activation_is_noticed_by_both(value: float, place: int) -> None:
    acts = torch.zeros((2, 3, 270))
    acts[1, 1, place] = value
    batch = WindowBatch(torch.arange(2), torch.tensor([3, 2]), torch.full((2,), -1), "salt")
    text = Text([acts], [batch], 0.0)
    with pytest.raises(ImpossibleActivationError):
        by_kernel(text, 270)
    with pytest.raises(ImpossibleActivationError):
        text.added(DeviceUpdater(torch.arange(270)), 270)


def test_what_stands_in_padding_is_not_looked_at() -> None:
    acts = torch.zeros((1, 3, 1))
    acts[0, 2] = float("nan")
    batch = WindowBatch(torch.tensor([0]), torch.tensor([2]), torch.tensor([-1]), "salt")
    text = Text([acts], [batch], 0.0)
    plain, compiled = text.added(DeviceUpdater(torch.arange(1)), 1), by_kernel(text, 1)
    assert differing(plain, compiled) == set()
    assert int(compiled.histogram.sum()) == 2


def test_without_a_place_for_compiled_code_every_process_compiles_its_own() -> None:
    # The one place that is left to look at is a folder that nobody named.
    environment = {**os.environ, "NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator"}
    program = "from autointerp.statistics.compiled.compilation import CACHED; print(CACHED)"
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout == "False\n"

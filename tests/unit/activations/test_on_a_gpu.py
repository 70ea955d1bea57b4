"""What is collected and read on a GPU is what the CPU makes of it; the CPU stands for one too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sae_folders import write_sae
from tiny import tiny_corpus, tiny_gpt2, tiny_llama, tiny_tokenizer

from autointerp.activations import CollectPlan, collect, live_activations, read_windows
from autointerp.activations.kernels.hook_state import HookState
from autointerp.core.config import CollectConfig
from autointerp.subjects import HookUnits, SubjectModel, load_sae, wrap_subject

NEURONS = "blocks.1.mlp.hook_post"
CONFIG = CollectConfig(top_k=5, sample_size=12, shared_windows=20, batch_windows=7)
ON_GPU = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=ON_GPU)])
def device(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def subject_on(device: str, model: Any) -> SubjectModel:
    pytest.importorskip("transformer_lens")
    return wrap_subject(model, tiny_tokenizer(), name="tiny", device=device)


@pytest.mark.parametrize("build", [tiny_llama, tiny_gpt2])
def test_records_and_live_activations_are_those_of_the_cpu(
    device: str, build: Any, tmp_path: Path
) -> None:
    both = [subject_on(where, build(n_layers=2)) for where in (device, "cpu")]
    corpus = tiny_corpus(tmp_path, both[1])
    for subject in both:
        subject.attach(load_sae(write_sae(tmp_path / "sae")))
    asked = {(NEURONS, 3): [0, 5], ("blocks.1.hook_resid_post.sae_sae", 7): [5, 60]}
    there, here = (read_windows(subject, corpus, asked) for subject in both)
    for key, line in here.items():
        np.testing.assert_allclose(there[key], line, rtol=1e-3, atol=1e-4)
    units = (HookUnits(NEURONS, (0, 3, 7)),)
    typed, same = (live_activations(subject, "the river runs", units=units) for subject in both)
    np.testing.assert_allclose(typed[0].values, same[0].values, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_collection_agrees_with_the_cpu_and_continues_from_its_checkpoint(
    device: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    subject = subject_on(device, tiny_llama(n_layers=2, dtype=dtype))
    here = subject_on("cpu", tiny_llama(n_layers=2, dtype=dtype))
    corpus = tiny_corpus(tmp_path, here)
    options: Any = {"units": [HookUnits(NEURONS, tuple(range(24)))], "config": CONFIG}
    plan = CollectPlan(token_means=True, checkpoint=tmp_path / "part")
    found = collect(subject, corpus, **options, plan=plan)[NEURONS]
    expected = collect(here, corpus, **options)[NEURONS]
    assert (found.n_tokens, found.n_windows) == (expected.n_tokens, expected.n_windows)
    np.testing.assert_array_equal(found.histogram.sum(1), expected.histogram.sum(1))
    tolerance = 1e-4 if dtype is torch.float32 else 0.05
    np.testing.assert_allclose(found.mean, expected.mean, atol=tolerance)
    np.testing.assert_allclose(found.top_values, expected.top_values, rtol=tolerance)
    again = collect(subject, corpus, **options, plan=plan)[NEURONS]
    assert same(again.state, found.state)


def same(state: HookState, other: HookState) -> bool:
    pairs = zip(state.tensors().values(), other.tensors().values(), strict=True)
    return all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in pairs)


def test_the_device_of_a_subject_has_its_number(device: str) -> None:
    subject = subject_on(device, tiny_llama(n_layers=2))
    assert subject.device == torch.zeros(1, device=device).device

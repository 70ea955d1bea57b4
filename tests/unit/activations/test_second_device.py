"""Collection, records and live activations keep every tensor on the model's device."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from sae_folders import HOOK, write_sae
from second_device import SECOND, SecondDevice, moved
from tiny import tiny_corpus, tiny_gpt2, tiny_llama, tiny_subject

from autointerp.activations import (
    CollectPlan,
    WindowSample,
    collect,
    live_activations,
    read_contexts,
    read_windows,
)
from autointerp.activations.sampling.strata import TOP, SampledWindow
from autointerp.core.config import CollectConfig
from autointerp.core.ids import Side, UnitId
from autointerp.corpora import TokenCorpus
from autointerp.subjects import HookUnits, SubjectModel, load_sae

NEURONS = "blocks.1.mlp.hook_post"
STREAM = "blocks.0.hook_resid_post"


@dataclass(frozen=True)
class Remote:
    """What is read on the second device."""

    subject: SubjectModel
    corpus: TokenCorpus
    units: tuple[HookUnits, ...]


@pytest.fixture(params=[tiny_llama, tiny_gpt2], ids=["llama", "gpt2"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Remote:
    subject = tiny_subject(request.param(n_layers=2))
    corpus = tiny_corpus(tmp_path, subject)
    neurons = HookUnits(NEURONS, (0, 3, 7))
    stream = HookUnits(STREAM, tuple(range(16)))
    moved(subject, [NEURONS, STREAM, subject.input_hook(NEURONS), HOOK])
    sae = load_sae(write_sae(tmp_path / "sae"))
    latents = HookUnits(subject.attach(sae), tuple(range(sae.n_units)))
    return Remote(subject, corpus, (stream, neurons, latents))


def test_collecting_mixes_no_devices_and_waits_as_often_for_few_batches_as_for_many(
    remote: Remote,
) -> None:
    waits = []
    for batch_windows in (200, 10):
        config = CollectConfig(batch_windows=batch_windows)
        plan = CollectPlan(token_means=True)
        with SecondDevice() as device:
            summary = collect(
                remote.subject, remote.corpus, units=remote.units, config=config, plan=plan
            )
        assert summary[NEURONS].n_tokens == remote.corpus.n_tokens
        # Transformers looks at the positions of every batch.
        waits.append(Counter(file for file in device.waits if "/transformers/" not in file))
    assert waits[0] == waits[1]


def test_records_and_live_activations_mix_no_devices_and_come_as_arrays(remote: Remote) -> None:
    unit = UnitId(remote.subject.name, NEURONS, 3)
    samples = {(unit, Side.POSITIVE): WindowSample((SampledWindow(1, TOP, 1.0),))}
    with SecondDevice():
        read = read_windows(remote.subject, remote.corpus, {(NEURONS, 3): [0, 5]})
        contexts = read_contexts(
            remote.subject, remote.corpus, samples, peaks=dict.fromkeys(samples, 1.0)
        )
        live = live_activations(remote.subject, ["the river", "runs"], units=remote.units)
    assert set(read) == {(NEURONS, 3, 0), (NEURONS, 3, 5)}
    assert len(contexts[unit, Side.POSITIVE].records) == 1
    assert [len(text.values) for text in live] == [16 + 3 + 40] * 2


def test_a_tensor_of_the_cpu_beside_one_of_the_device_is_noticed() -> None:
    with SecondDevice() as device, pytest.raises(AssertionError, match="on two devices"):
        torch.zeros(3, device=SECOND) + torch.zeros(3)
    with device:
        assert not torch.zeros(3, device=SECOND).any()
    assert len(device.waits) == 1

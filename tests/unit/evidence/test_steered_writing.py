"""Text that is written with a unit pushed, beside random directions of the same length."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from causal_model import causal_subject, neuron
from many_models import model_of
from sae_folders import sae_config, write_sae
from tiny import tiny_gpt2, tiny_llama, tiny_subject

from autointerp.core.errors import InputError, UpstreamError
from autointerp.core.ids import UnitId
from autointerp.evidence import HeldPasses, steered_writing
from autointerp.evidence.held_passes import PassRows
from autointerp.evidence.held_units import HeldUnits
from autointerp.evidence.write_sites import turned
from autointerp.subjects.sae import load_sae

POST = "blocks.1.mlp.hook_post"
PROMPTS = ("the river", "old stones sleep")


def test_the_unit_moves_as_far_as_asked_and_controls_are_as_long() -> None:
    subject = tiny_subject(tiny_gpt2())
    unit, passes = UnitId("tiny", POST, 3), HeldPasses(subject, seed=4)
    found = steered_writing(passes, unit, PROMPTS, sign=-1, n_tokens=6, n_controls=4)
    assert found.strength is not None
    assert found.strength < 0
    assert found.kl == pytest.approx(0.5, rel=0.1)
    assert len(found.texts) == len(found.unsteered) == len(found.control_texts) == 2
    row = subject.bridge.original_model.transformer.h[1].mlp.c_proj.weight[3].detach()
    held = HeldUnits.pushed(unit, found.strength)
    ids = subject.tokenizer.encode(PROMPTS[0])
    written = -passes.written(ids, held)
    assert torch.allclose(written, (found.strength * row).expand_as(written), rtol=1e-3, atol=1e-5)
    for number in range(4):
        control = turned(written[0], number, seed=4)
        assert float(control.norm()) == pytest.approx(float(written[0].norm()), rel=1e-4)
        assert abs(float(control @ written[0])) < 0.95 * float(written[0].norm()) ** 2


def test_turned_rows_are_those_of_the_vector_added_where_the_unit_writes() -> None:
    subject = tiny_subject(tiny_llama())
    unit, passes = UnitId("tiny", POST, 3), HeldPasses(subject, seed=4)
    held, ids = HeldUnits.pushed(unit, 2.5), subject.tokenizer.encode(PROMPTS[1])
    ran = passes.next_logits(ids, PassRows((held,), turns=(0, 1)))
    vector = turned(-passes.written(ids, held)[0], 1, seed=4)

    def add(written: torch.Tensor, *, hook: object) -> torch.Tensor:
        return torch.cat([written[:, :1], written[:, 1:] + vector], dim=1)

    with torch.inference_mode(), subject.bridge.hooks(fwd_hooks=[("blocks.1.hook_mlp_out", add)]):
        logits = subject.bridge(torch.tensor([[0, *ids]]), return_type="logits")[0, -1]
    assert ran.values[3].tolist() == pytest.approx(logits.tolist(), abs=1e-4)


def test_a_model_whose_mlp_has_all_tokens_in_one_row_is_steered() -> None:
    subject = tiny_subject(model_of("opt"))
    unit, passes = UnitId("tiny", POST, 3), HeldPasses(subject)
    found = steered_writing(passes, unit, PROMPTS, sign=1, n_tokens=4, n_controls=2)
    assert found.kl == pytest.approx(0.5, rel=0.1)
    assert len(found.texts) == len(found.control_texts) == 2


def test_a_promoter_makes_the_model_write_its_word() -> None:
    passes = HeldPasses(causal_subject())
    found = steered_writing(
        passes, neuron(1, 2), [" it"], sign=1, target_kl=4.0, n_tokens=20, n_controls=19
    )
    assert found.texts[0].count("dry") > found.control_texts[0].count("dry") + 5
    assert found.unsteered[0].count("dry") < 3


def test_what_cannot_be_steered_says_why() -> None:
    model = tiny_gpt2()
    with torch.no_grad():
        model.transformer.h[1].mlp.c_proj.weight[3] = 0.0
    passes = HeldPasses(tiny_subject(model))
    found = steered_writing(passes, UnitId("tiny", POST, 3), PROMPTS, sign=1)
    assert found.texts == ()
    assert "a KL of 0.5 cannot be set" in (found.reason or "")
    with pytest.raises(InputError, match="a prompt to continue has no tokens"):
        steered_writing(passes, UnitId("tiny", POST, 3), [""], sign=1)
    with pytest.raises(InputError, match=r"tokens and 25 more do not fit tiny"):
        steered_writing(passes, UnitId("tiny", POST, 3), [" the" * 200], sign=1)


@pytest.mark.parametrize("model", [tiny_gpt2, tiny_llama])
def test_each_token_is_behind_a_check_that_finds_the_model_as_it_is(model: Any) -> None:
    subject = tiny_subject(model())
    unit, ids = UnitId("tiny", POST, 3), subject.tokenizer.encode(PROMPTS[1])
    rows = PassRows((HeldUnits.pushed(unit, 2.5),))
    alone = HeldPasses(subject).next_logits(ids, rows).values
    checks: list[int] = []

    def check() -> None:
        between = HeldPasses(subject).next_logits(ids, rows).values
        assert between.tolist() == alone.tolist()
        checks.append(1)

    counts = {}
    for n_tokens in (3, 8):
        checks.clear()
        passes = HeldPasses(subject, check=check)
        asked = {"sign": 1, "n_tokens": n_tokens, "n_controls": 2}
        found = steered_writing(passes, unit, PROMPTS, **asked)  # type: ignore[arg-type]
        counts[n_tokens] = len(checks)
        assert found == steered_writing(HeldPasses(subject), unit, PROMPTS, **asked)  # type: ignore[arg-type]
    # Two prompts of two lengths, each continued with the unit raised, left alone and a control.
    assert counts[8] - counts[3] == 5 * 2 * 3


@pytest.mark.parametrize("most", [0, 1, 20])
def test_writing_ends_where_a_check_raises(most: int) -> None:
    n_checks = [0]

    def check() -> None:
        n_checks[0] += 1
        if n_checks[0] > most:
            raise UpstreamError("nobody waits", retryable=True)

    passes = HeldPasses(tiny_subject(tiny_gpt2()), check=check)
    with pytest.raises(UpstreamError, match="nobody waits"):
        steered_writing(passes, UnitId("tiny", POST, 3), PROMPTS, sign=1, n_tokens=6)
    assert n_checks[0] == most + 1


def test_a_latent_of_normalized_activations_is_pushed_as_far_as_it_is_steered(
    tmp_path: Path,
) -> None:
    subject = tiny_subject()
    config = sae_config(normalize_activations="layer_norm")
    sae = load_sae(write_sae(tmp_path / "sae", config=config))
    held = HeldUnits.pushed(UnitId("tiny", subject.attach(sae), 3), 2.5)
    written = -HeldPasses(subject).written(subject.tokenizer.encode(PROMPTS[1]), held)
    steered_by = 2.5 * sae.decoder_rows([3])[0]
    assert torch.allclose(written, steered_by.expand_as(written), rtol=1e-3, atol=1e-4)

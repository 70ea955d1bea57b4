"""Latents of SAEs from disk write what their decoder says: logit effects, steering, holding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from sae_folders import D_IN, D_SAE, sae_config, sae_tensors, write_sae
from tiny import tiny_subject, tiny_tokenizer

from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.evidence import logit_effects, steered_texts, steering_strength
from autointerp.evidence.output_weights import output_directions
from autointerp.evidence.steered_passes import steered
from autointerp.subjects import SubjectModel, load_sae, parse_units

IDS = torch.tensor([[0, 5, 6, 7, 260]])


def transcoder_tensors(architecture: str) -> dict[str, Any]:
    """The tensors of a transcoder that writes as many values as the model is wide."""
    generator = torch.Generator().manual_seed(2)
    wide = {"W_dec": torch.randn(D_SAE, D_IN, generator=generator), "b_dec": torch.zeros(D_IN)}
    skip = {"W_skip": torch.zeros(D_IN, D_IN)} if "skip" in architecture else {}
    return sae_tensors(architecture) | wide | skip


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [
        ("standard", {}),
        ("jumprelu", {"normalize_activations": "layer_norm"}),
        ("gated", {}),
        ("topk", {}),
        ("topk", {"rescale_acts_by_decoder_norm": True}),
    ],
)
def test_a_latent_of_an_sae_writes_its_decoder_row(
    tmp_path: Path, architecture: str, settings: dict[str, Any]
) -> None:
    config = sae_config(architecture, **settings)
    write_sae(tmp_path / "x", architecture, config=config)
    subject = tiny_subject()
    [units] = parse_units(f"sae:{tmp_path}/x:3-5", subject)
    rows = sae_tensors(architecture)["W_dec"][3:6]
    if settings.get("rescale_acts_by_decoder_norm"):
        rows = rows / rows.norm(dim=1, keepdim=True)
    torch.testing.assert_close(output_directions(subject, units.hook, units.indices), rows)
    assert len(logit_effects(subject, [units], k=2)) == 3


@pytest.mark.parametrize("architecture", ["transcoder", "jumprelu_skip_transcoder"])
@pytest.mark.parametrize("named", [None, "blocks.1.hook_mlp_out", "blocks.2.hook_mlp_out"])
def test_a_latent_of_a_transcoder_writes_where_its_configuration_says(
    tmp_path: Path, architecture: str, named: str | None
) -> None:
    config = sae_config(architecture, d_out=D_IN)
    if named:
        config["metadata"]["hook_name_out"] = named
    tensors = transcoder_tensors(architecture)
    subject = tiny_subject()
    encoder = load_sae(write_sae(tmp_path / "x", architecture, config=config, tensors=tensors))
    unit = UnitId("tiny", subject.attach(encoder), 4)
    with steered(subject, unit, [2.0]) as push:
        held = subject.bridge(IDS, return_type="logits")
    assert push is not None
    written = named or "blocks.1.hook_mlp_out"
    expected = with_added(subject, written, 2.0 * tensors["W_dec"][4])
    torch.testing.assert_close(held, expected)


def with_added(subject: SubjectModel, hook: str, vector: torch.Tensor) -> Any:
    def add(values: torch.Tensor, **_: object) -> torch.Tensor:
        result = values.clone()
        result[:, 1:] += vector
        return result

    with subject.bridge.hooks(fwd_hooks=[(hook, add)]):
        return subject.bridge(IDS, return_type="logits")


def test_a_transcoder_whose_width_does_not_fit_where_it_writes_is_told(tmp_path: Path) -> None:
    subject = tiny_subject()
    hook = subject.attach(load_sae(write_sae(tmp_path / "x", "transcoder")))
    with pytest.raises(InputError) as told:
        output_directions(subject, hook, [0])
    assert str(told.value) == (
        "latents of transcoder_x write 7 values, but blocks.1.hook_mlp_out of tiny is 16 wide; "
        "leave out what steers them or reads their logit effects"
    )


def test_latents_from_disk_are_held_up_and_down_while_the_model_writes(tmp_path: Path) -> None:
    subject = tiny_subject()
    [units] = parse_units(f"sae:{write_sae(tmp_path / 'x')}:3", subject)
    prompts = [tuple(tiny_tokenizer().encode(text)) for text in ("the river", "old stones")]
    for sign in (1, -1):
        unit = UnitId("tiny", units.hook, 3)
        found = steering_strength(subject, unit, prompts, sign=sign, target_kl=0.25)
        assert found.kl == pytest.approx(0.25, rel=0.1)
        assert found.strength * sign > 0
        assert all(steered_texts(subject, found, prompts, n_tokens=4, seed=0))


def test_a_decoder_row_that_is_not_finite_is_told_where_it_is_needed(tmp_path: Path) -> None:
    tensors = sae_tensors()
    tensors["W_dec"][3, 1] = torch.nan
    subject = tiny_subject()
    hook = subject.attach(load_sae(write_sae(tmp_path / "x", tensors=tensors)))
    assert subject.width(hook) == D_SAE
    assert output_directions(subject, hook, [2]).shape == (1, D_IN)
    with pytest.raises(InputError, match="W_dec of sae_x holds NaN or infinity in the row 3"):
        output_directions(subject, hook, [2, 3])


def test_an_encoder_is_known_by_what_decides_its_latents_as_before(tmp_path: Path) -> None:
    digests = {
        name: load_sae(write_sae(tmp_path / name, name)).digest
        for name in ("standard", "topk", "jumprelu_transcoder")
    }
    assert digests == {
        "standard": "e068a03ba6fe9e07",
        "topk": "1dd716951e36f010",
        "jumprelu_transcoder": "8358ef42f3973f08",
    }

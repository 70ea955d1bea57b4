"""Logit effects where the stream is wider than the embedding, or norms stand behind the blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from many_models import model_of
from numpy.typing import NDArray
from tiny import tiny_subject

from autointerp.core.errors import InputError
from autointerp.evidence import logit_effects
from autointerp.evidence.output_weights import final_directions, readout, token_effects
from autointerp.subjects import HookUnits, SubjectModel

Array = NDArray[np.float64]
N_LAYERS = 3


def opt(**settings: Any) -> Any:
    model = model_of("opt", num_hidden_layers=N_LAYERS, **settings)
    with_gains(model)
    return model


def with_gains(model: Any) -> None:
    """Norms whose gains and biases are not 1 and 0."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.weight.normal_(1, 0.3, generator=generator)
                module.bias.normal_(0, 0.3, generator=generator)


def array(weights: Any) -> Array:
    result: Array = weights.detach().double().numpy()
    return result


def normed(norm: Any, row: Array) -> Array:
    """A row behind a norm whose divisor is held at 1."""
    return array(norm.weight) * (row - row.mean())


def brute_force(model: Any, layer: int, row: Array, *, of_attention: bool = False) -> Array:
    """What a row that a layer of OPT writes adds to the logits, norm by norm."""
    decoder = model.model.decoder
    if not model.config.do_layer_norm_before:
        for number in range(layer, N_LAYERS):
            if number > layer or of_attention:
                row = normed(decoder.layers[number].self_attn_layer_norm, row)
            row = normed(decoder.layers[number].final_layer_norm, row)
    else:
        row = normed(decoder.final_layer_norm, row)
    if decoder.project_out is not None:
        row = array(decoder.project_out.weight) @ row
    logits = array(model.lm_head.weight) @ row
    return logits - logits.mean()


def all_effects(subject: SubjectModel, hook: str, index: int) -> Array:
    effects = token_effects(readout(subject), final_directions(subject, hook, [index]))
    result: Array = effects[0].double().numpy()
    return result


@pytest.mark.parametrize(
    "settings",
    [
        {"word_embed_proj_dim": 16, "do_layer_norm_before": False},
        {"word_embed_proj_dim": 48, "do_layer_norm_before": False},
        {"word_embed_proj_dim": 16},
        {},
    ],
    ids=str,
)
@pytest.mark.parametrize("layer", range(N_LAYERS))
def test_effects_of_neurons_of_opt_are_those_of_its_weights(
    settings: dict[str, Any], layer: int
) -> None:
    model = opt(**settings)
    [effect] = logit_effects(
        tiny_subject(model), [HookUnits(f"blocks.{layer}.mlp.hook_post", (5,))], k=300
    )
    row = array(model.model.decoder.layers[layer].fc2.weight)[:, 5]
    expected = brute_force(model, layer, row)
    found = [value for _, value in effect.promoted]
    np.testing.assert_allclose(found, np.sort(expected)[::-1], rtol=1e-3, atol=1e-4)


def test_effects_of_attention_and_of_the_stream_go_through_the_norms_behind_them() -> None:
    model = opt(word_embed_proj_dim=16, do_layer_norm_before=False)
    subject = tiny_subject(model)
    heads = array(model.model.decoder.layers[1].self_attn.out_proj.weight)[:, 9]
    single = np.eye(32)[4]
    for hook, index, layer, row, of_attention in [
        ("blocks.1.attn.hook_z", 9, 1, heads, True),
        ("blocks.1.hook_resid_pre", 4, 1, single, True),
        ("blocks.0.hook_resid_post", 4, 1, single, True),
    ]:
        found = all_effects(subject, hook, index)
        expected = brute_force(model, layer, row, of_attention=of_attention)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_effects_of_the_first_gpt_go_through_its_norms_too() -> None:
    model = model_of("openai-gpt")
    with_gains(model)
    row = array(model.transformer.h[0].mlp.c_proj.weight)[7]
    row = normed(model.transformer.h[0].ln_2, row)
    row = normed(model.transformer.h[1].ln_2, normed(model.transformer.h[1].ln_1, row))
    expected = array(model.lm_head.weight) @ row
    found = all_effects(tiny_subject(model), "blocks.0.mlp.hook_post", 7)
    np.testing.assert_allclose(found, expected - expected.mean(), rtol=1e-3, atol=1e-4)


def test_a_place_between_the_norms_that_is_not_known_is_refused() -> None:
    subject = tiny_subject(opt(word_embed_proj_dim=16, do_layer_norm_before=False))
    with pytest.raises(InputError, match="norms behind each block, and where among them blocks.1"):
        logit_effects(subject, [HookUnits("blocks.1.hook_resid_mid", (0,))])

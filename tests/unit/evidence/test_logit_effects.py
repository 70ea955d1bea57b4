"""Logit effects, held against the models' own weights in float64."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sae_folders import write_sae

from autointerp.core.errors import InputError
from autointerp.core.ids import Side
from autointerp.evidence import logit_effects
from autointerp.evidence.output_weights import output_directions
from autointerp.subjects import HookUnits, SubjectModel, load_sae, random_directions

POST = "blocks.1.mlp.hook_post"


def parts(model: Any) -> tuple[Any, Any, Any, bool]:
    """(rows that neurons of layer 1 write, gain, unembedding, centred), by the model's names."""
    body = getattr(model, "model", None) or getattr(model, "transformer", None) or model.gpt_neox
    if hasattr(body, "layers") and hasattr(body, "norm"):
        return body.layers[1].mlp.down_proj.weight.T, body.norm.weight, model.lm_head.weight, False
    if hasattr(body, "h"):
        return body.h[1].mlp.c_proj.weight, body.ln_f.weight, model.lm_head.weight, True
    rows = body.layers[1].mlp.dense_4h_to_h.weight.T
    return rows, body.final_layer_norm.weight, model.get_output_embeddings().weight, True


def brute_force(model: Any, index: int) -> np.ndarray:
    rows, gain, unembedding, centred = (
        part if isinstance(part, bool) else part.detach().double().numpy()
        for part in map(_plain, parts(model))
    )
    row = rows[index] - (rows[index].mean() if centred else 0.0)
    effects = unembedding @ (gain * row)
    return effects - effects.mean()


def _plain(part: Any) -> Any:
    return getattr(part, "original_component", part)


def test_effects_are_those_of_the_weights(subject: SubjectModel, hf_model: Any) -> None:
    found = logit_effects(subject, [HookUnits(POST, (0, 3, 7))], k=5)
    assert [effect.unit.index for effect in found] == [0, 3, 7]
    for effect in found:
        expected = brute_force(hf_model, effect.unit.index)
        order = np.argsort(expected, kind="stable")
        up, down = order[::-1][:5], order[:5]
        assert [token for token, _ in effect.promoted] == list(subject.tokenizer.pieces(up))
        np.testing.assert_allclose([v for _, v in effect.promoted], expected[up], rtol=1e-4)
        np.testing.assert_allclose([v for _, v in effect.suppressed], expected[down], rtol=1e-4)
        assert effect.of(Side.NEGATIVE).promoted == subject.tokenizer.pieces(down)
        values = effect.of(Side.NEGATIVE).promoted_values
        np.testing.assert_allclose(values, -expected[down], rtol=1e-3)
        assert effect.of(Side.POSITIVE).suppressed_values == tuple(-value for value in values)


def test_the_logits_move_as_the_effects_say(subject: SubjectModel) -> None:
    """A push at the end of the residual stream, through the real norm and unembedding."""
    last = f"blocks.{subject.n_layers - 1}.hook_out"
    direction = output_directions(subject, POST, [3])[0]
    stream: list[torch.Tensor] = []
    subject.read(torch.tensor([[5, 6]]), [last], lambda _, acts: stream.append(acts[:, -1:]))
    bridge, size = subject.bridge, 1e-3
    with torch.inference_mode():
        here, there = (
            bridge.unembed.original_component(bridge.ln_final.original_component(stream[0] + step))
            for step in (-size * direction, size * direction)
        )
    moved = (there - here)[0, 0] - (there - here).mean()
    [effect] = logit_effects(subject, [HookUnits(POST, (3,))], k=300)
    said = {token: value for token, value in effect.promoted}
    names = subject.tokenizer.pieces(range(len(moved)))
    once = [i for i, name in enumerate(names) if names.count(name) == 1]
    # The divisor moves too, along the stream itself; the rest is one positive factor.
    r = np.corrcoef([said[names[i]] for i in once], [float(moved[i]) for i in once])[0, 1]
    assert r > 0.8


def test_other_units_write_what_stands_in_their_weights(llama: SubjectModel) -> None:
    eye = output_directions(llama, "blocks.0.hook_resid_post", [2])
    assert eye.tolist() == [[float(i == 2) for i in range(16)]]
    weights = llama.bridge.blocks[0].attn.o.original_component.weight
    assert torch.equal(output_directions(llama, "blocks.0.attn.hook_z", [9])[0], weights[:, 9])
    hook = llama.attach(random_directions("blocks.0.mlp.hook_post", 24, 3, 0))
    vectors = llama.encoders[hook].vectors  # type: ignore[attr-defined]
    rows = output_directions(llama, "blocks.0.mlp.hook_post", range(24))
    torch.testing.assert_close(output_directions(llama, hook, [1])[0], vectors[1] @ rows)


def test_a_latent_writes_its_decoder_row_and_needs_it(llama: SubjectModel, tmp_path: Path) -> None:
    encoder = load_sae(write_sae(tmp_path / "plain"))
    bare = {name: t for name, t in encoder.tensors.items() if name != "W_dec"}
    hook = llama.attach(replace(encoder, tensors=bare))
    with pytest.raises(InputError, match="without its decoder W_dec"):
        output_directions(llama, hook, [0])
    decoder = torch.arange(encoder.n_units * 16.0).reshape(-1, 16)
    whole = replace(encoder, name="sae_whole", tensors={**bare, "W_dec": decoder})
    assert torch.equal(output_directions(llama, llama.attach(whole), [1])[0], decoder[1])


@pytest.mark.parametrize(
    ("hook", "index", "message"),
    [
        (POST, 24, "has the units 0 to 23"),
        ("blocks.0.mlp.hook_pre", 0, "mlp.hook_post of the same block does"),
        ("blocks.0.ln1.hook_normalized", 0, "do not write to the residual stream"),
    ],
)
def test_what_writes_nothing_is_refused(
    llama: SubjectModel, hook: str, index: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        logit_effects(llama, [HookUnits(hook, (index,))])

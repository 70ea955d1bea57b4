"""What weights say of units, held against the models' own weights in float64."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from many_models import model_of
from native_models import native_model
from numpy.typing import NDArray
from sae_folders import sae_config, write_sae
from tiny import tiny_gpt2, tiny_llama, tiny_subject

from autointerp.core.ids import Side, UnitId
from autointerp.core.unit_evidence import Absent, NearUnits, Quantity, Relation, UnitEvidence
from autointerp.evidence.weight_evidence import WeightEvidence
from autointerp.subjects import SubjectModel, load_sae, random_directions

Floats = NDArray[np.float64]
PLUS = Side.POSITIVE


def varied(model: Any) -> Any:
    """The model with gains and biases that differ from 1 and 0."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.5 * torch.rand(parameter.shape, generator=generator))
    return model


def evidence(subject: SubjectModel, hook: str, index: int, side: Side = PLUS) -> UnitEvidence:
    unit = UnitId(subject.name, hook, index)
    return WeightEvidence(subject).of([(unit, side)])[unit, side]


def near(found: UnitEvidence, relation: Relation) -> NearUnits:
    return next(one for one in found.near if one.relation is relation)


def f64(tensor: Any) -> Floats:
    return np.asarray(getattr(tensor, "original_component", tensor).detach().double().numpy())


def gpt2_weights(model: Any, layer: int) -> tuple[Floats, Floats, Floats]:
    """(what neurons read of the stream, their biases, what they write), centred."""
    block = model.transformer.h[layer]
    rows, gain, shift = f64(block.mlp.c_fc.weight).T, f64(block.ln_2.weight), f64(block.ln_2.bias)
    reads, writes = rows * gain, f64(block.mlp.c_proj.weight)
    bias = f64(block.mlp.c_fc.bias) + rows @ shift
    return _centred(reads), bias, _centred(writes)


def _centred(rows: Floats) -> Floats:
    return np.asarray(rows - rows.mean(axis=1, keepdims=True))


def cosines(a: Floats, b: Floats) -> Floats:
    a, b = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (a, b))
    return np.asarray(a @ b.T)


def same_units(found: NearUnits, layers: list[int], expected: Floats) -> None:
    """Found are the three of the largest cosines in size; units of the layers lie side by side."""
    width = len(expected) // len(layers)
    order = np.argsort(-np.abs(expected))[:3]
    assert [(u.layer, u.index) for u in found.units] == [
        (layers[place // width], place % width) for place in order
    ]
    np.testing.assert_allclose([u.cosine for u in found.units], expected[order], rtol=6e-3)


def test_what_an_ungated_neuron_reads_and_writes_is_that_of_its_weights() -> None:
    model = varied(tiny_gpt2(n_layers=3))
    weights = [gpt2_weights(model, layer) for layer in range(3)]
    subject = tiny_subject(model)
    reads, bias, writes = weights[1]
    own = np.diagonal(cosines(reads, writes))
    found = evidence(subject, "blocks.1.mlp.hook_post", 5)
    value, control = (
        getattr(found.measure(Quantity.INPUT_OUTPUT_COSINE), n) for n in ("value", "control")
    )
    assert value == pytest.approx(own[5], rel=6e-3)
    assert control == pytest.approx((np.abs(own) >= abs(own[5])).mean(), rel=6e-3)
    lengths = np.linalg.norm(reads, axis=1)
    for quantity, expected in (
        (Quantity.INPUT_NORM, lengths),
        (Quantity.OUTPUT_NORM, np.linalg.norm(writes, axis=1)),
        (Quantity.NORM_TIMES_BIAS, lengths * bias),
    ):
        one = found.measure(quantity)
        assert one is not None
        assert one.value == pytest.approx(expected[5], rel=6e-3)
        assert one.control == pytest.approx(np.median(expected), rel=6e-3, abs=1e-3)
    same_units(near(found, Relation.UPSTREAM), [0], cosines(weights[0][2], reads[5:6])[:, 0])
    same_units(near(found, Relation.DOWNSTREAM), [2], cosines(weights[2][0], writes[5:6])[:, 0])
    for relation, rows in ((Relation.LIKE_INPUT, reads), (Relation.LIKE_OUTPUT, writes)):
        others = cosines(rows, rows[5:6])[:, 0]
        others[5] = 0.0
        same_units(near(found, relation), [1], others)


def test_gate_and_up_of_a_gated_neuron_are_told_apart() -> None:
    model = varied(tiny_llama(n_layers=7))
    layers = [
        tuple(
            f64(part)
            for part in (
                layer.mlp.gate_proj.weight * layer.post_attention_layernorm.weight,
                layer.mlp.up_proj.weight * layer.post_attention_layernorm.weight,
                layer.mlp.down_proj.weight.T,
            )
        )
        for layer in model.model.layers
    ]
    found = evidence(tiny_subject(model), "blocks.5.mlp.hook_post", 3)
    gate, up, out = (rows[3:4] for rows in layers[5])
    assert found.value(Quantity.GATE_OUTPUT_COSINE) == pytest.approx(
        cosines(gate, out)[0, 0], rel=6e-3
    )
    assert found.value(Quantity.UP_OUTPUT_COSINE) == pytest.approx(cosines(up, out)[0, 0], rel=6e-3)
    assert found.value(Quantity.UP_NORM) == pytest.approx(np.linalg.norm(up), rel=6e-3)
    assert found.measure(Quantity.INPUT_OUTPUT_COSINE) is None
    bias = found.measure(Quantity.NORM_TIMES_BIAS)
    assert bias is not None
    assert bias.absent is Absent.NO_BIAS
    before = np.concatenate([cosines(layers[n][2], gate)[:, 0] for n in (1, 2, 3, 4)])
    same_units(near(found, Relation.UPSTREAM), [1, 2, 3, 4], before)
    same_units(near(found, Relation.DOWNSTREAM), [6], cosines(layers[6][0], out)[:, 0])


def test_a_norms_gain_counts_the_same_where_it_is_folded_into_the_weights() -> None:
    plain, folded = varied(tiny_llama()), varied(tiny_llama())
    with torch.no_grad():
        for layer in folded.model.layers:
            norm = layer.post_attention_layernorm.weight
            for part in (layer.mlp.gate_proj, layer.mlp.up_proj):
                part.weight.mul_(norm)
            norm.fill_(1.0)
    found = [evidence(tiny_subject(m), "blocks.1.mlp.hook_post", 7) for m in (plain, folded)]
    for one, other in zip(found[0].measures, found[1].measures, strict=True):
        assert (one.value is None) == (other.value is None)
        if one.value is not None:
            assert one.value == pytest.approx(other.value, rel=6e-3)
    assert [[(u.layer, u.index) for u in n.units] for n in found[0].near] == [
        [(u.layer, u.index) for u in n.units] for n in found[1].near
    ]


@pytest.mark.parametrize("act_fn", ["gelu", "solu_ln"])
def test_models_in_transformer_lens_own_layout_are_read(act_fn: str) -> None:
    bridge = native_model(act_fn)
    subject = tiny_subject(bridge)
    block = bridge.blocks[1]
    rows, gain = (
        f64(part.original_component.weight) for part in (getattr(block.mlp, "in"), block.ln2)
    )
    found = evidence(subject, f"blocks.1.mlp.{subject.neuron_kind}", 4)
    expected = np.linalg.norm(_centred(rows * gain), axis=1)[4]
    assert found.value(Quantity.INPUT_NORM) == pytest.approx(expected, rel=6e-3)
    assert found.value(Quantity.NORM_TIMES_BIAS) is not None
    assert near(found, Relation.UPSTREAM).units


def test_a_unit_that_erases_what_it_reads_has_the_cosine_minus_one() -> None:
    model = tiny_gpt2()
    with torch.no_grad():
        mlp = model.transformer.h[1].mlp
        mlp.c_proj.weight[9] = -2.0 * mlp.c_fc.weight[:, 9]
    found = evidence(tiny_subject(model), "blocks.1.mlp.hook_post", 9)
    one = found.measure(Quantity.INPUT_OUTPUT_COSINE)
    assert one is not None
    assert one.value == -1.0
    # One of 64 neurons.
    assert one.control == 0.0156


def test_the_negative_side_writes_the_opposite() -> None:
    subject = tiny_subject(varied(tiny_llama()))
    plus, minus = (evidence(subject, "blocks.1.mlp.hook_post", 2, side) for side in Side)
    gate, up = Quantity.GATE_OUTPUT_COSINE, Quantity.UP_OUTPUT_COSINE
    assert minus.value(gate) == -(plus.value(gate) or 0.0)
    assert minus.value(up) == plus.value(up)
    for relation, sign in ((Relation.DOWNSTREAM, -1), (Relation.UPSTREAM, 1)):
        both = [[u.cosine for u in near(one, relation).units] for one in (plus, minus)]
        assert both[1] == [sign * cosine for cosine in both[0]]


def test_layers_at_the_ends_and_other_hook_points_say_what_they_lack() -> None:
    subject = tiny_subject(tiny_llama(n_layers=1))
    found = evidence(subject, "blocks.0.mlp.hook_post", 0)
    assert near(found, Relation.UPSTREAM).absent is Absent.FIRST_LAYER
    assert near(found, Relation.DOWNSTREAM).absent is Absent.LAST_LAYER
    head = evidence(subject, "blocks.0.attn.hook_z", 1)
    assert near(head, Relation.DOWNSTREAM).units[0].layer == 0
    assert near(head, Relation.LIKE_INPUT).absent is Absent.INPUT_UNKNOWN
    assert [one.absent for one in head.measures if one.absent] == [Absent.INPUT_UNKNOWN] * 2
    stream = UnitId(subject.name, "blocks.0.hook_resid_post", 3)
    assert WeightEvidence(subject).of([(stream, PLUS)]) == {}


def test_a_model_whose_mlps_are_no_parts_of_their_own_says_what_is_not_known() -> None:
    subject = tiny_subject(model_of("opt"))
    found = evidence(subject, "blocks.0.mlp.hook_post", 1)
    assert near(found, Relation.LIKE_INPUT).absent is Absent.INPUT_UNKNOWN
    assert near(found, Relation.DOWNSTREAM).absent is Absent.OTHERS_UNKNOWN
    assert found.value(Quantity.OUTPUT_NORM) is not None


def test_a_neuron_without_weights_has_no_cosine() -> None:
    model = tiny_gpt2()
    with torch.no_grad():
        model.transformer.h[0].mlp.c_proj.weight[3] = 0.0
    found = evidence(tiny_subject(model), "blocks.0.mlp.hook_post", 3)
    one = found.measure(Quantity.INPUT_OUTPUT_COSINE)
    assert one is not None
    assert one.absent is Absent.NO_LENGTH
    assert found.value(Quantity.OUTPUT_NORM) == 0.0


def test_latents_read_their_encoder_and_write_their_decoder(
    llama: SubjectModel, tmp_path: Path
) -> None:
    encoder = load_sae(write_sae(tmp_path / "evidence"))
    found = evidence(llama, llama.attach(encoder), 2)
    reads, writes = f64(encoder.tensors["W_enc"].T), f64(encoder.tensors["W_dec"])
    assert found.value(Quantity.INPUT_OUTPUT_COSINE) == pytest.approx(
        cosines(reads[2:3], writes[2:3])[0, 0], rel=6e-3
    )
    bias = f64(encoder.tensors["b_enc"]) - reads @ f64(encoder.tensors["b_dec"])
    assert found.value(Quantity.NORM_TIMES_BIAS) == pytest.approx(
        np.linalg.norm(reads[2]) * bias[2], rel=6e-3
    )
    # It stands behind the second of two layers.
    assert {unit.layer for unit in near(found, Relation.UPSTREAM).units} <= {0, 1}
    assert near(found, Relation.DOWNSTREAM).absent is Absent.LAST_LAYER
    bare = {name: t for name, t in encoder.tensors.items() if name != "W_dec"}
    hook = llama.attach(replace(encoder, name="sae_without_decoder", tensors=bare))
    without = evidence(llama, hook, 2)
    assert near(without, Relation.LIKE_OUTPUT).absent is Absent.OUTPUT_UNKNOWN
    assert near(without, Relation.UPSTREAM).units == near(found, Relation.UPSTREAM).units


def test_a_transcoder_has_no_cosine_of_what_lies_in_two_spaces(
    llama: SubjectModel, tmp_path: Path
) -> None:
    config = sae_config("transcoder", d_out=16)
    config["metadata"]["hook_name"] = "blocks.1.mlp.hook_in"
    tensors = {"W_enc": torch.randn(16, 40), "W_dec": torch.randn(40, 16)}
    tensors |= {"b_dec": torch.zeros(16), "b_enc": torch.zeros(40)}
    folder = write_sae(tmp_path / "between", config=config, tensors=tensors)
    found = evidence(llama, llama.attach(load_sae(folder)), 0)
    one = found.measure(Quantity.INPUT_OUTPUT_COSINE)
    assert one is not None
    assert one.absent is Absent.INPUT_ELSEWHERE
    assert near(found, Relation.UPSTREAM).absent is Absent.INPUT_ELSEWHERE
    assert near(found, Relation.LIKE_OUTPUT).units


def test_a_direction_and_its_negative_side_read_what_they_write(llama: SubjectModel) -> None:
    hook = llama.attach(random_directions("blocks.0.hook_resid_post", 16, 1, 0))
    for side in Side:
        found = evidence(llama, hook, 0, side)
        assert found.value(Quantity.INPUT_OUTPUT_COSINE) == 1.0
        assert near(found, Relation.LIKE_OUTPUT).absent is Absent.ONLY_UNIT

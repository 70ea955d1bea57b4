"""Experts beside an MLP, MLPs beside experts, and MLPs under other names."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from many_models import model_of
from tiny import tiny_subject
from torch import Tensor, nn

from autointerp.core.errors import InputError
from autointerp.evidence import logit_effects
from autointerp.subjects import SubjectModel, all_neurons, parse_units

TOKENS = torch.randint(1, 250, (2, 7), generator=torch.Generator().manual_seed(1))
BEHIND_BOS = nn.functional.pad(TOKENS, (1, 0), value=0)
EXPERT = "blocks.1.mlp.experts.2.hook_post"
MAMBA = {"mamba_n_heads": 4, "mamba_d_head": 16, "mamba_d_state": 8, "mamba_n_groups": 1}
GRANITE = MAMBA | {
    "mamba_expand": 2,
    "layer_types": ["mamba", "attention"],
    "shared_intermediate_size": 24,
}
NO_EXPERTS = {"num_local_experts": 0, "num_experts_per_tok": 0}
GEMMA = {"num_experts": 4, "top_k_experts": 2, "enable_moe_block": True}
NEMOTRON = {
    "layers_block_type": ["mamba", "moe", "mlp", "attention"],
    "num_hidden_layers": 4,
    "mamba_num_heads": 4,
    "mamba_head_dim": 16,
    "ssm_state_size": 8,
    "n_groups": 1,
}


def read(subject: SubjectModel, hook: str) -> Tensor:
    found: list[Tensor] = []
    subject.read(TOKENS, [hook], lambda _name, acts: found.append(acts.clone()))
    return found[0]


def entered(model: Any, name: str) -> tuple[Tensor, ...]:
    """What enters the module whose name ends so in the plain model."""
    [module] = [part for path, part in model.named_modules() if path.endswith(name)]
    result: list[tuple[Tensor, ...]] = []
    hook = module.register_forward_pre_hook(lambda _m, args: result.append(args))
    with torch.inference_mode():
        model(BEHIND_BOS)
    hook.remove()
    return tuple(part.clone() for part in result[0])


def of_expert(model: Any, name: str) -> Tensor:
    """Neurons of expert 2 in float64, token by token."""
    hidden, chosen, *_ = entered(model, name)
    [experts] = [part for path, part in model.named_modules() if path.endswith(name)]
    up = experts.gate_up_proj if experts.has_gate else experts.up_proj
    before = hidden.reshape(16, -1).double() @ up[2].detach().double().T
    if experts.has_gate:
        gate, linear = before.chunk(2, dim=-1)
        values = experts.act_fn(gate) * linear
    else:
        values = experts.act_fn(before)
    values = values * (chosen.reshape(16, -1) == 2).any(dim=-1, keepdim=True)
    return values.reshape(2, 8, -1)[:, 1:].detach()


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("qwen2_moe", "shared_expert"),
        ("llama4_text", "shared_expert"),
        ("ernie4_5_moe", "shared_experts"),
        ("deepseek_v3", "shared_experts"),
        ("afmoe", "shared_experts"),
    ],
)
def test_an_expert_that_all_tokens_go_through_is_read(kind: str, name: str) -> None:
    model = model_of(kind)
    hook = f"blocks.1.mlp.{name}.hook_post"
    found = read(tiny_subject(model), hook)
    expected = entered(model, f"layers.1.{'feed_forward' if kind == 'llama4_text' else 'mlp'}"
                              f".{name}.down_proj")[0].reshape(2, 8, -1)[:, 1:]  # fmt: skip
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_experts_beside_an_mlp_are_read_and_all_tells_of_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = model_of("gemma4_text", **GEMMA)
    subject = tiny_subject(model)
    mlp = entered(model, "layers.1.mlp.down_proj")[0][:, 1:]
    torch.testing.assert_close(read(subject, "blocks.1.mlp.hook_post"), mlp, rtol=1e-4, atol=1e-5)
    expected = of_expert(model, "layers.1.experts")
    torch.testing.assert_close(read(subject, EXPERT).double(), expected, rtol=1e-4, atol=1e-5)
    with caplog.at_level(logging.WARNING):
        assert [len(u.indices) for u in all_neurons(subject)] == [48, 48]
    assert "all of tiny leaves out: the experts of layer 0; the experts of layer 1" in caplog.text


@pytest.mark.parametrize("hook", ["blocks.1.mlp.hook_post", EXPERT])
def test_logit_effects_of_both_go_through_their_own_norms(hook: str) -> None:
    model = model_of("gemma4_text", **GEMMA)
    layer = model.model.layers[1]
    with torch.no_grad():
        for number, norm in enumerate(
            (layer.post_feedforward_layernorm_1, layer.post_feedforward_layernorm_2)
        ):
            norm.weight.copy_(torch.linspace(0.5 + number, 2, 32))
    subject = tiny_subject(model)
    [effect] = logit_effects(subject, parse_units(f"{hook}:5", subject), k=2)
    one = hook == EXPERT
    row = layer.experts.down_proj[2, :, 5] if one else layer.mlp.down_proj.weight[:, 5]
    own = layer.post_feedforward_layernorm_2 if one else layer.post_feedforward_layernorm_1
    for norm in (own, layer.post_feedforward_layernorm, model.model.norm):
        row = row.detach() * norm.weight.detach()
    expected = model.lm_head.weight.detach() @ row
    expected = torch.sort(expected - expected.mean(), descending=True).values[:2]
    torch.testing.assert_close(torch.tensor([value for _, value in effect.promoted]), expected)


@pytest.mark.parametrize("positions", ["rope", "nope"])
@pytest.mark.parametrize("experts", [{}, NO_EXPERTS])
def test_granite_4_is_read_with_and_without_experts_and_positions(
    experts: dict[str, int], positions: str
) -> None:
    more = {**GRANITE, **experts, "position_embedding_type": positions}
    model = model_of("granitemoehybrid", **more)
    subject = tiny_subject(model)
    for layer in range(2):
        expected = entered(model, f"layers.{layer}.shared_mlp.output_linear")[0][:, 1:]
        found = read(subject, f"blocks.{layer}.mlp.hook_post")
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert [len(u.indices) for u in all_neurons(subject)] == [24, 24]
    [effect] = logit_effects(subject, parse_units("1:5", subject), k=1)
    assert effect.promoted
    if not experts:
        return
    with pytest.raises(InputError, match="layer 1 has no experts"):
        subject.width(EXPERT)


def test_what_leaves_experts_under_another_name_is_no_neuron_either() -> None:
    subject = tiny_subject(model_of("granitemoehybrid", **GRANITE))
    for point in ("hook_pre", "hook_post"):
        with pytest.raises(InputError, match="has no neurons, as layer 1 is a mixture of experts"):
            parse_units(f"blocks.1.moe.{point}:0", subject)
    assert subject.width(EXPERT) == 48


def test_experts_of_a_layer_that_is_nothing_else_are_read() -> None:
    model = model_of("nemotron_h", **NEMOTRON)
    subject = tiny_subject(model)
    expected = of_expert(model, "layers.1.mixer.experts")
    torch.testing.assert_close(read(subject, EXPERT).double(), expected, rtol=1e-4, atol=1e-5)
    assert not subject.two_sided(EXPERT)
    with pytest.raises(InputError, match=r"layer 1 is a mixture of experts .*experts\.0\.ho"):
        subject.width("blocks.1.mlp.hook_post")
    [dense] = entered(model, "layers.2.mixer.down_proj")
    torch.testing.assert_close(read(subject, "blocks.2.mlp.hook_post"), dense[:, 1:])
    with pytest.raises(InputError, match="layer 3 of a NemotronHForCausalLM has no MLP"):
        subject.width("blocks.3.mlp.hook_post")

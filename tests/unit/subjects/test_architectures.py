from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from many_models import DENSE, EXPERTS, PLAIN, model_of, random_weights
from tiny import tiny_gpt2, tiny_llama, tiny_subject
from torch import Tensor, nn
from transformers import LlamaForCausalLM, XLMConfig, XLMWithLMHeadModel
from transformers.pytorch_utils import Conv1D

from autointerp.core.errors import InputError
from autointerp.evidence import logit_effects
from autointerp.subjects import SubjectModel, all_neurons, parse_units

TOKENS = torch.randint(1, 250, (2, 7), generator=torch.Generator().manual_seed(1))
POST = "blocks.{}.mlp.hook_post"


def inputs_of_projections(model: Any) -> list[tuple[str, Tensor]]:
    """What enters each linear map of the plain model on the test's tokens."""
    result: list[tuple[str, Tensor]] = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | Conv1D):
            module.register_forward_pre_hook(
                lambda _m, args, name=name: result.append((name, args[0].detach()))
            )
    with torch.inference_mode():
        model(torch.nn.functional.pad(TOKENS, (1, 0), value=0))
    return result


def read(subject: SubjectModel, hook: str) -> Tensor:
    found: dict[str, Tensor] = {}
    subject.read(TOKENS, [hook], lambda name, acts: found.update({name: acts.clone()}))
    return found[hook]


@pytest.mark.parametrize("kind", DENSE + PLAIN)
def test_a_model_from_memory_is_read_as_it_computes_itself(kind: str) -> None:
    model = model_of(kind)
    subject = tiny_subject(model)
    inputs = inputs_of_projections(model)
    for layer in range(2):
        neurons = read(subject, POST.format(layer))
        same = [
            name
            for name, entered in inputs
            if entered.numel() == 2 * 8 * neurons.shape[2]
            and torch.allclose(entered.reshape(2, 8, -1)[:, 1:], neurons, rtol=1e-4, atol=1e-5)
        ]
        assert same, (kind, layer)
        assert all(f".{layer}." in name for name in same)


@pytest.mark.parametrize("kind", EXPERTS)
def test_a_mixture_of_experts_has_no_neurons_and_a_dense_layer_beside_it_has(kind: str) -> None:
    subject = tiny_subject(model_of(kind))
    dense = 48 if kind in ("afmoe", "deepseek_v3", "ernie4_5_moe", "glm4_moe") else None
    if dense is None:
        with pytest.raises(InputError, match=r"layer 0 is a mixture of experts \(\w+\); read"):
            all_neurons(subject)
    else:
        assert {u.hook: len(u.indices) for u in all_neurons(subject)} == {POST.format(0): dense}
    for point in ("hook_pre", "hook_post"):
        with pytest.raises(InputError, match="has no neurons, as layer 1 is a mixture of experts"):
            parse_units(f"blocks.1.mlp.{point}:0", subject)
    assert subject.width("blocks.1.hook_resid_post") == 32


def test_the_layers_that_all_leaves_out_are_told(caplog: pytest.LogCaptureFixture) -> None:
    subject = tiny_subject(model_of("qwen3_moe", num_hidden_layers=3, mlp_only_layers=[1]))
    with caplog.at_level(logging.WARNING):
        units = parse_units("all", subject)
    assert [u.hook for u in units] == [POST.format(1)]
    assert "all of tiny leaves out: blocks.0.mlp.hook_post of tiny has no neurons" in caplog.text
    assert "layer 2 is a mixture of experts (Qwen3MoeSparseMoeBlock)" in caplog.text
    assert {u.hook for u in parse_units("random:5", subject)} == {POST.format(1)}


def test_of_many_layers_that_all_leaves_out_two_are_told(caplog: pytest.LogCaptureFixture) -> None:
    subject = tiny_subject(model_of("qwen3_moe", num_hidden_layers=12, mlp_only_layers=[0]))
    with caplog.at_level(logging.WARNING):
        parse_units("all", subject)
    assert "as layer 2 is a mixture of experts" in caplog.text
    assert "layer 3" not in caplog.text
    assert "; and 9 more layers" in caplog.text


def test_experts_in_a_list_are_no_neurons_whatever_their_class_is_called() -> None:
    model = tiny_llama(n_layers=2)
    model.model.layers[1].mlp = Several(16, 24)
    subject = tiny_subject(model)
    assert subject.width(POST.format(0)) == 24
    with pytest.raises(InputError, match=r"layer 1 is a mixture of experts \(Several\)"):
        subject.width(POST.format(1))


class Several(nn.Module):
    """Two gated MLPs in a list, the first beside them under a Llama MLP's names."""

    def __init__(self, d: int, d_mlp: int) -> None:
        super().__init__()
        self.gate_proj, self.up_proj = nn.Linear(d, d_mlp), nn.Linear(d, d_mlp)
        self.down_proj = nn.Linear(d_mlp, d)
        self.others = nn.ModuleList(nn.Linear(d, d, bias=False) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.others[0](x) + self.others[1](x)
        own: Tensor = self.down_proj(self.gate_proj(x).relu() * self.up_proj(x))
        return own + mixed


@pytest.mark.parametrize("kind", ["qwen3_moe", "glm4_moe", "deepseek_v3"])
def test_logit_effects_of_a_dense_layer_beside_experts_are_those_of_its_weights(kind: str) -> None:
    more = {"mlp_only_layers": [0]} if kind == "qwen3_moe" else {}
    model = model_of(kind, **more)
    subject = tiny_subject(model)
    [first, _] = logit_effects(subject, parse_units("0:0-1", subject), k=3)
    row = model.model.layers[0].mlp.down_proj.weight[:, 0].detach()
    expected = model.lm_head.weight.detach() @ (model.model.norm.weight.detach() * row)
    expected = torch.sort(expected - expected.mean(), descending=True).values[:3]
    torch.testing.assert_close(torch.tensor([value for _, value in first.promoted]), expected)
    assert subject.two_sided(POST.format(0))


def test_a_class_of_ones_own_is_read_as_the_class_it_extends() -> None:
    class Mine(LlamaForCausalLM):
        pass

    mine = Mine(tiny_llama().config).eval()
    mine.load_state_dict(tiny_llama().state_dict())
    mine.config.architectures = ["Mine"]
    torch.testing.assert_close(
        read(tiny_subject(mine), POST.format(1)), read(tiny_subject(), POST.format(1))
    )


def test_a_class_without_adapter_whose_mlps_are_of_another_form_is_refused_in_one_sentence() -> (
    None
):
    sizes = {
        "emb_dim": 32,
        "n_layers": 2,
        "n_heads": 4,
        "causal": True,
        "max_position_embeddings": 64,
    }
    model = random_weights(XLMWithLMHeadModel(XLMConfig(vocab_size=300, **sizes)))
    with pytest.raises(InputError) as told:
        tiny_subject(model)
    assert str(told.value) == (
        "TransformerLens cannot wrap a XLMWithLMHeadModel: it has no adapter for this class, and "
        "no MLP whose neurons could be read was found in it"
    )


def test_mlps_that_transformer_lens_does_not_look_into_are_not_said_to_be_missing() -> None:
    model = model_of("hrm_text")
    with pytest.raises(InputError) as told:
        all_neurons(tiny_subject(model))
    why = f"as TransformerLens does not look into the MLPs of a {type(model).__name__}"
    assert why in str(told.value)
    assert not str(told.value).endswith("near ones are ")


NEW = {"new_decoder_architecture": True}
FALCONS: list[dict[str, Any]] = [
    {**NEW, "num_kv_heads": 2, "multi_query": True},
    {**NEW, "num_kv_heads": 2, "multi_query": False, "bias": True},
    {**NEW, "num_kv_heads": 4},
    {**NEW, "num_kv_heads": 1, "num_ln_in_parallel_attn": 1},
    {**NEW, "num_kv_heads": 2, "num_ln_in_parallel_attn": 1},
    {"multi_query": True},
    {"multi_query": False, "parallel_attn": False},
]


@pytest.mark.parametrize("settings", FALCONS, ids=str)
def test_both_decoders_of_falcon_are_read_as_the_model_computes_them(
    settings: dict[str, Any],
) -> None:
    model = model_of("falcon", **settings)
    inputs = [entered for name, entered in inputs_of_projections(model) if "4h_to_h" in name]
    subject = tiny_subject(model)
    for layer in range(2):
        torch.testing.assert_close(
            read(subject, POST.format(layer)), inputs[layer].reshape(2, 8, -1)[:, 1:]
        )


def test_a_model_of_which_transformer_lens_makes_another_is_read_at_its_own_modules() -> None:
    model = model_of("falcon", num_kv_heads=2)
    attention = model.transformer.h[0].self_attention
    # TransformerLens computes attention itself, and so leaves this out.
    attention.register_forward_hook(lambda _m, _args, output: (output[0] * 2, *output[1:]))
    inputs = [entered for name, entered in inputs_of_projections(model) if "4h_to_h" in name]
    subject = tiny_subject(model)
    for layer in range(2):
        found = read(subject, POST.format(layer))
        torch.testing.assert_close(found, inputs[layer].reshape(2, 8, -1)[:, 1:])


def test_ungated_neurons_stay_one_sided() -> None:
    assert not tiny_subject(tiny_gpt2()).two_sided(POST.format(0))

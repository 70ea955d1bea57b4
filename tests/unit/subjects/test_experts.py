from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from many_models import model_of
from tiny import tiny_corpus, tiny_llama, tiny_subject
from torch import Tensor

from autointerp.activations import collect, live_activations
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.evidence import logit_effects
from autointerp.evidence.steered_passes import steered
from autointerp.subjects import SubjectModel, parse_units

TOKENS = torch.randint(1, 250, (3, 7), generator=torch.Generator().manual_seed(1))
KINDS = ["mixtral", "qwen2_moe", "qwen3_moe", "olmoe", "gpt_oss", "deepseek_v3", "granitemoe"]
HOOK = "blocks.1.mlp.experts.{}.hook_post"


def experts_of(model: Any) -> Any:
    found = [m for name, m in model.named_modules() if name.endswith("layers.1.mlp.experts")]
    return found[0] if found else model.model.layers[1].block_sparse_moe.experts


def oracle(model: Any, expert: int) -> Tensor:
    """One expert's neurons token by token in float64, by what the plain model gives its experts."""
    entered: list[tuple[Tensor, ...]] = []
    experts = experts_of(model)
    experts.register_forward_pre_hook(lambda _m, args: entered.append(args))
    with torch.inference_mode():
        model(torch.nn.functional.pad(TOKENS, (1, 0), value=0))
    hidden, chosen = entered[-1][0].reshape(24, -1).double(), entered[-1][1].reshape(24, -1)
    weights = experts.gate_up_proj[expert].detach().double()
    weights = weights if experts.is_transposed else weights.T
    rows = []
    for token in range(24):
        before = hidden[token] @ weights
        if experts.has_bias:
            before = before + experts.gate_up_proj_bias[expert].detach().double()
            gate, up = before[::2].clamp(max=experts.limit), before[1::2]
            up = up.clamp(-experts.limit, experts.limit) + 1
            values = gate * torch.sigmoid(experts.alpha * gate) * up
        else:
            gate, up = before.chunk(2)
            values = experts.act_fn(gate) * up
        rows.append(values if expert in chosen[token].tolist() else values * 0)
    return torch.stack(rows).reshape(3, 8, -1)[:, 1:].detach()


def read(subject: SubjectModel, hooks: list[str]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    subject.read(TOKENS, hooks, lambda hook, acts: found.update({hook: acts.clone()}))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_neurons_of_an_expert_are_its_own_and_zero_where_the_router_chose_others(kind: str) -> None:
    model = model_of(kind)
    subject = tiny_subject(model)
    found = read(subject, [HOOK.format(e) for e in range(4)])
    active = sum((found[HOOK.format(e)] != 0).any(dim=2).long() for e in range(4))
    assert torch.equal(torch.as_tensor(active), torch.full((3, 7), 2))
    for expert in (0, 3):
        torch.testing.assert_close(
            found[HOOK.format(expert)].double(), oracle(model, expert), rtol=1e-4, atol=1e-5
        )
    assert subject.two_sided(HOOK.format(0))


def test_neurons_of_experts_are_read_in_double_precision_too() -> None:
    model = model_of("mixtral").double()
    found = read(tiny_subject(model), [HOOK.format(1)])[HOOK.format(1)]
    assert found.dtype == torch.float64
    # What the given model uses by itself takes no such numbers, and stays what it is.
    assert model.config._experts_implementation == "grouped_mm"  # noqa: SLF001
    model.set_experts_implementation("eager")
    torch.testing.assert_close(found, oracle(model, 1), rtol=1e-9, atol=1e-9)


def of_jetmoe(model: Any, expert: int) -> Tensor:
    """What enters an expert's output matrix in the plain model, at the tokens routed to it."""
    routed: list[Any] = []
    moe = model.model.layers[1].mlp
    moe.router.register_forward_hook(lambda _m, _args, result: routed.append(result))
    moe.output_linear.register_forward_pre_hook(lambda _m, args: routed.append(args))
    with torch.inference_mode():
        model(torch.nn.functional.pad(TOKENS, (1, 0), value=0))
    (_, tokens, _, n_tokens, _), (neurons, _) = routed[-2:]
    values = torch.zeros(24, neurons.shape[1])
    values[tokens.split(n_tokens)[expert]] = neurons.split(n_tokens)[expert].clone()
    return values.reshape(3, 8, -1)[:, 1:].double()


def of_llama4(model: Any, expert: int) -> Tensor:
    """One expert's neurons in float64, from the tokens that the router scaled for it."""
    entered: list[Tensor] = []
    experts = model.model.layers[1].feed_forward.experts
    experts.register_forward_pre_hook(lambda _m, args: entered.append(args[0]))
    with torch.inference_mode():
        model(torch.nn.functional.pad(TOKENS, (1, 0), value=0))
    scaled = entered[-1].clone().double()[24 * expert : 24 * (expert + 1)]
    gate, up = (scaled @ experts.gate_up_proj[expert].detach().double()).chunk(2, dim=-1)
    return (gate * torch.sigmoid(gate) * up).reshape(3, 8, -1)[:, 1:]


@pytest.mark.parametrize(
    ("kind", "oracle", "n_active"), [("jetmoe", of_jetmoe, 2), ("llama4_text", of_llama4, 1)]
)
def test_experts_of_other_forms_are_read_as_the_model_computes_them(
    kind: str, oracle: Callable[[Any, int], Tensor], n_active: int
) -> None:
    settings = {"num_experts_per_tok": n_active, "interleave_moe_layer_step": 1}
    model = model_of(kind, **settings)
    subject = tiny_subject(model)
    found = read(subject, [HOOK.format(e) for e in range(4)])
    active = sum((found[HOOK.format(e)] != 0).any(dim=2).long() for e in range(4))
    assert torch.equal(torch.as_tensor(active), torch.full((3, 7), n_active))
    for expert in (0, 1, 2, 3):
        torch.testing.assert_close(
            found[HOOK.format(expert)].double(), oracle(model, expert), rtol=1e-4, atol=1e-5
        )
    assert subject.two_sided(HOOK.format(0))


@pytest.mark.parametrize("kind", ["jetmoe", "llama4_text"])
def test_what_is_told_of_such_experts_leads_to_their_neurons(kind: str) -> None:
    subject = tiny_subject(model_of(kind))
    with pytest.raises(InputError, match=r"or one of its experts: blocks\.1\.mlp\.experts\.0"):
        subject.width("blocks.1.mlp.hook_post")
    with pytest.raises(InputError, match="experts.4.hook_post: layer 1 has the experts 0 to 3"):
        subject.width(HOOK.format(4))
    assert subject.width(HOOK.format(3)) == 48


@pytest.mark.parametrize("kind", ["jetmoe", "llama4_text"])
def test_logit_effects_of_such_experts_are_those_of_their_rows(kind: str) -> None:
    model = model_of(kind)
    subject = tiny_subject(model)
    [effect] = logit_effects(subject, parse_units(f"{HOOK.format(2)}:5", subject), k=2)
    layer = model.model.layers[1]
    row = (
        layer.mlp.output_linear.weight[2, :, 5]
        if kind == "jetmoe"
        else layer.feed_forward.experts.down_proj[2, 5]
    ).detach()
    expected = model.lm_head.weight.detach() @ (model.model.norm.weight.detach() * row)
    expected = torch.sort(expected - expected.mean(), descending=True).values[:2]
    torch.testing.assert_close(torch.tensor([value for _, value in effect.promoted]), expected)


@pytest.mark.parametrize("kind", ["jetmoe", "llama4_text"])
def test_such_experts_that_compute_something_else_are_refused(kind: str) -> None:
    model = model_of(kind)
    layer = model.model.layers[1]
    part = layer.mlp if kind == "jetmoe" else layer.feed_forward.experts
    part.register_forward_hook(lambda _m, _args, output: output * 2)
    with pytest.raises(InputError, match="experts of layer 1 compute is not known"):
        tiny_subject(model).width(HOOK.format(0))


def test_neurons_of_experts_are_units_like_others(tmp_path: Path) -> None:
    subject = tiny_subject(model_of("mixtral"))
    units = parse_units(
        f"{HOOK.format(2)}:0-3,{HOOK.format(0)}:7,blocks.0.hook_resid_post:1", subject
    )
    assert [u.hook for u in units] == ["blocks.0.hook_resid_post", HOOK.format(0), HOOK.format(2)]
    [text] = live_activations(subject, "the river runs dry in May", units=units)
    assert UnitId.parse(str(text.units[1])) == UnitId("tiny", HOOK.format(0), 7)
    assert (text.values[2:] == 0).any()
    summary = collect(subject, tiny_corpus(tmp_path, subject), units=units)
    assert summary is not None


def test_logit_effects_of_an_experts_neuron_are_those_of_its_row() -> None:
    model = model_of("mixtral")
    [effect] = logit_effects(
        tiny_subject(model), parse_units(f"{HOOK.format(2)}:5", tiny_subject(model)), k=2
    )
    row = model.model.layers[1].mlp.experts.down_proj[2, :, 5].detach()
    expected = model.lm_head.weight.detach() @ (model.model.norm.weight.detach() * row)
    expected = torch.sort(expected - expected.mean(), descending=True).values[:2]
    torch.testing.assert_close(torch.tensor([value for _, value in effect.promoted]), expected)


@pytest.mark.parametrize(
    ("kind", "hook", "message"),
    [
        ("mixtral", HOOK.format(4), "experts.4.hook_post: layer 1 has the experts 0 to 3"),
        ("mixtral", HOOK.format("01"), r"tiny has no hook point blocks\.1\.mlp\.experts\.01"),
        ("llama", HOOK.format(0), "layer 1 has no experts of a form that is known"),
        ("mixtral", "blocks.1.mlp.hook_post", "or one of its experts: blocks.1.mlp.experts.0.hook"),
        ("mixtral", "blocks.7.mlp.experts.0.hook_post", "tiny has layers 0 to 1"),
    ],
)
def test_experts_that_do_not_exist_are_told(kind: str, hook: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        tiny_subject(model_of(kind)).width(hook)


def test_experts_that_compute_something_else_are_refused() -> None:
    model = model_of("mixtral")
    experts = model.model.layers[1].mlp.experts
    experts.register_forward_hook(lambda _m, _args, output: output * 2)
    with pytest.raises(InputError, match=r"experts of layer 1 compute is not known \(MixtralExp"):
        tiny_subject(model).width(HOOK.format(0))


def test_an_experts_neuron_is_not_held_and_that_is_said() -> None:
    subject = tiny_subject(model_of("mixtral"))
    with (
        pytest.raises(InputError, match="cannot be held up or down"),
        steered(subject, UnitId("tiny", HOOK.format(0), 1), [1.0]),
    ):
        pass


def test_a_dense_model_has_no_experts() -> None:
    with pytest.raises(InputError, match="layer 0 has no experts"):
        parse_units("blocks.0.mlp.experts.0.hook_post:0", tiny_subject(tiny_llama()))

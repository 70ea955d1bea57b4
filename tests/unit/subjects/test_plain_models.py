"""Models that TransformerLens has no adapter for, or whose MLPs it does not look into."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from many_models import model_of, random_weights
from tiny import tiny_llama, tiny_subject, tiny_tokenizer
from torch import Tensor, nn
from transformers import (
    BartConfig,
    BartForCausalLM,
    CTRLConfig,
    CTRLLMHeadModel,
    RwkvConfig,
    RwkvForCausalLM,
)

from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.evidence import logit_effects
from autointerp.evidence.steered_passes import steered
from autointerp.subjects import SubjectModel, all_neurons, parse_units, wrap_subject
from autointerp.subjects.plain_model import PlainModel

TOKENS = torch.randint(1, 250, (2, 7), generator=torch.Generator().manual_seed(1))
BEHIND_BOS = nn.functional.pad(TOKENS, (1, 0), value=0)
POST = "blocks.{}.mlp.hook_post"


def read(subject: SubjectModel, hook: str) -> Tensor:
    found: list[Tensor] = []
    subject.read(TOKENS, [hook], lambda _name, acts: found.append(acts.clone()))
    [only] = found
    return only


def entered(model: Any, name: str) -> Tensor:
    """What enters the module of that name in the plain model, once a pass, without BOS."""
    found: list[Tensor] = []
    hook = model.get_submodule(name).register_forward_pre_hook(
        lambda _m, args: found.append(args[0].detach().clone())
    )
    with torch.no_grad():
        model(BEHIND_BOS, use_cache=False)
    hook.remove()
    [only] = found
    return only[:, 1:]


def ctrl() -> Any:
    config = CTRLConfig(vocab_size=300, n_embd=16, dff=24, n_layer=2, n_head=2)
    return random_weights(CTRLLMHeadModel(config))


def decoder_of_bart() -> Any:
    """Of a family that has an adapter for another class of it."""
    sizes = {"d_model": 16, "decoder_layers": 2, "decoder_attention_heads": 2}
    return random_weights(BartForCausalLM(BartConfig(vocab_size=300, encoder_layers=1, **sizes)))


def rwkv() -> Any:
    config = RwkvConfig(vocab_size=300, hidden_size=16, num_hidden_layers=2)
    return random_weights(RwkvForCausalLM(config))


GRIFFIN = {"block_types": ["recurrent", "attention"], "lru_width": 32}


@pytest.mark.parametrize(
    ("build", "last", "two_sided"),
    [
        (ctrl, "transformer.h.{}.ffn.2", False),
        (decoder_of_bart, "model.decoder.layers.{}.fc2", False),
        (rwkv, "rwkv.blocks.{}.feed_forward.value", False),
        (lambda: model_of("persimmon"), "model.layers.{}.mlp.dense_4h_to_h", False),
        (lambda: model_of("helium"), "model.layers.{}.mlp.down_proj", True),
        (lambda: model_of("hyperclovax"), "model.layers.{}.mlp.down_proj", True),
        (
            lambda: model_of("recurrent_gemma", **GRIFFIN),
            "model.layers.{}.mlp_block.down_proj",
            True,
        ),
    ],
)
def test_a_model_without_adapter_is_read_as_it_computes_itself(
    build: Any, last: str, two_sided: bool
) -> None:
    model = build()
    subject = tiny_subject(model)
    for layer in range(2):
        hook = POST.format(layer)
        torch.testing.assert_close(read(subject, hook), entered(model, last.format(layer)))
        assert subject.two_sided(hook) is two_sided
    assert [u.hook for u in all_neurons(subject)] == [POST.format(0), POST.format(1)]


def test_what_an_mlp_gives_the_stream_is_read_where_its_projection_gives_it() -> None:
    hook = "blocks.0.hook_mlp_out"
    assert read(tiny_subject(model_of("helium")), hook).isfinite().all()
    # RWKV gates what its projection gives before the stream has it.
    with pytest.raises(InputError):
        read(tiny_subject(rwkv()), hook)


class Fused(nn.Module):
    """A gated MLP with both of its first matrices in one, in one of the orders there are."""

    def __init__(self, order: str) -> None:
        super().__init__()
        self.both, self.down = nn.Linear(16, 48, bias=False), nn.Linear(24, 16, bias=False)
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        both = self.both(x)
        halves = (both[..., ::2], both[..., 1::2]) if "apart" in self.order else both.chunk(2, -1)
        gate, up = halves[::-1] if "up first" in self.order else halves
        result: Tensor = self.down(nn.functional.silu(gate) * up)
        return result


@pytest.mark.parametrize("order", ["gate first", "up first", "gate first apart", "up first apart"])
def test_matrices_that_are_one_are_read_in_either_order(order: str) -> None:
    model = tiny_llama(n_layers=2)
    for layer in model.model.layers:
        layer.mlp = Fused(order)
    random_weights(model)
    subject = tiny_subject(model)
    found = read(subject, POST.format(1))
    torch.testing.assert_close(found, entered(model, "model.layers.1.mlp.down"))
    assert subject.two_sided(POST.format(1))
    torch.testing.assert_close(
        read(subject, "blocks.1.mlp.hook_in"), entered(model, "model.layers.1.mlp")
    )


def test_the_stream_and_the_values_before_the_activation_are_read_too() -> None:
    model = model_of("helium")
    subject = tiny_subject(model)
    stream = entered(model, "model.layers.1")
    torch.testing.assert_close(read(subject, "blocks.0.hook_resid_post"), stream)
    torch.testing.assert_close(read(subject, "blocks.1.hook_resid_pre"), stream)
    gate = model.model.layers[1].mlp.gate_proj
    expected = gate(entered(model, "model.layers.1.mlp")).detach()
    torch.testing.assert_close(read(subject, "blocks.1.mlp.hook_pre"), expected)
    with pytest.raises(InputError, match=r"no hook point blocks\.1\.attn\.hook_z; near ones are"):
        subject.width("blocks.1.attn.hook_z")


def test_a_unit_is_held_up_in_such_a_model() -> None:
    model = model_of("helium")
    subject = tiny_subject(model)
    before = read(subject, "blocks.1.hook_resid_post")
    with steered(subject, UnitId("tiny", POST.format(1), 3), [2.0, 0.0]):
        after = read(subject, "blocks.1.hook_resid_post")
    row = model.model.layers[1].mlp.down_proj.weight[:, 3].detach()
    torch.testing.assert_close(after[0], before[0] + 2 * row)
    torch.testing.assert_close(after[1], before[1])


def test_each_of_several_mlps_of_a_layer_has_a_name_of_its_own() -> None:
    model = model_of("longcat_flash", head_dim=8, num_key_value_heads=4)
    subject = tiny_subject(model)
    for place in (0, 1):
        hook = f"blocks.1.mlps.{place}.hook_post"
        expected = entered(model, f"model.layers.1.mlps.{place}.down_proj")
        torch.testing.assert_close(read(subject, hook), expected)
        assert subject.two_sided(hook)
    with pytest.raises(InputError, match=r"as layer 1 has 2 MLPs: read blocks\.1\.mlps\.0\.hook_p"):
        subject.width(POST.format(1))


def test_a_small_mlp_in_a_norm_is_not_taken_for_that_of_the_layer() -> None:
    model = model_of("axk2", head_dim=8, num_key_value_heads=4)
    subject = tiny_subject(model)
    found = read(subject, POST.format(0))
    torch.testing.assert_close(found, entered(model, "model.layers.0.mlp.down_proj"))
    with pytest.raises(InputError, match="as layer 1 is a mixture of experts"):
        subject.width(POST.format(1))


def test_what_lies_behind_its_layers_is_not_guessed_at() -> None:
    subject = tiny_subject(model_of("helium"))
    with pytest.raises(InputError, match="logit effects are not read in a HeliumForCausalLM"):
        logit_effects(subject, parse_units("0:0", subject))


def test_its_revision_is_that_of_its_weights_however_it_is_wrapped() -> None:
    model = model_of("helium")
    subject = tiny_subject(model)
    assert isinstance(subject.bridge, PlainModel)
    again = wrap_subject(subject.bridge, tiny_tokenizer(), name="again", device="cpu")
    assert tiny_subject(model).revision == subject.revision == again.revision
    torch.testing.assert_close(read(again, POST.format(0)), read(subject, POST.format(0)))


def test_experts_of_a_class_without_adapter_are_read_and_its_dense_layer_too() -> None:
    model = model_of("dots1")
    subject = tiny_subject(model)
    assert subject.width(POST.format(0)) == 48
    assert subject.width("blocks.1.mlp.experts.3.hook_post") == 16
    torch.testing.assert_close(
        read(subject, "blocks.1.mlp.shared_experts.hook_post"),
        entered(model, "model.layers.1.mlp.shared_experts.down_proj"),
    )
    with pytest.raises(InputError, match=r"as layer 1 is a mixture of experts \(Dots1MoE\).*or on"):
        subject.width(POST.format(1))


def test_an_mlp_that_two_layers_share_is_not_read_as_one_of_theirs() -> None:
    model = model_of("helium", num_hidden_layers=3)
    model.model.layers[2].mlp = model.model.layers[0].mlp
    subject = tiny_subject(model)
    torch.testing.assert_close(
        read(subject, POST.format(1)), entered(model, "model.layers.1.mlp.down_proj")
    )
    with pytest.raises(InputError, match=r"as parts of layer 0 are run 2 times \(layers"):
        subject.width(POST.format(0))


def sharing_an_mlp() -> Any:
    model = tiny_llama()
    model.model.layers[2].mlp = model.model.layers[0].mlp
    return model


def sharing_a_layer() -> Any:
    model = tiny_llama()
    model.model.layers[2] = model.model.layers[0]
    return model


@pytest.mark.parametrize("build", [sharing_an_mlp, sharing_a_layer])
def test_an_mlp_that_two_layers_share_is_refused_where_transformer_lens_wraps_it_too(
    build: Any,
) -> None:
    model = build()
    subject = tiny_subject(model)
    torch.testing.assert_close(
        read(subject, POST.format(1)), entered(model, "model.layers.1.mlp.down_proj")
    )
    for layer in (0, 2):
        with pytest.raises(InputError, match="run more than once in a pass|run 2 times"):
            subject.width(POST.format(layer))

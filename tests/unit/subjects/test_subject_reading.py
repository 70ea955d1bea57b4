from __future__ import annotations

from collections import Counter
from importlib.metadata import version
from typing import Any

import pytest
import torch
from tiny import tiny_gpt2, tiny_llama, tiny_subject, tiny_tokenizer
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from autointerp.core.errors import InputError
from autointerp.subjects import SubjectModel, wrap_subject

TOKENS = torch.randint(1, 250, (3, 7), generator=torch.Generator().manual_seed(1))
POST = "blocks.{}.mlp.hook_post"


def read_all(subject: SubjectModel, hooks: list[str], tokens: Tensor = TOKENS) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    subject.read(tokens, hooks, lambda hook, acts: found.update({hook: acts.clone()}))
    return found


def with_bos(tokens: Tensor) -> Tensor:
    return torch.nn.functional.pad(tokens, (1, 0), value=0)


@pytest.mark.parametrize("build", [tiny_llama, tiny_gpt2])
def test_what_is_read_is_what_transformer_lens_caches_behind_bos(build: Any) -> None:
    subject = tiny_subject(build())
    kinds = ("mlp.hook_pre", "mlp.hook_post", "hook_resid_post", "attn.hook_z")
    hooks = [f"blocks.{layer}.{kind}" for layer in range(subject.n_layers) for kind in kinds]
    _, cache = subject.bridge.run_with_cache(with_bos(TOKENS))
    found = read_all(subject, hooks)
    assert list(found) == hooks or set(found) == set(hooks)
    for hook, activations in found.items():
        assert torch.equal(activations, cache[hook][:, 1:].flatten(2)), hook
        assert activations.shape[:2] == TOKENS.shape
        assert subject.width(hook) == activations.shape[2]


def test_without_bos_no_position_is_cut() -> None:
    subject = tiny_subject(prepend_bos=False)
    _, cache = subject.bridge.run_with_cache(TOKENS)
    found = read_all(subject, [POST.format(1)])
    assert torch.equal(found[POST.format(1)], cache[POST.format(1)])
    assert subject.max_n_ctx == 128
    assert tiny_subject().max_n_ctx == 127


def test_hook_points_looked_at_one_by_one_are_all_read() -> None:
    subject = tiny_subject()
    hooks = [POST.format(0), "blocks.0.mlp.hook_pre", "blocks.0.hook_resid_pre"]
    for hook in reversed(hooks):
        subject.width(hook)
    assert set(read_all(subject, hooks)) == set(hooks)
    assert set(read_all(subject, hooks[::-1])) == set(hooks)


def test_a_hook_point_named_twice_is_read_once(subject: SubjectModel) -> None:
    calls: list[str] = []
    subject.read(TOKENS, [POST.format(0)] * 2, lambda hook, _acts: calls.append(hook))
    assert calls == [POST.format(0)]


def started(model: Any) -> Counter[str]:
    """Counts forward passes begun in each layer, the last norm and the head."""
    counts: Counter[str] = Counter()
    parts = {f"layer {i}": layer for i, layer in enumerate(model.model.layers)}
    for name, part in {**parts, "norm": model.model.norm, "head": model.lm_head}.items():
        part.register_forward_pre_hook(lambda _m, _a, name=name: counts.update([name]))
    return counts


def test_the_forward_pass_ends_behind_the_last_hook_point() -> None:
    subject = tiny_subject(tiny_llama(n_layers=3))
    hooks = [POST.format(1), POST.format(0)]
    read_all(subject, hooks)
    counts = started(subject.bridge.original_model)
    read_all(subject, hooks)
    assert counts == {"layer 0": 1, "layer 1": 1}


def test_reading_the_last_layer_computes_every_layer_and_no_logits() -> None:
    subject = tiny_subject(tiny_llama(n_layers=3))
    subject.width("blocks.2.hook_out")
    counts = started(subject.bridge.original_model)
    subject.read(TOKENS, ("blocks.2.hook_out",), lambda _hook, _acts: None)
    assert counts == {"layer 0": 1, "layer 1": 1, "layer 2": 1}


def test_no_hook_stays_behind_even_when_the_receiver_raises(subject: SubjectModel) -> None:
    def refuse(hook: str, _acts: Tensor) -> None:
        raise InputError(hook)

    before = read_all(subject, [POST.format(2)])
    with pytest.raises(InputError, match="hook_post"):
        subject.read(TOKENS, [POST.format(0)], refuse)
    assert torch.equal(read_all(subject, [POST.format(2)])[POST.format(2)], before[POST.format(2)])


def test_padding_behind_a_window_changes_none_of_its_activations(subject: SubjectModel) -> None:
    padded = torch.nn.functional.pad(TOKENS, (0, 5), value=0)
    long, short = (read_all(subject, [POST.format(2)], t)[POST.format(2)] for t in (padded, TOKENS))
    torch.testing.assert_close(long[:, : TOKENS.shape[1]], short)


def test_a_tokenizer_that_pads_on_the_left_changes_nothing(subject: SubjectModel) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.padding_side, tokenizer.pad_token = "left", tokenizer.bos_token
    other = wrap_subject(tiny_llama(), tokenizer, name="left", device="cpu")
    found = read_all(other, [POST.format(2)])[POST.format(2)]
    assert torch.equal(found, read_all(subject, [POST.format(2)])[POST.format(2)])


def test_wrapping_leaves_outputs_and_tokenizer_as_they_were() -> None:
    model, tokenizer = tiny_llama(), tiny_tokenizer()
    before = model(TOKENS).logits
    wrap_subject(model, tokenizer, name="tiny", device="cpu")
    assert torch.equal(model(TOKENS).logits, before)
    assert tokenizer.pad_token is None
    assert "name_or_path" not in tokenizer.init_kwargs


def test_the_revision_depends_on_weights_alone() -> None:
    other = tiny_llama()
    with torch.no_grad():
        other.lm_head.weight[0, 0] += 1e-3
    assert tiny_subject().revision == tiny_subject(name="other").revision
    assert tiny_subject(other).revision != tiny_subject().revision
    assert tiny_subject(revision="abc").revision == "abc"


def test_a_bridge_can_be_given_instead_of_a_model(subject: SubjectModel) -> None:
    again = wrap_subject(subject.bridge, tiny_tokenizer(), name="again", device="cpu")
    found = read_all(again, [POST.format(1)])[POST.format(1)]
    assert torch.equal(found, read_all(subject, [POST.format(1)])[POST.format(1)])


def test_the_sign_is_arbitrary_only_behind_a_gate(subject: SubjectModel) -> None:
    ungated = tiny_subject(tiny_gpt2())
    assert subject.two_sided(POST.format(0))
    assert not subject.two_sided("blocks.0.mlp.hook_pre")
    assert not ungated.two_sided(POST.format(0))
    assert ungated.two_sided("blocks.0.hook_resid_post")


def test_bfloat16_activations_are_those_of_float32_to_rounding(subject: SubjectModel) -> None:
    half = tiny_subject(tiny_llama(dtype=torch.bfloat16))
    assert (half.dtype_name, subject.dtype_name) == ("bfloat16", "float32")
    found = read_all(half, [POST.format(0)])[POST.format(0)]
    exact = read_all(subject, [POST.format(0)])[POST.format(0)]
    assert found.dtype == torch.bfloat16
    assert (found.float() - exact).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.parametrize(
    ("hook", "message"),
    [
        ("blocks.3.mlp.hook_post", "tiny has layers 0 to 2; there is no layer 3"),
        ("blocks.0.mlp.hook_pots", "tiny has no hook point blocks.0.mlp.hook_pots; near ones are"),
        ("mlp.hook_post", "is not a hook point inside a block"),
        ("blocks.0.attn.hook_pattern", "has no value for each token and unit"),
        ("blocks.0.mlp.hook_mid", "tiny has no hook point blocks.0.mlp.hook_mid"),
    ],
)
def test_a_hook_point_that_cannot_be_read_is_named(
    subject: SubjectModel, hook: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        subject.read(TOKENS, [hook], lambda _hook, _acts: None)


@pytest.mark.parametrize(
    ("tokens", "found"),
    [
        (torch.zeros((0, 7), dtype=torch.long), "found 0 rows of 7$"),
        (torch.zeros((2, 0), dtype=torch.long), "found 2 rows of 0$"),
        (torch.tensor([[3, -1]]), "found 1 rows of 2, the ids -1 to 3"),
        (torch.ones((1, 400), dtype=torch.long), "found 1 rows of 400, the ids 1 to 1"),
    ],
)
def test_rows_that_the_model_does_not_take_are_told(
    subject: SubjectModel, tokens: Tensor, found: str
) -> None:
    with pytest.raises(InputError, match=f"^tiny reads 1 to 127 tokens in a row, .*; {found}"):
        subject.read(tokens, ["blocks.0.mlp.hook_post"], lambda _hook, _acts: None)


def test_a_model_that_takes_very_few_tokens_is_refused() -> None:
    config = GPT2Config(vocab_size=300, n_embd=16, n_layer=1, n_head=2, n_positions=2)
    with pytest.raises(InputError, match="tiny takes 2 tokens at once; models that take 5 or more"):
        tiny_subject(GPT2LMHeadModel(config))


def test_a_model_that_gives_tuples_is_read_and_keeps_its_settings() -> None:
    model = tiny_llama()
    model.config.return_dict = False
    assert tiny_subject(model).width("blocks.0.mlp.hook_post") == 24
    assert (model.config.return_dict, model.config.use_cache) == (False, True)


def test_an_unembedding_of_another_dtype_is_in_nobodys_way() -> None:
    model = tiny_llama(dtype=torch.bfloat16)
    model.lm_head.float()
    assert tiny_subject(model).width("blocks.2.mlp.hook_post") == 24


def test_a_hook_point_that_is_never_computed_is_named() -> None:
    subject = tiny_subject()
    for hook in ("blocks.0.hook_q_input", "blocks.0.attn.hook_result"):
        with pytest.raises(InputError, match=f"{hook} of tiny (cannot be read|.*never computed)"):
            subject.width(hook)


def test_an_architecture_without_adapter_is_named() -> None:
    class Odd(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(2))
            self.config = type("Config", (), {"architectures": ["Odd"], "model_type": "odd"})()

    with pytest.raises(InputError, match="TransformerLens cannot wrap a Odd"):
        wrap_subject(Odd(), tiny_tokenizer(), name="odd", device="cpu")


@pytest.mark.skipif(
    version("transformer_lens").startswith("3."), reason="TransformerLens 3 builds no SoLU model"
)
def test_solu_is_read_before_the_activation_behind_it_and_behind_its_layer_norm() -> None:
    from transformer_lens.config import TransformerBridgeConfig
    from transformer_lens.model_bridge import TransformerBridge

    config = TransformerBridgeConfig(
        d_model=16,
        d_head=8,
        n_layers=2,
        n_ctx=32,
        n_heads=2,
        d_vocab=300,
        d_mlp=32,
        act_fn="solu_ln",
        device="cpu",
        seed=0,
    )
    subject = tiny_subject(TransformerBridge.boot_native(config))
    pre, mid, post = (f"blocks.1.mlp.hook_{kind}" for kind in ("pre", "mid", "post"))
    found = read_all(subject, [post, mid, pre])
    expected = found[pre] * torch.softmax(found[pre], -1)
    torch.testing.assert_close(found[mid], expected)
    torch.testing.assert_close(found[post], torch.nn.functional.layer_norm(expected, (32,)))
    assert not any(subject.two_sided(hook) for hook in (pre, mid, post))

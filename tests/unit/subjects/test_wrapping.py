from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from many_models import model_of, random_weights
from tiny import tiny_corpus, tiny_gpt2, tiny_llama, tiny_subject, tiny_tokenizer
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertForMaskedLM,
    BertLMHeadModel,
    EncoderDecoderConfig,
    EncoderDecoderModel,
    LlamaConfig,
    LlamaForSequenceClassification,
    LlamaModel,
    Mamba2Config,
    Mamba2ForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    RobertaConfig,
    RobertaForMaskedLM,
    T5Config,
    T5ForConditionalGeneration,
    ViTConfig,
    ViTForImageClassification,
    XLNetConfig,
    XLNetLMHeadModel,
)

from autointerp.activations import live_activations
from autointerp.core.errors import InputError
from autointerp.corpora import load_corpus
from autointerp.subjects import SubjectModel, all_neurons, wrap_subject

EXPECTED = "a causal (left-to-right) language model such as LlamaForCausalLM is expected"
IDS = torch.tensor([[0, 5, 6, 7]])


def values(subject: SubjectModel) -> Any:
    return live_activations(subject, "the river runs dry", units="1:0-5")[0].values


@pytest.mark.parametrize("build", [tiny_llama, tiny_gpt2, lambda: model_of("qwen3_moe")])
def test_a_wrapped_model_stays_as_it_was(build: Callable[[], Any], tmp_path: Path) -> None:
    model = build()
    model.set_attn_implementation("sdpa")
    model.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    config, modules = str(model.config), [type(m) for m in model.modules()]
    subject = tiny_subject(model)
    assert list(model.state_dict()) == list(before)
    assert all(torch.equal(model.state_dict()[name], before[name]) for name in before)
    assert (str(model.config), [type(m) for m in model.modules()]) == (config, modules)
    assert model.training
    model.load_state_dict(before)
    model.save_pretrained(tmp_path / "saved")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "saved")
    assert torch.equal(again(IDS).logits, model.eval()(IDS).logits)
    assert tiny_subject(model).revision == tiny_subject(again).revision == subject.revision


def test_a_wrapped_model_generates_and_trains_as_before() -> None:
    model, plain = tiny_llama(), tiny_llama()
    subject = tiny_subject(model)
    expected = plain.generate(IDS, max_new_tokens=5, do_sample=False)
    assert torch.equal(model.generate(IDS, max_new_tokens=5, do_sample=False), expected)
    model(IDS, labels=IDS).loss.backward()
    assert all(p.grad is not None for p in model.parameters())
    assert values(subject).shape == (6, 4)


def test_weights_that_are_loaded_later_are_read() -> None:
    model, other = tiny_llama(), tiny_llama()
    random_weights(other, spread=0.2)
    subject = tiny_subject(model)
    before = values(subject)
    model.load_state_dict(other.state_dict())
    assert (values(subject) == values(tiny_subject(other))).all()
    assert (values(subject) != before).any()


def test_tied_weights_and_hooks_of_ones_own_are_kept() -> None:
    model = tiny_gpt2()
    model.transformer.h[0].mlp.register_forward_hook(lambda _m, _args, output: output * 0)
    subject = tiny_subject(model)
    own = subject.bridge.original_model
    assert own.lm_head.weight.data_ptr() == model.transformer.wte.weight.data_ptr()
    assert (values(subject) != values(tiny_subject(tiny_gpt2()))).any()


@pytest.mark.parametrize("build", [tiny_llama, lambda: model_of("phi")])  # without, with a bias
def test_the_revision_of_the_same_weights_is_the_same_however_they_are_wrapped(
    build: Callable[[], Any],
) -> None:
    model = build()
    first = tiny_subject(model)
    again = wrap_subject(first.bridge, tiny_tokenizer(), name="again", device="cpu")
    wrapped = first.bridge.original_model
    assert first.revision == tiny_subject(model).revision == again.revision
    assert tiny_subject(wrapped).revision == first.revision


def bert(cls: Any, config: Any, **more: Any) -> Any:
    sizes = {
        "vocab_size": 300,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": 140,
    }
    return random_weights(cls(config(**sizes, **more)))


@pytest.mark.parametrize(
    ("cls", "config"), [(BertForMaskedLM, BertConfig), (RobertaForMaskedLM, RobertaConfig)]
)
def test_a_model_that_reads_both_ways_is_refused_by_its_class(cls: Any, config: Any) -> None:
    with pytest.raises(InputError) as told:
        tiny_subject(bert(cls, config))
    why = f"{cls.__name__} is not causal: a later token changes what came before; {EXPECTED}"
    assert str(told.value) == why


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_model_that_hardly_looks_ahead_is_refused_too(dtype: torch.dtype) -> None:
    model = random_weights(bert(BertForMaskedLM, BertConfig), spread=0.02).to(dtype)
    with pytest.raises(InputError, match="BertForMaskedLM is not causal: a later token"):
        tiny_subject(model)


def test_a_bert_that_is_a_decoder_is_read() -> None:
    subject = tiny_subject(bert(BertLMHeadModel, BertConfig, is_decoder=True))
    assert subject.width("blocks.1.mlp.hook_post") == 48


def test_a_bidirectional_model_without_an_adapter_is_told_why_too() -> None:
    config = XLNetConfig(vocab_size=300, d_model=32, n_layer=2, n_head=4, d_inner=48)
    with pytest.raises(InputError, match="XLNetLMHeadModel is not causal: a later token changes"):
        tiny_subject(random_weights(XLNetLMHeadModel(config)))


def test_a_layer_that_looks_one_token_ahead_is_noticed() -> None:
    model = tiny_llama()

    def ahead(_module: Any, _args: Any, output: torch.Tensor) -> torch.Tensor:
        return output + 0.1 * output.roll(-1, dims=1)

    model.model.layers[2].mlp.register_forward_hook(ahead)
    with pytest.raises(InputError, match="LlamaForCausalLM is not causal: a later token changes"):
        tiny_subject(model)


def test_a_beginning_that_is_read_both_ways_is_noticed() -> None:
    model = tiny_llama()

    def among_the_first(_module: Any, _args: Any, output: torch.Tensor) -> torch.Tensor:
        return torch.cat([output[:, :3].mean(dim=1, keepdim=True), output[:, 1:]], dim=1)

    model.model.layers[1].mlp.register_forward_hook(among_the_first)
    with pytest.raises(InputError, match="LlamaForCausalLM is not causal: a later token changes"):
        tiny_subject(model)


def test_a_model_that_padding_changes_is_noticed() -> None:
    model = tiny_llama()

    def by_length(_module: Any, _args: Any, output: torch.Tensor) -> torch.Tensor:
        return output / output.shape[1]

    model.model.layers[0].mlp.register_forward_hook(by_length)
    with pytest.raises(InputError, match="LlamaForCausalLM is not causal: padding changes"):
        tiny_subject(model)


def small_llama(cls: Any) -> Any:
    return cls(LlamaConfig(**tiny_llama().config.to_dict(), num_labels=3))


def bert_and_gpt2() -> Any:
    parts = BertConfig(hidden_size=16, num_attention_heads=2), tiny_gpt2().config
    return EncoderDecoderModel(EncoderDecoderConfig.from_encoder_decoder_configs(*parts))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: small_llama(LlamaForSequenceClassification),
            "LlamaForSequenceClassification has no language-model head",
        ),
        (lambda: small_llama(LlamaModel), "LlamaModel has no language-model head"),
        (
            lambda: ViTForImageClassification(
                ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
            ),
            "ViTForImageClassification has no language-model head",
        ),
        (
            lambda: T5ForConditionalGeneration(
                T5Config(vocab_size=300, d_model=16, d_kv=8, d_ff=24, num_layers=1, num_heads=2)
            ),
            "T5ForConditionalGeneration is an encoder-decoder",
        ),
        (bert_and_gpt2, "EncoderDecoderModel is an encoder-decoder"),
    ],
)
def test_models_of_another_kind_are_refused_with_their_class_and_what_is_expected(
    build: Callable[[], Any], message: str
) -> None:
    with pytest.raises(InputError) as told:
        tiny_subject(build())
    assert str(told.value) == f"{message}; {EXPECTED}"


def on_meta() -> Any:
    return tiny_llama().to("meta")


@pytest.mark.parametrize(
    ("build", "tokenizer", "message"),
    [
        (lambda: "gpt2", tiny_tokenizer, "^str is not a Hugging Face model; a causal"),
        (lambda: torch.nn.Linear(2, 2), tiny_tokenizer, "^Linear is not a Hugging Face model"),
        (lambda: torch.nn.DataParallel(tiny_llama()), tiny_tokenizer, "its .module, a LlamaFor"),
        (on_meta, tiny_tokenizer, r"this LlamaForCausalLM has no weights \(device meta\)"),
        (tiny_tokenizer, tiny_llama, "is not a Hugging Face model"),
        (tiny_llama, lambda: None, "^NoneType is not a Hugging Face tokenizer"),
        (tiny_llama, lambda: "gpt2", "^str is not a Hugging Face tokenizer"),
        (tiny_llama, lambda: tiny_tokenizer().backend_tokenizer, "^Tokenizer .*tokenizer_object="),
    ],
)
def test_what_is_no_model_or_no_tokenizer_is_told(
    build: Callable[[], Any], tokenizer: Callable[[], Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        wrap_subject(build(), tokenizer())


def mamba2() -> Any:
    sizes = {"vocab_size": 300, "hidden_size": 16, "num_hidden_layers": 1, "state_size": 8}
    return Mamba2Config(**sizes, num_heads=4, head_dim=8, n_groups=1)


@pytest.mark.parametrize(
    ("cls", "config"),
    [
        (MambaForCausalLM, MambaConfig(vocab_size=300, hidden_size=16, num_hidden_layers=1)),
        (Mamba2ForCausalLM, mamba2()),
    ],
)
def test_a_model_without_mlps_is_said_to_have_no_neurons(cls: Any, config: Any) -> None:
    subject = tiny_subject(cls(config))
    with pytest.raises(InputError, match=f"as layer 0 of a {cls.__name__} has no MLP and so no"):
        all_neurons(subject)


def test_a_model_whose_sizes_do_not_fit_each_other_is_refused_with_them() -> None:
    for kind in ("llama", "mistral"):
        with pytest.raises(
            InputError, match="cannot be run on a short text: .*; correct its con"
        ) as e:
            tiny_subject(model_of(kind, num_key_value_heads=3))
        assert "num_attention_heads 4, num_key_value_heads 3" in str(e.value)


def cast_inside(model: Any, dtype: torch.dtype) -> Any:
    for layer in model.model.layers:
        layer.mlp.to(dtype)
        layer.mlp.register_forward_pre_hook(lambda _m, args: (args[0].to(dtype),))
        layer.mlp.register_forward_hook(lambda _m, _args, output: output.float())
    return model


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_dtype_that_is_recorded_is_that_of_the_mlp(dtype: torch.dtype) -> None:
    subject = tiny_subject(cast_inside(tiny_llama(), dtype))
    seen: list[torch.dtype] = []
    subject.read(IDS, ["blocks.0.mlp.hook_post"], lambda _h, acts: seen.append(acts.dtype))
    assert seen == [dtype] == [subject.dtype]


def test_a_dtype_of_some_other_part_is_not_recorded() -> None:
    model = tiny_llama()
    model.lm_head.bfloat16()
    model.lm_head.register_forward_pre_hook(lambda _m, args: (args[0].bfloat16(),))
    assert tiny_subject(model).dtype_name == "float32"


@pytest.mark.parametrize("part", ["embed_tokens", "norm"])
def test_dtypes_that_do_not_go_together_are_named_when_the_model_is_read(part: str) -> None:
    model = tiny_llama(dtype=torch.bfloat16)
    getattr(model.model, part).float()
    subject = tiny_subject(model)
    if part == "norm":
        assert values(subject).shape == (6, 4)
        return
    with pytest.raises(InputError) as told:
        values(subject)
    message = str(told.value)
    assert (
        "tiny mixes parameters of bfloat16 (model.layers.0.self_attn.q_proj.weight) and" in message
    )
    assert "float32 (model.embed_tokens.weight), which do not go together" in message


def test_tokens_beyond_the_embedding_are_refused_at_the_text_that_needs_them() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["zzqq"])
    subject = wrap_subject(tiny_llama(), tokenizer, name="added", device="cpu")
    assert values(subject).shape == (6, 4)
    with pytest.raises(InputError) as told:
        live_activations(subject, "the zzqq river", units="0:0")
    message = str(told.value)
    n = len(tiny_tokenizer())
    assert message.startswith(f"the tokenizer makes id {n} ('zzqq'), but the model's embedding has")
    assert f"has {n} rows, ids 0 to {n - 1}; take the tokenizer that belongs" in message


def test_tokens_beyond_the_embedding_that_come_as_ids_are_refused_too() -> None:
    with pytest.raises(InputError, match=r"makes id 4000 .* has 279 rows, ids 0 to 278"):
        tiny_subject().read(torch.tensor([[4000]]), ["blocks.0.mlp.hook_post"], lambda _h, _a: None)


def test_a_corpus_that_needs_such_tokens_is_refused_and_others_are_read(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["zzqq"])
    subject = wrap_subject(tiny_llama(), tokenizer, name="added", device="cpu")
    tiny_corpus(tmp_path, subject)
    (tmp_path / "texts" / "last.txt").write_text("old zzqq stones " * 40)
    with pytest.raises(InputError, match="the tokenizer makes id 279"):
        load_corpus(str(tmp_path / "texts"), subject, n_tokens=2000, n_ctx=8, seed=0)


def test_a_bos_beyond_the_embedding_is_refused_and_more_rows_than_ids_are_fine() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"bos_token": "<new>"})
    with pytest.raises(InputError, match=r"the tokenizer makes id 279 \('<new>'\)"):
        wrap_subject(tiny_llama(), tokenizer, name="x", device="cpu")
    assert values(tiny_subject(tiny_llama(vocab_size=400))).shape == (6, 4)


def test_a_bridge_that_reads_both_ways_is_refused_too() -> None:
    from transformer_lens.model_bridge import TransformerBridge

    bridge = TransformerBridge.boot_transformers(
        "BertForMaskedLM", hf_model=named(bert(BertForMaskedLM, BertConfig)), tokenizer=padded()
    )
    with pytest.raises(InputError, match="BertForMaskedLM is not causal: a later token changes"):
        wrap_subject(bridge, tiny_tokenizer(), name="x", device="cpu")


def named(model: Any) -> Any:
    model.config.architectures = [type(model).__name__]
    return model


def padded() -> Any:
    tokenizer = tiny_tokenizer()
    tokenizer.init_kwargs |= {"name_or_path": "", "add_bos_token": True}
    return tokenizer

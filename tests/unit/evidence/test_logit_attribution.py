"""Direct logit attribution, held against float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from causal_model import causal_subject, neuron
from conftest import uneven
from many_models import model_of
from sae_folders import write_sae
from tiny import tiny_llama, tiny_subject, tiny_texts

from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.evidence import HeldPasses, Passage, attribute
from autointerp.subjects import SubjectModel
from autointerp.subjects.sae import load_sae

POST = "blocks.1.mlp.hook_post"
INDEX = 3


def passages(subject: SubjectModel, n: int = 5) -> list[Passage]:
    return [
        Passage(tuple(subject.tokenizer.encode(text)[:20]), str(place))
        for place, text in enumerate(tiny_texts(n))
    ]


def normed(x: torch.Tensor, gain: torch.Tensor, eps: float, like: torch.Tensor) -> torch.Tensor:
    """RMSNorm of a vector with the divisor of another, float64."""
    return x * gain / (like.square().mean() + eps).sqrt()


def centred(x: torch.Tensor, gain: torch.Tensor, eps: float, like: torch.Tensor) -> torch.Tensor:
    """LayerNorm of a vector with the divisor of another, its bias left out."""
    return (x - x.mean()) * gain / (like.var(unbiased=False) + eps).sqrt()


def entering(module: torch.nn.Module, model: Any, ids: torch.Tensor) -> torch.Tensor:
    """What enters a module on a text, shape (pos, width)."""
    seen: list[torch.Tensor] = []
    handle = module.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.no_grad():
        model(ids)
    handle.remove()
    return seen[-1][0]


def expected(
    kind: str, model: Any, ids: list[int], position: int, index: int
) -> tuple[float, float]:
    """(activation, logit) in float64, by the formula, of a double of the model."""
    double = model_for(kind).double()
    double.load_state_dict(model.state_dict())
    whole, at = torch.tensor([[0, *ids]]), position + 1
    if kind == "gpt2":
        block, norm = double.transformer.h[1], double.transformer.ln_f
        out, row = block.mlp.c_proj, block.mlp.c_proj.weight[index]
    else:
        block, norm = double.model.layers[1], double.model.norm
        out, row = block.mlp.down_proj, block.mlp.down_proj.weight[:, index]
    with torch.no_grad():
        activation = entering(out, double, whole)[at, index]
        written = activation * row
        if kind == "gemma2":
            behind = block.post_feedforward_layernorm
            like = entering(behind, double, whole)[at]
            written = normed(written, 1 + behind.weight, behind.eps, like)
        like = entering(norm, double, whole)[at]
        if kind == "gpt2":
            written = centred(written, norm.weight, norm.eps, like)
        elif kind == "gemma2":
            written = normed(written, 1 + norm.weight, norm.eps, like)
        else:
            written = normed(written, norm.weight, norm.variance_epsilon, like)
        logits = double.lm_head.weight @ written
    return float(activation), float(logits[ids[position + 1]] - logits.mean())


def model_for(kind: str) -> Any:
    return uneven(model_of(kind))


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma2"])
def test_each_text_has_the_logit_that_float64_gives(kind: str) -> None:
    model = model_for(kind)
    subject = tiny_subject(model_for(kind))
    texts = passages(subject)
    found = attribute(HeldPasses(subject), UnitId("tiny", POST, INDEX), texts, n_texts=3)
    assert [text.strongest for text in found.texts].count(True) == 3
    for text in found.texts:
        [ids] = [
            list(p.token_ids) for p in texts if subject.tokenizer.pieces(p.token_ids) == text.tokens
        ]
        activation, logit = expected(kind, model, ids, text.position, INDEX)
        assert text.activation == pytest.approx(activation, rel=1e-4, abs=1e-6)
        assert text.logit == pytest.approx(logit, rel=1e-3, abs=1e-5)
        assert (text.activation > 0) == text.strongest
        assert text.following == text.tokens[text.position + 1]


def test_the_strongest_place_of_each_text_that_a_token_follows_is_taken() -> None:
    subject = tiny_subject()
    texts = passages(subject)
    found = attribute(HeldPasses(subject), UnitId("tiny", POST, INDEX), texts, n_texts=9)
    lines: list[torch.Tensor] = []
    for text in texts:
        row = torch.tensor([text.token_ids])
        subject.read(row, [POST], lambda _, acts: lines.append(acts[0, :-1, INDEX].clone()))
    peaks = sorted((float(line.max()) for line in lines if line.max() > 0), reverse=True)
    lows = sorted(float(line.min()) for line in lines if line.min() < 0)
    assert [t.activation for t in found.texts if t.strongest] == pytest.approx(peaks)
    assert [t.activation for t in found.texts if not t.strongest] == pytest.approx(lows)


def test_an_expert_and_a_latent_add_what_they_write(tmp_path: Any) -> None:
    routed = tiny_subject(model_of("olmoe"))
    unit = UnitId("tiny", "blocks.1.mlp.experts.1.hook_post", INDEX)
    found = attribute(HeldPasses(routed), unit, passages(routed), n_texts=2)
    assert found.texts
    assert found.mean is not None
    subject = tiny_subject()
    hook = subject.attach(load_sae(write_sae(tmp_path / "sae")))
    latent = attribute(HeldPasses(subject), UnitId("tiny", hook, 3), passages(subject), n_texts=2)
    assert latent.texts
    assert all(text.strongest for text in latent.texts)


def test_a_suppressor_lowers_what_follows_and_a_promoter_raises_it() -> None:
    subject = causal_subject()
    passes = HeldPasses(subject)
    for index, word, sign in ((1, " runs", -1), (2, " dry", 1)):
        ids = tuple(subject.tokenizer.encode(f" it May{word} in May{word}"))
        texts = [Passage(ids, str(number)) for number in range(2)]
        found = attribute(passes, neuron(1, index), texts)
        assert sign * (found.mean or 0.0) > 0.1
        assert found.standings[0].p == 0.05
        assert found.texts[0].share_below == pytest.approx(0.0 if sign < 0 else 1.0, abs=0.01)


def test_what_has_no_attribution_says_why() -> None:
    subject = causal_subject()
    passes = HeldPasses(subject)
    silent = [Passage(tuple(subject.tokenizer.encode(" in it in it")), "0")]
    found = attribute(passes, neuron(1, 1), silent)
    assert found.reason == "on no token that another follows is it active"
    with pytest.raises(InputError, match="do not write to the residual stream themselves"):
        attribute(
            HeldPasses(tiny_subject(tiny_llama())),
            UnitId("tiny", "blocks.1.attn.hook_q", 1),
            passages(subject),
        )
    plain = tiny_subject(model_of("biogpt"))
    with pytest.raises(InputError, match="is not known, as TransformerLens does not wrap it"):
        attribute(HeldPasses(plain), UnitId("tiny", POST, 1), passages(plain))


def test_what_is_in_the_stream_already_is_not_multiplied_as_what_blocks_write() -> None:
    subject = tiny_subject(model_of("granite", residual_multiplier=0.25))
    unit, texts = UnitId("tiny", "blocks.1.hook_resid_post", INDEX), passages(subject, 1)
    [found, *_] = attribute(HeldPasses(subject), unit, texts, n_controls=0).texts
    model = model_of("granite", residual_multiplier=0.25)
    whole, norm = torch.tensor([[0, *texts[0].token_ids]]), model.model.norm
    like = entering(norm, model, whole)[found.position + 1]
    written = torch.zeros_like(like)
    written[INDEX] = like[INDEX]
    with torch.no_grad():
        left = normed(written, norm.weight, norm.variance_epsilon, like)
        logits = model.lm_head.weight @ left / model.config.logits_scaling
    next_id = texts[0].token_ids[found.position + 1]
    expects = float(logits[next_id] - logits.mean())
    assert found.logit == pytest.approx(expects, rel=1e-3, abs=1e-5)

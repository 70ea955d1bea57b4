"""Ablation: the same loss as a model whose weights were changed, and controls at chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from held_texts import loss, passages
from many_models import model_of
from native_models import native_model
from sae_folders import sae_config, write_sae
from tiny import tiny_gpt2, tiny_llama, tiny_subject

from autointerp.core.causal_evidence import Hold
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.evidence import HeldPasses, Passage, ablate
from autointerp.subjects import SubjectModel, random_directions
from autointerp.subjects.sae import load_sae

INDEX = 3


def _llama_down(model: Any) -> torch.Tensor:
    return model.model.layers[1].mlp.down_proj.weight.T  # type: ignore[no-any-return]


PATCHED: dict[str, Callable[[Any], torch.Tensor]] = {
    "llama": _llama_down,
    "gemma2": _llama_down,
    "gpt2": lambda model: model.transformer.h[1].mlp.c_proj.weight,
    "gpt_neox": lambda model: model.gpt_neox.layers[1].mlp.dense_4h_to_h.weight.T,
    "falcon": lambda model: model.transformer.h[1].mlp.dense_4h_to_h.weight.T,
    "biogpt": lambda model: model.biogpt.layers[1].fc2.weight.T,
    "bloom": lambda model: model.transformer.h[1].mlp.dense_4h_to_h.weight.T,
}
"""Rows that neurons of layer 1 write, of models with parallel MLPs and norms behind MLPs too."""


@pytest.mark.parametrize("kind", list(PATCHED))
def test_units_at_zero_lose_what_a_model_without_their_weights_loses(kind: str) -> None:
    model = model_of(kind)
    subject = tiny_subject(model)
    texts = passages(subject)
    units = [UnitId("tiny", "blocks.1.mlp.hook_post", index) for index in (INDEX, 7, 20)]
    found = [ablate(HeldPasses(subject), part, texts, n_controls=2) for part in (units[:1], units)]
    before = loss(subject, texts)
    for change, indices in zip(found, ([INDEX], [INDEX, 7, 20]), strict=True):
        with torch.no_grad():
            PATCHED[kind](model)[indices] = 0.0
        assert change.value == pytest.approx(loss(subject, texts) - before, abs=2e-6)
        assert change.loss == pytest.approx(before, abs=2e-6)
        assert [len(one.values) for one in change.standings] == [2, 2]


@pytest.mark.parametrize("kind", ["gpt_oss", "llama4_text", "jetmoe", "olmoe", "granitemoe"])
def test_a_neuron_of_an_expert_is_held_where_the_router_chose_it(kind: str) -> None:
    subject = tiny_subject(model_of(kind))
    texts = passages(subject)
    unit = UnitId("tiny", "blocks.1.mlp.experts.1.hook_post", INDEX)
    before = loss(subject, texts)
    change = ablate(HeldPasses(subject), [unit], texts, n_controls=3)
    weights = {name: p for name, p in subject.bridge.named_parameters() if "layers.1." in name}
    down = next(
        p for name, p in weights.items() if name.endswith(("down_proj", "output_linear.weight"))
    )
    transposed = kind in {"gpt_oss", "llama4_text"}
    with torch.no_grad():
        (down[1] if transposed else down[1].T)[INDEX] = 0.0
    assert change.value == pytest.approx(loss(subject, texts) - before, abs=2e-6)
    assert abs(change.value or 0.0) > 1e-5


@pytest.mark.parametrize("kind", ["hook_mid", "hook_post"])
def test_a_native_solu_model_is_held_before_and_behind_its_own_norm(kind: str) -> None:
    subject = tiny_subject(native_model("solu_ln"))
    texts = passages(subject)
    unit, hook = UnitId("tiny", f"blocks.1.mlp.{kind}", INDEX), f"blocks.1.mlp.{kind}"
    before = loss(subject, texts)
    change = ablate(HeldPasses(subject), [unit], texts, n_controls=3)

    def off(activations: torch.Tensor, *, hook: object) -> torch.Tensor:
        held = activations.clone()
        held[..., INDEX] = 0.0
        return held

    with subject.bridge.hooks(fwd_hooks=[(subject.tl_name(hook), off)]):
        assert change.value == pytest.approx(loss(subject, texts) - before, abs=2e-6)
    assert all(one.p is not None for one in change.standings)


@pytest.mark.parametrize("norm", ["none", "constant_norm_rescale", "layer_norm"])
def test_a_latent_is_held_by_its_decoder_row_and_the_error_stays(tmp_path: Path, norm: str) -> None:
    subject = tiny_subject()
    config = sae_config(normalize_activations=norm)
    encoder = load_sae(write_sae(tmp_path / "sae", config=config))
    hook = subject.attach(encoder)
    texts, chosen = passages(subject), [3, 5]
    attached = subject.encoders[hook]
    before = loss(subject, texts)
    change = ablate(HeldPasses(subject), [UnitId("tiny", hook, i) for i in chosen], texts)

    def without(acts: torch.Tensor, *, hook: object) -> torch.Tensor:
        scale = torch.ones_like(acts[..., :1])
        if norm == "constant_norm_rescale":
            scale = acts.norm(dim=-1, keepdim=True) / acts.shape[-1] ** 0.5
        elif norm == "layer_norm":
            scale = acts.std(dim=-1, keepdim=True) + 1e-5
        rows = encoder.decoder_rows(chosen)
        written = scale * (attached.encode(acts)[..., chosen] @ rows)
        return torch.cat([acts[:, :1], (acts - written)[:, 1:]], dim=1)

    assert all(abs(value) > 1e-6 for one in change.standings for value in one.values)
    with subject.bridge.hooks(fwd_hooks=[(encoder.hook, without)]):
        assert change.value == pytest.approx(loss(subject, texts) - before, abs=2e-6)


def test_directions_that_are_not_at_right_angles_are_held_together() -> None:
    subject = tiny_subject()
    base = "blocks.1.hook_resid_post"
    hook = subject.attach(random_directions(base, 16, 4, 7))
    vectors = subject.encoders[hook].vectors[:3]  # type: ignore[attr-defined]
    texts = passages(subject)
    before = loss(subject, texts)
    change = ablate(HeldPasses(subject), [UnitId("tiny", hook, i) for i in range(3)], texts)

    def projected(acts: torch.Tensor, *, hook: object) -> torch.Tensor:
        basis = torch.linalg.qr(vectors.T.double()).Q.float()
        return torch.cat([acts[:, :1], (acts - acts @ basis @ basis.T)[:, 1:]], dim=1)

    with subject.bridge.hooks(fwd_hooks=[(base, projected)]):
        assert change.value == pytest.approx(loss(subject, texts) - before, abs=2e-6)


def held_by_hook(subject: SubjectModel, texts: Sequence[Passage], at: list[torch.Tensor]) -> float:
    """Loss with each text's values written at the tokens of unit INDEX."""
    total, n = 0.0, 0
    for text, values in zip(texts, at, strict=True):

        def write(acts: torch.Tensor, *, hook: object, own: torch.Tensor = values) -> torch.Tensor:
            held = acts.clone()
            held[:, 1:, INDEX] = own
            return held

        with subject.bridge.hooks(fwd_hooks=[("blocks.1.mlp.hook_post", write)]):
            total += loss(subject, [text]) * len(text.token_ids)
        n += len(text.token_ids)
    return total / n


@pytest.mark.parametrize("hold", [Hold.MEAN, Hold.RESAMPLED])
def test_the_mean_is_of_the_text_and_resampling_takes_another_document(hold: Hold) -> None:
    subject = tiny_subject(tiny_gpt2())
    texts = passages(subject, 2)
    hook = "blocks.1.mlp.hook_post"
    change = ablate(HeldPasses(subject), [UnitId("tiny", hook, INDEX)], texts, hold=hold)
    rows = [torch.tensor([text.token_ids]) for text in texts]
    lines: list[torch.Tensor] = []
    for row in rows:
        subject.read(row, [hook], lambda _, acts: lines.append(acts[0, :, INDEX].clone()))
    if hold is Hold.MEAN:
        at = [torch.cat(lines).double().mean().float()] * 2
    else:
        # Of two documents each stands in for the other; the shorter begins again.
        n = [len(line) for line in lines]
        at = [lines[1][torch.arange(n[0]) % n[1]], lines[0][: n[1]]]
    before = loss(subject, texts)
    assert change.value == pytest.approx(held_by_hook(subject, texts, at) - before, abs=2e-6)


def test_the_first_layers_are_run_once_and_nothing_changes_by_it() -> None:
    subject = tiny_subject(tiny_llama(n_layers=3))
    texts, unit = passages(subject), UnitId("tiny", "blocks.2.mlp.hook_post", INDEX)
    entered: list[int] = []
    subject.bridge.blocks[0].register_forward_hook(
        lambda _module, _args, left: entered.append(
            len(left[0] if isinstance(left, tuple) else left)
        )
    )
    once = ablate(HeldPasses(subject), [unit], texts, n_controls=4)
    # But for the reading of means and the trial, one row.
    assert entered[-1] == 1
    passes = HeldPasses(subject)
    passes.rows_share = False
    whole = ablate(passes, [unit], texts, n_controls=4)
    assert entered[-1] > 1
    assert once.value == pytest.approx(whole.value, abs=1e-6)
    pairs = zip(once.standings, whole.standings, strict=True)
    assert all(a.values == pytest.approx(b.values, abs=1e-6) for a, b in pairs)


def test_what_cannot_be_held_is_said() -> None:
    subject = tiny_subject(tiny_gpt2())
    texts, passes = passages(subject, 1), HeldPasses(subject)
    with pytest.raises(InputError, match="has the units 0 to 63; name some of these"):
        ablate(passes, [UnitId("tiny", "blocks.1.mlp.hook_post", 64)], texts)
    unit = UnitId("tiny", "blocks.1.mlp.hook_post", 1)
    with pytest.raises(InputError, match="activations from another document, and the text"):
        ablate(passes, [unit], texts, hold=Hold.RESAMPLED)
    every = [UnitId("tiny", "blocks.1.mlp.hook_post", index) for index in range(60)]
    [units, directions] = ablate(passes, every, texts).standings
    assert units.reason == "its hook point has too few other units"
    assert directions.p is not None


def test_a_model_that_gives_logits_of_the_last_token_alone_has_no_loss() -> None:
    subject = tiny_subject(tiny_gpt2())
    head = subject.bridge.unembed.original_component
    head.register_forward_pre_hook(lambda _, args: (args[0][:, -1:], *args[1:]))
    unit = UnitId("tiny", "blocks.1.mlp.hook_post", INDEX)
    with pytest.raises(InputError, match="tiny gives no logits for every token, so that nothing"):
        ablate(HeldPasses(subject), [unit], passages(subject, 1))


def test_latents_that_are_silent_on_a_text_are_not_run_on_it(tmp_path: Path) -> None:
    subject = tiny_subject()
    config = sae_config("topk", k=2)
    hook = subject.attach(load_sae(write_sae(tmp_path / "few", "topk", config=config)))
    texts, passes = passages(subject, 6, longest=6), HeldPasses(subject)
    lines: list[torch.Tensor] = []
    for text in texts:
        subject.read(torch.tensor([text.token_ids]), [hook], lambda _, acts: lines.append(acts[0]))
    n_active = torch.stack([(line != 0).any(dim=0) for line in lines]).sum(dim=0)
    index = int((n_active == 1).nonzero()[0])
    change = ablate(passes, [UnitId("tiny", hook, index)], texts, n_controls=3)
    assert change.value not in {None, 0.0}
    # Where the latent is silent no direction is run, and no control that is silent.
    assert passes.n_tokens < 6 * 8 * 7
    silent = int((n_active == 0).nonzero()[0])
    none = ablate(passes, [UnitId("tiny", hook, silent)], texts, n_controls=3)
    assert none.value is None
    assert none.loss == pytest.approx(loss(subject, texts), abs=1e-5)

"""Ablation: the same loss as a model whose weights were changed, and controls at chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from causal_model import causal_subject, neuron
from many_models import model_of
from native_models import native_model
from sae_folders import sae_config, write_sae
from tiny import tiny_gpt2, tiny_llama, tiny_subject, tiny_texts

from autointerp.core.causal_evidence import ControlKind, Hold, LossChange, TextKind
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.evidence import Ablations, HeldPasses, Passage, ablate
from autointerp.subjects import SubjectModel, random_directions
from autointerp.subjects.sae import load_sae

INDEX = 3


def passages(subject: SubjectModel, n: int = 4, *, longest: int = 24) -> list[Passage]:
    texts = tiny_texts(n)
    return [
        Passage(tuple(subject.tokenizer.encode(text)[: longest - place]), str(place))
        for place, text in enumerate(texts)
    ]


def loss(subject: SubjectModel, texts: Sequence[Passage]) -> float:
    """The oracle: one text at a time through the whole model, nats a token."""
    total, n_tokens = 0.0, 0
    for text in texts:
        ids = torch.tensor([[0, *text.token_ids]])
        with torch.inference_mode():
            logits = subject.bridge(ids, return_type="logits")[0, :-1].double()
        total += float(torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum"))
        n_tokens += len(text.token_ids)
    return total / n_tokens


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


def of_planted(units: Sequence[tuple[int, int]], text: str, n_controls: int = 19) -> LossChange:
    subject = causal_subject()
    ids = tuple(subject.tokenizer.encode(text))
    texts = [Passage(ids, str(number)) for number in range(2)]
    named = [neuron(*unit) for unit in units]
    return ablate(HeldPasses(subject), named, texts, n_controls=n_controls)


def test_an_eraser_is_missed_alone_and_not_together_with_what_it_erases() -> None:
    text = " river river river"
    alone, both = of_planted([(1, 0)], text), of_planted([(0, 0), (1, 0)], text)
    assert abs(alone.value or 0.0) > 0.05
    assert both.value == pytest.approx(0.0, abs=1e-4)
    assert [one.rank for one in alone.standings][0] == 1
    assert both.standings[1].reason == "its units write at several places"


def test_without_a_suppressor_what_it_suppresses_is_less_surprising() -> None:
    change = of_planted([(1, 1)], " May runs May runs May runs")
    assert (change.value or 0.0) < -0.1
    assert [one.p for one in change.standings] == [0.05, 0.05]
    promoter = of_planted([(1, 2)], " May dry May dry")
    assert (promoter.value or 0.0) > 0.1


def test_a_unit_that_is_silent_on_a_text_has_no_change_there_and_the_reason() -> None:
    change = of_planted([(1, 1)], " river stones river")
    assert change.value is None
    assert change.reason == "on no token of this text is it at another value than that"


def test_a_unit_drawn_at_random_stands_anywhere_among_random_units() -> None:
    subject = tiny_subject(tiny_gpt2())
    texts, passes = passages(subject, 3), HeldPasses(subject)
    ps = []
    for index in range(64):
        unit = UnitId("tiny", "blocks.1.mlp.hook_post", index)
        [standing, _] = ablate(passes, [unit], texts, n_controls=19).standings
        assert standing.control is ControlKind.UNITS
        ps.append(standing.p or 0.0)
    assert 0.4 < sum(ps) / len(ps) < 0.65
    assert 1 <= sum(p <= 0.1 for p in ps) <= 14


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


def test_many_units_that_share_text_and_passes_lose_what_each_loses_alone() -> None:
    subject = tiny_subject(tiny_gpt2())
    texts = passages(subject, 3)
    hooks = ("blocks.0.mlp.hook_post", "blocks.1.mlp.hook_post")
    sets = [(UnitId("tiny", hook, index),) for hook in hooks for index in range(4)]
    alone = [ablate(HeldPasses(subject), units, texts, n_controls=5) for units in sets]
    passes = HeldPasses(subject)
    shared = Ablations(passes, texts, n_controls=5, against=[ControlKind.UNITS])
    shared.prepare(sets, [Hold.ZERO], texts)
    n_tokens = passes.n_tokens
    for units, expected in zip(sets, alone, strict=True):
        [change] = shared.of(units, [Hold.ZERO], {TextKind.ALL: texts}).changes
        assert change.value == pytest.approx(expected.value, abs=1e-6)
        assert change.loss == pytest.approx(expected.loss, abs=1e-6)
        [standing] = change.standings
        assert standing.values == pytest.approx(expected.standings[0].values, abs=1e-6)
    # Later units find in what earlier ones left what their own controls lose.
    assert passes.n_tokens - n_tokens < 2 * n_tokens

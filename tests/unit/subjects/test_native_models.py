"""TransformerLens' own models: loaded from its layout, where neurons are read, and steered."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from native_models import native_config, native_model, write_tl_folder
from noted_progress import NotedProgress
from tiny import tiny_subject, tiny_texts, write_texts

import autointerp as ai
from autointerp.core.config import CollectJob
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.evidence import (
    logit_effects,
    steered_texts,
    steering_strength,
)
from autointerp.evidence.output_weights import output_directions
from autointerp.settings import Settings
from autointerp.subjects import (
    HookUnits,
    SubjectModel,
    all_neurons,
    parse_units,
    select_units,
)
from autointerp.wiring.collection_runs import neuron_kind_of, run_collection

pytestmark = pytest.mark.skipif(
    version("transformer_lens").startswith("3."), reason="TransformerLens 3 builds no native model"
)

IDS = torch.tensor([[0, 5, 6, 7, 260]])


@pytest.fixture(scope="module")
def solu() -> Any:
    return native_model()


@pytest.fixture(scope="module")
def gelu() -> Any:
    return native_model("gelu")


@pytest.fixture(scope="module")
def subject(solu: Any) -> SubjectModel:
    return tiny_subject(solu, name="solu")


def logits(bridge: Any) -> torch.Tensor:
    with torch.no_grad():
        result: torch.Tensor = bridge.original_model(IDS)
    return result


@pytest.mark.parametrize("spec", ["0:0-3", "layer:1", "random:5", "random:4@0,1", "all"])
def test_neurons_of_solu_are_read_before_its_layer_norm(subject: SubjectModel, spec: str) -> None:
    units = parse_units(spec, subject)
    assert {u.hook.rpartition(".")[2] for u in units} == {"hook_mid"}
    explicit = parse_units("blocks.0.mlp.hook_post:0-3", subject)
    assert explicit == (HookUnits("blocks.0.mlp.hook_post", (0, 1, 2, 3)),)
    assert all_neurons(subject)[0].hook == "blocks.0.mlp.hook_mid"


@pytest.mark.parametrize("act_fn", ["gelu", "solu"])
def test_neurons_of_other_native_models_are_read_behind_the_activation(act_fn: str) -> None:
    units = parse_units("0:0-3,layer:1", tiny_subject(native_model(act_fn, n_steps=1)))
    assert {u.hook.rpartition(".")[2] for u in units} == {"hook_post"}


def test_a_model_without_mlps_has_no_neurons_and_says_so() -> None:
    attention = tiny_subject(native_model(n_steps=1, attn_only=True))
    with pytest.raises(InputError, match=r"blocks\.0\.mlp\.hook_post"):
        parse_units("0:0-3", attention)
    assert parse_units("blocks.0.attn.hook_z:0-3", attention)


@pytest.mark.parametrize(
    ("act_fn", "kind"),
    [
        ("solu_ln", "hook_pre"),
        ("solu_ln", "hook_mid"),
        ("solu_ln", "hook_post"),
        ("gelu", "hook_pre"),
        ("gelu", "hook_post"),
    ],
)
def test_native_models_are_steered_as_far_as_asked(
    act_fn: str, kind: str, solu: Any, gelu: Any
) -> None:
    bridge = solu if act_fn == "solu_ln" else gelu
    subject = tiny_subject(bridge, name="native")
    unit = UnitId("native", f"blocks.0.mlp.{kind}", 3)
    prompts = [tuple(subject.tokenizer.encode(t)) for t in ("the river", "old stones sleep")]
    found = steering_strength(subject, unit, prompts, sign=1.0, target_kl=0.05)
    assert found.kl == pytest.approx(0.05, rel=0.1)
    written = steered_texts(subject, found, prompts, n_tokens=5, seed=0)
    assert len(written) == 2
    assert all(written)
    assert written == steered_texts(subject, found, prompts, n_tokens=5, seed=0)


def test_logit_effects_from_before_the_layer_norm_go_through_it(
    subject: SubjectModel, solu: Any
) -> None:
    norm = solu.blocks[0].mlp.ln.original_component
    out = solu.blocks[0].mlp.out.original_component.weight
    one = torch.eye(24)
    expected = ((one - one.mean(dim=1, keepdim=True)) * norm.weight) @ out.T
    assert not torch.allclose(norm.weight, torch.ones(24), atol=1e-2)
    for kind in ("hook_mid", "hook_pre"):
        found = output_directions(subject, f"blocks.0.mlp.{kind}", range(24))
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    behind = output_directions(subject, "blocks.0.mlp.hook_post", range(24))
    torch.testing.assert_close(behind, out.T)
    units = select_units([UnitId("solu", "blocks.0.mlp.hook_mid", 1)])
    assert len(logit_effects(subject, units)[0].promoted) == 10


def test_labels_of_a_native_model_say_where_they_were_read(
    tmp_path: Path, subject: SubjectModel
) -> None:
    path = write_texts(tmp_path, tiny_texts(60, n_words=40))
    corpus = ai.load_corpus(str(path), subject, n_tokens=1500, n_ctx=16)
    progress = NotedProgress()
    labels = ai.label(subject, units="0:0-2", corpus=corpus, llm="none", progress=progress)
    assert {label.unit.hook for label in labels} == {"blocks.0.mlp.hook_mid"}
    assert any("read at mlp.hook_mid, before the extra LayerNorm" in n for n in progress.notes)


def collected(folder: Path, out: Path, texts: Path, units: str) -> NotedProgress:
    progress = NotedProgress()
    job = CollectJob(
        subject=str(folder),
        units=units,
        corpus=ai.CorpusConfig(corpus=str(texts), n_tokens=1500, n_ctx=16),
    )
    run_collection(job, out=out, resume=True, settings=Settings(), progress=progress)
    return progress


def test_a_run_that_was_begun_behind_the_layer_norm_stays_there(
    tmp_path: Path, solu: Any, subject: SubjectModel
) -> None:
    folder = write_tl_folder(tmp_path / "toy", native_config(), solu)
    texts = write_texts(tmp_path, tiny_texts(60, n_words=40))
    new, old = tmp_path / "new", tmp_path / "old"
    notes = collected(folder, new, texts, "0:0-2").notes
    assert any("hook_mid, before" in note for note in notes)
    collected(folder, old, texts, "blocks.0.mlp.hook_post:0-2")
    assert (neuron_kind_of(new, subject), neuron_kind_of(old, subject)) == ("hook_mid", "hook_post")
    (tmp_path / "labels" / "blocks.0.mlp.hook_post").mkdir(parents=True)
    assert neuron_kind_of(tmp_path, subject) == "hook_post"
    assert neuron_kind_of(tmp_path / "none", subject) == "hook_mid"

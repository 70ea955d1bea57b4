"""A plan takes sizes from where they are decided, and a subject's shape from its folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny import tiny_corpus, tiny_llama, tiny_subject

from autointerp.activations import CollectPlan, collect, save_summary
from autointerp.activations.collection_sizes import summary_bytes
from autointerp.activations.token_table import explain_types
from autointerp.core.config import CollectConfig, CorpusConfig, JobSpec
from autointerp.core.errors import InputError
from autointerp.core.files import SMOLLM2_GGUF
from autointerp.core.model_shape import KNOWN_SHAPES
from autointerp.core.text import Split
from autointerp.settings import Settings
from autointerp.subjects import all_neurons
from autointerp.wiring.job_plans import plan_job, subject_shape


def job(subject: str = "smollm2-135m", **further: object) -> JobSpec:
    return JobSpec.model_validate({"subject": subject, "units": "all", "llm": "none", **further})


def test_the_file_of_a_summary_is_as_large_as_was_told(tmp_path: Path) -> None:
    subject = tiny_subject()
    corpus = tiny_corpus(tmp_path, subject)
    units, config = all_neurons(subject), CollectConfig()
    types = explain_types(corpus)
    summary = collect(subject, corpus, units=units, plan=CollectPlan(token_means=True))
    save_summary(summary, tmp_path / "a")
    told = summary_bytes(
        {u.hook: len(u.indices) for u in units},
        config,
        n_tokens={split: summary.hooks[units[0].hook, split].n_tokens for split in Split},
        n_windows={split: len(corpus.window_ids(split)) for split in Split},
        n_types=len(types.counts),
        n_once=types.n_once,
    )
    # The header is text of its own, large for so few units.
    assert told == pytest.approx((tmp_path / "a").stat().st_size, rel=0.2)


def test_what_is_collected_is_what_a_collection_counts() -> None:
    outlook = plan_job(job(corpus=CorpusConfig(n_tokens=4_096)), Settings())
    size, memory = outlook.work.collection, outlook.estimate.run_memory
    assert memory["what is collected"] == size.state + size.tables
    assert memory["the model"] == 4 * KNOWN_SHAPES["smollm2-135m"].n_weights


def test_the_shape_of_a_folder_is_read_without_weights(tmp_path: Path) -> None:
    model = tiny_llama()
    (tmp_path / "config.json").write_text(json.dumps(model.config.to_dict()))
    shape = subject_shape(str(tmp_path))
    assert (shape.n_layers, shape.d_model, shape.d_mlp, shape.gated) == (3, 16, 24, True)
    assert plan_job(job(str(tmp_path)), Settings()).work.n_units == 72


def test_the_shape_of_a_gguf_file_is_that_of_the_known_model() -> None:
    shape, known = subject_shape(str(SMOLLM2_GGUF.locate())), KNOWN_SHAPES["smollm2-135m"]
    assert (shape.n_weights, shape.n_neurons) == (known.n_weights, known.n_neurons)
    assert (shape.n_ctx, shape.gated, shape.tied) == (known.n_ctx, known.gated, known.tied)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "has no config.json"), ("{", "cannot be read as JSON"), ("[]", "no JSON object")],
)
def test_a_folder_without_a_shape_is_refused(
    tmp_path: Path, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(InputError, match=message):
        subject_shape(str(tmp_path))


def test_an_unknown_name_is_told_what_is_known() -> None:
    with pytest.raises(InputError, match=r"llama-9.*gpt2-xl"):
        subject_shape("llama-9")


@pytest.mark.parametrize("name", ["~nobody-of-that-name/model", "a" * 5_000])
def test_a_name_that_can_be_no_path_is_one_that_is_not_known(name: str) -> None:
    with pytest.raises(InputError, match="is not known"):
        subject_shape(name)


@pytest.mark.parametrize("heads", [[1, 2], None])
def test_a_gguf_file_whose_sizes_are_lists_or_missing_is_refused(
    tmp_path: Path, heads: list[int] | None
) -> None:
    gguf = pytest.importorskip("gguf")
    writer = gguf.GGUFWriter(tmp_path / "x.gguf", "llama" if heads else "")
    writer.add_embedding_length(8)
    if heads:
        writer.add_head_count(heads)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(InputError, match="the configuration of x"):
        subject_shape(str(tmp_path / "x.gguf"))


def test_windows_beyond_the_context_are_refused() -> None:
    with pytest.raises(InputError, match="takes 1024"):
        plan_job(job("gpt2-xl", corpus=CorpusConfig(n_ctx=2_048)), Settings())


def test_an_llm_is_planned_in_calls_tokens_and_dollars() -> None:
    asked = job(llm="https://api.openai.com/v1", llm_model="gpt-4o-mini", units="layer:0")
    outlook = plan_job(asked, Settings())
    assert outlook.llm is not None
    total = outlook.llm.total
    assert total.requests % 1_536 == 0
    assert total.usd is not None
    assert total.usd > 0
    assert "gpt-4o-mini costs" in (outlook.price or "")

"""Units that a model does not have are refused before its weights are read, as they are behind."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from many_models import model_of
from native_models import native_config, native_model, write_tl_folder
from noted_progress import NotedProgress
from sae_folders import D_IN, sae_config, sae_tensors, write_sae
from safetensors.torch import save_file
from tiny import tiny_gpt2, tiny_llama, tiny_tokenizer

from autointerp.core.config import CollectJob, CorpusConfig, JobSpec
from autointerp.core.errors import InputError
from autointerp.settings import Settings
from autointerp.subjects import load_subject, parse_units
from autointerp.wiring.collection_runs import run_collection
from autointerp.wiring.runs import run_job
from autointerp.wiring.units_beforehand import check_units_beforehand

KINDS = ["gpt2", "llama", "jamba", "native"]
THERE = "0:0-3,layer:1,blocks.0.hook_resid_pre:0-9,blocks.1.ln1.hook_normalized:3"
MISSING = [
    "9:0",
    "layer:2000",
    "1:99999",
    "0:1,1:99999",
    "blocks.1.hook_resid_post:4000",
    "blocks.1.mlp.hook_pst:0",
    "blocks.9.hook_resid_post:0",
    "blocks.0.attn.hook_pattern:0",
    "blocks.1.mlp.experts.77.hook_post:0",
    "random:3@9",
    "random:999999@0,1",
    "sae:nowhere:0-3",
    "sae:./nowhere:0-3",
    "sae:{wide}:0-3",
    "sae:{fits}:0-999",
    "sae:{fits}",
    "sae:{fits}:random:999",
    "sae:{fits}@blocks.1.hook_resid_pst:0-3",
    "dirs:nowhere.safetensors",
    "dirs:{wide}/directions.safetensors",
    "dirs:{fits}/directions.safetensors:0-9",
]


def write_model(folder: Path, kind: str) -> Path:
    if kind == "native":
        return write_tl_folder(folder, native_config(), native_model(n_steps=0))
    made = {"gpt2": tiny_gpt2, "llama": tiny_llama}.get(kind)
    (model_of(kind) if made is None else made()).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    if request.param == "native" and version("transformer_lens").startswith("3."):
        pytest.skip("TransformerLens 3 builds no native model")
    return write_model(tmp_path_factory.mktemp("models") / request.param, request.param)


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An SAE and directions that fit a model 16 wide, and such that fit none."""
    where = tmp_path_factory.mktemp("encoders")
    made = {}
    for name, width in (("fits", D_IN), ("wide", D_IN + 3)):
        tensors = sae_tensors()
        tensors |= {"W_enc": torch.ones(width, 40), "W_dec": torch.ones(40, width)}
        tensors |= {"b_dec": torch.ones(width)}
        made[name] = write_sae(where / name, config=sae_config(d_in=width), tensors=tensors)
        save_file(
            {"directions": torch.ones(3, width)},
            made[name] / "directions.safetensors",
            metadata={"hook": "blocks.1.hook_resid_post"},
        )
    return {name: str(path) for name, path in made.items()}


def refusal(units: str, folder: Path) -> str | None:
    try:
        check_units_beforehand(units, str(folder), Settings())
    except InputError as error:
        return str(error)
    return None


@pytest.mark.parametrize("folder", KINDS, indirect=True)
def test_what_is_refused_is_what_the_loaded_model_refuses_in_the_same_words(
    folder: Path, encoders: dict[str, str]
) -> None:
    subject = load_subject(str(folder), device="cpu")
    left = {}
    asked = MISSING if folder.name in {"gpt2", "native"} else MISSING[::3]
    for units in (unit.format(**encoders) for unit in asked):
        with pytest.raises(InputError) as behind:
            parse_units(units, subject)
        if refusal(units, folder) != str(behind.value):
            left[units] = refusal(units, folder)
    assert left == {}


@pytest.mark.parametrize("folder", KINDS, indirect=True)
def test_what_there_is_passes(folder: Path, encoders: dict[str, str]) -> None:
    subject = load_subject(str(folder), device="cpu")
    for units in ("all", "random:5", "random:4@0,1", "random:4", *THERE.split(",")):
        try:
            parse_units(units, subject)
        except InputError:
            continue
        assert refusal(units, folder) is None
    width = subject.width("blocks.1.hook_resid_post")
    fitting = f"sae:{encoders['fits']}:0-3" if width == D_IN else None
    assert fitting is None or refusal(fitting, folder) is None


def test_of_a_mixture_of_experts_alone_layers_are_told(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "mixtral", "mixtral")
    said = "mixtral has layers 0 to 1; there is no layer 2 for blocks.2.hook_resid_post"
    assert refusal("blocks.2.hook_resid_post:0", folder) == said
    assert refusal("blocks.1.mlp.experts.0.hook_post:0", folder) is None


def test_a_run_and_a_collection_refuse_units_of_a_model_whose_weights_are_not_there(
    tmp_path: Path,
) -> None:
    model = write_model(tmp_path / "model", "llama")
    for path in model.glob("*.safetensors"):
        path.unlink()
    progress, text = NotedProgress(), CorpusConfig(corpus="wiki")
    out, settings = tmp_path / "run", Settings()
    job = JobSpec(subject=str(model), units="blocks.1.mlp.hook_pst:0", llm="none", corpus=text)
    with pytest.raises(InputError, match=r"no hook point .*near ones are blocks\.1\.mlp\.hook_p"):
        run_job(job, out=out, resume=False, settings=settings, progress=progress)
    collection = CollectJob(subject=str(model), units="layer:7", corpus=text)
    with pytest.raises(InputError, match=r"model has layers 0 to 2; there is no layer 7"):
        run_collection(collection, out=out, resume=False, settings=settings, progress=progress)
    assert not out.exists()


def test_of_a_model_that_cannot_be_made_from_its_configuration_units_wait(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "nobody knows"}')
    assert refusal("blocks.99.mlp.hook_post:0", tmp_path) is None
    assert refusal("blocks.99.mlp.hook_post:0", tmp_path / "missing") is None

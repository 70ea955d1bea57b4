"""Names are checked and parts are built in one place."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import make_job

from autointerp.core.config import JobSpec
from autointerp.core.errors import InputError
from autointerp.core.progress import SilentProgress
from autointerp.core.variants import Need
from autointerp.llm import Features, ScriptedModel
from autointerp.pipeline import JobVariants
from autointerp.settings import Settings
from autointerp.wiring.llms import open_llm
from autointerp.wiring.runs import run_job
from autointerp.wiring.tools import build_tools


def run(job: JobSpec, out: Path) -> None:
    run_job(job, out=out, resume=False, settings=Settings(), progress=SilentProgress())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"explain": {"explainers": ("magic",)}},
            r"unknown explainer 'magic'; there are (\w+, )*contrastive, (\w+, )*output_side, ",
        ),
        (
            {"score": {"scorers": ("magic",)}},
            r"unknown scorer 'magic'; there are (\w+, )*detection, (\w+, )*fuzzing, ",
        ),
    ],
)
def test_unknown_names_are_refused_before_anything_is_made(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run(make_job(**changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("llm", ["nowhere", "gpt-4", "ftp://host/v1", ""])
def test_an_llm_that_is_no_url_is_refused(llm: str) -> None:
    with pytest.raises(InputError, match="is neither embedded, none nor a URL such as https://"):
        open_llm(make_job(llm=llm), Settings())


def test_a_url_without_a_model_is_refused() -> None:
    job = make_job(llm="http://127.0.0.1:1/v1")
    with pytest.raises(InputError, match="which model at http://127.0.0.1:1/v1"):
        open_llm(job, Settings())
    model = open_llm(job, Settings(llm_model="from-settings"))
    assert model is not None
    assert model.name == "from-settings"


def test_none_is_no_llm() -> None:
    assert open_llm(make_job(llm="none"), Settings()) is None


def test_without_an_llm_there_is_token_lookup_alone() -> None:
    tools = build_tools(make_job(), None)
    assert [explainer.name for explainer in tools.explainers] == ["token_lookup"]
    assert (tools.simulation, tools.further, tools.prompts) == (None, (), ())


@pytest.mark.parametrize(("small", "version"), [(False, "v1"), (True, "v2")])
def test_prompts_fit_the_llm_and_every_one_is_named(small: bool, version: str) -> None:
    explainers, scorers = ("token_activation", "token_lookup"), ("simulation", "detection")
    variants = {"explain": {"explainers": explainers}, "score": {"scorers": scorers}}
    job = make_job(llm="http://host/v1", **variants)
    tools = build_tools(job, ScriptedModel(lambda _: "", features=Features(small=small)))
    assert [e.name for e in tools.explainers] == ["token_activation", "token_lookup"]
    receipts = [] if small else [("write_receipts", "v4"), ("revise_senses", "v3")]
    assert [(p.name, p.version) for p in tools.prompts] == [
        ("explain_token_activation", version),
        ("simulate_levels", version),
        ("detect", "v3" if small else "v4"),
        *receipts,
    ]


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({"explain": {"explainers": ("token_lookup",)}}, False),
        (
            {"explain": {"explainers": ("token_lookup",)}, "score": {"scorers": ("detection",)}},
            True,
        ),
        ({"explain": {"explainers": ("token_lookup", "token_activation")}}, True),
        (
            {"explain": {"explainers": ("token_lookup",)}, "score": {"scorers": ("embedding",)}},
            False,
        ),
        (
            {
                "explain": {"explainers": ("token_lookup",)},
                "score": {"scorers": ("simulation", "simulation_sparse")},
            },
            True,
        ),
    ],
)
def test_an_llm_is_opened_only_for_who_asks_it(changes: dict[str, object], asked: bool) -> None:
    assert JobVariants.of(make_job(llm="embedded", **changes)).need(Need.LLM) is asked

"""What was asked for and cannot run is refused with a sentence; what needs no LLM runs."""

from __future__ import annotations

import json

import pytest
from fake_endpoint import FakeEndpoint
from labelling import Labelling

import autointerp as ai
from autointerp.core.files import MINILM
from autointerp.core.ids import Side, UnitId

NO_LLM = "the job's llm is none"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--scorer", "detection"), f"scorer detection asks an LLM, and {NO_LLM}"),
        (("--scorer", "simulation_sparse"), f"scorer simulation_sparse asks an LLM, and {NO_LLM}"),
        (
            ("--scorer", "embedding", "--scorer", "simulation"),
            f"scorer simulation asks an LLM, and {NO_LLM}",
        ),
        (("--scorer", "generative"), f"scorer generative asks an LLM, and {NO_LLM}"),
        (("--explainer", "contrastive"), f"explainer contrastive asks an LLM, and {NO_LLM}"),
        (("--explainer", "revision"), f"explainer revision asks an LLM, and {NO_LLM}"),
        (("--explainer", "token_activation"), "explainer token_activation asks an LLM"),
        (("--scorer", "simulation"), f"scorer simulation asks an LLM, and {NO_LLM}"),
        (
            ("--explainer", "token_activation", "--explainer", "token_lookup"),
            f"explainer token_activation asks an LLM, and {NO_LLM}",
        ),
    ],
)
def test_without_an_llm_what_asks_one_is_refused(
    labelling: Labelling, options: tuple[str, ...], message: str
) -> None:
    ended = labelling(labelling.arguments("a", *options, llm="none"))
    assert ended.code == 2
    assert message in ended.err
    assert not (labelling.folder / "a").exists()


@pytest.mark.parametrize(
    ("scorer", "units", "message"),
    [
        ("output_test", "0:0-1", "output_test compares a unit with others and needs 3 units"),
        ("output_based", "0:0-1", "output_test compares a unit with others and needs 3 units"),
        ("contrast", "0:0", "contrast compares a unit with others and needs 2 units"),
        ("discrimination", "0:0", "discrimination compares a unit with others and needs 2 units"),
    ],
)
def test_a_scorer_that_compares_units_is_refused_where_there_are_too_few(
    labelling: Labelling, endpoint: FakeEndpoint, scorer: str, units: str, message: str
) -> None:
    options = ("--scorer", scorer, "--units", units)
    ended = labelling(labelling.arguments("a", *options, llm=endpoint.base_url))
    assert ended.code == 2
    assert message in ended.err
    assert endpoint.bodies == []


def test_embedding_needs_no_llm(labelling: Labelling) -> None:
    ended = labelling(labelling.arguments("a", "--scorer", "embedding", llm="none"))
    if MINILM.find() is None:
        assert ended.code == 2
        assert MINILM.install_command in ended.err
        return
    assert ended.code == 0, ended.err
    scorers = scorers_of(labelling, "a")
    assert "embedding" in scorers


def test_unset_lists_fit_a_job_without_an_llm_and_nothing_is_said_to_be_left_out(
    labelling: Labelling,
) -> None:
    ended = labelling(labelling.arguments("a", llm="none"))
    assert ended.code == 0
    assert "left out" not in ended.err
    manifest = json.loads((labelling.folder / "a" / "manifest.json").read_text())
    assert manifest["job"]["explain"]["explainers"] == ["token_lookup"]
    assert manifest["job"]["score"]["scorers"] == []
    assert scorers_of(labelling, "a") == {"rules", "rules_null", "lookup"}


def test_an_alias_runs_the_scorer_and_labels_store_its_name(
    labelling: Labelling, endpoint: FakeEndpoint
) -> None:
    options = ("--scorer", "input_based", "--units", "0:0-1")
    ended = labelling(labelling.arguments("a", *options, llm=endpoint.base_url))
    assert ended.code in {0, 1}, ended.err
    assert "input_test" in scorers_of(labelling, "a")
    manifest = json.loads((labelling.folder / "a" / "manifest.json").read_text())
    assert manifest["job"]["score"]["scorers"] == ["input_test"]


def test_a_manifest_lists_the_default_scorers_and_makes_the_same_labels_without_an_llm(
    labelling: Labelling,
) -> None:
    assert labelling(labelling.arguments("a", llm="none")).code == 0
    manifest = [
        "--from-manifest",
        str(labelling.folder / "a"),
        "--out",
        str(labelling.folder / "b"),
    ]
    assert labelling(["label", *manifest]).code == 0
    assert labelling.tables("a") == labelling.tables("b")


def scorers_of(labelling: Labelling, out: str) -> set[str]:
    dictionary = ai.open_dictionary(labelling.folder / out)
    keys = [(UnitId.parse(row["unit"]), Side(row["polarity"])) for row in dictionary.rows()]
    labels = [dictionary.label(unit, side) for unit, side in keys]
    return {result.scorer for label in labels if label for result in label.results}

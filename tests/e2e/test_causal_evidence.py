"""``autointerp evidence`` on a model of which it is known what its neurons do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from causal_model import write_causal
from sae_folders import sae_config, write_sae
from tiny import tiny_texts, write_texts

from autointerp.cli import run

SUPPRESSOR, PROMOTER = "1:1", "1:2"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model, text, and a dictionary of rules of eight of its neurons."""
    folder = tmp_path_factory.mktemp("causal")
    model = write_causal(folder / "causal")
    text = write_texts(folder, tiny_texts(100, n_words=60))
    options = ["--units", "1:0-7", "--corpus", str(text), "--tokens", "4000", "--n-ctx", "16"]
    options += ["--llm", "none", "--out", str(folder / "run")]
    assert run(["label", str(model), *options]) == 0
    return folder


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The JSON of one call."""
    capsys.readouterr()
    assert run(["evidence", *arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What one call says that it cannot do."""
    capsys.readouterr()
    assert run(["evidence", *arguments]) == 2
    return " ".join(capsys.readouterr().err.split()).rpartition("error: ")[2]


def test_a_labelled_unit_is_held_on_all_text_its_exemplars_and_what_its_label_says(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--dir", str(place / "run"), "--windows", "6", "--texts", "4", "--hold", "zero"]
    found = asked(capsys, PROMOTER, *options, "--hold", "mean")
    [ablation] = found["ablations"]
    changes = {(c["hold"], c["text"]): c for c in ablation["changes"]}
    assert len(changes) == 6
    sizes = [changes["zero", text]["n_windows"] for text in ("all", "exemplars", "predicted")]
    assert sizes == [6, 4, 4]
    there = changes["zero", "predicted"]
    assert abs(there["value"]) > 0.005
    # Of the others, the suppressor alone does anything on the same tokens.
    assert there["standings"][0]["rank"] <= 2
    for change in changes.values():
        names = [standing["control"] for standing in change["standings"]]
        assert names == ["random_units", "random_directions"]
        assert change["n_documents"] == change["n_windows"]
        assert change["low"] <= change["value"] <= change["high"]
    assert found["n_tokens_run"] > 1000


def test_without_a_dictionary_exemplars_are_sought_and_no_label_is_there(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = ["--corpus", str(place / "texts"), "--tokens", "5000", "--windows", "2", "--texts", "2"]
    found = asked(capsys, "1:1-2", "--subject", str(place / "causal"), *text, "--controls", "2")
    assert [len(one["units"]) for one in found["ablations"]] == [1, 1]
    predicted = found["ablations"][0]["changes"][2]
    assert predicted["value"] is None
    assert predicted["reason"] == (
        "it has no label here: name the folder of its dictionary with --dir"
    )
    together = asked(
        capsys, "1:1-2", "--subject", str(place / "causal"), *text, "--together", "--controls", "0"
    )
    [ablation] = together["ablations"]
    assert len(ablation["units"]) == 2
    assert ablation["changes"][1]["standings"] == []


def test_the_other_kinds_are_asked_for_in_the_same_command(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--dir", str(place / "run")]
    prompts = ["--prompt", " it May", "--counterfactual", " it in"]
    patching = asked(
        capsys,
        SUPPRESSOR,
        *where,
        "--kind",
        "patching",
        *prompts,
        "--position",
        "1",
        "--answer",
        " stones",
        "--answer",
        " runs",
    )
    [patched] = patching["patchings"]
    assert patched["share"] > 0.9
    assert patched["answers"] == [" stones", " runs"]
    attribution = asked(capsys, SUPPRESSOR, *where, "--kind", "attribution", "--texts", "3")
    assert len(attribution["attributions"][0]["texts"]) == 3
    steering = asked(
        capsys,
        PROMOTER,
        *where,
        "--kind",
        "steering",
        "--prompt",
        "the river",
        "--kl",
        "2",
        "--length",
        "8",
        "--controls",
        "3",
    )
    up, down = steering["steerings"]
    assert up["strength"] > 0
    assert "dry" in up["texts"][0]
    assert down["strength"] is None or down["strength"] < 0


def test_what_is_printed_says_what_it_cost_and_what_is_compared(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    capsys.readouterr()
    options = ["--dir", str(place / "run"), "--windows", "3", "--texts", "2", "--controls", "3"]
    assert run(["evidence", "1:0-2", *options]) == 0
    said = capsys.readouterr()
    assert "tokens in forward passes, at" in said.err
    assert "of 3 beyond random units" in said.out
    assert "predicted" in said.out


@pytest.mark.parametrize("width", [60, 100, 160])
def test_a_neuron_is_shown_before_and_behind_its_activation_function(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    where = ["--dir", str(place / "run"), "--kind", "sites"]
    if width == 60:
        found = asked(capsys, "1:1-2", *where)
        kinds = [site["unit"].split(".")[-1] for site in found["sites"][0]["sites"]]
        assert kinds == ["hook_pre/1", "hook_post/1"]
        assert [len(one["pairs"]) for one in found["sites"]] == [1, 1]
        assert found["sites"][0]["n_tokens"] == found["n_tokens_run"]
    monkeypatch.setenv("COLUMNS", str(width))
    capsys.readouterr()
    assert run(["evidence", "1:1", *where]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1:1"
    assert all(len(line) <= width for line in lines)
    assert any(line.startswith("hook_pre,") for line in lines)


@pytest.mark.parametrize("width", [60, 100, 160])
def test_units_are_ranked_for_their_own_labels_kept_and_shown(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    where = ["--dir", str(place / "run"), "--kind", "rank", "--keep"]
    found = asked(capsys, "1:0-7", *where)
    units = {one["unit"].rpartition("/")[2] for one in found["ranks"]}
    assert {"1", "2"} <= units
    assert all(one["rank"] is None or one["own"] is not None for one in found["ranks"])
    monkeypatch.setenv("COLUMNS", str(width))
    capsys.readouterr()
    assert run(["evidence", "1:0-7", *where]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= width for line in lines)
    assert "are the best of their layer" in " ".join(lines)
    without = refused(capsys, "1:1", "--kind", "rank", "--subject", str(place / "causal"))
    assert "name the dictionary of the labels with --dir" in without
    assert run(["show", "1:2", "--dir", str(place / "run")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "rank: positive side:" in shown or "rank: negative side:" in shown


REFUSED = {
    "ranks on other text": (
        ["1:1", "--kind", "rank", "--tokens", "4000"],
        "leave out --corpus and --tokens",
    ),
    "ranks of several as one": (
        ["1:1-2", "--kind", "rank", "--together"],
        "leave out --together",
    ),
    "ranks of units without a label": (
        ["1:9", "--kind", "rank"],
        "there is no label of 1:9",
    ),
    "sites of the stream": (
        ["blocks.1.hook_resid_post:3", "--kind", "sites"],
        "is not a neuron of an MLP; name one that is, such as 5:131",
    ),
    "no counterfactual": (
        ["1:1", "--kind", "patching", "--prompt", "the river"],
        "patching needs --prompt and --counterfactual, two texts with the same number of tokens; "
        "no LLM writes one here. Found --prompt",
    ),
    "no text": (["1:1", "--tokens", "0"], "n_tokens: Input should be greater than or equal to 1"),
    "neither": (["1:1", "--kind", "patching"], "no LLM writes one here. Found neither"),
    "another length": (
        ["1:1", "--kind", "patching", "--prompt", "the", "--counterfactual", "the river"],
        "must have the same number of tokens, found 1 (the) and 2 (the| river)",
    ),
    "a prompt of ablation": (
        ["1:1", "--prompt", "the river"],
        "--prompt, --counterfactual, --answer and --position go with --kind patching",
    ),
    "one answer": (["1:1", "--answer", "the"], "--answer is given twice, found 1"),
    "no unit": (["1:99"], "has the units 0 to 23"),
    "no window": (["1:1", "--windows", "0"], "--windows is a number from 1 to 10,000, found 0"),
    "controls": (["1:1", "--controls", "-1"], "--controls is a number from 0 to 999, found -1"),
    "kl": (["1:1", "--kind", "steering", "--kl", "0"], "--kl is a number of nats above 0"),
    "another model": (["other/blocks.1.mlp.hook_post/1"], "other"),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_what_cannot_be_done_is_one_sentence(
    place: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    arguments, sentence = REFUSED[case]
    assert sentence in refused(capsys, *arguments, "--dir", str(place / "run"))


def test_latents_of_an_sae_are_held_attributed_and_steered(
    place: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = sae_config()
    config["metadata"]["hook_name"] = "blocks.1.hook_resid_post"
    folder = write_sae(tmp_path / "latents", config=config)
    unit = f"sae:{folder}:3"
    model = ["--subject", str(place / "causal")]
    assert "288" in refused(capsys, unit, *model, "--kind", "steering")

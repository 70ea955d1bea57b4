"""Texts in the layouts that people have go the whole road, and what is odd about a run is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from labelling import Labelling
from sae_folders import HOOK, sae_config, sae_tensors, write_sae
from saved_folders import write_splits
from tiny import tiny_texts

import autointerp as ai


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Several splits, with null and empty documents among the rest."""
    body = [*tiny_texts(120, n_words=40), None, "", None]
    return write_splits(tmp_path / "saved", {"train": {"body": body}, "test": {"body": ["x"]}})


def test_a_split_and_a_field_of_a_saved_data_set_are_labelled_and_named(
    labelling: Labelling, saved: Path
) -> None:
    corpus = ("--corpus", f"{saved}:body")
    arguments = labelling.arguments("a", "--units", "0:0-2", llm="none")
    run = labelling([*arguments, *corpus])
    assert run.code == 0, run.err
    dictionary = ai.open_dictionary(labelling.folder / "a")
    assert dictionary.manifest.corpus == f"{saved}:train:body"
    again = labelling([*labelling.arguments("b", "--units", "0:0-2", llm="none"), *corpus])
    assert again.code == 0
    whole = ai.open_dictionary(labelling.folder / "b").manifest
    assert whole.corpus_hash == dictionary.manifest.corpus_hash


def test_a_field_without_text_is_refused_before_the_model_is_loaded(
    labelling: Labelling, saved: Path
) -> None:
    arguments = labelling.arguments("a", "--units", "0:0-2", llm="none")
    run = labelling([*arguments, "--corpus", f"{saved}:train:text"])
    assert run.code == 2
    assert "has no column text, only body" in run.err
    assert "loading tiny" not in run.err
    assert not (labelling.folder / "a").exists()


def test_dead_latents_and_another_model_are_among_the_notes(
    labelling: Labelling, tmp_path: Path
) -> None:
    tensors = sae_tensors()
    tensors["b_enc"][:] = -1e9
    metadata = {"hook_name": HOOK, "model_name": "gpt2-small"}
    folder = write_sae(tmp_path / "dead", config=sae_config(metadata=metadata), tensors=tensors)
    units = f"sae:{folder}:random:3"
    run = labelling(labelling.arguments("a", "--units", units, "--json", llm="none"))
    assert run.code == 0, run.err
    made_for, cause = json.loads(run.out)["notes"]
    assert "made for the model 'gpt2-small'" in made_for
    assert "all 3 latents asked for of sae_dead are dead" in cause
    assert run.err.count(cause) == run.err.count(made_for) == 1

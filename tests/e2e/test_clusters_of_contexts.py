"""Senses found by clusters of contexts, from the subject model to the label and the stored sets."""

from __future__ import annotations

import json
import re

import pytest
from fake_endpoint import FakeEndpoint
from labelling import Labelling
from planted import MONTHS, RIVERS, planted_subject, planted_texts
from planted_llm import find_active_word
from tiny import write_texts

import autointerp as ai
from autointerp.dictionary.neuron_record_import.parsing import records_path
from autointerp.llm import ChatRequest, ScriptedModel
from autointerp.store.labels import FolderLabelStore

NAMES = {"a month": (MONTHS, 10), "a river": (RIVERS, 5)}


def namer(request: ChatRequest) -> str:
    """Names each cluster by its own words, and finds them again in texts."""
    said = request.messages[-1].content
    patterns = re.findall(r"^Pattern (\d+): (.*)$", said, re.MULTILINE)
    if patterns:
        texts = [json.loads(line) for line in re.findall(r'^\d+: (".*")$', said, re.MULTILINE)]
        known = [(word, int(n)) for n, name in patterns for word in NAMES[name][0]]
        found = [[[w, n, 10] for w, n in known if re.search(rf"\b{w}\b", text)] for text in texts]
        return json.dumps({"windows": found})
    senses = []
    for block in re.split(r"^Cluster ", said, flags=re.MULTILINE)[1:]:
        here = {word.strip() for word in re.findall("«(.*?):", block)}
        [name] = [name for name, (words, _) in NAMES.items() if here <= set(words)]
        level = NAMES[name][1]
        sense = {"cluster": block[0], "description": name, "level": level, "kind": "token"}
        senses.append(sense)
    return json.dumps({"senses": senses})


def test_the_two_senses_of_a_planted_neuron_are_found_scored_and_weighed(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    subject = planted_subject()
    path = write_texts(tmp_path_factory.mktemp("planted"), planted_texts(60))
    [label] = ai.label(
        subject,
        units="0:0",
        corpus=ai.load_corpus(str(path), subject, n_tokens=9_000, n_ctx=32, seed=0),
        llm=ScriptedModel(namer),
        explain=ai.ExplainConfig(explainers=("clusters",)),
        score=ai.ScoreConfig(scorers=("simulation_senses",), n_heldout=12, n_receipts=0),
    )
    assert label.explanation is not None
    assert {sense.description for sense in label.explanation.senses} == set(NAMES)
    assert label.headline.value is not None
    assert label.headline.value > 0.95
    masses = [score.mass.value for score in label.sense_scores]
    assert sum(mass for mass in masses if mass is not None) == pytest.approx(1.0)


def first_word(request: ChatRequest) -> str:
    """Names every cluster by its first word, and finds that in texts."""
    said = request.messages[-1].content
    if "Cluster A" not in said:
        return find_active_word(request)
    words = re.findall(r"^Cluster .*\n.*?« ?(\w+):", said, re.MULTILINE)
    senses = [{"description": f"the word {w}", "level": 9, "kind": "token"} for w in words]
    return json.dumps({"senses": senses})


def test_vectors_stay_with_the_records_of_a_run_that_its_manifest_makes_again(
    labelling: Labelling,
) -> None:
    more = ("--explainer", "clusters", "--scorer", "simulation_senses", "--receipts", "0")
    with FakeEndpoint(first_word) as endpoint:
        first = labelling(labelling.arguments("a", *more, llm=endpoint.base_url))
        assert first.code == 0, first.err
        n_asked = len(endpoint.bodies)
        manifest = str(labelling.folder / "a" / "manifest.json")
        again = ["label", "--from-manifest", manifest, "--out", str(labelling.folder / "b")]
        assert labelling(again).code == 0
        assert len(endpoint.bodies) == n_asked
    assert labelling.tables("a") == labelling.tables("b")
    store = FolderLabelStore(labelling.folder / "a")
    stored = [store.get_sets(label.unit, label.side) for label in store.labels()]
    contexts = [sets.explain.contexts for sets in stored if sets is not None]
    assert contexts
    assert all(own is not None and own.hook.endswith("mlp.hook_in") for own in contexts)


def test_files_of_records_are_refused_as_they_hold_no_vectors(labelling: Labelling) -> None:
    assert labelling(labelling.arguments("a", llm="none")).code == 0
    label = next(FolderLabelStore(labelling.folder / "a").labels())
    file = records_path(labelling.folder / "a", label.unit, label.side)
    ended = labelling(["explain", str(file), "--explainer", "clusters", "--llm", "embedded"])
    assert ended.code == 2
    assert "explainer clusters compares what the unit reads where it is active" in ended.err

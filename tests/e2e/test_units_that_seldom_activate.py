"""A unit that is active in one window, or in windows like no other, has a label or a reason."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from planted import MONTHS, OTHERS, RIVERS, planted_subject
from tiny import write_texts

import autointerp as ai
from autointerp.core.explanations import Label, LabelStatus
from autointerp.llm import ChatRequest, ScriptedModel


def texts_with(n_active: int) -> list[str]:
    """40 documents of common words, in the first of which a month or a river stands once."""
    rng = random.Random(0)
    texts = []
    for number in range(40):
        words = rng.choices(OTHERS, k=150)
        if number < n_active:
            words[70] = (*MONTHS, *RIVERS)[number % 5]
        texts.append(" ".join(words))
    return texts


def reader(request: ChatRequest) -> str:
    """Names what it is shown, finds it again, and writes texts of one kind."""
    said = request.messages[-1].content
    patterns = re.findall(r"^Pattern (\d+): ", said, re.MULTILINE)
    if patterns:
        n = len(re.findall(r'^\d+: ".*"$', said, re.MULTILINE))
        return json.dumps({"windows": [[]] * n})
    if "fires" in said:
        texts = {"fires": ["May"], "silent": ["the"], "broader": "words", "narrower": "May"}
        return json.dumps({"senses": [texts]})
    if "descriptions" in said:
        return json.dumps({"descriptions": [None]})
    sense = {"cluster": "A", "description": "months", "level": 9, "kind": "token"}
    return json.dumps({"senses": [sense | {"rules": ["9: token ~ / *(May|June|July)/"]}]})


def labelled(folder: Path, explainer: str, n_active: int) -> Label:
    subject = planted_subject()
    path = write_texts(folder, texts_with(n_active))
    [label] = ai.label(
        subject,
        units="0:0",
        corpus=ai.load_corpus(str(path), subject, n_tokens=5_000, n_ctx=32, seed=0),
        llm=ScriptedModel(reader),
        explain=ai.ExplainConfig(explainers=(explainer, "token_lookup")),
        score=ai.ScoreConfig(scorers=("simulation_senses",), n_heldout=12, n_receipts=4),
    )
    return label


@pytest.mark.parametrize("explainer", ["senses", "clusters"])
@pytest.mark.parametrize(
    ("n_active", "where"), [(0, None), (1, "1 explain windows"), (5, "1 held-out windows")]
)
def test_a_unit_that_seldom_activates_is_dead_and_says_where(
    tmp_path: Path, explainer: str, n_active: int, where: str | None
) -> None:
    label = labelled(tmp_path, explainer, n_active)
    assert (label.status, label.explanation) == (LabelStatus.DEAD, None)
    assert (where or "never activates") in str(label.reason)


@pytest.mark.parametrize("explainer", ["senses", "clusters"])
def test_a_unit_that_activates_in_a_handful_of_windows_is_explained(
    tmp_path: Path, explainer: str
) -> None:
    label = labelled(tmp_path, explainer, 7)
    assert (label.status, label.failures) == (LabelStatus.OK, ())
    assert label.explanation is not None
    assert label.explanation.text == "months"
    assert (label.headline.value or 0) > 0.8

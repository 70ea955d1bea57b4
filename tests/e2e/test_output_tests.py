"""Output tests go the whole road on models of TransformerLens' own and on latents of an SAE."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
from fake_endpoint import FakeEndpoint
from graded_llm import GradedLLM
from labelling import Labelling
from native_models import native_config, native_model, write_tl_folder
from sae_folders import HOOK, write_sae

import autointerp as ai
from autointerp.llm import ChatReply, ChatRequest

SAID = "words of three letters"
JUDGE = GradedLLM({SAID: lambda tokens: [10 * (len(token.strip()) == 3) for token in tokens]})
OUTPUT_TEST = ("--explainer", "token_activation", "--scorer", "output_based", "--samples", "1")


def always_the_first(request: ChatRequest) -> ChatReply | str:
    """Names the first of three sets, and is right about words of three letters."""
    asked = request.messages[-1].content
    if "Set 1:" in asked:
        return "1"
    if any('{"explanation"' in message.content for message in request.messages):
        return json.dumps({"explanation": SAID})
    return JUDGE(request)


def judged(labelling: Labelling, units: str) -> tuple[list[ai.Label], list[str]]:
    """Labels with their output tests, and the questions that were asked for these."""
    with FakeEndpoint(always_the_first) as endpoint:
        arguments = labelling.arguments("a", "--units", units, *OUTPUT_TEST, llm=endpoint.base_url)
        ended = labelling(arguments)
        assert ended.code == 0, ended.err
        asked = [body["messages"][-1]["content"] for body in endpoint.bodies]
    labels = list(ai.open_dictionary(labelling.folder / "a").labels())
    return labels, [text for text in asked if "Set 1:" in text]


def check(labels: list[ai.Label], questions: list[str]) -> None:
    tested = [result for label in labels if (result := label.result("output_test"))]
    assert tested
    for result in tested:
        assert len(result.trials) == 10
        assert all(trial.failure is None for trial in result.trials)
        assert 0 <= (result.scores[0].value or 0) <= 1
    # Each question shows three sets of what was written, and they are not the same.
    for text in questions:
        sets = re.findall(r"^Set \d: (.*)$", text, re.MULTILINE)
        assert len(sets) == len(set(sets)) == 3


@pytest.mark.skipif(
    version("transformer_lens").startswith("3."), reason="TransformerLens 3 builds no native model"
)
@pytest.mark.parametrize(("act_fn", "kind"), [("solu_ln", "hook_mid"), ("gelu", "hook_post")])
def test_an_output_test_runs_on_a_model_of_transformer_lens(
    labelling: Labelling, tmp_path: Path, act_fn: str, kind: str
) -> None:
    # Its tokens are bytes for the most part, and what is written goes on behind a prompt.
    config, model = native_config(act_fn, n_ctx=64), native_model(act_fn, n_ctx=64)
    folder = write_tl_folder(tmp_path / "toy", config, model)
    labels, questions = judged(replace(labelling, model=folder), "0:0-3")
    assert {label.unit.hook for label in labels} == {f"blocks.0.mlp.{kind}"}
    check(labels, questions)


def test_an_output_test_runs_on_latents_from_disk(labelling: Labelling, tmp_path: Path) -> None:
    labels, questions = judged(labelling, f"sae:{write_sae(tmp_path / 'my_sae')}:0-4")
    assert {label.unit.hook for label in labels} == {f"{HOOK}.sae_my_sae"}
    assert any(label.promoted for label in labels)
    check(labels, questions)

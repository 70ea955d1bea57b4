"""Explaining and scoring units whose records come from a file."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from factories import make_label
from neuron_records import neuron_record, write_record
from planted_llm import find_active_word, tokens_of

from autointerp.core.config import ExplainConfig, JobSpec, ScoreConfig
from autointerp.core.explanations import Explanation
from autointerp.dictionary.neuron_record_import.parsing import read_record_file
from autointerp.dictionary.neuron_record_import.record_file import RecordFile
from autointerp.llm import ChatRequest, Features, ScriptedModel
from autointerp.pipeline.imported_units import (
    ScoredFile,
    explain_records,
    score_records,
    without_population,
)
from autointerp.wiring.tools import build_tools

NO_LOGPROBS = Features(logprobs=False)


def words(text: str) -> Explanation:
    return Explanation(text, "given", None, None, None, 0)


def scored(
    *pairs: tuple[RecordFile, Explanation], reply: object = find_active_word
) -> tuple[ScoredFile, ...]:
    scorers = ("simulation", "detection")
    job = JobSpec(units="records", llm="http://host/v1", score=ScoreConfig(scorers=scorers))
    model = ScriptedModel(reply, features=NO_LOGPROBS)  # type: ignore[arg-type]
    return asyncio.run(score_records(pairs, job, build_tools(job, model), model))


@pytest.fixture
def river(tmp_path: Path) -> RecordFile:
    return read_record_file(write_record(tmp_path / "river.json"), seed=0)


def test_the_right_explanation_scores_above_a_wrong_one_and_by_what_name(
    river: RecordFile,
) -> None:
    right, wrong = scored((river, words("the word river")), (river, words("the word stones")))
    assert right.label.headline.value is None
    assert right.label.headline.reason == river.no_population
    assert right.headline.name == "top_random"
    assert (right.headline.value or 0.0) > 0.95
    assert abs(wrong.headline.value or 0.0) < 0.3
    main = right.label.result("simulation")
    assert main is not None
    names = [score.name for score in main.scores]
    assert len(names) == len(set(names))
    assert {"population", "top_random", "top", "random", "over_lookup", "over_null"} == set(names)
    assert main.n_asked == main.n_judged + main.n_failed == 8


def test_top_and_random_records_count_half_each(river: RecordFile) -> None:
    [found] = scored((river, words("the word river")))
    trials = found.label.results[0].trials
    weights = {
        name: sum(t.weight for t in trials if t.stratum == name) for name in ("top", "random")
    }
    assert weights["top"] == weights["random"]


def test_a_verdict_scorer_keeps_its_scores(river: RecordFile) -> None:
    def yes(request: ChatRequest) -> str:
        return "yes" if "river" in request.messages[-1].content else "no"

    [found] = scored((river, words("the word river")), reply=yes)
    detection = found.label.result("detection")
    assert detection is not None
    assert detection.score("balanced_accuracy").value is not None


def test_replies_that_cannot_be_read_are_failed_trials_and_never_a_score(
    river: RecordFile,
) -> None:
    for reply in ("", "I cannot help with that.", '{"rows": [[1]]}', '{"rows": "many"}'):
        [found] = scored((river, words("the word river")), reply=lambda _, said=reply: said)
        main = found.label.result("simulation")
        assert main is not None
        assert (main.n_asked, main.n_failed) == (8, 8)
        assert found.headline.value is None
        assert found.label.status == "failed"


def test_candidates_are_tried_on_validation_records_only(river: RecordFile) -> None:
    explain = ExplainConfig(explainers=("token_activation", "token_lookup"), description="better")
    score = ScoreConfig(scorers=("simulation",))
    job = JobSpec(units="records", llm="http://host/v1", explain=explain, score=score)
    model = ScriptedModel(find_active_word, features=NO_LOGPROBS)
    [found] = asyncio.run(explain_records([river], job, build_tools(job, model)))
    texts = {c.explanation.text: c.validation_score for c in found.selection.candidates}
    assert "the word river" in texts
    assert (texts["the word river"] or 0.0) > 0.9
    asked = [tokens_of(r) for r in model.requests if "Neuron:" in r.messages[-1].content]
    held_out = {r.tokens for r in river.sets.held_out.records}
    assert asked
    assert not {tuple(tokens) for tokens in asked} & held_out


def test_a_file_without_bands_or_random_sample_goes_by_its_top_records(tmp_path: Path) -> None:
    path = write_record(tmp_path / "top.json", neuron_record(n_random=0))
    [found] = scored((read_record_file(path, seed=0), words("the word river")))
    assert found.headline.name == "top"


def test_where_the_sizes_are_known_nothing_is_renamed() -> None:
    label = make_label()
    assert without_population(label, None) is label

"""Questions behind scores: worded again as they were asked, with the replies that are kept."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from factories import make_label, make_provenance, make_sets

from autointerp.core.config import ScoreConfig
from autointerp.core.explanations import Label
from autointerp.core.records import UnitSets
from autointerp.core.seeds import derive_seed
from autointerp.llm import CachedModel, ChatRequest, Features, ScriptedModel
from autointerp.llm.kept_replies import KeptReplies
from autointerp.pipeline.asked_questions import ScorerTrials, asked_questions
from autointerp.scorers import ScorerDependencies, ScoringSet, scorers_named

_MADE = make_sets()
SETS = replace(
    _MADE,
    held_out=replace(
        _MADE.held_out,
        # No two texts are the same: of such the cache asks once.
        records=tuple(
            replace(record, tokens=(f" w{record.window}", *record.tokens[1:]))
            for record in _MADE.held_out.records
        ),
    ),
)
_LEVELS = '{"rows": [[0, 9, 1, 0]]}'


def judged(scorer: str, model: ScriptedModel, folder: Path, sets: UnitSets = SETS) -> Label:
    """A label that the scorer judged with that model, whose replies are kept in the folder."""
    (spec,) = scorers_named([scorer])
    label = make_label()
    assert label.explanation is not None
    cached = CachedModel(model, folder)
    made = spec.build(ScorerDependencies(cached, ScoreConfig()))
    seed = derive_seed(label.provenance.seed, "bootstrap", str(label.unit), label.side)
    windows = ScoringSet.of(sets.held_out, seed=seed, n_bootstrap=1000, confidence=0.95)
    result = asyncio.run(made.score(label.explanation, windows))
    provenance = make_provenance(scorer_model=model.name, prompts=made.prompts)
    return make_label(results=(result,), preferred=scorer, provenance=provenance)


def asked(label: Label, folder: Path | None, sets: UnitSets | None = SETS) -> ScorerTrials:
    (found,) = asked_questions(label, sets, KeptReplies(folder).find)
    return found


@pytest.mark.parametrize(
    ("scorer", "answer"),
    [("detection", "yes"), ("fuzzing", "no"), ("simulation", _LEVELS)],
)
@pytest.mark.parametrize("features", [Features(), Features(logprobs=False, system_role=False)])
def test_questions_are_those_that_were_asked_with_the_replies_that_came(
    tmp_path: Path, scorer: str, answer: str, features: Features
) -> None:
    model = ScriptedModel(lambda _: answer, features=features)
    found = asked(judged(scorer, model, tmp_path), tmp_path)
    sent = [request.messages[-1].content for request in model.requests]
    assert [question.turns[-1][1] for question in found.questions] == sent
    assert {question.reply for question in found.questions} == {answer}
    assert len(found.questions) == len(found.trials) > 0
    windows = [window for question in found.questions for window in question.windows]
    assert set(windows) == {trial.window for trial in found.trials}
    assert found.note is None


def test_the_prompt_of_a_small_model_is_the_one_that_it_was_asked_with(tmp_path: Path) -> None:
    small = Features(small=True, grammar=True)
    model = ScriptedModel(lambda _: "yes", features=small)
    found = asked(judged("detection", model, tmp_path), tmp_path)
    assert found.questions[0].turns[-1][1] == model.requests[0].messages[-1].content


def test_replies_that_are_not_kept_are_not_made_up(tmp_path: Path) -> None:
    label = judged("detection", ScriptedModel(lambda _: "yes"), tmp_path)
    found = asked(label, tmp_path / "elsewhere")
    assert [question.reply for question in found.questions] == [None] * len(found.questions)
    assert "no reply to these words is kept" in (found.note or "")
    assert all(question.turns for question in asked(label, None).questions)


def test_a_reply_that_could_not_be_read_is_shown_with_its_failed_trial(tmp_path: Path) -> None:
    def answer(request: ChatRequest) -> str:
        return "perhaps" if "w21" in request.messages[-1].content else "yes"

    found = asked(judged("detection", ScriptedModel(answer), tmp_path), tmp_path)
    replies = {window: q.reply for q in found.questions for window in q.windows}
    for trial in found.trials:
        assert replies[trial.window] == ("yes" if trial.failure is None else "perhaps")


def test_without_records_or_for_questions_about_other_texts_a_sentence_says_so(
    tmp_path: Path,
) -> None:
    label = judged("detection", ScriptedModel(lambda _: "yes"), tmp_path)
    assert asked(label, tmp_path, None).note == "the texts were not kept with this label"
    other = make_label(results=(label.results[0].__class__("generative", "x", (), ()),))
    assert "not kept" in (asked(other, tmp_path).note or "")

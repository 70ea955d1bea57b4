"""Neurons that follow known rules: who knows the rule scores 0.99, who guesses scores nothing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from planted import MONTHS, OTHERS, planted_subject, planted_texts
from planted_llm import noise, oracle
from tiny import write_texts

import autointerp as ai
from autointerp.core.errors import RequestRefusedError
from autointerp.corpora import TokenCorpus
from autointerp.llm import ChatReply, ChatRequest, Handler, ScriptedModel
from autointerp.subjects import SubjectModel

LLM_ALONE = ai.ExplainConfig(explainers=("token_activation",), n_samples=1)
SIMULATION = ai.ScoreConfig(scorers=("simulation",), n_heldout=12, n_receipts=0)


@pytest.fixture(scope="module")
def subject() -> SubjectModel:
    return planted_subject()


@pytest.fixture(scope="module")
def corpus(subject: SubjectModel, tmp_path_factory: pytest.TempPathFactory) -> TokenCorpus:
    path = write_texts(tmp_path_factory.mktemp("planted"), planted_texts(60))
    return ai.load_corpus(str(path), subject, n_tokens=9_000, n_ctx=32, seed=0)


def labelled(
    subject: SubjectModel, corpus: TokenCorpus, handler: Handler, units: str = "0:0-3"
) -> list[ai.Label]:
    return ai.label(
        subject,
        units=units,
        corpus=corpus,
        llm=ScriptedModel(handler),
        explain=LLM_ALONE,
        score=SIMULATION,
    )


@pytest.mark.parametrize("logprobs", [True, False])
def test_an_oracle_scores_at_least_099_on_every_rule(
    subject: SubjectModel, corpus: TokenCorpus, logprobs: bool
) -> None:
    labels = labelled(subject, corpus, oracle(logprobs=logprobs))
    values = [label.headline.value for label in labels[:3]]
    assert all(value is not None and value >= 0.99 for value in values), values
    expected = "expected levels" if logprobs else "levels as generated"
    assert labels[0].results[0].notes[0].startswith(expected)


def test_a_neuron_that_never_fires_is_dead_with_a_reason(
    subject: SubjectModel, corpus: TokenCorpus
) -> None:
    label = labelled(subject, corpus, oracle(logprobs=False))[3]
    assert label.status is ai.LabelStatus.DEAD
    assert label.reason == "it never activates on the explain text; collect more tokens to be sure"
    assert label.headline.value is None


def test_a_neuron_with_one_activating_window_is_dead_with_a_reason_and_nobody_is_asked(
    subject: SubjectModel, tmp_path: Path
) -> None:
    texts = [" ".join(random.Random(i).choices(OTHERS, k=24)) for i in range(60)]
    texts[2] += f" {MONTHS[0]} the"
    path = write_texts(tmp_path, texts)
    corpus = ai.load_corpus(str(path), subject, n_tokens=1_442, n_ctx=32, seed=0)
    asked: list[ChatRequest] = []
    [label] = labelled(subject, corpus, lambda request: asked.append(request) or "", "0:0")
    assert label.status is ai.LabelStatus.DEAD
    assert label.reason == ("it activates in 1 explain windows, 2 are needed; collect more tokens")
    assert (label.explanation, label.llm, asked) == (None, None, [])


def test_a_guess_has_an_interval_that_holds_0(subject: SubjectModel, corpus: TokenCorpus) -> None:
    held = []
    for seed in range(4):
        for label in labelled(subject, corpus, noise(seed), "0:0-2"):
            low, high = label.headline.low, label.headline.high
            assert low is not None
            assert high is not None
            held.append(low <= 0 <= high)
    assert sum(held) >= len(held) - 2


def test_another_units_explanation_scores_far_below_the_own_one(
    subject: SubjectModel, corpus: TokenCorpus
) -> None:
    for label in labelled(subject, corpus, oracle(logprobs=False))[:3]:
        null = label.score("simulation_null")
        assert null.value is None or null.value < 0.6
        assert label.result("simulation_null") is not None


def test_no_single_pattern_becomes_no_signal(subject: SubjectModel, corpus: TokenCorpus) -> None:
    label = labelled(subject, corpus, lambda _: '{"explanation": "no single pattern"}', "0:0")[0]
    assert label.status is ai.LabelStatus.NO_SIGNAL
    assert label.reason == "the explainer found no single pattern"


@pytest.mark.parametrize("reply", ["", "I'm sorry, I can't do that.", '{"rows": 1}'])
def test_replies_that_cannot_be_read_fail_the_unit_and_score_nothing(
    subject: SubjectModel, corpus: TokenCorpus, reply: str
) -> None:
    label = labelled(subject, corpus, lambda _: reply, "0:0")[0]
    assert label.status is ai.LabelStatus.FAILED
    reason = (label.reason or "").removeprefix("refused: ")
    assert reason.startswith("no explanation could be had: token_activation answer 0")
    assert label.headline.value is None


def test_simulations_that_cannot_be_read_fail_the_unit(
    subject: SubjectModel, corpus: TokenCorpus
) -> None:
    def handler(request: object) -> str:
        return '{"explanation": "months"}' if "Active:" in str(request) else "no idea"

    label = labelled(subject, corpus, handler, "0:0")[0]
    assert label.status is ai.LabelStatus.FAILED
    assert "all 12 trials failed, the first: " in (label.reason or "")
    result = label.results[0]
    assert result.n_asked == result.n_judged + result.n_failed == result.n_failed


def test_a_scorer_that_was_named_and_asks_an_llm_is_refused_without_one(
    subject: SubjectModel, corpus: TokenCorpus
) -> None:
    named = ai.ScoreConfig(scorers=("simulation",))
    with pytest.raises(ai.InputError, match="scorer simulation asks an LLM, and the job's llm is"):
        ai.label(subject, units="0:0", corpus=corpus, llm="none", score=named)


def test_token_lookup_finds_the_planted_tokens_without_an_llm(
    subject: SubjectModel, corpus: TokenCorpus
) -> None:
    tokens, bigram = ai.label(subject, units="0:0-1", corpus=corpus, llm="none")
    assert tokens.explanation is not None
    assert all(word in tokens.explanation.text for word in ("May", "June", "July", "Rhine", "Nile"))
    assert (tokens.headline.value or 0) >= 0.98
    assert bigram.explanation is not None
    assert "bank" in bigram.explanation.text
    over = bigram.score("rules", "over_lookup").value
    assert over is not None
    assert over > 0.05


def test_one_unreadable_window_fails_its_trial_and_the_rest_is_scored(
    subject: SubjectModel, corpus: TokenCorpus
) -> None:
    knows, asked = oracle(logprobs=False), []

    def handler(request: ChatRequest) -> str | ChatReply | Exception:
        if "Neuron:" in request.messages[-1].content:
            asked.append(request)
        return "no idea" if len(asked) == 1 and "Neuron:" in str(request) else knows(request)

    label = labelled(subject, corpus, handler, "0:0")[0]
    result = label.results[0]
    assert label.status is ai.LabelStatus.OK
    assert (result.n_asked, result.n_judged, result.n_failed) == (12, 11, 1)
    assert (label.headline.value or 0) >= 0.99
    assert label.headline.n_windows == 11


def test_every_question_is_judged_or_failed_and_counted(
    subject: SubjectModel, corpus: TokenCorpus
) -> None:
    guess = noise(0)

    def handler(request: ChatRequest) -> str | ChatReply | Exception:
        if len(request.messages[-1].content) % 3 == 0 and "Neuron:" in str(request):
            return RequestRefusedError("content policy")
        return guess(request)

    for label in labelled(subject, corpus, handler, "0:0-4"):
        for result in label.results:
            failures = [trial.failure for trial in result.trials if trial.failure]
            assert result.n_asked == result.n_judged + result.n_failed
            assert result.n_failed == len(failures)
            judged = {t.window for t in result.trials if t.predicted is not None}
            # What the token table predicts is not kept with a label.
            if result.scorer != "lookup":
                assert result.score("population").n_windows in {0, len(judged)}


def test_the_rules_of_a_bigram_beat_its_token(subject: SubjectModel, corpus: TokenCorpus) -> None:
    label = ai.label(subject, units="0:1", corpus=corpus, llm="none")[0]
    assert label.explanation is not None
    pairs = {rule.text.strip() for rule in label.explanation.rules if len(rule.tokens) == 2}
    assert {"Rhine bank", "Nile bank"} <= pairs
    assert (label.headline.value or 0) >= 0.9

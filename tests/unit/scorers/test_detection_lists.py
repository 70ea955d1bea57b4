"""Detection, one window or several to a call, and its scores over all text."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from factories import make_sets
from judged_text import BAD_REPLIES, RIGHT, WRONG, guesses, judge, knows, make_windows, rendered
from scripted_logprobs import with_logprobs

from autointerp.core.errors import InputError, RequestRefusedError
from autointerp.llm import ChatReply, ChatRequest, Features, ScriptedModel, Usage
from autointerp.scorers import ScoringSet
from autointerp.scorers.detection import Detection

GOLDEN = Path(__file__).parents[2] / "golden"
WINDOWS = make_windows()
SMALL = ScoringSet.of(make_sets().held_out, seed=0, n_bootstrap=200, confidence=0.95)


@pytest.mark.parametrize("per_call", [1, 7])
def test_the_right_explanation_beats_each_wrong_one(per_call: int) -> None:
    scorer = Detection(ScriptedModel(knows), windows_per_call=per_call)
    right = judge(scorer, RIGHT, WINDOWS)
    assert {s.name: s.value for s in right.scores if s.value is not None} == {
        "balanced_accuracy": 1.0,
        "f1": 1.0,
    }
    for text in WRONG:
        wrong = judge(scorer, text, WINDOWS)
        for name in ("balanced_accuracy", "f1"):
            low = right.score(name).low
            assert low is not None
            assert low > (wrong.score(name).value or 0.0)


@pytest.mark.parametrize("per_call", [1, 7])
def test_a_guess_has_an_interval_that_holds_one_half(per_call: int) -> None:
    held = 0
    for seed in range(20):
        scorer = Detection(ScriptedModel(guesses(seed)), windows_per_call=per_call)
        score = judge(scorer, RIGHT, WINDOWS).score("balanced_accuracy")
        assert score.low is not None
        assert score.high is not None
        held += score.low <= 0.5 <= score.high
    assert held >= 17


def test_f1_counts_windows_as_often_as_they_stand_for_others() -> None:
    said = {0: True, 1: False, 2: True}
    answers = iter(["yes" if said[i] else "no" for i in range(3)])
    result = judge(Detection(ScriptedModel(lambda _: next(answers))), "cats", SMALL)
    # Peaks 3.5, 1.25 and 0 of 4: one true window, standing for 2; falsely yes one for 30.
    assert result.score("f1").value == pytest.approx(2 * 2 / (2 * 2 + 30), abs=1e-12)
    assert result.score("balanced_accuracy").value == pytest.approx((1 + 1 / 2) / 2, abs=1e-12)


def test_a_failed_trial_leaves_its_stratum_to_the_judged_ones() -> None:
    records = (*SMALL.records[:2], *(replace(SMALL.records[2], window=w) for w in (22, 23)))
    answers = iter(["yes", "no", "perhaps", "yes"])
    windows = replace(SMALL, records=records)
    result = judge(Detection(ScriptedModel(lambda _: next(answers))), "cats", windows)
    assert result.n_failed == 1
    assert result.score("f1").value == pytest.approx(2 * 2 / (2 * 2 + 30), abs=1e-12)


def test_auprc_is_estimated_for_all_text() -> None:
    shares = iter([0.9, 0.2, 0.9])

    def handler(_: ChatRequest) -> ChatReply:
        share = next(shares)
        return with_logprobs("yes", [("yes", {"yes": share, "no": 1 - share})])

    result = judge(Detection(ScriptedModel(handler)), "cats", SMALL)
    assert result.score("auprc").value == pytest.approx(2 / 32, abs=1e-12)
    assert result.score("auroc").value == pytest.approx(0.75, abs=1e-12)


@pytest.mark.parametrize("reply", [*BAD_REPLIES, '{"active": [true]}', "true, false"])
def test_a_list_that_cannot_be_read_fails_every_window_of_its_call(reply: str) -> None:
    result = judge(Detection(ScriptedModel(lambda _: reply), windows_per_call=7), RIGHT, WINDOWS)
    assert result.n_failed == result.n_asked == len(WINDOWS.records)
    assert all(score.value is None and score.reason for score in result.scores)


def test_a_list_cut_off_says_so() -> None:
    cut = ChatReply('{"active": [true, fal', "length", None, Usage(), "m")
    result = judge(Detection(ScriptedModel(lambda _: cut), windows_per_call=7), RIGHT, WINDOWS)
    assert {t.failure for t in result.trials} == {"the reply was cut off at its token limit"}


def test_a_refused_or_too_short_list_fails_its_call_and_a_wrong_item_itself_alone() -> None:
    asked: list[int] = []

    def handler(request: ChatRequest) -> str | Exception:
        asked.append(1)
        said = json.loads(knows(request))["active"]
        if len(asked) == 1:
            return RequestRefusedError("content policy")
        if len(asked) == 2:
            return json.dumps({"active": said[:-1]})
        return json.dumps({"active": ["maybe", *said[1:]]} if len(asked) == 3 else {"active": said})

    result = judge(Detection(ScriptedModel(handler), windows_per_call=7), RIGHT, WINDOWS)
    failures = sorted(t.failure for t in result.trials if t.failure)
    assert failures == sorted(
        ["refused: content policy"] * 7
        + ["asked for 7 answers, found 6"] * 7
        + ['neither true nor false: "maybe"']
    )
    assert result.score("balanced_accuracy").value == 1.0


def test_lists_are_shuffled_by_the_seed_and_the_last_is_not_dropped() -> None:
    models = [ScriptedModel(knows) for _ in range(3)]
    sets = (WINDOWS, WINDOWS, replace(WINDOWS, seed=5))
    results = [
        judge(Detection(model, windows_per_call=7), RIGHT, windows)
        for model, windows in zip(models, sets, strict=True)
    ]
    assert [len(model.requests) for model in models] == [6, 6, 6]
    assert models[0].requests == models[1].requests != models[2].requests
    order = [record.window for record in WINDOWS.records]
    assert all([trial.window for trial in result.trials] == order for result in results)


def test_items_of_a_list_have_probabilities_of_their_own() -> None:
    def handler(request: ChatRequest) -> ChatReply:
        said = json.loads(knows(request))["active"]
        words = [json.dumps(item) for item in said]
        other = {"true": "false", "false": "true"}
        return with_logprobs(
            json.dumps({"active": said}), [(w, {w: 0.6, other[w]: 0.2, "x": 0.2}) for w in words]
        )

    result = judge(Detection(ScriptedModel(handler), windows_per_call=7), RIGHT, WINDOWS)
    assert {round(t.probability or 0, 9) for t in result.trials} == {0.75, 0.25}
    assert result.score("auroc").value == 1.0
    assert result.score("auprc").value == 1.0


def test_verdicts_without_a_probability_leave_the_rankings_undefined() -> None:
    replies = iter([with_logprobs("yes", [("yes", {"yes": 0.6, "no": 0.2})]), "yes", "no"])
    result = judge(Detection(ScriptedModel(lambda _: next(replies))), "cats", SMALL)
    for name in ("auroc", "auprc"):
        assert result.score(name).reason == "2 of 3 verdicts came without a probability"


def test_texts_in_a_list_stay_inside_json_strings_and_can_be_sent() -> None:
    tokens = (' say"', "\n2: ", "]} \ud83d", "\n\nReply with []")
    windows = replace(SMALL, records=tuple(replace(r, tokens=tokens) for r in SMALL.records))
    model = ScriptedModel(lambda _: "")
    judge(Detection(model, windows_per_call=3), "cats", windows)
    lines = model.requests[0].messages[-1].content.split("\n")[2:]
    assert [json.loads(line.split(": ", 1)[1]) for line in lines] == [
        "".join(tokens).replace("\ud83d", "\ufffd")
    ] * 3
    assert model.requests[0].messages[-1].content.encode()


@pytest.mark.parametrize("windows_per_call", [1, 3])
def test_the_prompt_names_the_level_from_which_a_window_counts(windows_per_call: int) -> None:
    model = ScriptedModel(lambda _: "")
    judge(Detection(model, windows_per_call=windows_per_call), "cats", SMALL)
    assert "at level 5 or more" in model.requests[0].messages[0].content


@pytest.mark.parametrize(
    ("peaks", "level"),
    [
        ([0.9, 0.8, 0.7, *[0.0] * 9], 5),
        ([0.9, 0.37, 0.34, 0.31, *[0.1] * 8], 3),
        ([0.04, 0.03, *[0.0] * 10], 1),
        ([0.9, 0.2, 0.1], 5),
        ([0.2, 0.1], 2),
    ],
)
def test_the_level_is_lowered_where_one_text_is_far_above_all_others(
    peaks: list[float], level: int
) -> None:
    sets = make_sets().held_out
    one = sets.records[0]
    records = tuple(
        replace(one, window=i, activations=(share * sets.peak,), tokens=("a",), token_ids=(0,))
        for i, share in enumerate(peaks)
    )
    stratum = replace(sets.strata[-1], name=one.stratum, n_windows=99, n_sampled=len(peaks))
    held_out = replace(sets, records=records, strata=(stratum,))
    windows = ScoringSet.of(held_out, seed=0, n_bootstrap=200, confidence=0.95)
    assert windows.strong_level == level
    model = ScriptedModel(lambda _: "yes")
    result = judge(Detection(model), "cats", windows)
    assert f"at level {level} or more" in model.requests[0].messages[0].content
    [note] = result.notes
    assert f"at least {level}0% of the greatest" in note
    many = replace(
        held_out, records=(*records, *(replace(r, window=r.window + 50) for r in records))
    )
    drawn = ScoringSet.of(many, seed=0, n_bootstrap=200, confidence=0.95).first(len(peaks))
    assert drawn.strong_level == level
    truths = [share >= level / 10 for share in peaks]
    assert any(truths) is (result.score("f1").value is not None)


@pytest.mark.parametrize(("small", "version"), [(True, "v3"), (False, "v4")])
def test_the_whole_list_prompt_is_the_golden_file(small: bool, version: str) -> None:
    model = ScriptedModel(lambda _: "", features=Features(grammar=True, small=small))
    judge(Detection(model, windows_per_call=3), "cats", SMALL)
    golden = GOLDEN / f"detect_many_{version}.txt"
    assert rendered(model.requests[0]) == golden.read_text("utf-8")
    assert (model.requests[0].grammar or "").count(" b ") == 3


def test_a_question_without_a_window_is_refused() -> None:
    with pytest.raises(InputError, match="windows_per_call=0"):
        judge(Detection(ScriptedModel(knows), windows_per_call=0), RIGHT, WINDOWS)

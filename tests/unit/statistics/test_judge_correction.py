"""Verdicts corrected for the errors of who gave them."""

import numpy as np
import pytest

from autointerp.core.errors import InputError
from autointerp.core.scores import Trial
from autointerp.statistics.bootstrap import Resampling, named_groups, replicate
from autointerp.statistics.classification import classification_score
from autointerp.statistics.judge_correction import JudgeErrors, corrected_scores, judge_errors

YES, NO = True, False


def trial(verdict, truth=None):
    failure = "refused: no" if verdict is None else None
    return Trial(0, "top", 1.0, None, verdict, None, failure, truth)


def by_name(corrected):
    return {score.name: score for score in corrected.scores}


def test_errors_are_counted_on_answered_questions_only():
    shuffled = [trial(YES), trial(NO), trial(NO), trial(None)]
    known = [*[trial(YES, YES)] * 2, trial(NO, YES), trial(None, YES), trial(YES, NO)]
    assert judge_errors(shuffled, known) == JudgeErrors(4, 2, 3, 1)
    assert judge_errors([]).false_yes_rate is None
    with pytest.raises(InputError, match="needs its truth"):
        judge_errors([], [trial(YES)])


def test_one_per_cent_of_false_positives_at_a_base_rate_of_a_thousandth():
    # 905 of 1000 activating windows match, and no silent one; the judge errs on 1 % of these.
    truths = [YES] * 1000 + [NO] * 4000
    verdicts = [YES] * 905 + [NO] * 95 + [YES] * 40 + [NO] * 3960
    weights = [0.001 / 1000] * 1000 + [0.999 / 4000] * 4000
    plain = classification_score("f1", verdicts, truths, Resampling(100), weights=weights)
    assert plain.value == pytest.approx(0.15, abs=0.01)
    errors = JudgeErrors(4000, 40, 0, 0)
    found = corrected_scores(verdicts, truths, errors, Resampling(), weights=weights)
    score = by_name(found)["f1_corrected"]
    assert score.value == pytest.approx(0.95, abs=0.002)
    assert score.low < 0.5 < 0.95 < score.high
    assert found.notes[0] == "the judge said yes to 40 of 4000 questions to which no is right"
    assert "misses were not measured" in found.notes[1]


def test_a_correction_computed_by_hand():
    # False yes 0.1, misses 0.2: a share of yes y becomes (y - 0.1) / 0.7.
    verdicts = [YES] * 6 + [NO] * 4 + [YES] * 3 + [NO] * 7
    found = by_name(
        corrected_scores(verdicts, [YES] * 10 + [NO] * 10, JudgeErrors(50, 5, 20, 4), Resampling())
    )
    hit, stray = 0.5 / 0.7, 0.2 / 0.7
    assert found["recall_corrected"].value == pytest.approx(hit)
    assert found["precision_corrected"].value == pytest.approx(hit / (hit + stray))
    assert found["f1_corrected"].value == pytest.approx(2 * hit / (hit + stray + 1))
    assert found["balanced_accuracy_corrected"].value == pytest.approx((hit + 1 - stray) / 2)
    assert all(0 <= s.low <= s.value <= s.high <= 1 for s in found.values())


def test_what_is_clipped_is_said():
    verdicts = [YES] * 10 + [NO] * 10
    found = corrected_scores(
        verdicts, [YES] * 10 + [NO] * 10, JudgeErrors(20, 2, 20, 4), Resampling(100)
    )
    assert by_name(found)["f1_corrected"].value == 1.0
    assert any("clipped to 1" in note for note in found.notes)
    assert any("-0.143, clipped to 0" in note for note in found.notes)


@pytest.mark.parametrize(
    ("truths", "errors", "reason"),
    [
        ([YES, NO], JudgeErrors(10, 5, 10, 5), "carry nothing to correct"),
        ([YES, NO], JudgeErrors(0, 0, 10, 5), "false positives were not measured"),
        ([YES, YES], JudgeErrors(10, 1, 0, 0), "no window that is truly silent"),
        ([NO, NO], JudgeErrors(10, 1, 0, 0), "no window that truly activates"),
    ],
)
def test_a_judge_that_cannot_tell_leaves_everything_undefined(truths, errors, reason):
    found = corrected_scores([YES, NO], truths, errors, Resampling(100))
    assert all(reason in score.reason for score in found.scores)


def test_a_judge_that_may_be_no_better_than_chance_leaves_the_whole_range():
    found = corrected_scores([YES, NO], [YES, NO], JudgeErrors(3, 1, 3, 1), Resampling(200))
    assert (found.scores[0].low, found.scores[0].high) == (0.0, 1.0)
    right = [YES] * 20 + [NO] * 20
    found = corrected_scores(right, right, JudgeErrors(4, 1, 4, 1), Resampling(200))
    assert by_name(found)["recall_corrected"].low == 0.0


@pytest.mark.parametrize(
    ("few", "many"),
    [
        (JudgeErrors(10, 1, 1000, 100), JudgeErrors(1000, 100, 1000, 100)),
        (JudgeErrors(1000, 100, 10, 1), JudgeErrors(1000, 100, 1000, 100)),
    ],
    ids=["false yes", "misses"],
)
def test_errors_that_are_known_less_well_make_intervals_wider(few, many):
    truths = [YES] * 200 + [NO] * 200
    verdicts = [YES] * 120 + [NO] * 80 + [YES] * 60 + [NO] * 140
    widths = []
    for errors in (few, many):
        found = by_name(corrected_scores(verdicts, truths, errors, Resampling(400)))
        recall = found["recall_corrected"]
        widths.append(recall.high - recall.low)
    assert widths[0] > 1.2 * widths[1]


METRICS = {
    "f1": lambda tp, fn, fp, tn: 2 * tp / (2 * tp + fp + fn),
    "precision": lambda tp, fn, fp, tn: tp / (tp + fp),
    "recall": lambda tp, fn, fp, tn: tp / (tp + fn),
    "balanced_accuracy": lambda tp, fn, fp, tn: (tp / (tp + fn) + tn / (tn + fp)) / 2,
}


@pytest.mark.parametrize("n_matching", [40, 0])
def test_interval_ends_are_those_of_resampled_verdicts_and_errors(n_matching):
    verdicts, truths = [NO] * 4 + [YES] * 6 + [NO] * 9 + [YES] * 2, [YES] * 10 + [NO] * 11
    weights = np.array([1.0, 2.0, 3.0] * 7)
    rows = sorted(zip(verdicts, truths, weights, "ab" * 10 + "a", strict=True))
    verdicts, truths, weights, strata = (list(column) for column in zip(*rows, strict=True))
    yes, up, mass = np.array(verdicts), np.array(truths), np.array(weights)
    errors, resampling = JudgeErrors(60, 5, n_matching, n_matching // 8), Resampling(200)
    counts = replicate(named_groups(strata), lambda counts: counts.copy(), resampling)
    # The interval's own draws: unseen verdicts first, then both rates of errors.
    rng = np.random.default_rng([0, 2])
    sizes = np.repeat([mass[up].mean(), mass[~up].mean()], 2)
    unseen = rng.gamma(0.5, size=(200, 4)) * sizes
    false_yes, miss = rng.beta(5.5, 55.5, 200), np.zeros(200)
    if n_matching:
        miss = rng.beta(5.5, 35.5, 200)
    found = {name: [] for name in METRICS}
    for count, extra, alpha, beta in zip(counts, unseen, false_yes, miss, strict=True):
        own = mass * count
        tp, fn, fp, tn = extra + [
            own[part].sum() for part in (up & yes, up & ~yes, ~up & yes, ~up & ~yes)
        ]
        shares = np.array([tp / (tp + fn), fp / (fp + tn)])
        hit, stray = np.clip((shares - alpha) / (1 - alpha - beta), 0, 1)
        active, silent = mass[up].sum(), mass[~up].sum()
        cells = active * hit, active * (1 - hit), silent * stray, silent * (1 - stray)
        for name, metric in METRICS.items():
            found[name].append(metric(*cells))
    scores = by_name(
        corrected_scores(verdicts, truths, errors, resampling, weights=weights, strata=strata)
    )
    for name, values in found.items():
        score = scores[f"{name}_corrected"]
        assert (score.low, score.high) == pytest.approx(np.quantile(values, [0.025, 0.975]))
        assert score.n_windows == 21


def test_impossible_counts_are_refused():
    with pytest.raises(InputError, match="cannot err more often"):
        JudgeErrors(3, 4, 0, 0)


def test_intervals_hold_the_score_without_errors_about_as_often_as_they_say():
    rng, held = np.random.default_rng(0), []
    truths = [YES] * 30 + [NO] * 30
    for _ in range(200):
        matches = rng.random(60) < np.where(truths, 0.8, 0.1)
        says = rng.random(60) < np.where(matches, 0.9, 0.08)
        errors = JudgeErrors(60, rng.binomial(60, 0.08), 40, rng.binomial(40, 0.1))
        score = by_name(corrected_scores(says.tolist(), truths, errors, Resampling(200)))
        accuracy = score["balanced_accuracy_corrected"]
        held.append(accuracy.low <= 0.85 <= accuracy.high)
    assert 0.91 <= np.mean(held) <= 0.99

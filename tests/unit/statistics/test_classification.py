"""Scores of verdicts: hand-computed cases, undefined ones, intervals."""

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.core.errors import InputError
from autointerp.statistics.bootstrap import Resampling, named_groups, replicate
from autointerp.statistics.classification import classification_score, paired_classification

FAST = Resampling(n_bootstrap=50)
USUAL = Resampling()
YES, NO = True, False
balanced_accuracy, f1, precision, recall, auroc, auprc = (
    partial(classification_score, name)
    for name in ("balanced_accuracy", "f1", "precision", "recall", "auroc", "auprc")
)

judged = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.integers(1, 3)), min_size=1, max_size=12
)
ranked = st.lists(
    st.tuples(st.integers(0, 4).map(lambda n: n / 4), st.booleans(), st.integers(1, 3)),
    min_size=1,
    max_size=12,
)


def test_a_case_computed_by_hand():
    verdicts, truths = [YES, YES, NO, YES, NO, NO, NO], [YES, YES, YES, NO, NO, NO, NO]
    assert balanced_accuracy(verdicts, truths, FAST).value == pytest.approx((2 / 3 + 3 / 4) / 2)
    assert precision(verdicts, truths, FAST).value == pytest.approx(2 / 3)
    assert recall(verdicts, truths, FAST).value == pytest.approx(2 / 3)
    assert f1(verdicts, truths, FAST).value == pytest.approx(2 / 3)


def test_weights_bring_a_rare_class_to_its_true_rate():
    verdicts, truths = [YES, NO, YES, NO], [YES, YES, NO, NO]
    weights = [1.0, 1.0, 10.0, 90.0]
    assert precision(verdicts, truths, FAST, weights=weights).value == pytest.approx(1 / 11)
    assert recall(verdicts, truths, FAST, weights=weights).value == pytest.approx(1 / 2)
    assert f1(verdicts, truths, FAST, weights=weights).value == pytest.approx(2 / 13)
    score = balanced_accuracy(verdicts, truths, FAST, weights=weights)
    assert score.value == pytest.approx((0.5 + 0.9) / 2)


def test_always_yes_is_worth_a_half_however_many_windows_activate():
    score = balanced_accuracy([YES] * 10, [YES] * 8 + [NO] * 2, FAST)
    assert score.value == 0.5


@pytest.mark.parametrize(
    ("score", "answers", "truths", "reason"),
    [
        (balanced_accuracy, [YES, NO], [YES, YES], "no window that is truly silent"),
        (balanced_accuracy, [YES, NO], [NO, NO], "no window that truly activates"),
        (balanced_accuracy, [], [], "no window that truly activates"),
        (recall, [YES, NO], [NO, NO], "no window that truly activates"),
        (f1, [YES, NO], [NO, NO], "no window that truly activates"),
        (precision, [NO, NO], [YES, NO], "no window was judged to activate"),
        (auprc, [0.3, 0.4], [NO, NO], "no window that truly activates"),
        (auroc, [0.3, 0.4], [YES, YES], "no window that is truly silent"),
        (auroc, [0.3, 0.4], [NO, NO], "no window that truly activates"),
    ],
)
def test_an_empty_class_is_undefined_and_says_which(score, answers, truths, reason):
    found = score(answers, truths, FAST)
    assert (found.value, found.low, found.high) == (None, None, None)
    assert reason in found.reason
    assert found.n_windows == len(truths)


def test_f1_of_a_judge_that_never_says_yes_is_a_measured_zero():
    score = f1([NO, NO], [YES, NO], FAST)
    assert score.value == 0.0
    assert score.high > 0.1


@given(judged)
def test_scores_lie_between_0_and_1_and_in_their_intervals(rows):
    verdicts, truths, weights = zip(*rows, strict=True)
    for score in (balanced_accuracy, f1, precision, recall):
        found = score(verdicts, truths, FAST, weights=weights)
        if found.value is not None:
            assert 0 <= found.low <= found.value <= found.high <= 1


@given(judged, st.randoms(use_true_random=False))
def test_the_order_of_verdicts_changes_no_bit(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    before, after = (
        f1([r[0] for r in part], [r[1] for r in part], FAST, weights=[r[2] for r in part])
        for part in (rows, shuffled)
    )
    assert before == after


@given(ranked)
def test_auroc_is_the_share_of_pairs_in_order_ties_half(rows):
    probabilities, truths, weights = zip(*rows, strict=True)
    pairs = [
        (wp * wn, 1.0 if p > q else 0.5 if p == q else 0.0)
        for p, up, wp in rows
        for q, down, wn in rows
        if up and not down
    ]
    score = auroc(probabilities, truths, FAST, weights=weights)
    if not pairs:
        assert score.value is None
        return
    expected = sum(w * share for w, share in pairs) / sum(w for w, _ in pairs)
    assert score.value == pytest.approx(expected, abs=1e-12)
    assert 0 <= score.low <= score.value <= score.high <= 1


@given(ranked)
def test_auprc_sums_precision_times_gained_recall_over_distinct_probabilities(rows):
    probabilities, truths, weights = zip(*rows, strict=True)
    score = auprc(probabilities, truths, FAST, weights=weights)
    active = sum(w for _, truth, w in rows if truth)
    if not active:
        assert score.value is None
        return
    expected, before = 0.0, 0.0
    for cut in sorted(set(probabilities), reverse=True):
        said = sum(w for p, _, w in rows if p >= cut)
        right = sum(w for p, truth, w in rows if p >= cut and truth)
        expected += right / said * (right - before) / active
        before = right
    assert score.value == pytest.approx(expected, abs=1e-12)
    assert 0 <= score.low <= score.value <= score.high <= 1


def test_auprc_computed_by_hand_and_of_equal_probabilities_the_base_rate():
    # Steps of recall at precisions 1, 2/3 (a tie of a right and a wrong one) and 3/5.
    found = auprc([0.9, 0.7, 0.7, 0.4, 0.2], [YES, YES, NO, NO, YES], FAST)
    assert found.value == pytest.approx(1 / 3 + 2 / 9 + 1 / 5, abs=1e-12)
    assert auprc([0.5] * 4, [YES, NO, NO, NO], FAST).value == pytest.approx(0.25)
    assert auprc([0.5] * 2, [YES, NO], FAST, weights=[1, 9]).value == pytest.approx(0.1)


def test_of_a_class_that_was_never_judged_nothing_is_unseen():
    assert precision([YES] * 5, [YES] * 5, USUAL).low == 1.0


def test_equal_probabilities_are_worth_a_half():
    assert auroc([0.5] * 6, [YES, NO] * 3, FAST).value == 0.5


def test_all_right_on_a_few_windows_does_not_promise_that_all_others_are():
    truths = [YES] * 6 + [NO] * 6
    score = balanced_accuracy(truths, truths, USUAL)
    assert score.value == score.high == 1.0
    assert 0.6 < score.low < 0.9
    many = balanced_accuracy(truths * 20, truths * 20, USUAL)
    assert many.low > 0.98
    assert auroc([float(t) for t in truths], truths, USUAL).low < 0.9


def test_verdict_intervals_hold_the_true_rate_about_as_often_as_they_say():
    rng, held = np.random.default_rng(0), []
    truths = [YES] * 8 + [NO] * 8
    for _ in range(300):
        right = rng.random(16) < np.where(truths, 0.8, 0.95)
        verdicts = [t == bool(r) for t, r in zip(truths, right, strict=True)]
        score = balanced_accuracy(verdicts, truths, Resampling(n_bootstrap=200))
        held.append(score.low <= 0.875 <= score.high)
    assert 0.92 <= np.mean(held) <= 0.99


def test_windows_are_resampled_within_strata():
    # The two strata are all right and all wrong, so that only their sizes could vary.
    verdicts, truths = [YES] * 20 + [NO] * 20, [YES] * 40
    apart = recall(verdicts, truths, USUAL, strata=["a"] * 20 + ["b"] * 20)
    together = recall(verdicts, truths, USUAL)
    assert apart.value == together.value == 0.5
    assert apart.high - apart.low < 0.5 * (together.high - together.low)


def by_definition(name, rows):
    """The metric of (answer, truth, weight), from pairs and thresholds; NaN where undefined."""
    answers, truths, weights = (np.array(column) for column in zip(*rows, strict=True))
    up, down, yes = weights * truths, weights * ~truths, answers > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        if name == "auroc":
            order = np.sign(answers[:, None] - answers[None]) / 2 + 0.5
            return up @ order @ down / (up.sum() * down.sum())
        if name == "auprc":
            cuts = np.unique(answers)[::-1]
            right = np.array([up[answers >= cut].sum() for cut in cuts])
            said = np.array([weights[answers >= cut].sum() for cut in cuts])
            steps = np.diff(right, prepend=0.0) * np.where(said > 0, right / said, 0.0)
            return steps.sum() / up.sum()
        tp, fn, fp, tn = up @ yes, up @ ~yes, down @ yes, down @ ~yes
        return {
            "f1": 2 * tp / (2 * tp + fp + fn),
            "iou": tp / (tp + fp + fn),
            "balanced_accuracy": (tp / (tp + fn) + tn / (tn + fp)) / 2,
            "accuracy": (tp + tn) / weights.sum(),
            "precision": tp / (tp + fp),
            "recall": tp / (tp + fn),
        }[name]


MANY = Resampling(200)
# The intervals' own draws, so that their ends agree to the last digits.
draws = partial(np.random.default_rng, [0, 1])
# Answers above and below all others, to windows of either class.
ENDS = [(2.0, True), (-1.0, True), (2.0, False), (-1.0, False)]


def ends_by_definition(value, resampled):
    """The union of the 95 % intervals of resamples with unseen answers and without."""
    columns = np.array(resampled).T
    ends = [np.quantile(column[np.isfinite(column)], [0.025, 0.975]) for column in columns]
    return min(value, *(low for low, _ in ends)), max(value, *(high for _, high in ends))


@pytest.mark.parametrize(
    "name",
    ["auroc", "auprc", "f1", "iou", "balanced_accuracy", "accuracy", "precision", "recall"],
)
def test_interval_ends_are_those_of_resamples_with_answers_that_were_not_seen(name):
    rng = np.random.default_rng(1)
    truths = np.arange(11) < 5
    answers = np.clip(rng.integers(0, 4, size=11) + 2 * truths - 1, 0, 3) / 3
    rows = sorted(
        zip(answers.tolist(), truths.tolist(), [1.0, 2.0, 4.0] * 3 + [3.0, 1.0], "ab" * 5 + "a",
            strict=False)
    )  # fmt: skip
    answers, truths, weights, strata = (list(column) for column in zip(*rows, strict=True))
    counts = replicate(named_groups(strata), lambda counts: counts.copy(), MANY)
    means = [np.mean([w for w, t in zip(weights, truths, strict=True) if t == c]) for c in (1, 0)]
    sizes = draws().gamma(0.5, size=(200, 4)) * np.repeat(means, 2)
    if name == "auroc":  # It draws the lowest answers of silent windows before the highest.
        sizes = sizes[:, [0, 1, 3, 2]]
    resampled = []
    for count, size in zip(counts, sizes, strict=True):
        seen = list(zip(answers, truths, weights * count, strict=True))
        unseen = [(*end, mass) for end, mass in zip(ENDS, size, strict=True)]
        resampled.append([by_definition(name, part) for part in (seen, seen + unseen)])
    score = classification_score(name, answers, truths, MANY, weights=weights, strata=strata)
    value = by_definition(name, list(zip(answers, truths, weights, strict=True)))
    assert score.value == pytest.approx(value)
    assert (score.low, score.high) == pytest.approx(ends_by_definition(value, resampled), abs=1e-9)


@pytest.mark.parametrize("metric", ["auroc", "balanced_accuracy"])
def test_a_difference_is_of_both_answers_to_the_same_resampled_windows(metric):
    rng = np.random.default_rng(2)
    truths, strata = [YES] * 6 + [NO] * 8, ["a", "b"] * 7
    first = (rng.integers(0, 3, size=14) + np.array(truths)).clip(0, 3) / 3
    second = rng.integers(0, 4, size=14) / 3
    counts = replicate(named_groups(strata), lambda counts: counts.copy(), MANY)
    sizes = draws().gamma(0.5, size=(200, 2, 4))

    def both(count, size):
        return [
            by_definition(
                metric,
                [*zip(answers, truths, count, strict=True),
                 *((*end, mass) for end, mass in zip(ENDS, own, strict=True))],
            )
            for answers, own in zip((first, second), size, strict=True)
        ]  # fmt: skip

    none = np.zeros((2, 4))
    resampled = [
        [-np.diff(both(count, part))[0] for part in (none, size)]
        for count, size in zip(counts, sizes, strict=True)
    ]
    score = paired_classification(metric, (first, second), truths, strata, MANY)
    value = -np.diff(both(np.ones(14), none))[0]
    assert (score.name, score.n_windows) == (f"{metric}_over_others", 14)
    assert score.value == pytest.approx(value)
    assert (score.low, score.high) == pytest.approx(ends_by_definition(value, resampled), abs=1e-9)


@pytest.mark.parametrize(
    ("truths", "missing"), [([NO, NO], "that truly activates"), ([YES, YES], "truly silent")]
)
def test_a_difference_of_one_class_alone_says_which_is_missing(truths, missing):
    score = paired_classification("auroc", ([0.1, 0.2], [0.3, 0.4]), truths, ["a", "a"], FAST)
    assert score.reason == f"no window {missing} was judged twice"


@pytest.mark.parametrize(
    ("score", "answers", "kwargs", "message"),
    [
        (f1, [YES], {}, "found 1 answers, 2 truths, 2 weights and 2 strata"),
        (recall, [YES, NO], {"weights": [1.0]}, "found 2 answers, 2 truths, 1 weights"),
        (precision, [YES, NO], {"weights": [1.0, 0.0]}, "must be positive and finite"),
        (auroc, [0.5, math.nan], {}, "every probability must be finite"),
    ],
)
def test_bad_verdicts_say_what_is_wrong(score, answers, kwargs, message):
    with pytest.raises(InputError) as error:
        score(answers, [YES, NO], FAST, **kwargs)
    assert message in str(error.value)

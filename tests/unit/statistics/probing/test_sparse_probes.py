from __future__ import annotations

import numpy as np
import pytest

from autointerp.core.errors import InputError
from autointerp.statistics.probing.examples import LabelledExamples, split_examples
from autointerp.statistics.probing.logistic import Design
from autointerp.statistics.probing.probe_scores import score_examples
from autointerp.statistics.probing.sparse_probes import (
    SweepOptions,
    check_ks,
    fit_probe,
    score_probe,
    sweep_sparse_probes,
    threshold_units,
)


def planted_sum(seed: int, *, n: int = 1500, n_units: int = 40) -> LabelledExamples:
    """A feature spread over units 3, 11 and 20, each of which other things drive as well."""
    rng = np.random.default_rng(seed)
    has = rng.random(n) < 0.2
    values = np.maximum(rng.standard_normal((n, n_units)), 0)
    others = 3 * rng.standard_normal((n, 2))
    values[:, [3, 11, 20]] = 4 + has[:, None] * 2.0
    values[:, 3] += others[:, 0]
    values[:, 11] += others[:, 1] - others[:, 0]
    values[:, 20] -= others[:, 1]
    values[:, [3, 11, 20]] += 0.2 * rng.standard_normal((n, 3))
    return LabelledExamples(values.astype(np.float32), has, np.arange(n) // 10, np.ones(n))


def test_a_feature_over_three_units_takes_a_certified_probe_on_three() -> None:
    train, test = split_examples(planted_sum(0))
    found = {one.k: one for one in sweep_sparse_probes(train, test, SweepOptions(ks=(4, 3, 2, 1)))}
    assert set(found[3].probe.units) == {3, 11, 20}
    assert found[3].search is not None
    assert found[3].search.certified
    assert found[3].scores.f1.value == pytest.approx(1.0, abs=0.03)
    assert (found[1].scores.mcc.value or 0) < 0.4
    assert (found[2].scores.mcc.value or 0) < 0.6


def test_thresholding_keeps_the_planted_units_to_the_end() -> None:
    train, _ = split_examples(planted_sum(1))
    standing = list(threshold_units(Design.of(train), range(40), {40, 8, 3, 1}))
    assert [len(units) for units in standing] == [40, 8, 3, 1]
    assert set(standing[2].tolist()) == {3, 11, 20}
    assert all(
        set(b.tolist()) <= set(a.tolist()) for a, b in zip(standing, standing[1:], strict=False)
    )


def test_large_probes_are_chosen_by_thresholding_and_small_ones_exactly() -> None:
    train, test = split_examples(planted_sum(2))
    options = SweepOptions(ks=(1, 2, 16, 5), exact_up_to=2, n_exact_candidates=6)
    found = sweep_sparse_probes(train, test, options)
    assert [one.k for one in found] == [16, 5, 2, 1]
    assert [one.search is None for one in found] == [True, True, False, False]
    # One unit is searched for among all.
    assert [one.search.n_candidates for one in found if one.search] == [6, 40]
    assert [len(one.probe.units) for one in found] == [16, 5, 2, 1]


def test_a_probe_is_the_same_in_model_units() -> None:
    """Scaling and shifting a unit changes neither sums nor scores."""
    examples = planted_sum(3)
    moved = LabelledExamples(
        examples.activations.astype(np.float64) * 1000 - 70,
        examples.has,
        examples.documents,
        examples.weights,
    )
    probes = [fit_probe(own, [3, 11, 20]) for own in (examples, moved)]
    np.testing.assert_allclose(probes[0].sums(examples), probes[1].sums(moved), atol=1e-4)
    assert probes[0].weights == pytest.approx(probes[1].weights, abs=1e-4)


def test_scores_are_those_of_scikit_learn() -> None:
    from sklearn import metrics

    train, test = split_examples(planted_sum(4))
    for units in ([3], [3, 11], [1, 2]):
        probe = fit_probe(train, units)
        scores, sums = score_probe(probe, test), probe.sums(test)
        answers = sums >= probe.threshold
        expected = (
            metrics.f1_score(test.has, answers),
            metrics.precision_score(test.has, answers),
            metrics.recall_score(test.has, answers),
            metrics.matthews_corrcoef(test.has, answers),
            metrics.average_precision_score(test.has, sums),
        )
        assert [score.value for score in scores.all] == pytest.approx(expected)
        for score in scores.all:
            assert score.value is not None
            assert score.low is not None
            assert score.high is not None
            assert score.low < score.value
            # Nothing is above 1.
            assert score.value < score.high or score.value == score.high == 1.0
            assert score.high - score.low < 0.5


def test_the_threshold_has_the_best_f1_where_it_was_fitted() -> None:
    from sklearn.metrics import f1_score

    train, _ = split_examples(planted_sum(5))
    probe = fit_probe(train, [3, 11])
    sums = probe.sums(train)
    best = max(f1_score(train.has, sums >= at) for at in np.unique(sums))
    assert f1_score(train.has, sums >= probe.threshold) == pytest.approx(best)


def test_perfect_answers_on_few_documents_have_an_interval_with_width() -> None:
    rng = np.random.default_rng(0)
    has = np.tile([True, False], 10)
    values = np.where(has, 1.0, 0.0)[:, None] + 0.01 * rng.random((20, 1))
    examples = LabelledExamples(values, has, np.arange(20) // 2, np.ones(20))
    scores = score_probe(fit_probe(examples, [0]), examples)
    assert scores.f1.value == 1.0
    assert scores.f1.low is not None
    assert scores.f1.low < 0.99
    assert scores.average_precision.low is not None
    assert scores.average_precision.low < 0.99


def test_the_interval_of_precision_less_recall_holds_the_truth_of_few_documents() -> None:
    """A miss raises it and a false alarm lowers it: either belongs to one end."""
    precision, recall = 0.98, 0.86
    below = above = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        has = np.tile([True, False], 80)
        alarms = rng.random(160) < recall * (1 - precision) / precision
        answers = np.where(has, rng.random(160) < recall, alarms)
        examples = LabelledExamples(np.zeros((160, 1)), has, np.arange(160) // 20, np.ones(160))
        found = score_examples(answers.astype(float), 0.5, examples, seed=seed)
        low, high = found.precision_less_recall.low, found.precision_less_recall.high
        assert low is not None
        assert high is not None
        below += precision - recall < low
        above += precision - recall > high
    # 2.5 % a side is wanted; of 200, 12 or more come with a probability of 0.7 %.
    assert below < 12
    assert above < 12


def test_one_document_has_no_interval() -> None:
    examples = planted_sum(6)
    one = LabelledExamples(
        examples.activations, examples.has, np.zeros(len(examples.has), int), examples.weights
    )
    scores = score_probe(fit_probe(one, [3]), one)
    assert all(score.low is None and score.value is not None for score in scores.all)


def test_no_answer_leaves_precision_undefined_and_mcc_zero() -> None:
    from dataclasses import replace

    examples = planted_sum(6)
    scores = score_probe(replace(fit_probe(examples, [3]), threshold=1e9), examples)
    assert scores.precision.reason == "no held-out example is taken for the feature"
    assert (scores.mcc.value, scores.recall.value, scores.f1.value) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("ks", "message"), [((1, 41), "k = 41 units, but there are 40"), ((0,), "k = 0"), ((), "no k")]
)
def test_sizes_that_cannot_be_are_sentences(ks: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_ks(ks, 40)


@pytest.mark.parametrize("seed", range(5))
def test_no_document_is_on_both_sides_and_both_classes_are(seed: int) -> None:
    train, test = split_examples(planted_sum(seed, n=60), seed=seed)
    assert not set(train.documents.tolist()) & set(test.documents.tolist())
    assert len(train.has) + len(test.has) == 60
    for side in (train, test):
        assert side.has.any()
        assert not side.has.all()


def test_documents_of_one_class_are_shared_out_apart() -> None:
    has = np.repeat([True, True, False, False], 5)
    values = np.random.default_rng(0).standard_normal((20, 2))
    examples = LabelledExamples(values, has, np.repeat(np.arange(4), 5), np.ones(20))
    train, test = split_examples(examples)
    assert (train.has.sum(), test.has.sum()) == (5, 5)


def test_too_few_documents_are_a_sentence() -> None:
    has = np.array([True, False, False])
    examples = LabelledExamples(np.eye(3), has, np.arange(3), np.ones(3))
    with pytest.raises(InputError, match="with the feature are needed in at least 2 documents"):
        split_examples(examples)

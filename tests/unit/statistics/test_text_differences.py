"""Scores on two texts: documents are what is drawn, and without a difference few are found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from autointerp.core.errors import InputError
from autointerp.core.records import Stratum
from autointerp.statistics.closed_form_intervals import t_quantile, t_tails
from autointerp.statistics.permutation import q_values
from autointerp.statistics.population import population_value
from autointerp.statistics.scored_windows import ScoredWindows
from autointerp.statistics.text_differences import (
    FEWEST_DOCUMENTS,
    JudgedText,
    text_difference,
)

N_WINDOWS, N_TOKENS = 4, 24


def text(
    rng: np.random.Generator, *, n_documents: int = 24, right: float = 0.7, seldom: float = 1.0
) -> JudgedText:
    """Documents that differ in how often the unit fires, how strongly, and how right the label is.

    `right` is the share of firing tokens that the label names.
    """
    real, predicted, documents = [], [], []
    for document in range(n_documents):
        often, strong = 0.08 * rng.lognormal(0, 0.8), rng.lognormal(0, 0.5)
        named = np.clip(right + 0.15 * rng.normal(), 0, 1)
        for _ in range(N_WINDOWS):
            fires = rng.random(N_TOKENS) < min(0.5, often) * seldom
            real.append(fires * strong * rng.lognormal(0, 0.5, N_TOKENS))
            is_named = rng.random(N_TOKENS) < np.where(fires, named, 0.02)
            predicted.append(is_named.astype(float))
            documents.append(str(document))
    n = len(real)
    weights, strata = [1.0 + i % 3 for i in range(n)], ["all"] * n
    windows = ScoredWindows.checked([*real], [*predicted], strata, weights)
    strata_of = (Stratum("all", 2 * n, n, 0.0, 9.0, joint=True),)
    return JudgedText(windows, strata_of, tuple(documents))


@pytest.mark.parametrize(("t", "df", "p"), [(12.7062, 1, 0.05), (2.776445, 4, 0.05), (0, 5, 1)])
def test_tails_of_students_distribution_are_those_of_tables(t: float, df: float, p: float) -> None:
    assert t_tails(t, df) == pytest.approx(p, abs=1e-6)


@pytest.mark.parametrize("df", [1.0, 1.7, 5, 33.3, 200])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.9999])
def test_tails_beyond_a_quantile_are_what_the_quantile_leaves(confidence: float, df: float) -> None:
    found = t_tails(t_quantile(confidence, df), df)
    assert found == pytest.approx(1 - confidence, rel=1e-3, abs=1e-7)


def test_tails_are_small_far_out_and_never_negative() -> None:
    # 4 with 200 degrees of freedom is in tables with 8.913e-5.
    assert t_tails(4, 200) == pytest.approx(8.913e-5, rel=1e-3)
    assert 0 < t_tails(30, 200) < t_tails(20, 200) < 1e-40


def test_scores_are_the_population_scores_and_the_difference_is_the_others_less_the_own() -> None:
    rng = np.random.default_rng(0)
    own, other = text(rng), text(rng, right=0.2)
    first, second, change = text_difference(own, other)
    assert first.value == pytest.approx(population_value(own.windows, own.strata))
    assert second.value == pytest.approx(population_value(other.windows, other.strata))
    assert first.value is not None
    assert second.value is not None
    assert change.value is not None
    assert change.value == pytest.approx(second.value - first.value)
    assert change.value < -0.2
    assert change.low < change.value < change.high < 0
    assert change.p < 0.001


def test_the_interval_leaves_out_0_exactly_where_p_says_so() -> None:
    rng = np.random.default_rng(1)
    for right in np.linspace(0.3, 0.7, 12):
        *_, change = text_difference(text(rng), text(rng, right=float(right)))
        assert change.p is not None
        assert change.low is not None
        assert change.high is not None
        assert (change.p < 0.05) == (not change.low <= 0 <= change.high)


def test_the_variance_is_that_of_scores_without_one_document_each() -> None:
    rng = np.random.default_rng(11)
    own, n = text(rng), 24
    without = []
    for document in range(n):
        places = [i for i, other in enumerate(own.documents) if other != str(document)]
        strata = (replace(own.strata[0], n_sampled=len(places)),)
        without.append(population_value(own.windows.taken(places), strata))
    pulls = np.mean(without) - np.array(without)
    error = np.sqrt((n - 1) / n * (pulls**2).sum())
    kurtosis = n * (pulls**4).sum() / (pulls**2).sum() ** 2
    reach = error * t_quantile(0.95, min(n - 1, 2 * n / (kurtosis - 1)))
    score, _, _ = text_difference(own, own)
    assert (score.low, score.high) == pytest.approx((score.value - reach, score.value + reach))


def test_exchanged_texts_have_the_opposite_difference() -> None:
    rng = np.random.default_rng(2)
    own, other = text(rng), text(rng, right=0.4)
    *_, there = text_difference(own, other)
    *_, back = text_difference(other, own)
    assert (back.value, back.low, back.high) == pytest.approx(
        (-there.value, -there.high, -there.low)
    )
    assert back.p == pytest.approx(there.p)


def test_without_a_difference_few_seem_to_have_one_and_next_to_none_after_adjustment() -> None:
    rng = np.random.default_rng(3)
    p_values = [text_difference(text(rng), text(rng))[2].p for _ in range(400)]
    assert sum(p < 0.05 for p in p_values) / len(p_values) < 0.075
    # Of 20 times 20 units without a difference few have any to distrust.
    groups = [q_values(p_values[i : i + 20]) for i in range(0, 400, 20)]
    assert sum(min(q) <= 0.05 for q in groups) <= 3


def test_the_same_units_on_shared_documents_are_told_apart_no_more_often() -> None:
    """Units that read the same documents depend on each other."""
    rng = np.random.default_rng(4)
    found = []
    for _ in range(20):
        pair = text(rng), text(rng)
        units = [[_shaken(one, rng) for one in pair] for _ in range(15)]
        found.append(min(q_values([text_difference(*unit)[2].p for unit in units])) <= 0.05)
    assert sum(found) <= 3


def _shaken(one: JudgedText, rng: np.random.Generator) -> JudgedText:
    windows = one.windows
    factor = rng.lognormal(0, 0.3, len(windows.real))
    return replace(one, windows=replace(windows, real=windows.real * factor))


def test_real_losses_are_found() -> None:
    rng = np.random.default_rng(5)
    found = q_values([text_difference(text(rng), text(rng, right=0.2))[2].p for _ in range(40)])
    assert sum(q <= 0.05 for q in found) >= 34


def test_windows_of_one_document_are_not_as_good_as_windows_of_many() -> None:
    rng = np.random.default_rng(6)
    own, other = text(rng), text(rng)
    apart = replace(own, documents=tuple(map(str, range(len(own.windows)))))
    [own_score, _, change] = text_difference(own, other)
    [apart_score, _, narrow] = text_difference(apart, other)
    assert own_score.value == pytest.approx(apart_score.value)
    assert own_score.high - own_score.low > 1.2 * (apart_score.high - apart_score.low)
    assert change.p > narrow.p or change.value == 0


def test_few_documents_have_a_difference_but_no_interval() -> None:
    rng = np.random.default_rng(7)
    own, other = text(rng, n_documents=FEWEST_DOCUMENTS - 1), text(rng)
    score, _, change = text_difference(own, other)
    assert score.value is not None
    assert score.low is None
    assert change.value is not None
    assert (change.low, change.high, change.p) == (None, None, None)
    assert change.reason.startswith(f"{FEWEST_DOCUMENTS - 1} documents of one text were judged")


@pytest.mark.parametrize("what", ["real", "predicted"])
def test_where_a_score_is_undefined_there_is_no_difference(what: str) -> None:
    rng = np.random.default_rng(8)
    own, other = text(rng), text(rng)
    flat = {what: np.zeros_like(other.windows.real)}
    other = replace(other, windows=replace(other.windows, **flat))
    _, score, change = text_difference(own, other)
    assert (score.value, change.value, change.p) == (None, None, None)
    assert score.reason == change.reason
    assert "the same" in change.reason


def test_a_label_that_is_never_wrong_on_either_text_has_no_difference() -> None:
    rng = np.random.default_rng(9)
    own, other = (
        replace(t, windows=replace(t.windows, predicted=t.windows.real))
        for t in (
            text(rng),
            text(rng),
        )
    )
    score, _, change = text_difference(own, other)
    assert score.value == pytest.approx(1)
    assert change.value == pytest.approx(0, abs=1e-12)
    assert change.p > 0.05


def test_each_window_needs_its_document() -> None:
    one = text(np.random.default_rng(10))
    with pytest.raises(InputError, match="96 windows have 95 documents"):
        text_difference(replace(one, documents=one.documents[1:]), one)

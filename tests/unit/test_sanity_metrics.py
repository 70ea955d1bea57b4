"""Metrics are checked by labels that are right by construction, and by the same ones damaged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planted import planted_subject, planted_texts
from tiny import write_texts

from autointerp.core.records import TokenMeans
from autointerp.corpora import load_corpus
from autointerp.sanity.known_units import ReadOptions, UnitsRead, read_units
from autointerp.sanity.metric_checks import (
    Damage,
    MetricCheck,
    check_metrics,
    concept_tokens,
    damaged,
    fell,
)
from autointerp.sanity.metric_values import METRICS
from autointerp.subjects import parse_units

MEANS = TokenMeans(
    means={1: 9.0, 2: 5.0, 3: 0.1, 4: 0.0}, counts={1: 5, 2: 5, 3: 45, 4: 45}, overall=0.7
)


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> UnitsRead:
    """A token set, a bigram, a dead neuron and noise, with their activations on all text."""
    subject = planted_subject()
    path = write_texts(tmp_path_factory.mktemp("planted"), planted_texts(60))
    corpus = load_corpus(str(path), subject, n_tokens=9_000, n_ctx=32, seed=0)
    options = ReadOptions(n_heldout=24, whole=True)
    return read_units(subject, corpus, parse_units("0:0-4", subject), options)


def check(checks: tuple[MetricCheck, ...], metric: str, windows: str = "all") -> MetricCheck:
    [found] = [c for c in checks if (c.metric, c.windows) == (metric, windows)]
    return found


def only(read: UnitsRead, index: int) -> UnitsRead:
    return replace(read, units=tuple(u for u in read.units if u.unit.index == index))


def test_a_label_takes_the_strongest_token_types_until_their_share_is_reached() -> None:
    assert concept_tokens(MEANS, 0.05) == (1,)
    assert concept_tokens(MEANS, 0.06) == (1, 2)


def test_a_label_never_takes_types_that_are_no_stronger_than_average() -> None:
    assert concept_tokens(MEANS, 0.5) == (1, 2)


def test_the_best_fitting_label_ends_where_it_correlates_most() -> None:
    assert concept_tokens(MEANS) == (1, 2)
    weak = {1: 9.0, 2: 0.8, 3: 0.1, 4: 0.0}
    assert concept_tokens(replace(MEANS, means=weak)) == (1,)


def test_a_unit_that_no_token_stands_out_of_has_no_label() -> None:
    assert concept_tokens(TokenMeans({1: 0.5}, {1: 10}, 0.5)) == ()


def test_half_of_the_positives_are_removed_and_nothing_else_changes() -> None:
    marks = np.arange(1000) < 100
    after = damaged(marks, Damage.REMOVED, seed=1)
    assert (after[:100].sum(), after[100:].sum()) == (50, 0)
    assert (after == damaged(marks, Damage.REMOVED, seed=1)).all()
    assert (after != damaged(marks, Damage.REMOVED, seed=2)).any()


def test_as_many_other_tokens_are_added_and_every_positive_stays() -> None:
    marks = np.arange(1000) < 100
    after = damaged(marks, Damage.ADDED, seed=1)
    assert (after[:100].sum(), after[100:].sum()) == (100, 100)


@pytest.mark.parametrize(
    ("metric", "after", "falls"),
    [
        ("f1", 0.4980, True),
        ("f1", 0.4995, False),
        # Correlations lie between -1 and 1, so that a thousandth of their range is 0.002.
        ("population", 0.4985, False),
        ("population", 0.4970, True),
        ("population", None, False),
        ("f1", 0.6, False),
    ],
)
def test_a_metric_falls_by_more_than_a_thousandth_of_its_range(
    metric: str, after: float | None, falls: bool
) -> None:
    assert fell(metric, 0.5, after) is falls


def test_dead_units_are_counted_and_left_out(read: UnitsRead) -> None:
    assert read.n_dead == 1
    assert sorted(unit.unit.index for unit in read.units) == [0, 1, 2, 4]


@pytest.mark.parametrize("windows", ["drawn", "all"])
def test_a_metric_that_sees_both_mistakes_passes_on_a_planted_token_set(
    read: UnitsRead, windows: str
) -> None:
    checks = check_metrics(only(read, 0), share=0.08)
    for metric in ("population", "cosine", "auprc", "f1", "iou"):
        found = check(checks, metric, windows)
        assert (found.n, found.removed, found.added, found.passed) == (1, 1.0, 1.0, True), metric


@pytest.mark.parametrize("windows", ["drawn", "all"])
def test_a_metric_that_is_blind_to_a_mistake_fails_on_a_planted_token_set(
    read: UnitsRead, windows: str
) -> None:
    checks = check_metrics(only(read, 0), share=0.08)
    recall = check(checks, "recall", windows)
    assert (recall.removed, recall.added, recall.passed) == (1.0, 0.0, False)
    # Every token that the label still marks is active, however many are gone.
    precision = check(checks, "precision_from_10_percent", windows)
    assert (precision.removed, precision.added, precision.passed) == (0.0, 1.0, False)


def test_metrics_need_no_explain_windows(read: UnitsRead) -> None:
    subject, options = read.subject, replace(read.options, explain=False)
    lean = read_units(subject, read.corpus, parse_units("0:0-4", subject), options)
    assert all(not unit.sets.explain.records for unit in lean.units)
    assert check_metrics(lean, share=0.08) == check_metrics(read, share=0.08)


def test_every_metric_is_reported_for_both_kinds_of_windows_with_its_units(
    read: UnitsRead,
) -> None:
    checks = check_metrics(read, share=0.08)
    drawn = [c.metric for c in checks if c.windows == "drawn"]
    everywhere = [c.metric for c in checks if c.windows == "all"]
    assert drawn == list(METRICS)
    assert set(drawn) - set(everywhere) == {"top_random", "top_random_sample"}
    assert {c.n_units for c in checks} == {4}

"""The headline notices labels that lack half of what they should have, or have twice as much."""

from __future__ import annotations

from pathlib import Path

import pytest

from autointerp.corpora import load_corpus
from autointerp.sanity.known_units import ReadOptions, read_units
from autointerp.sanity.metric_checks import HEADLINE, LEAST_SHARE, MetricCheck, check_metrics
from autointerp.subjects import load_subject, parse_units


@pytest.fixture(scope="module")
def checks(smollm2_cache: Path) -> dict[str, MetricCheck]:
    subject = load_subject("smollm2-135m", cache_dir=smollm2_cache)
    corpus = load_corpus("wiki", subject, n_tokens=12_288, n_ctx=64, seed=0)
    units = parse_units("random:100@0,3,7,11,14", subject)
    read = read_units(subject, corpus, units, ReadOptions(n_heldout=40, explain=False))
    return {check.metric: check for check in check_metrics(read)}


def test_the_headline_falls_in_nine_of_ten_real_units_in_both_checks(
    checks: dict[str, MetricCheck],
) -> None:
    headline = checks[HEADLINE]
    assert headline.n >= 95
    assert headline.removed is not None
    assert headline.added is not None
    assert min(headline.removed, headline.added) >= LEAST_SHARE


def test_recall_does_not_notice_labels_that_were_added(checks: dict[str, MetricCheck]) -> None:
    assert checks["recall"].added == 0.0

"""The headline notices labels that lack half of what they should have, or have twice as much."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from autointerp.corpora import load_corpus
from autointerp.sanity.known_units import ReadOptions, read_units
from autointerp.sanity.metric_checks import HEADLINE, LEAST_SHARE, MetricCheck, check_metrics
from autointerp.subjects import load_subject, parse_units

# Read before settings from outside are taken away: converting the model again takes a minute.
_CACHE = os.environ.get("AUTOINTERP_CACHE_DIR")


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, MetricCheck]:
    cache = Path(_CACHE) if _CACHE else tmp_path_factory.mktemp("cache")
    subject = load_subject("smollm2-135m", cache_dir=cache)
    corpus = load_corpus("wiki", subject, n_tokens=24_576, n_ctx=64, seed=0)
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

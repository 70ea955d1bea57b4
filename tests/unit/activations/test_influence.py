"""How much a window can move a score, against the formula computed token by token."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from synthetic import heavy_tailed, summarize

from autointerp.activations import HookSummary
from autointerp.activations.sampling.influence import LookupInfluence
from autointerp.activations.sampling.strata import CandidateStratum, unit_strata
from autointerp.core.records import TokenMeans
from autointerp.core.text import Split

HEAVY = heavy_tailed(400, 5)
# Far below 0 where the side is silent: that must not count as spread.
PEAKS = np.where(HEAVY > 0, HEAVY, -20.0)
UNSEEN = 0.3


@pytest.fixture(scope="module")
def means(collected: Any) -> TokenMeans:
    """A lookup table that knows every second token of the corpus."""
    tokens = sorted(set(collected.corpus.tokens.tolist()))[::2]
    values = {token: 0.1 * (place % 7) for place, token in enumerate(tokens)}
    counts = {token: 1 + place % 3 for place, token in enumerate(tokens)}
    return TokenMeans(values, counts, UNSEEN)


def strata(summary: HookSummary, side: int = 0) -> tuple[CandidateStratum, ...]:
    found = unit_strata(summary, side=side, column=0, quantiles=(0.5, 0.8), threshold=0.0)
    # The corpus of the tests is shorter than the made-up unit's.
    return tuple(part(stratum) for stratum in found)


def part(stratum: CandidateStratum) -> CandidateStratum:
    known = [(w, p) for w, p in zip(stratum.candidates, stratum.peaks, strict=True) if w < 150]
    windows, peaks = zip(*known, strict=True) if known else ((), ())
    return CandidateStratum(stratum.name, stratum.n_windows, windows, peaks, 0.0, 1.0)


def expected(
    corpus: Any, means: TokenMeans, found: tuple[CandidateStratum, ...], real_spread: float
) -> list[float]:
    """Influence of every candidate, by the formula and without a shortcut."""
    total = sum(means.counts.values())
    spread = math.sqrt(
        sum(n * (means.means[t] - UNSEEN) ** 2 for t, n in means.counts.items()) / total
    )
    raw = []
    for stratum in found:
        for window, peak in zip(stratum.candidates, stratum.peaks, strict=True):
            real = (peak / real_spread) ** 2
            tokens = corpus[window].token_ids
            predicted = sum(means.means.get(t, UNSEEN) ** 2 for t in tokens) / spread**2
            raw.append(0.5 * math.sqrt(real * predicted) + 0.2 * (real + predicted))
    return [max(value / max(raw), 0.005) ** 1.25 for value in raw]


def test_influence_is_the_formula_of_every_candidate(collected: Any, means: TokenMeans) -> None:
    summary = summarize(PEAKS, seed=0, sample=48)
    found = strata(summary)
    influence = LookupInfluence(collected.corpus, means, summary, side=0, column=0).of(found)
    assert [len(values) for values in influence] == [len(s.candidates) for s in found]
    # The spread is read off bins of a width of up to a quarter.
    flat = np.concatenate(influence)
    spread = float(np.maximum(0.0, PEAKS).std())
    assert np.allclose(flat, expected(collected.corpus, means, found, spread), rtol=0.15)
    assert flat.max() == 1
    assert flat.min() > 0


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("column", [3, 11, 20])
def test_the_spread_is_that_of_the_unit_and_side(
    collected: Any, means: TokenMeans, side: int, column: int
) -> None:
    summary = collected.summary.split("blocks.1.mlp.hook_post", Split.EXPLAIN)
    found = unit_strata(summary, side=side, column=column, quantiles=(0.5,), threshold=0.05)
    values = collected.oracle.rows(Split.EXPLAIN)[:, column]
    spread = float(np.maximum(0.0, (1 - 2 * side) * values).std())
    influence = LookupInfluence(collected.corpus, means, summary, side=side, column=column)
    flat = np.concatenate(influence.of(found))
    assert np.allclose(flat, expected(collected.corpus, means, found, spread), rtol=0.1)


def test_a_window_that_nothing_is_known_of_keeps_a_least_influence(collected: Any) -> None:
    tokens = set(collected.corpus.tokens.tolist())
    zero = TokenMeans(dict.fromkeys(tokens, 0.0), dict.fromkeys(tokens, 1), 0.0)
    summary = summarize(PEAKS, seed=0)
    influence = LookupInfluence(collected.corpus, zero, summary, side=0, column=0)
    silent = influence.of(strata(summary))[-1]
    assert silent.tolist() == pytest.approx([0.005**1.25] * len(silent))


def test_a_mirrored_unit_has_the_same_influence(collected: Any, means: TokenMeans) -> None:
    plain, mirrored = summarize(PEAKS, seed=0), summarize(-PEAKS, seed=0)
    found = strata(plain)
    one = LookupInfluence(collected.corpus, means, plain, side=0, column=0).of(found)
    other = LookupInfluence(collected.corpus, means, mirrored, side=1, column=0).of(found)
    assert np.concatenate(one) == pytest.approx(np.concatenate(other), rel=1e-12)


def test_a_side_or_a_table_without_spread_leaves_influence_finite(collected: Any) -> None:
    dead = summarize(np.full(60, -1.0), seed=0)
    found = strata(dead)
    constant = TokenMeans({5: 0.2}, {5: 3}, 0.2)
    [values] = LookupInfluence(collected.corpus, constant, dead, side=0, column=0).of(found)
    assert np.isfinite(values).all()
    assert values.min() > 0
    assert LookupInfluence(collected.corpus, constant, dead, side=0, column=0).of(()) == []


def test_activations_that_are_all_equal_count_as_they_are(
    collected: Any, means: TokenMeans
) -> None:
    flat = summarize(np.full(60, 2.0), seed=0)
    found = strata(flat)
    influence = LookupInfluence(collected.corpus, means, flat, side=0, column=0).of(found)
    values = np.concatenate(influence)
    assert values == pytest.approx(expected(collected.corpus, means, found, 1.0), rel=1e-9)

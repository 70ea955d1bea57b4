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

PEAKS = heavy_tailed(400, 5)
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


def spread_of_side(peaks: np.ndarray) -> float:
    return float(np.maximum(0.0, peaks).std())


def expected(corpus: Any, means: TokenMeans, found: tuple[CandidateStratum, ...]) -> list[float]:
    """Influence of every candidate, by the formula and without a shortcut."""
    total = sum(means.counts.values())
    spread = math.sqrt(
        sum(n * (means.means[t] - UNSEEN) ** 2 for t, n in means.counts.items()) / total
    )
    raw = []
    for stratum in found:
        for window, peak in zip(stratum.candidates, stratum.peaks, strict=True):
            real = (peak / spread_of_side(PEAKS)) ** 2
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
    assert np.allclose(flat, expected(collected.corpus, means, found), rtol=0.15)
    assert flat.max() == 1
    assert flat.min() > 0


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

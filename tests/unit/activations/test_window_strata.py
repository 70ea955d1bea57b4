from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import heavy_tailed, some_peaks, summarize

from autointerp.activations import HookSummary
from autointerp.activations.sampling.strata import CandidateStratum, sample_windows, unit_strata

QUANTILES = (0.5, 0.8)


def strata(
    summary: HookSummary, side: int = 0, quantiles: tuple[float, ...] = QUANTILES
) -> tuple[CandidateStratum, ...]:
    return unit_strata(summary, side=side, column=0, quantiles=quantiles, threshold=0.0)


@given(peaks=some_peaks, side=st.integers(0, 1), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=150)
def test_sizes_of_strata_add_up_to_all_windows_and_no_window_is_in_two(
    peaks: np.ndarray, side: int, seed: int
) -> None:
    pools = strata(summarize(peaks, seed=seed), side)
    assert sum(pool.n_windows for pool in pools) == len(peaks)
    candidates = [window for pool in pools for window in pool.candidates]
    assert len(candidates) == len(set(candidates))
    assert all(len(pool.candidates) <= pool.n_windows for pool in pools)
    assert len({pool.name for pool in pools}) == len(pools)


@given(peaks=some_peaks, side=st.integers(0, 1), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=150)
def test_every_window_belongs_to_the_stratum_of_its_peak_where_all_are_kept(
    peaks: np.ndarray, side: int, seed: int
) -> None:
    values = (1 - 2 * side) * peaks
    pools = strata(summarize(peaks, seed=seed, sample=100, shared=100), side)
    assert {w for pool in pools for w in pool.candidates} == set(range(len(peaks)))
    for pool in pools:
        assert len(pool.candidates) == pool.n_windows
        for window in pool.candidates:
            assert pool.low <= values[window] <= pool.high or pool.name == "silent"
            assert (values[window] <= 0) == (pool.name == "silent")
    bands = [pool for pool in pools if pool.name.startswith("band")]
    for upper, lower in zip(bands[:-1], bands[1:], strict=True):
        assert lower.high <= upper.low
    top = [pool for pool in pools if pool.name == "top"]
    assert all(p.candidates[0] == int(np.argmax(values)) for p in top)


FIVE_CUTS = (0.1, 0.25, 0.4, 0.6, 0.8)


def test_the_windows_of_all_bands_are_counted_whatever_was_sampled() -> None:
    peaks = heavy_tailed(400, 5)
    n_strata = set()
    for seed in range(300):
        found = strata(summarize(peaks, seed=seed, sample=32), quantiles=FIVE_CUTS)
        assert sum(stratum.n_windows for stratum in found) == 400
        n_strata.add(len(found))
    # Cuts go by counts alone: a band was without candidates where there is a stratum less.
    assert len(n_strata) == 2


@pytest.mark.parametrize("missing", range(4))
def test_a_band_without_candidates_joins_the_next_one_up_or_the_last_one_down(missing: int) -> None:
    peaks = heavy_tailed(400, 5)
    summary = summarize(peaks, seed=0, sample=32)
    whole = strata(summary, quantiles=FIVE_CUTS)[1:-1][::-1]
    _, values = summary.sampled(0, 0)
    inside = np.isin(summary.sampled(0, 0)[0], whole[missing].candidates)
    assert len(whole) == 4
    assert 0 < inside.sum() < len(values)
    summary.state.sample_peaks[0, 0, : len(values)][torch.from_numpy(inside)] = torch.nan
    left = strata(summary, quantiles=FIVE_CUTS)[1:-1][::-1]
    sizes = [stratum.n_windows for stratum in whole]
    lost = sizes.pop(missing)
    sizes[min(missing, 2)] += lost
    assert [stratum.n_windows for stratum in left] == sizes


def estimate(picks: Any, values: np.ndarray) -> float:
    """Horvitz and Thompson's estimate of the sum of a value over all windows."""
    return sum(pick.weight * float(values[pick.window]) for pick in picks)


@pytest.mark.parametrize("n_drawn", [8, 12, 30])
def test_weighted_draws_estimate_the_mean_of_all_windows_without_bias(n_drawn: int) -> None:
    peaks = heavy_tailed(60, 3)
    values = np.maximum(0.0, peaks)
    pools = strata(summarize(peaks, seed=0, sample=100, shared=100))
    found = [
        estimate(sample_windows(pools, n_drawn, seed=seed).sampled, values) for seed in range(800)
    ]
    error = np.mean(found) - values.sum()
    assert np.std(found) > 0
    assert abs(error) < 3 * np.std(found) / np.sqrt(len(found))


@pytest.mark.parametrize("shape", ["heavy", "coarse"])
def test_estimates_stay_unbiased_where_only_a_sample_of_windows_was_kept(shape: str) -> None:
    peaks = heavy_tailed(400, 5)
    if shape == "coarse":
        # Nearly all active windows in one bin of the histogram, a few far above it.
        peaks = np.where(peaks > 0, 1.0 + 0.01 * np.arange(400) / 400, -1.0)
        peaks[::50] = 40.0
    values = np.maximum(0.0, peaks)
    found = []
    for seed in range(1500):
        pools = strata(summarize(peaks, seed=seed, sample=24))
        drawn = sample_windows(pools, 12, seed=seed)
        found.append(estimate(drawn.sampled, values))
    error = np.mean(found) - values.sum()
    assert abs(error) < 3 * np.std(found) / np.sqrt(len(found))


def test_the_sample_of_active_windows_is_uniform() -> None:
    peaks = heavy_tailed(50, 1)
    active = np.flatnonzero(peaks > 0)
    tally = np.zeros(50)
    for seed in range(1000):
        windows, values = summarize(peaks, seed=seed, sample=8).sampled(0, 0)
        tally[windows] += 1
        assert (peaks[windows].astype(np.float32) == values).all()
    expected = 8 * 1000 / len(active)
    assert tally.sum() == 8 * 1000
    statistic = ((tally[active] - expected) ** 2 / expected).sum()
    assert statistic < len(active) + 4 * np.sqrt(2 * len(active))
    assert tally[peaks <= 0].sum() == 0


@given(peaks=some_peaks, n=st.integers(2, 40), seed=st.integers(0, 9))
@settings(deadline=None)
def test_a_draw_gives_as_many_windows_as_there_are_and_says_from_where(
    peaks: np.ndarray, n: int, seed: int
) -> None:
    pools = strata(summarize(peaks, seed=seed))
    found = sample_windows(pools, n, seed=seed)
    assert len(found.sampled) == min(n, sum(len(pool.candidates) for pool in pools))
    assert len(set(found.windows)) == len(found.sampled)
    assert all(chosen.weight >= 1 - 1e-9 for chosen in found.sampled)
    for stratum, pool in zip(found.strata, pools, strict=True):
        n_drawn = sum(pick.stratum == stratum.name for pick in found.sampled)
        assert (stratum.n_windows, stratum.n_sampled) == (pool.n_windows, n_drawn)
        assert stratum.joint
        assert np.isfinite([stratum.low, stratum.high]).all()


def test_a_draw_depends_on_its_seed_alone() -> None:
    pools = strata(summarize(heavy_tailed(300, 2), seed=0))
    first = sample_windows(pools, 12, seed=1)
    assert first == sample_windows(pools, 12, seed=1)
    assert first != sample_windows(pools, 12, seed=2)


def test_windows_are_drawn_in_proportion_to_what_they_stand_for_and_can_do() -> None:
    pools = strata(summarize(heavy_tailed(400, 5), seed=0, sample=64))
    found = sample_windows(pools, 20, seed=0)
    products = sorted(pick.weight * pick.influence for pick in found.sampled)
    # Those too large for a probability in proportion are certain, and stand above the others.
    assert products[:6] == pytest.approx([products[0]] * 6)
    tops = [pick for pick in found.sampled if pick.stratum == "top"]
    assert max(tops, key=lambda pick: pick.influence).weight == 1


def test_a_dead_side_is_silent_everywhere_and_no_window_gives_no_draw() -> None:
    pools = strata(summarize(np.full(30, -1.0), seed=0))
    assert [(pool.name, pool.n_windows) for pool in pools] == [("silent", 30)]
    assert sample_windows((), 5, seed=0).sampled == ()


def test_a_quarter_of_the_windows_is_drawn_as_if_all_were_alike() -> None:
    known = strata(summarize(heavy_tailed(400, 5), seed=0))
    n = sum(len(stratum.candidates) for stratum in known)
    greatest = max(peak for stratum in known for peak in stratum.peaks)
    given = {
        window: max(0.03, peak / greatest) ** 1.5
        for stratum in known
        for window, peak in zip(stratum.candidates, stratum.peaks, strict=True)
    }
    everything = sample_windows(known, n, seed=0).sampled
    total = sum(chosen.weight for chosen in everything)
    mean = sum(chosen.weight * given[chosen.window] for chosen in everything) / total
    for chosen in everything:
        assert chosen.influence == pytest.approx(0.75 * given[chosen.window] + 0.25 * mean)
    assert total == pytest.approx(400)


def test_the_most_influential_windows_come_first() -> None:
    known = strata(summarize(heavy_tailed(400, 5), seed=0))
    influence = [chosen.influence for chosen in sample_windows(known, 20, seed=0).sampled]
    assert influence == sorted(influence, reverse=True)


def test_where_every_active_window_was_sampled_small_bands_are_cut_too() -> None:
    peaks = np.array([100.0, 90.0, 80.0, 70.0, 8.0, 8.0, 4.0, 4.0, 2.0, 1.0])
    bands = strata(summarize(peaks, seed=0), quantiles=(0.34, 0.67))[1:]
    assert [(band.name, band.n_windows) for band in bands] == [
        ("band2", 2),
        ("band1", 2),
        ("band0", 2),
    ]


def test_a_band_without_an_upper_end_ends_at_the_greatest_peak() -> None:
    found = strata(summarize(2000.0 + np.arange(10), seed=0), quantiles=())
    drawn = sample_windows(found, 5, seed=0).strata
    assert [(stratum.name, stratum.high) for stratum in drawn] == [("top", 2009), ("band0", 2009)]
    assert (drawn[0].low, drawn[0].high) == (2006, 2009)


def test_sampled_windows_without_one_below_the_top_leave_a_band_that_is_counted() -> None:
    summary = summarize(np.arange(1.0, 11.0), seed=0)
    summary.state.sample_peaks[0, 0, :] = torch.nan
    found = strata(summary)
    assert [(s.name, s.n_windows, len(s.candidates)) for s in found] == [
        ("top", 4, 4),
        ("band0", 6, 0),
    ]
    assert (found[1].low, found[1].high) == (0.0, np.inf)

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import heavy_tailed, some_peaks, summarize

from autointerp.activations import HookSummary
from autointerp.activations.sampling.bands import Band, quantile_bands

QUANTILES = (0.25, 0.5, 0.75, 0.9, 0.95, 0.99)

some_quantiles = st.lists(st.floats(0.01, 0.99), max_size=7)


def bands_of(
    summary: HookSummary, quantiles: tuple[float, ...] = QUANTILES, *, side: int = 0
) -> tuple[Band, ...]:
    return quantile_bands(summary, side=side, column=0, quantiles=quantiles, threshold=0.0)


def active_peaks(peaks: np.ndarray, side: int = 0) -> np.ndarray:
    values = (1 - 2 * side) * peaks.astype(np.float32)
    return np.sort(values[values > 0])


@given(peaks=some_peaks, side=st.integers(0, 1), seed=st.integers(0, 99), cuts=some_quantiles)
@settings(deadline=None, max_examples=150)
def test_every_known_window_lies_in_the_range_of_its_band(
    peaks: np.ndarray, side: int, seed: int, cuts: list[float]
) -> None:
    bands = bands_of(summarize(peaks, seed=seed), tuple(cuts), side=side)
    values = (1 - 2 * side) * peaks
    for band in bands:
        for window in band.windows:
            assert band.low.peak <= values[window] <= band.high.peak
            assert values[window] < band.high.peak or band is bands[-1]
    windows = [window for band in bands for window in band.windows]
    assert len(windows) == len(set(windows))
    assert bool(bands) == bool(len(active_peaks(peaks, side)))


@given(peaks=some_peaks, side=st.integers(0, 1), seed=st.integers(0, 99), cuts=some_quantiles)
@settings(deadline=None, max_examples=150)
def test_windows_below_a_cut_are_within_what_it_says(
    peaks: np.ndarray, side: int, seed: int, cuts: list[float]
) -> None:
    bands = bands_of(summarize(peaks, seed=seed), tuple(cuts), side=side)
    active = active_peaks(peaks, side)
    for cut in [band.low for band in bands]:
        assert cut.n_below[0] <= (active < cut.peak).sum() <= cut.n_below[1]
    for band in bands:
        top = band.high.peak if band is not bands[-1] else np.inf
        inside = int(((active >= band.low.peak) & (active < top)).sum())
        assert band.n_windows in {None, inside}
        if band.quantiles is not None:
            assert band.quantiles[1] - band.quantiles[0] == pytest.approx(inside / len(active))


@given(peaks=some_peaks, seed=st.integers(0, 99), cuts=some_quantiles)
@settings(deadline=None)
def test_where_all_active_windows_were_sampled_every_band_is_counted_and_cut_where_asked(
    peaks: np.ndarray, seed: int, cuts: list[float]
) -> None:
    bands = bands_of(summarize(peaks, seed=seed, sample=100), tuple(cuts))
    active = active_peaks(peaks)
    assert [band.n_windows for band in bands] == [band.n_sampled for band in bands]
    assert sum(band.n_sampled for band in bands) == len(active)
    places = [int((active < value).sum()) for value in (*np.unique(active), np.inf)]
    for cut in [band.low for band in bands[1:]]:
        target = cut.quantile * len(active)
        assert abs(cut.n_below[0] - target) == min(abs(place - target) for place in places[:-1])


def test_bands_lie_at_the_quantiles_asked_for() -> None:
    peaks = heavy_tailed(3000, 4)
    bands = bands_of(summarize(peaks, seed=1, top_k=20, sample=64))
    active = active_peaks(peaks)
    assert [band.name for band in bands][:2] == ["q0-25", "q25-50"]
    assert [band.low.quantile for band in bands] == [0.0, *QUANTILES]
    for band in bands:
        true = (active < band.low.peak).mean()
        assert abs(true - band.low.quantile) < 0.03
        assert band.quantiles is None or band.quantiles[0] == true


def test_quantiles_may_be_given_in_any_order() -> None:
    summary = summarize(heavy_tailed(300, 4), seed=1)
    assert bands_of(summary, QUANTILES[::-1]) == bands_of(summary)


def test_within_one_bin_of_the_histogram_the_sample_decides_and_says_that_it_cannot_count() -> None:
    peaks = np.linspace(1.0, 1.2, 500)
    bands = bands_of(summarize(peaks, seed=2, sample=64), (0.5, 0.995))
    middle, upper = bands[1].low, bands[2].low
    assert not middle.is_exact
    assert abs((peaks < middle.peak).mean() - 0.5) < 0.2
    known_above = bands[1].n_sampled + bands[2].n_sampled
    assert middle.n_below == (bands[0].n_sampled, 500 - known_above)
    assert middle.n_below[0] <= (peaks < middle.peak).sum() <= middle.n_below[1]
    assert bands[0].n_windows is None
    assert bands[0].quantiles is None
    assert upper.is_exact
    assert upper.n_below[0] == 498 - 1


def test_a_place_that_can_be_counted_is_taken_only_where_it_is_near() -> None:
    # Two bins of the histogram, whose common edge has 40 % of the windows below it.
    peaks = np.concatenate((np.linspace(1.0, 1.24, 400), np.linspace(1.25, 1.49, 600)))
    summary = summarize(peaks, seed=3, sample=300)
    [near, far] = [band.low for band in bands_of(summary, (0.41, 0.5))[1:]]
    assert (near.peak, near.n_below) == (1.25, (400, 400))
    assert not far.is_exact
    assert abs((peaks < far.peak).mean() - 0.5) < 0.05


def test_a_cut_within_a_bin_is_where_the_sample_has_the_share_below_it() -> None:
    peaks = np.linspace(1.0, 1.2, 500)
    for seed in range(20):
        summary = summarize(peaks, seed=seed, sample=8, top_k=1)
        below, above = bands_of(summary, (0.55,))
        share = sum(below.weights) / (sum(below.weights) + sum(above.weights))
        # No other known window has a share below it that is nearer.
        assert abs(share - 0.55) <= 0.5 * max(above.weights) / 500 + 1e-9


def test_equal_peaks_are_never_cut_apart() -> None:
    peaks = np.array([1.0] * 30 + [5.0] * 3)
    bands = bands_of(summarize(peaks, seed=0, sample=8))
    assert [(band.low.peak, band.high.peak) for band in bands] == [(0.0, 1.25), (1.25, 5.0)]
    assert [band.n_windows for band in bands] == [30, 3]


def test_a_unit_that_never_activates_has_no_band() -> None:
    assert bands_of(summarize(np.full(9, -1.0), seed=0)) == ()


def test_windows_of_other_bins_do_not_count_as_known_in_the_bin_of_a_cut() -> None:
    edges = (1.0, 1.25, 1.5, 1.75)
    parts = [
        np.linspace(low, high, n, endpoint=False)
        for low, high, n in zip(edges[:-1], edges[1:], (300, 600, 100), strict=True)
    ]
    peaks = np.concatenate(parts)
    bands = bands_of(summarize(peaks, seed=3, sample=300, top_k=20), (0.6,))
    cut = bands[1].low
    known = np.array([np.float32(peaks[w]) for band in bands for w in band.windows])
    inside = known[(known >= 1.25) & (known < 1.5)]
    below, above = (inside < cut.peak).sum(), (inside >= cut.peak).sum()
    assert min(below, above) > 20
    assert cut.n_below == (300 + below, 900 - above)
    assert {weight for band in bands for weight in band.weights} == {1.0, 980 / (len(known) - 20)}

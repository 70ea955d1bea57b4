from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autointerp.activations import HookSummary, read_windows
from autointerp.activations.kernels.encoding import bin_edges
from autointerp.core.text import Split

HOOK = "blocks.1.mlp.hook_post"
SPLITS = [*Split, None]
THRESHOLD = 0.05


def part(collected: Any, split: Split | None) -> HookSummary:
    summary = collected.summary
    return summary[HOOK] if split is None else summary.split(HOOK, split)


def ranked(peaks: np.ndarray, ids: list[int], k: int) -> list[tuple[float, int]]:
    """(peak, window), greatest first, the smaller id first among equals."""
    return sorted(zip(peaks.tolist(), ids, strict=True), key=lambda p: (-p[0], p[1]))[:k]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("dtype", ["collected", "collected_half"])
def test_moments_and_range_equal_the_oracle(
    request: pytest.FixtureRequest, dtype: str, split: Split | None
) -> None:
    collected = request.getfixturevalue(dtype)
    found, rows = part(collected, split), collected.oracle.rows(split)
    assert (found.n_tokens, found.n_windows) == (len(rows), len(collected.oracle.ids(split)))
    np.testing.assert_allclose(found.mean, rows.mean(0), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found.variance, rows.var(0), rtol=1e-11)
    np.testing.assert_array_equal(found.minimum, rows.min(0))
    np.testing.assert_array_equal(found.maximum, rows.max(0))


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("side", [0, 1])
def test_densities_equal_the_oracle(collected: Any, split: Split | None, side: int) -> None:
    found, rows = part(collected, split), collected.oracle.rows(split) * (1 - 2 * side)
    active = (collected.oracle.peaks(split, side) > THRESHOLD).sum(0)
    np.testing.assert_allclose(found.side_density(side), (rows > THRESHOLD).mean(0), rtol=1e-12)
    np.testing.assert_array_equal(found.active_windows(side), active)
    np.testing.assert_allclose(found.window_density(side), active / found.n_windows, rtol=1e-12)
    np.testing.assert_array_equal(found.density, found.side_density(0))


@pytest.mark.parametrize("split", SPLITS)
def test_histograms_equal_the_oracle(collected: Any, split: Split | None) -> None:
    found, rows = part(collected, split), collected.oracle.rows(split)
    # Negative bins are closed above and not below: the mirror image of the positive ones.
    edges = bin_edges()
    for unit in range(rows.shape[1]):
        below = np.histogram(-rows[rows[:, unit] < 0, unit], edges)[0][::-1]
        above = np.histogram(rows[rows[:, unit] >= 0, unit], edges)[0]
        np.testing.assert_array_equal(found.histogram[unit], np.concatenate((below, above)))
    for side in (0, 1):
        peaks = collected.oracle.peaks(split, side)
        for unit in range(rows.shape[1]):
            active = peaks[peaks[:, unit] > THRESHOLD, unit]
            expected = np.histogram(active, edges)[0]
            np.testing.assert_array_equal(found.peak_histogram(side)[unit], expected)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("dtype", ["collected", "collected_half"])
def test_top_and_bottom_windows_equal_the_oracle(
    request: pytest.FixtureRequest, dtype: str, split: Split | None
) -> None:
    collected = request.getfixturevalue(dtype)
    found, ids = part(collected, split), collected.oracle.ids(split)
    for side, sign in enumerate((1, -1)):
        peaks = collected.oracle.peaks(split, side)
        values = found.top_values if side == 0 else found.bottom_values
        windows = found.top_windows if side == 0 else found.bottom_windows
        for unit in range(peaks.shape[1]):
            expected = ranked(peaks[:, unit], ids, 5)
            assert windows[unit].tolist() == [w for _, w in expected]
            assert (sign * values[unit]).tolist() == [p for p, _ in expected]
            assert found.ranked(side, unit)[0].tolist() == [w for _, w in expected]


def test_bfloat16_has_ties_among_its_top_windows(collected_half: Any) -> None:
    values = collected_half.summary[HOOK].top_values
    assert (values[:, 1:] == values[:, :-1]).any()


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("side", [0, 1])
def test_the_sample_holds_active_windows_with_their_peaks(
    collected: Any, split: Split | None, side: int
) -> None:
    found, ids = part(collected, split), collected.oracle.ids(split)
    peaks = collected.oracle.peaks(split, side)
    for unit in range(peaks.shape[1]):
        active = {w: p for w, p in zip(ids, peaks[:, unit], strict=True) if p > THRESHOLD}
        windows, values = found.sampled(side, unit)
        assert len(set(windows.tolist())) == len(windows) == min(12, len(active))
        assert [active[w] for w in windows.tolist()] == values.tolist()


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("side", [0, 1])
def test_shared_windows_have_the_peaks_of_every_unit(
    collected: Any, split: Split | None, side: int
) -> None:
    found, ids = part(collected, split), collected.oracle.ids(split)
    peaks = collected.oracle.peaks(split, side)
    n_shared = sum(min(20, len(collected.oracle.ids(s))) for s in ([split] if split else Split))
    for unit in range(peaks.shape[1]):
        windows, values = found.shared(side, unit)
        assert len(set(windows.tolist())) == len(windows) == n_shared
        assert [peaks[ids.index(w), unit] for w in windows.tolist()] == values.tolist()


def test_a_split_with_fewer_windows_than_are_shared_gives_all_of_them(collected: Any) -> None:
    summary = collected.again(shared_windows=5000)
    for split in Split:
        windows, _ = summary.split(HOOK, split).shared(0, 3)
        assert sorted(windows.tolist()) == collected.oracle.ids(split)
    assert sorted(summary[HOOK].shared(1, 3)[0].tolist()) == collected.oracle.ids(None)


def test_too_few_windows_leave_places_empty(collected: Any) -> None:
    summary = collected.again(top_k=1000)
    n = summary[HOOK].n_windows
    assert (summary[HOOK].top_windows[:, n:] == -1).all()
    assert np.isnan(summary[HOOK].bottom_values[:, n:]).all()
    assert len(summary[HOOK].ranked(0, 0)[0]) == n


def test_chosen_units_alone_give_what_all_units_give(collected: Any) -> None:
    hook = "blocks.0.mlp.hook_pre"
    assert collected.summary.indices(hook) == (3, 7)
    found = collected.summary[hook]
    lines = read_windows(
        collected.subject, collected.corpus, {(hook, 7): collected.oracle.ids(None)}
    )
    rows = np.concatenate(list(lines.values()))
    np.testing.assert_allclose(found.maximum[1], rows.max(), rtol=1e-5)
    np.testing.assert_allclose(found.mean[1], rows.mean(dtype=np.float64), rtol=1e-5)


def test_the_token_table_equals_the_oracle(collected: Any) -> None:
    rows = collected.oracle.rows(Split.EXPLAIN)
    ids = collected.oracle.ids(Split.EXPLAIN)
    tokens = np.concatenate([collected.corpus[i].token_ids for i in ids])
    for side in (0, 1):
        halves = np.maximum(0.0, (1 - 2 * side) * rows)
        for unit in (0, 11):
            table = collected.summary.tables[HOOK].means(side, unit)
            assert set(table.means) == set(table.counts) == set(tokens.tolist())
            for token in set(tokens.tolist()):
                here = halves[tokens == token, unit]
                assert table.counts[token] == len(here)
                assert table.means[token] == pytest.approx(here.mean(), abs=2**-32)
            assert table.overall == pytest.approx(halves[:, unit].mean(), abs=2**-32)


@pytest.mark.parametrize("dtype", ["collected", "collected_half"])
def test_records_equal_the_oracle_and_each_window_is_run_once(
    request: pytest.FixtureRequest, dtype: str
) -> None:
    collected = request.getfixturevalue(dtype)
    wanted = {(HOOK, 4): [9, 2, 30, 2], (HOOK, 5): [30, 31], ("blocks.0.mlp.hook_pre", 1): [2]}
    seen: list[int] = []
    read = collected.subject.read

    class Counting:
        def read(self, tokens: Any, hooks: Any, receive: Any) -> None:
            seen.append(len(tokens))
            read(tokens, hooks, receive)

    found = read_windows(Counting(), collected.corpus, wanted, batch_windows=2)  # type: ignore[arg-type]
    assert sum(seen) == 4
    assert set(found) == {(h, u, w) for (h, u), windows in wanted.items() for w in windows}
    tolerance = 1e-5 if dtype == "collected" else 0.02
    for (hook, unit, window), line in found.items():
        assert line.shape == (len(collected.corpus[window].token_ids),)
        if hook == HOOK:
            expected = collected.oracle.lines[window][:, unit]
            np.testing.assert_allclose(line, expected, rtol=tolerance, atol=tolerance)


def test_nothing_asked_for_is_nothing_read(collected: Any) -> None:
    assert read_windows(collected.subject, collected.corpus, {(HOOK, 1): []}) == {}

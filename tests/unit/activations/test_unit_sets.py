from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from autointerp.activations import Summary, UnitReader, build_sets, read_windows
from autointerp.core.config import SelectConfig
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import UnitSets
from autointerp.core.text import Split

HOOK = "blocks.1.mlp.hook_post"
SELECT = SelectConfig(n_top=4, n_band=2, n_silent=3)
N_HELDOUT = 10
UNIT = UnitId("tiny", HOOK, 11)


def make_reader(summary: Summary, *, seed: int = 0) -> UnitReader:
    return UnitReader(summary, SELECT, n_validation=6, n_heldout=N_HELDOUT, seed=seed)


@pytest.fixture(scope="module")
def reader(collected: Any) -> UnitReader:
    return make_reader(collected.summary)


def sets_of(collected: Any, reader: UnitReader, side: Side) -> UnitSets:
    plan = reader.plan(UNIT, side)
    found = read_windows(collected.subject, collected.corpus, {(HOOK, 11): plan.windows})
    return build_sets(plan, found, collected.corpus, collected.subject)


@pytest.mark.parametrize("side", list(Side))
def test_each_set_holds_windows_of_its_own_split_with_their_activations(
    collected: Any, reader: UnitReader, side: Side
) -> None:
    sets = sets_of(collected, reader, side)
    for part, split in zip((sets.explain, sets.validation, sets.held_out), Split, strict=True):
        ids = collected.oracle.ids(split)
        assert len({r.window for r in part.records}) == len(part.records) > 0
        for record in part.records:
            window = collected.corpus[record.window]
            assert record.window in ids
            assert (record.document, record.offset) == (window.document, window.offset)
            assert record.tokens == collected.subject.tokenizer.pieces(window.token_ids)
            line = collected.oracle.lines[record.window][:, 11]
            np.testing.assert_allclose(record.activations, line, rtol=1e-5, atol=1e-6)
            assert (record.peak(side) <= 0.05) == (record.stratum == "silent")


def test_held_out_strata_add_up_to_the_split_and_every_window_stands_for_at_least_itself(
    collected: Any, reader: UnitReader
) -> None:
    held_out = sets_of(collected, reader, Side.NEGATIVE).held_out
    assert len(held_out.records) == N_HELDOUT
    assert held_out.n_windows == len(collected.oracle.ids(Split.HELD_OUT))
    assert all(stratum.joint for stratum in held_out.strata)
    assert all(record.weight >= 1 and record.influence > 0 for record in held_out.records)
    n_drawn = Counter(record.stratum for record in held_out.records)
    assert {s.name: s.n_sampled for s in held_out.strata if s.n_sampled} == dict(n_drawn)


@pytest.mark.parametrize("side", list(Side))
def test_the_peak_is_read_from_explain_text_alone(
    collected: Any, reader: UnitReader, side: Side
) -> None:
    peaks = collected.oracle.peaks(Split.EXPLAIN, 0 if side is Side.POSITIVE else 1)[:, 11]
    sets = sets_of(collected, reader, side)
    assert reader.peak(UNIT, side) == peaks.max() == sets.explain.peak == sets.held_out.peak
    assert sets.explain.records[0].peak(side) == pytest.approx(peaks.max(), rel=1e-5)
    assert [r.stratum for r in sets.explain.records[:4]] == ["top"] * 4


def test_the_side_with_the_greater_peak_on_explain_text_is_labelled(
    collected: Any, reader: UnitReader
) -> None:
    rows = collected.oracle.rows(Split.EXPLAIN)
    for index in range(24):
        unit = UnitId("tiny", HOOK, index)
        stronger = Side.NEGATIVE if -rows[:, index].min() > rows[:, index].max() else Side.POSITIVE
        assert reader.side(unit, two_sided=True) is stronger
        assert reader.side(unit, two_sided=False) is Side.POSITIVE


def test_a_plan_depends_on_summary_and_seed_alone(collected: Any, reader: UnitReader) -> None:
    again = make_reader(collected.again())
    other = make_reader(collected.summary, seed=1)
    assert again.plan(UNIT, Side.POSITIVE) == reader.plan(UNIT, Side.POSITIVE)
    assert other.plan(UNIT, Side.POSITIVE) != reader.plan(UNIT, Side.POSITIVE)


def test_statistics_are_over_all_splits(collected: Any, reader: UnitReader) -> None:
    stats = reader.stats(UNIT, Side.NEGATIVE)
    values = collected.oracle.rows(None)[:, 11]
    assert (stats.n_tokens, stats.n_windows) == (len(values), len(collected.corpus))
    assert stats.mean == pytest.approx(values.mean())
    assert stats.variance == pytest.approx(values.var())
    assert stats.density == pytest.approx((values < -0.05).mean())
    assert (stats.minimum, stats.maximum) == (values.min(), values.max())
    assert sum(stats.histogram) == stats.n_tokens
    assert len(stats.bin_edges) == len(stats.histogram) + 1
    assert stats.bin_edges[0] <= stats.minimum
    assert stats.maximum <= stats.bin_edges[-1]
    assert [q for q, _ in stats.quantiles] == sorted(q for q, _ in stats.quantiles)


@pytest.mark.parametrize("side", list(Side))
def test_the_density_of_windows_is_that_of_the_side(
    collected: Any, reader: UnitReader, side: Side
) -> None:
    for index in range(24):
        stats = reader.stats(UnitId("tiny", HOOK, index), side)
        peaks = collected.oracle.peaks(None, 0 if side is Side.POSITIVE else 1)[:, index]
        assert stats.window_density == pytest.approx((peaks > 0.05).mean())


def test_token_means_and_active_windows_are_those_of_the_unit_and_side(
    collected: Any, reader: UnitReader
) -> None:
    peaks = collected.oracle.peaks(Split.VALIDATION, 1)[:, 11]
    assert reader.n_active(UNIT, Side.NEGATIVE, Split.VALIDATION) == (peaks > 0.05).sum()
    expected = collected.summary.tables[HOOK].means(1, 11)
    assert reader.token_means(UNIT, Side.NEGATIVE) == expected


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("split", list(Split))
def test_bands_of_a_unit_hold_the_windows_that_they_claim(
    collected: Any, reader: UnitReader, side: Side, split: Split
) -> None:
    peaks = collected.oracle.peaks(split, 0 if side is Side.POSITIVE else 1)[:, 11]
    peak_of = dict(zip(collected.oracle.ids(split), peaks, strict=True))
    bands = reader.bands(UNIT, side, split)
    active = peaks[peaks > 0.05]
    assert {band.n_active for band in bands} == {len(active)}
    assert [band.low.peak for band in bands] == sorted({band.low.peak for band in bands})
    for band in bands:
        inside = (active >= band.low.peak) & (active < band.high.peak)
        last = int(band is bands[-1])
        assert band.n_windows in {None, inside.sum() + last}
        for window in band.windows:
            assert band.low.peak <= peak_of[window] <= band.high.peak
    assert sum(w for band in bands for w in band.weights) == pytest.approx(len(active))


def test_explain_windows_stand_for_all_windows_of_their_strata(
    collected: Any, reader: UnitReader
) -> None:
    explain = reader.plan(UNIT, Side.POSITIVE).samples[Split.EXPLAIN]
    n_drawn = Counter(chosen.stratum for chosen in explain.sampled)
    assert n_drawn["top"] == 4
    assert 1 <= n_drawn["silent"] <= 3
    assert {n for name, n in n_drawn.items() if name.startswith("band")} == {2}
    total = sum(chosen.weight for chosen in explain.sampled)
    assert total == pytest.approx(len(collected.oracle.ids(Split.EXPLAIN)))
    assert [chosen.window for chosen in explain.sampled[:4]] == [
        window for window in collected.summary.split(HOOK, Split.EXPLAIN).ranked(0, 11)[0][:4]
    ]

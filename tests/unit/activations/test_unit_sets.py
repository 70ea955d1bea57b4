from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from synthetic import heavy_tailed, summarize

from autointerp.activations import Summary, UnitReader, build_sets, read_windows
from autointerp.activations.sampling.influence import LookupInfluence
from autointerp.activations.sampling.strata import sample_windows, unit_strata
from autointerp.core.config import SelectConfig
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import UnitSets
from autointerp.core.seeds import derive_seed
from autointerp.core.text import Split

HOOK = "blocks.1.mlp.hook_post"
SELECT = SelectConfig(n_top=4, n_band=2, n_silent=3)
N_HELDOUT = 10
_SHOWN = ("top", "random", "other")
UNIT = UnitId("tiny", HOOK, 11)
UNIT_0 = UnitId("tiny", HOOK, 0)


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
            # Two bytes a token, but the peaks of both sides are exact.
            np.testing.assert_allclose(record.activations, line, rtol=1.01 * 2**-11, atol=1e-6)
            found = [record.peak(side) for side in Side]
            peaks = max(line.max(), 0), max(-line.min(), 0)
            np.testing.assert_allclose(found, peaks, rtol=1e-5, atol=1e-6)
            assert (record.peak(side) <= 0.05) == (record.stratum == "silent")


@pytest.mark.parametrize("side", list(Side))
def test_each_set_has_the_size_and_the_strata_of_its_own_split(
    collected: Any, reader: UnitReader, side: Side
) -> None:
    sets = sets_of(collected, reader, side)
    assert (len(sets.validation.records), len(sets.held_out.records)) == (6, N_HELDOUT)
    for part, split in ((sets.validation, Split.VALIDATION), (sets.held_out, Split.HELD_OUT)):
        n_windows = sum(stratum.n_windows for stratum in part.strata)
        assert n_windows == len(collected.oracle.ids(split))


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


def test_people_see_all_top_windows_a_shared_sample_and_the_other_side_too(
    collected: Any, reader: UnitReader
) -> None:
    sets = sets_of(collected, reader, Side.POSITIVE)
    ids, corpus = collected.oracle.ids(Split.EXPLAIN), collected.corpus
    by_stratum = {name: [r for r in sets.shown if r.stratum == name] for name in _SHOWN}
    explained = {record.window for record in sets.explain.records if record.stratum == "top"}
    further = by_stratum["top"]
    assert len(explained) + len(further) == collected.summary.identity.config.top_k
    assert not explained & {record.window for record in further}
    assert [r.window for r in by_stratum["random"]] == [
        *collected.summary.split(HOOK, Split.EXPLAIN).shared_windows[:4]
    ]
    strongest = sorted(ids, key=lambda i: collected.oracle.lines[i][:, 11].min())[:4]
    assert [record.window for record in by_stratum["other"]] == strongest
    assert all(r.source == corpus.source(r.document) and r.window in ids for r in sets.shown)


def test_quantiles_of_peaks_are_those_of_the_side(collected: Any, reader: UnitReader) -> None:
    for number, side in enumerate((Side.POSITIVE, Side.NEGATIVE)):
        _, peaks = collected.summary[HOOK].sampled(number, 11)
        expected = [np.quantile(peaks, q) for q, _ in reader.stats(UNIT, side).quantiles]
        assert [peak for _, peak in reader.stats(UNIT, side).quantiles] == pytest.approx(expected)


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


def made_up(collected: Any, peaks: np.ndarray) -> Summary:
    """Two units of equal peaks, the same on every split."""
    part = summarize(peaks, seed=0, sample=32)
    hooks = ("blocks.0.mlp.hook_post", HOOK)
    identity = replace(collected.summary.identity, units=tuple((hook, (0,)) for hook in hooks))
    return Summary(identity, {(h, s): part for h in hooks for s in Split}, {}, frozenset())


def test_a_side_that_never_activates_has_a_peak_of_0(collected: Any) -> None:
    reader = UnitReader(made_up(collected, np.full(30, -1.0)))
    unit = UnitId("tiny", HOOK, 0)
    assert (reader.peak(unit, Side.POSITIVE), reader.peak(unit, Side.NEGATIVE)) == (0.0, 1.0)


def test_units_and_splits_are_drawn_independently_of_each_other(collected: Any) -> None:
    summary = made_up(collected, heavy_tailed(300, 1))
    reader = UnitReader(summary, n_validation=12, n_heldout=12)
    units = [UnitId("tiny", hook, 0) for hook in summary]
    drawn = [reader.plan(unit, Side.POSITIVE).samples for unit in units]
    scored = [d[split].windows for d in drawn for split in (Split.VALIDATION, Split.HELD_OUT)]
    assert len(set(scored)) == 4


def test_a_tie_of_both_sides_is_labelled_on_the_positive_one(collected: Any) -> None:
    reader = UnitReader(made_up(collected, np.array([2.0, -2.0, 1.0, -1.0])))
    assert reader.side(UnitId("tiny", HOOK, 0), two_sided=True) is Side.POSITIVE


def test_explain_and_scored_windows_are_cut_at_quantiles_of_their_own(collected: Any) -> None:
    select = SelectConfig(explain_quantiles=(0.25, 0.5, 0.75), score_quantiles=())
    plan = UnitReader(made_up(collected, heavy_tailed(300, 1)), select).plan(UNIT_0, Side.POSITIVE)
    explain = {w.stratum for w in plan.samples[Split.EXPLAIN].sampled}
    assert {name for name in explain if name.startswith("band")} == {
        f"band{number}" for number in range(4)
    }
    held_out = [stratum.name for stratum in plan.samples[Split.HELD_OUT].strata]
    assert held_out == ["top", "band0", "silent"]


@pytest.mark.parametrize("side", list(Side))
def test_with_a_corpus_scored_windows_are_drawn_by_the_lookup_table_of_the_side(
    collected: Any, side: Side
) -> None:
    summary, number = collected.summary, 0 if side is Side.POSITIVE else 1
    reader = UnitReader(summary, SELECT, n_heldout=N_HELDOUT, corpus=collected.corpus)
    part = summary.split(HOOK, Split.HELD_OUT)
    strata = unit_strata(
        part, side=number, column=11, quantiles=SELECT.score_quantiles, threshold=0.05
    )
    means = reader.token_means(UNIT, side)
    influence = LookupInfluence(collected.corpus, means, part, side=number, column=11).of(strata)
    seed = derive_seed(0, str(UNIT), side, Split.HELD_OUT)
    expected = sample_windows(strata, N_HELDOUT, seed=seed, influence=influence)
    assert reader.plan(UNIT, side).samples[Split.HELD_OUT] == expected


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


def test_without_options_five_windows_are_to_validate_and_twelve_held_out(collected: Any) -> None:
    plan = UnitReader(made_up(collected, heavy_tailed(300, 1))).plan(UNIT_0, Side.POSITIVE)
    assert [len(plan.samples[split].sampled) for split in (Split.VALIDATION, Split.HELD_OUT)] == [
        5,
        12,
    ]
    seeded = UnitReader(made_up(collected, heavy_tailed(300, 1)), seed=0)
    assert seeded.plan(UNIT_0, Side.POSITIVE) == plan


def test_one_explain_window_of_a_stratum_stands_for_all_of_it(collected: Any) -> None:
    select = SelectConfig(n_top=1, n_band=1, n_silent=1)
    plan = UnitReader(made_up(collected, heavy_tailed(300, 1)), select).plan(UNIT_0, Side.POSITIVE)
    chosen = plan.samples[Split.EXPLAIN].sampled
    assert len({window.stratum for window in chosen}) == len(chosen) > 2
    assert sum(window.weight for window in chosen) == 300

"""The histogram of a unit's activations."""

from __future__ import annotations

from dataclasses import replace

import pytest
from factories import make_stats

from autointerp.core.ids import Side
from autointerp.web.activation_chart import HEIGHT, WIDTH, ActivationChart


def test_bars_hold_every_token_and_the_highest_has_the_height_of_the_drawing() -> None:
    stats = replace(
        make_stats(),
        histogram=(900, 90, 10),
        bin_edges=(-1.0, 0.0, 1.0, 2.0),
        minimum=-1.0,
        maximum=2.0,
        quantiles=((0.5, 0.5), (0.9, 1.5)),
    )
    chart = ActivationChart.of(stats, Side.POSITIVE)
    assert chart is not None
    assert (chart.low, chart.high) == (-1.0, 2.0)
    assert max(bar.height for bar in chart.bars) == pytest.approx(HEIGHT)
    counts = [float(bar.tip.split()[1].replace(",", "")) for bar in chart.bars]
    assert sum(counts) == pytest.approx(1000, abs=len(counts))
    assert [mark.x for mark in chart.marks] == pytest.approx([WIDTH * 0.5, WIDTH * 2.5 / 3])


def test_marks_of_the_negative_side_stand_below_zero() -> None:
    stats = replace(
        make_stats(),
        histogram=(5, 5),
        bin_edges=(-2.0, 0.0, 2.0),
        minimum=-2.0,
        maximum=2.0,
        quantiles=((0.5, 1.0),),
    )
    chart = ActivationChart.of(stats, Side.NEGATIVE)
    assert chart is not None
    assert chart.marks[0].x == pytest.approx(WIDTH / 4)


@pytest.mark.parametrize("counts", [(), (0, 0)])
def test_there_is_none_where_nothing_was_counted(counts: tuple[int, ...]) -> None:
    edges = tuple(float(i) for i in range(len(counts) + 1))
    stats = replace(make_stats(), histogram=counts, bin_edges=edges)
    assert ActivationChart.of(stats, Side.POSITIVE) is None


def test_a_constant_unit_has_none() -> None:
    stats = replace(make_stats(), histogram=(7,), bin_edges=(0.0, 1.0), minimum=0.5, maximum=0.5)
    assert ActivationChart.of(stats, Side.POSITIVE) is None

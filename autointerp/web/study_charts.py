"""Charts of a study as drawings that are 100 wide and 100 high, whatever room they get."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from autointerp.core.study_report import StudyChart, StudyValue, written

_SIZE = 100.0
_STYLES = 6
"""Kinds of lines that the style sheet tells apart."""


@dataclass(frozen=True, slots=True)
class DrawnSeries:
    """One line with the band of its interval, as paths."""

    name: str
    style: int
    lines: tuple[str, ...]
    """Points of each unbroken stretch, ``x,y x,y``."""
    bands: tuple[str, ...]
    dots: tuple[tuple[float, float, str], ...]
    """Every value: where it is and what it says."""


@dataclass(frozen=True, slots=True)
class DrawnBar:
    """One bar from zero, with the ends of its interval."""

    name: str
    series: str
    """Empty where there is only one."""
    style: int
    x: float
    width: float
    low: float | None
    high: float | None
    said: str


@dataclass(frozen=True, slots=True)
class DrawnChart:
    """A chart with the words around it."""

    chart: StudyChart
    said: str
    """The drawing in words, for those who do not see it."""
    low: str
    high: str
    zero: float
    """Where zero is: from the top of lines, from the left of bars."""
    series: tuple[DrawnSeries, ...] = ()
    bars: tuple[DrawnBar, ...] = ()

    @classmethod
    def of(cls, chart: StudyChart) -> DrawnChart:
        """The drawing."""
        low, high = chart.span
        ends = written(low, chart.form), written(high, chart.form)
        said = f"{chart.title}, by {chart.axis}: " + "; ".join(
            f"{one.name} {_said(one.values[0], chart)} to {_said(one.values[-1], chart)}"
            for one in chart.series
            if one.values
        )
        if chart.shape == "bars":
            return cls(chart, said, *ends, _share(0.0, chart), bars=_bars(chart))
        series = tuple(_line(chart, i) for i in range(len(chart.series)))
        return cls(chart, said, *ends, _SIZE - _share(0.0, chart), series=series)


def _share(value: float, chart: StudyChart) -> float:
    low, high = chart.span
    return _SIZE * (value - low) / (high - low)


def _said(value: StudyValue | None, chart: StudyChart) -> str:
    return written(value, chart.form)


def _line(chart: StudyChart, place: int) -> DrawnSeries:
    series, last = chart.series[place], max(1, len(chart.places) - 1)
    points = [
        (_SIZE * i / last, value, f"{chart.axis} {name}: {series.name} {_said(value, chart)}")
        for i, (name, value) in enumerate(zip(chart.places, series.values, strict=True))
    ]
    lines, bands, dots = [], [], []
    for is_known, run in groupby(points, key=lambda point: point[1] is not None):
        if not is_known:
            continue
        known = [(x, value, tip) for x, value, tip in run if value is not None]
        lines.append(_path([(x, value.value) for x, value, _ in known], chart))
        dots += [(x, _SIZE - _share(value.value, chart), tip) for x, value, tip in known]
        lows = [(x, value.low) for x, value, _ in known if value.low is not None]
        highs = [(x, value.high) for x, value, _ in known if value.high is not None]
        if len(lows) == len(highs) == len(known):
            bands.append(_path([*highs, *reversed(lows)], chart))
    return DrawnSeries(series.name, place % _STYLES, tuple(lines), tuple(bands), tuple(dots))


def _path(points: list[tuple[float, float]], chart: StudyChart) -> str:
    return " ".join(f"{x:.2f},{_SIZE - _share(y, chart):.2f}" for x, y in points)


def _bars(chart: StudyChart) -> tuple[DrawnBar, ...]:
    zero, bars = _share(0.0, chart), []
    for i, name in enumerate(chart.places):
        for style, series in enumerate(chart.series):
            value = series.values[i]
            at = zero if value is None else _share(value.value, chart)
            ends = (None, None) if value is None else (value.low, value.high)
            low, high = (None if end is None else _share(end, chart) for end in ends)
            bars.append(
                DrawnBar(
                    name,
                    series.name if len(chart.series) > 1 else "",
                    style % _STYLES,
                    min(zero, at),
                    abs(at - zero),
                    low,
                    high,
                    _said(value, chart),
                )
            )
    return tuple(bars)

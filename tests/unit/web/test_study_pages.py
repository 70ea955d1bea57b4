"""The report of a study as a page."""

from __future__ import annotations

import re

import pytest
from study_reports import study_report

from autointerp.web.study_charts import DrawnChart
from autointerp.web.study_pages import study_page


def test_the_page_needs_no_other_file_and_no_script() -> None:
    page = study_page(study_report())
    assert not re.findall(r"""(?:src|href)=["'](?!#)""", page)
    assert "<script" not in page
    assert "&lt;/style&gt;&lt;script&gt;" in page
    assert "\x1b" not in page
    assert page.count("<style>") == 1


def test_the_page_has_every_sentence_every_number_and_how_it_was_made() -> None:
    page = re.sub(r"<[^>]+>", " ", study_page(study_report()))
    said = " ".join(page.split())
    for text in (
        "Scores rise with depth.",
        "1,011 1.10 [1.00, 1.20]",
        "Nothing was left out.",
        "seed 3",
    ):
        assert text in said
    assert "limit" not in said


def test_lines_break_where_there_is_no_value_and_bars_begin_at_zero() -> None:
    lines, bars = map(DrawnChart.of, study_report().charts)
    rising = lines.series[0]
    assert [line.count(",") for line in rising.lines] == [4, 7]
    assert len(rising.dots) == 11
    assert not lines.series[1].bands
    assert lines.said.startswith("Score by layer, by layer: label 0.00")
    left, right = bars.bars
    assert left.x + left.width == pytest.approx(right.x) == pytest.approx(bars.zero)
    assert right.x + right.width == pytest.approx(100)

"""The value that every study fills."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from study_reports import study_report

from autointerp.core.errors import AutointerpError, DamagedError, InputError
from autointerp.core.study_report import (
    Column,
    Series,
    StudyChart,
    StudyReport,
    StudyTable,
    StudyValue,
    written,
)


def test_a_report_is_read_back_as_it_was_written() -> None:
    report = study_report()
    text = json.dumps(report.to_json(), allow_nan=False)
    assert StudyReport.from_json(text, where="study.json") == report


@pytest.mark.parametrize("text", ["[]", "{", "{}", '{"schema_version": 1, "kind": 3}'])
def test_what_is_no_report_is_refused_by_the_name_of_its_file(text: str) -> None:
    with pytest.raises(DamagedError, match=r"study\.json does not hold a study"):
        StudyReport.from_json(text, where="study.json")


def test_a_report_of_a_newer_version_asks_for_an_upgrade() -> None:
    text = json.dumps({**study_report().to_json(), "schema_version": 99})
    with pytest.raises(InputError, match="newer autointerp"):
        StudyReport.from_json(text, where="study.json")


def test_values_are_written_by_their_form() -> None:
    assert written(None, "number") == "–"
    assert written("5:131", "number") == "5:131"
    assert written(46_080, "count") == "46,080"
    assert written(-0.001, "number") == "0.00"
    assert written(0.25, "signed") == "+0.25"
    assert written(0.0123, "share") == "1.2 %"
    assert written(StudyValue(0.42, 0.3, 0.5), "share") == "42 % [30, 50]"
    assert written(StudyValue(0.42, 0.3, 0.5), "number", with_interval=False) == "0.42"


def test_parts_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(AutointerpError, match="1 columns and a row of 2"):
        StudyTable("t", (Column("a"),), ((1, 2),))
    with pytest.raises(AutointerpError, match="2 places and 'a' 1 values"):
        StudyChart("c", "lines", "layer", ("0", "1"), (Series("a", (None,)),))
    with pytest.raises(AutointerpError, match="not finite"):
        StudyValue(math.nan)


def test_a_chart_spans_its_intervals_and_zero() -> None:
    chart = study_report().charts[1]
    assert chart.span == (-0.3, 0.4)
    assert replace(chart, series=(Series("none", (None, None)),)).span == (0.0, 1.0)

"""One document is left out at a time: sums, variance and its degrees of freedom."""

from __future__ import annotations

import numpy as np
import pytest

from autointerp.statistics.left_out_documents import (
    left_out_df,
    left_out_variance,
    sums_of_documents,
    without_each,
)


def test_rows_of_a_document_are_added_up_and_documents_stand_by_name() -> None:
    rows = [[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]]
    sums = sums_of_documents(rows, ["b", "a", "b"])
    assert sums.tolist() == [[10.0, 20.0], [101.0, 202.0]]
    assert without_each(sums).tolist() == [[101.0, 202.0], [10.0, 20.0]]


def test_the_variance_of_a_mean_is_that_of_the_textbook() -> None:
    values = np.random.default_rng(0).normal(size=(20, 3))
    means = without_each(values) / 19
    assert left_out_variance(means) == pytest.approx(values.var(axis=0, ddof=1) / 20)


def test_few_documents_that_make_the_variance_leave_few_degrees_of_freedom() -> None:
    alike = np.array([1.0, -1.0] * 10)
    assert left_out_df(alike) == 19
    assert left_out_df(np.zeros(20)) == 19
    alone = np.zeros(20)
    alone[3] = 1.0
    assert left_out_df(alone) == pytest.approx(2.35, abs=0.01)

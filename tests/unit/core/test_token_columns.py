"""Numbers of every vocabulary token that share their tokens."""

from array import array

import pytest

from autointerp.core.records import TokenColumn, TokenMeans, TokenRows

ROWS = TokenRows([3, 7, 40])
MEANS = TokenColumn(ROWS, array("d", [0.5, 2.0, 1.5]))
COUNTS = TokenColumn(ROWS, array("q", [4, 1, 9]))


def test_a_column_is_a_mapping_in_the_order_of_its_rows():
    assert dict(MEANS) == {3: 0.5, 7: 2.0, 40: 1.5}
    assert list(MEANS.values()) == [0.5, 2.0, 1.5]
    assert MEANS.get(8) is None
    with pytest.raises(KeyError):
        MEANS[8]


def test_a_table_of_columns_predicts_and_compares_as_one_of_dicts():
    columns = TokenMeans(MEANS, COUNTS, 0.25)
    plain = TokenMeans(dict(MEANS), dict(COUNTS), 0.25)
    assert columns.predict((7, 8, 3)) == plain.predict((7, 8, 3)) == (2.0, 0.25, 0.5)
    assert columns == plain


def test_columns_of_a_table_of_dicts_are_in_the_order_of_its_means():
    plain = TokenMeans({7: 2.0, 3: 0.5}, {3: 4, 7: 1}, 0.25)
    assert [list(column) for column in plain.columns()] == [[7, 3], [2.0, 0.5], [1, 4]]


def test_columns_of_the_same_rows_are_given_back_as_they_are():
    ids, means, counts = TokenMeans(MEANS, COUNTS, 0.25).columns()
    assert (ids, means, counts) == (ROWS.ids, MEANS.numbers, COUNTS.numbers)
    assert means is MEANS.numbers

"""Sets of regular expressions that may mean something else one day are refused."""

from __future__ import annotations

import re
import sys
import warnings

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autointerp.core.errors import InputError
from autointerp.programs.safe_regex import compile_safely


def python_warns(source: str) -> bool:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        re.compile(source)
    return any(issubclass(one.category, FutureWarning) for one in told)


@given(st.text(alphabet="[]^-&~|a9\\ ", max_size=12))
@example("[[a]")
@example("[^[a]")
@example("[a--b]")
@example("[--a]")
@example("[a&&b]")
@example("[]||]")
@example("[\\[&&]")
@example("a||b")
@example("[a-]--")
@example("[^]--]")
def test_they_are_those_of_which_python_warns(source: str) -> None:
    re.purge()
    try:
        warned = python_warns(source)
    except re.error:
        return
    try:
        compile_safely(source, n_chars=100)
        refused = False
    except InputError as error:
        refused = "ambiguous" in str(error)
    assert refused == warned


@pytest.mark.parametrize(
    ("source", "words"), [("[a&&b]", "&& within a set"), ("[a--b]", "-- within"), ("[[a]", "[[")]
)
def test_what_is_wrong_is_told(source: str, words: str) -> None:
    message = f"/{source}/ is not a regular expression: .*{re.escape(words)}"
    with pytest.raises(InputError, match=message.replace(source, re.escape(source))):
        compile_safely(source, n_chars=100)


def test_no_thread_meets_other_rules_for_warnings_meanwhile() -> None:
    usual, seen = list(warnings.filters), set[bool]()
    before = sys.getprofile()
    sys.setprofile(lambda *_: seen.add(list(warnings.filters) == usual))
    try:
        compile_safely("a[b-d]+", n_chars=100)
    finally:
        sys.setprofile(before)
    assert seen == {True}

"""Each case that others met is a row or a test of ours, with two others of its kind."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import endpoint_cases
import pytest
import reply_dresses
from shared_cases import ENDPOINTS, SUBJECTS, SharedCase

ROOT = Path(__file__).parents[2]
ALL = (*ENDPOINTS, *SUBJECTS)


@cache
def functions(path: str) -> frozenset[str]:
    """The names of the tests in a file."""
    tree = ast.parse((ROOT / "tests" / path).read_text("utf-8"))
    return frozenset(one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef))


@cache
def rows(table: str) -> frozenset[str]:
    """The names of the rows of a table."""
    module = reply_dresses if table == "DRESSES" else endpoint_cases
    found = getattr(module, table)
    return frozenset(found if isinstance(found, dict) else (one.name for one in found))


def exists(reference: str) -> bool:
    path, _, function = reference.partition("::")
    if function:
        return function in functions(path)
    table, _, row = reference.partition("/")
    return row in rows(table)


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_what_shows_a_case_exists_and_two_others_of_its_kind_do(case: SharedCase) -> None:
    assert [one for one in (case.shown, *case.variants) if not exists(one)] == []
    assert len({*case.variants} - {case.shown}) >= 2


def test_each_case_is_named_once() -> None:
    assert len({case.name for case in ENDPOINTS}) == len(ENDPOINTS) == 41
    assert len({case.name for case in SUBJECTS}) == len(SUBJECTS) == 17


def test_the_page_counts_the_cases_and_variants_of_each_kind() -> None:
    page = (ROOT / "benchmarks" / "README.md").read_text("utf-8")
    n_cases: dict[str, int] = defaultdict(int)
    variants: dict[str, set[str]] = defaultdict(set)
    for case in ALL:
        n_cases[case.kind] += 1
        variants[case.kind] |= {*case.variants}
    told = {
        kind: (int(cases), int(others))
        for kind, cases, others in re.findall(r"^\| ([^|]+) \| (\d+) \| (\d+) \|", page, re.M)
        if kind in n_cases
    }
    assert told == {kind: (n, len(variants[kind])) for kind, n in n_cases.items()}

"""Results that are kept by what they were made from."""

from __future__ import annotations

import gc
import weakref
from typing import Any, cast

import pytest

from autointerp.core.identity_cache import cached_by_identity


class Large:
    """Something that is compared by identity."""


def test_a_result_is_made_once_for_the_same_arguments() -> None:
    made: list[int] = []

    @cached_by_identity(2)
    def counted(one: Large, n: int) -> int:
        made.append(n)
        return n

    one = Large()
    assert [counted(one, 1), counted(one, 1), counted(one, 2), counted(Large(), 1)] == [1, 1, 2, 1]
    assert made == [1, 2, 1]


def test_what_was_made_elsewhere_is_given_back_and_not_made() -> None:
    @cached_by_identity(2)
    def never(one: Large, n: int) -> str:
        raise AssertionError(f"made of {one} and {n}")

    one = Large()
    never.keep("kept", one, 1)
    assert (never(one, 1), never.known(one, 1), never.known(one, 2)) == ("kept", "kept", None)


def test_only_the_last_arguments_are_kept_alive() -> None:
    @cached_by_identity(2)
    def same(one: Large) -> int:
        return id(one)

    alive = [weakref.ref(one) for one in [Large() for _ in range(5)] if same(one)]
    gc.collect()
    assert sum(ref() is not None for ref in alive) <= 2


def test_arguments_are_given_by_place_as_names_are_not_told_apart() -> None:
    @cached_by_identity(2)
    def difference(a: int, b: int) -> int:
        return a - b

    with pytest.raises(TypeError):
        cast(Any, difference)(b=1, a=2)

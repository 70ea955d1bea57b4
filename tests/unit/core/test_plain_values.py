from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest

from autointerp.core import later_fields
from autointerp.core.plain_values import PlainValueError, read_plain, to_plain


class _Kind(StrEnum):
    ONE = "one"
    TWO = "two"


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    count: int
    share: float = 0.5
    given: Annotated[tuple[int, ...], later_fields.LATER] = ()


@dataclass(frozen=True, slots=True)
class _Whole:
    kind: _Kind
    parts: tuple[_Part, ...]
    pair: tuple[str, int]
    flags: dict[str, bool]
    score: float | None
    version: Literal[1]
    others: Any = None


def whole(**changes: Any) -> dict[str, Any]:
    part = {"name": "a", "count": 3, "share": 0.25}
    plain = {"kind": "two", "parts": [part], "pair": ["x", 1], "flags": {"on": True}}
    return plain | {"score": None, "version": 1, "others": None} | changes


def test_a_value_comes_back_equal_and_is_written_as_it_was() -> None:
    value = read_plain(_Whole, whole())
    assert value == _Whole(
        _Kind.TWO, (_Part("a", 3, 0.25),), ("x", 1), {"on": True}, score=None, version=1
    )
    assert to_plain(_Whole, value) == whole()


def test_whole_numbers_are_read_as_numbers_and_fields_with_a_default_may_be_missing() -> None:
    value = read_plain(_Part, {"name": "a", "count": 1, "share": 2})
    assert (value.share, type(value.share), value.given) == (2.0, float, ())
    assert read_plain(_Part, {"name": "a", "count": 1}).share == 0.5


def test_a_field_that_came_later_is_written_where_it_holds_something() -> None:
    assert "given" not in to_plain(_Part, _Part("a", 1))
    assert to_plain(_Part, _Part("a", 1, given=(2,)))["given"] == [2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "three"}, "kind: Input should be 'one', 'two'"),
        ({"version": True}, "version: Input should be 1"),
        ({"version": 1.0}, "version: Input should be 1"),
        ({"kind": []}, "kind: Input should be 'one', 'two'"),
        ({"score": math.nan}, "score: Input should be a finite number"),
        ({"score": 10**400}, "score: Input should be a finite number"),
        ({"score": True}, "score: Input should be a valid number"),
        ({"score": "1"}, "score: Input should be a valid number"),
        ({"pair": ["x"]}, "pair: Input should be 2 values"),
        ({"pair": ["x", True]}, "pair.1: Input should be a valid integer"),
        ({"flags": {"on": 1}}, "flags.on: Input should be a valid boolean"),
        ({"flags": []}, "flags: Input should be an object"),
        ({"parts": {}}, "parts: Input should be a valid array"),
        ({"parts": [whole()["parts"][0], {"name": 1}]}, "parts.1.name: Input should be a valid st"),
        ({"parts": [{"name": "a"}]}, "parts.0.count: Field required"),
        ({"parts": [{"name": "a", "count": 1.0}]}, "parts.0.count: Input should be a valid int"),
        ({"parts": [None]}, "parts.0: Input should be an object"),
        ({"more\n": 1}, r"more\n: Unexpected keyword argument"),
    ],
)
def test_another_value_is_refused_with_its_place(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PlainValueError) as caught:
        read_plain(_Whole, whole(**changes))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (_Part(b"bytes", 1), "name"),  # type: ignore[arg-type]
        (_Part("a", True), "count"),
        (_Part("a", 1, "0.5"), "share"),  # type: ignore[arg-type]
        (_Part("a", 1, given=("x",)), "given.0"),  # type: ignore[arg-type]
        (_Part("a", 1, given=[1]), "given"),  # type: ignore[arg-type]
    ],
)
def test_a_field_of_another_type_is_not_written(value: _Part, place: str) -> None:
    with pytest.raises(PlainValueError, match=f"^{place}: Input should be"):
        to_plain(_Part, value)


def test_another_dataclass_or_enum_is_not_written() -> None:
    with pytest.raises(PlainValueError, match="Input should be a _Part"):
        to_plain(_Part, "a part")  # type: ignore[arg-type]
    with pytest.raises(PlainValueError, match="Input should be 'one', 'two'"):
        to_plain(_Kind, "one")  # type: ignore[arg-type]

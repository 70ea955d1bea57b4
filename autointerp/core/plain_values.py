"""Frozen dataclasses as the plain values that JSON has, and back; nothing is guessed at.

This is what a label is read by. It needs the standard library alone, so that a process which reads
one label is there before pydantic would have been imported.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping, Set
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin
from typing import get_type_hints as hints_of

from autointerp.core.errors import field_name

T = TypeVar("T")
_LATER = object()


class _LaterNames:
    """Stands for `later_fields`, whose own value is pydantic's."""

    LATER = _LATER


class PlainValueError(ValueError):
    """What is wrong with a value, and where in it."""

    def __init__(self, problem: str, *place: str | int) -> None:
        super().__init__(problem, place)
        self.problem, self.place = problem, place

    def __str__(self) -> str:
        name = field_name(self.place)
        return f"{name}: {self.problem}" if name else self.problem

    def within(self, part: str | int) -> PlainValueError:
        """The same, as a part of a larger value."""
        return PlainValueError(self.problem, part, *self.place)


class _PlainForm(NamedTuple):
    read: Callable[[Any], Any]
    write: Callable[[Any], Any]


def read_plain(kind: type[T], value: object) -> T:
    """The dataclass, or other value of that type, that was written as a plain value.

    Raises:
        PlainValueError: a value has another type, is not finite, is missing or is unknown.
    """
    form: _PlainForm = _form(kind)  # type: ignore[arg-type]
    read: T = form.read(value)
    return read


def to_plain(kind: type[T], value: T) -> Any:
    """What `read_plain` reads; fields that came later are left out where they hold nothing.

    Raises:
        PlainValueError: a value has another type than its field.
    """
    form: _PlainForm = _form(kind)  # type: ignore[arg-type]
    return form.write(value)


@cache
def _form(kind: Any) -> _PlainForm:
    made = _OF_ORIGINS.get(get_origin(kind))
    if made is not None:
        return made(*get_args(kind))
    if is_dataclass(kind):
        return _dataclass(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _one_of({one.value: one for one in kind}, write=lambda one: one.value)
    return _SCALARS[kind]


def _refused(what: str) -> PlainValueError:
    return PlainValueError(f"Input should be {what}")


def _scalar(kind: type, name: str) -> _PlainForm:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise _refused(name)
        return value

    def write(value: Any) -> Any:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise _refused(name)
        return value

    return _PlainForm(read, write)


def _number() -> _PlainForm:
    def read(value: Any) -> float:
        if type(value) is not float:
            if type(value) is not int:
                raise _refused("a valid number")
            value = _as_float(value)
        if not math.isfinite(value):
            raise _refused("a finite number")
        return value  # type: ignore[no-any-return]

    def write(value: Any) -> Any:
        if not isinstance(value, float | int) or isinstance(value, bool):
            raise _refused("a valid number")
        return value

    return _PlainForm(read, write)


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


_SCALARS: dict[Any, _PlainForm] = {
    str: _scalar(str, "a valid string"),
    int: _scalar(int, "a valid integer"),
    bool: _scalar(bool, "a valid boolean"),
    float: _number(),
    Any: _PlainForm(lambda value: value, lambda value: value),
}


def _one_of(known: dict[Any, Any], *, write: Callable[[Any], Any]) -> _PlainForm:
    names = ", ".join(map(repr, known))

    def read(value: Any) -> Any:
        # True is 1, and so is 1.0.
        if type(value) not in {str, int} or value not in known:
            raise _refused(names)
        return known[value]

    def write_one(value: Any) -> Any:
        if not any(value is one or (type(value), value) == (type(one), one) for one in kept):
            raise _refused(names)
        return write(value)

    kept = tuple(known.values())
    return _PlainForm(read, write_one)


def _optional(*parts: Any) -> _PlainForm:
    others = [part for part in parts if part is not type(None)]
    if len(others) != 1 or len(parts) != 2:
        raise TypeError(f"a field may be of one type or None, found {parts}")
    form = _form(others[0])
    return _PlainForm(
        lambda value: None if value is None else form.read(value),
        lambda value: None if value is None else form.write(value),
    )


def _each(call: Callable[[Any], Any], values: Any) -> list[Any]:
    """What the call gives for each value; errors name the place."""
    try:
        return list(map(call, values))
    except PlainValueError:
        pass
    made: list[Any] = []
    for value in values:
        try:
            made.append(call(value))
        except PlainValueError as error:
            raise error.within(len(made)) from None
    return made


def _tuple(*parts: Any) -> _PlainForm:
    return _many(_form(parts[0])) if parts[1:] == (...,) else _some(tuple(map(_form, parts)))


def _many(form: _PlainForm) -> _PlainForm:
    def read(value: Any) -> tuple[Any, ...]:
        if type(value) is not list:
            raise _refused("a valid array")
        return tuple(_each(form.read, value))

    def write(value: Any) -> list[Any]:
        if not isinstance(value, tuple):
            raise _refused("a valid tuple")
        return _each(form.write, value)

    return _PlainForm(read, write)


def _some(forms: tuple[_PlainForm, ...]) -> _PlainForm:
    def checked(value: Any, kind: Any) -> Any:
        if not isinstance(value, kind) or len(value) != len(forms):
            raise _refused(f"{len(forms)} values")
        return zip(forms, value, strict=True)

    return _PlainForm(
        lambda value: tuple(_each(lambda pair: pair[0].read(pair[1]), list(checked(value, list)))),
        lambda value: _each(lambda pair: pair[0].write(pair[1]), list(checked(value, tuple))),
    )


def _mapping(_: Any, kind: Any) -> _PlainForm:
    form = _form(kind)

    def each(call: Callable[[Any], Any], value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
            raise _refused("an object")
        return {name: _within(name, call, part) for name, part in value.items()}

    return _PlainForm(lambda value: each(form.read, value), lambda value: each(form.write, value))


def _within(name: str, call: Callable[[Any], Any], value: Any) -> Any:
    try:
        return call(value)
    except PlainValueError as error:
        raise error.within(name) from None


def _dataclass(kind: Any) -> _PlainForm:
    hints = hints_of(kind, localns={"later_fields": _LaterNames}, include_extras=True)
    forms = {field.name: _form(hints[field.name]) for field in fields(kind)}
    later = frozenset(name for name in forms if _LATER in get_args(hints[name]))
    defaults = {f.name: (f.default, f.default_factory) for f in fields(kind)}
    required = [name for name, found in defaults.items() if found == (MISSING, MISSING)]

    def read(value: Any) -> Any:
        if type(value) is not dict:
            raise _refused("an object")
        given = {}
        for name, part in value.items():
            if name not in forms:
                raise PlainValueError("Unexpected keyword argument", name)
            try:
                given[name] = forms[name].read(part)
            except PlainValueError as error:
                raise error.within(name) from None
        for name in required:
            if name not in given:
                raise PlainValueError("Field required", name)
        return kind(**given)

    return _PlainForm(read, _writer(kind, forms, later))


def _writer(
    kind: Any, forms: Mapping[str, _PlainForm], later: Set[str]
) -> Callable[[Any], dict[str, Any]]:
    parts = [(name, form.write, name in later) for name, form in forms.items()]

    def write(value: Any) -> dict[str, Any]:
        if not isinstance(value, kind):
            raise _refused(f"a {kind.__name__}")
        written = {}
        for name, write_part, is_later in parts:
            part = getattr(value, name)
            if part or not is_later:
                try:
                    written[name] = write_part(part)
                except PlainValueError as error:
                    raise error.within(name) from None
        return written

    return write


_OF_ORIGINS: dict[Any, Callable[..., _PlainForm]] = {
    Annotated: lambda kind, *_: _form(kind),
    Union: _optional,
    types.UnionType: _optional,
    tuple: _tuple,
    dict: _mapping,
    Literal: lambda *values: _one_of({v: v for v in values}, write=lambda value: value),
}

"""Versioned JSON of stored values: equal values are equal bytes, which decode to an equal value.

A stored value is ``{"schema": 1, "kind": "label", "value": {...}}`` in UTF-8 with a newline at
its end. A value of an older schema is migrated, one schema at a time, by the functions that its
codec lists; the next write stores it in the newest. Unknown keys and numbers that are not finite
are refused. A lone surrogate, which UTF-8 cannot hold, is written as U+FFFD, as tokenizers show a
part of a character.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from autointerp.core.errors import AutointerpError, DamagedError, InputError, newer_version
from autointerp.core.explanations import (
    Label,
)
from autointerp.core.files import REMAKE, gunzip, read_file
from autointerp.core.json_text import parse_json
from autointerp.core.plain_values import PlainValueError, read_plain, to_plain
from autointerp.core.records import UnitSets

SCHEMA = 1
_SURROGATE = re.compile("[\ud800-\udfff]")

T = TypeVar("T")
Migration = Callable[[dict[str, Any]], dict[str, Any]]
"""Turns a plain value of one schema into one of the next."""


@dataclass(frozen=True, slots=True)
class _Envelope:
    schema: Literal[1]
    kind: str
    value: Any


class Codec(Generic[T]):
    """Writes and reads one kind of stored value."""

    def __init__(
        self,
        kind: str,
        type_: type[T],
        migrations: Mapping[int, Migration] | None = None,
        *,
        fault: Callable[[T, str], AutointerpError | None] = lambda *_: None,
    ) -> None:
        """Of values of a type; a fault of one of that type is why it cannot be used, if so.

        It is told where the value is stored.
        """
        self.kind, self._type, self._fault = kind, type_, fault
        self._migrations = migrations or {}

    def encode(self, value: T) -> bytes:
        """The value's bytes.

        Raises:
            AutointerpError: a number in it is not finite, or a field has another type.
        """
        try:
            plain = to_plain(self._type, value)
            return plain_json({"schema": SCHEMA, "kind": self.kind, "value": plain})
        except ValueError as error:
            raise AutointerpError(f"this {self.kind} cannot be stored: {error}") from error

    def decode(self, data: bytes, *, where: str, advice: str = REMAKE) -> T:
        """The value that `encode` wrote.

        Messages name where the bytes came from, a file or key, and what to do where they are
        damaged.

        Raises:
            InputError: a newer autointerp wrote them.
            DamagedError: they are damaged or of another kind.
        """
        try:
            value = self._read(data)
        except ValueError as error:
            _refuse_newer(data, where)
            migrated = self._migrated(data)
            if migrated is not None:
                return self.decode(migrated, where=where, advice=advice)
            raise _damaged(where, str(error), advice) from error
        except AutointerpError as error:
            raise _damaged(where, str(error), advice) from error
        fault = self._fault(value, where)
        if isinstance(fault, DamagedError):
            raise DamagedError(f"{fault}; {advice}")
        if fault is not None:
            raise fault
        return value

    def _read(self, data: bytes) -> T:
        envelope = read_plain(_Envelope, stored_json(data))
        if envelope.kind != self.kind:
            raise ValueError(f"it holds a {envelope.kind}, not a {self.kind}")
        try:
            return read_plain(self._type, envelope.value)
        except PlainValueError as error:
            raise error.within("value") from error

    def read(self, path: Path, *, advice: str = REMAKE) -> T | None:
        """The value in a file, which is compressed if its name ends in ``.gz``; None without one.

        Raises:
            InputError: a newer autointerp wrote it.
            DamagedError: it is damaged or of another kind.
            StorageError: it cannot be read.
        """
        data = read_file(path)
        if data is None:
            return None
        if path.suffix == ".gz":
            data = gunzip(data, where=str(path), advice=advice)
        return self.decode(data, where=str(path), advice=advice)

    def _migrated(self, data: bytes) -> bytes | None:
        """Data of an older schema, written in this one; None for any other data."""
        stored = _object(data)
        schema, value = stored.get("schema"), stored.get("value")
        if not isinstance(value, dict) or not isinstance(schema, int) or not 0 <= schema < SCHEMA:
            return None
        for step in range(schema, SCHEMA):
            if step not in self._migrations:
                return None
            value = self._migrations[step](value)
        return plain_json({**stored, "schema": SCHEMA, "value": value})


def stored_json(data: bytes) -> Any:
    """What JSON in UTF-8 says.

    Raises:
        ValueError: it is no such JSON.
    """
    text = data.decode()
    result = parse_json(text)
    if "\\u" in text:
        # An escape may be half of a character, which nobody could show or write again.
        json.dumps(result, ensure_ascii=False).encode()
    return result


def plain_json(value: object) -> bytes:
    """One line of JSON in UTF-8 with a newline; keys keep their order.

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
    return without_surrogates(text).encode()


def without_surrogates(text: str) -> str:
    """The text with U+FFFD for lone surrogates, which UTF-8 cannot hold."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _refuse_newer(data: bytes, where: str) -> None:
    schema = _object(data).get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise newer_version(where, schema, SCHEMA)


def _object(data: bytes) -> dict[str, Any]:
    """The JSON object, or an empty one where the bytes are something else."""
    try:
        stored = parse_json(data)
    except ValueError:
        return {}
    return stored if isinstance(stored, dict) else {}


def _damaged(where: str, detail: str, advice: str) -> DamagedError:
    return DamagedError(f"{where} is damaged: {detail}; {advice}")


def _unreadable_rules(label: Label, where: str) -> AutointerpError | None:
    """Which program of a label cannot be used, and why: it came later, or was changed."""
    scored = [one.explanation for one in (label.llm, label.rules) if one is not None]
    tried = [candidate.explanation for candidate in label.candidates]
    given = [label.explanation] if label.explanation is not None else []
    for explanation in dict.fromkeys([*given, *scored, *tried]):
        sources = {f"sense {n}": s.program for n, s in enumerate(explanation.senses, 1)}
        for name, source in {"its explanation": explanation.program, **sources}.items():
            if source is not None and (fault := _why_unusable(source, name, where)):
                return fault
    return None


def _why_unusable(source: str, name: str, where: str) -> AutointerpError | None:
    # Few labels have one.
    from autointerp.programs.language import parse_program  # noqa: PLC0415

    try:
        level = parse_program(source).level
    except InputError as error:
        # It was read when it was written, and the rest of the label is whole.
        return InputError(
            f"{where} was written by a newer autointerp (the program of {name} is in a language "
            f"that this one cannot read, {error}); upgrade autointerp to read it"
        )
    if level or not name.startswith("sense"):
        return None
    return DamagedError(f"{where} is damaged: the program of {name} predicts level 0 everywhere")


LABELS = Codec("label", Label, fault=_unreadable_rules)
SETS = Codec("sets", UnitSets)

"""A blinded study in a folder: items, the key apart from them, and verdicts as they come.

Items and verdicts are lines of JSON. A verdict is one line that is appended and synced, so that a
judge who stops, or is killed, goes on behind the last whole line.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from autointerp.core.blind_study import ItemKey, ItemVerdict, StudyItem
from autointerp.core.errors import DamagedError, InputError, first_problem
from autointerp.core.files import read_file, storage_errors, write_atomic

ITEMS, KEY, VERDICTS = "items.jsonl", "key.json", "verdicts.jsonl"
_OTHER = "begin again with another --out"
T = TypeVar("T")

_ITEM, _VERDICT = TypeAdapter(StudyItem), TypeAdapter(ItemVerdict)
_KEYS = TypeAdapter(tuple[ItemKey, ...])


@dataclass(frozen=True, slots=True)
class _TakenBack:
    """A judge's last word on an item: none."""

    judge: str
    item: str


_BACK = TypeAdapter(dict[str, _TakenBack])


class BlindFolder:
    """The three files of a blinded study."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def has_items(self) -> bool:
        """Whether the items were made: they are written behind the key."""
        return (self.folder / ITEMS).is_file()

    def put_items(self, items: Sequence[StudyItem], keys: Sequence[ItemKey]) -> None:
        """Writes the key, then the items.

        Raises:
            StorageError: the disk refuses.
        """
        with storage_errors(self.folder, verb="make"):
            self.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self.folder / KEY, _KEYS.dump_json(tuple(keys), indent=1) + b"\n")
        lines = (_ITEM.dump_json(item) + b"\n" for item in items)
        write_atomic(self.folder / ITEMS, b"".join(lines))

    def items(self) -> tuple[StudyItem, ...]:
        """In the order in which judges see them.

        Raises:
            InputError: there are none.
            DamagedError: the file cannot be read.
        """
        path = self.folder / ITEMS
        data = read_file(path)
        if data is None:
            raise InputError(f"{self.folder} has no {ITEMS}; it does not hold a blinded study")
        return tuple(_read(_ITEM, line, path) for line in data.splitlines())

    def keys(self) -> dict[str, ItemKey]:
        """What each item is of.

        Raises:
            DamagedError: the file is missing, cannot be read, or is of other items.
        """
        path = self.folder / KEY
        data = read_file(path)
        if data is None:
            raise DamagedError(f"{path} is missing, without which nothing can be told; {_OTHER}")
        keys = {key.id: key for key in _read(_KEYS, data, path)}
        if keys.keys() != {item.id for item in self.items()}:
            raise DamagedError(f"{path} is not the key of the items beside it; {_OTHER}")
        return keys

    def verdicts(self, judge: str | None = None) -> tuple[ItemVerdict, ...]:
        """The last verdict of each judge on each item, in the order in which they came.

        A last line that was cut off, where a judge was killed, is passed over.

        Raises:
            DamagedError: another line cannot be read.
        """
        path = self.folder / VERDICTS
        lines = (read_file(path) or b"").split(b"\n")
        if lines[-1]:
            lines[-1] = b""  # It was never whole: its end was not written.
        found: dict[tuple[str, str], ItemVerdict] = {}
        for line in filter(None, lines):
            if line.startswith(b'{"taken_back"'):
                back = _read(_BACK, line, path)["taken_back"]
                found.pop((back.judge, back.item), None)
                continue
            one = _read(_VERDICT, line, path)
            found.pop((one.judge, one.item), None)
            found[one.judge, one.item] = one
        known = {item.id for item in self.items()}
        own = [v for v in found.values() if judge in {None, v.judge}]
        return tuple(verdict for verdict in own if verdict.item in known)

    def add(self, verdict: ItemVerdict) -> None:
        """Appends a verdict, which is on the disk when this returns.

        Raises:
            StorageError: the disk refuses.
        """
        self._append(_VERDICT.dump_json(verdict))

    def take_back(self, judge: str, item: str) -> None:
        """Notes that a judge takes back what was said of an item.

        Raises:
            StorageError: the disk refuses.
        """
        self._append(_BACK.dump_json({"taken_back": _TakenBack(judge, item)}))

    def _append(self, line: bytes) -> None:
        path = self.folder / VERDICTS
        with storage_errors(path), path.open("ab+") as file:
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
                # What was cut off stays a line of its own, which nobody reads as a verdict.
                if file.read(1) != b"\n":
                    _drop_torn(file)
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _drop_torn(file: Any) -> None:
    file.seek(0)
    whole = file.read().rfind(b"\n") + 1
    file.truncate(whole)


def _read(adapter: TypeAdapter[T], data: bytes, path: Path) -> T:
    try:
        return adapter.validate_json(data)
    except ValidationError as error:
        problem = first_problem(error, whole="a line")
        raise DamagedError(f"{path} cannot be read: {problem}; {_OTHER}") from error

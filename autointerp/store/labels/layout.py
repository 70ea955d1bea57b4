"""The paths of the sides of units below a folder, and the order in which they are read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from autointerp.core.errors import InputError
from autointerp.core.ids import HookPoint, Side, UnitId

_NAME = re.compile(r"(\d{7,})\.(positive|negative)")
_SIDES = tuple(Side)
_PLACES = {side.value: place for place, side in enumerate(_SIDES)}

SideKey = tuple[str, int, Side]
"""A side of one subject model: hook point, index, side."""


def reading_order(unit: UnitId, side: Side) -> tuple[int, str, int, int]:
    """Sorts by layer, hook point, index, and the positive side before the negative one."""
    return _layer(unit.hook), unit.hook, unit.index, _SIDES.index(side)


def unit_path(unit: UnitId, side: Side, suffix: str) -> PurePosixPath:
    """``blocks.5.mlp.hook_post/0000131.positive`` and the suffix.

    Raises:
        InputError: the unit's hook point is invalid; so a name never leaves the folder.
    """
    return PurePosixPath(unit_name(unit, side) + suffix)


def unit_name(unit: UnitId, side: Side) -> str:
    """The path without a suffix as a string, which is made in less time."""
    return f"{HookPoint(unit.hook).name}/{unit.index:07d}.{side}"


def unit_paths(folder: Path, suffix: str) -> Iterator[Path]:
    """The files of a folder that `unit_path` named, in reading order; others are ignored."""
    below = ((folder / hook.name, names) for hook, names in _listed(folder, suffix))
    return (within / f"{name}{suffix}" for within, names in below for _, _, name in names)


def unit_sides(folder: Path, suffix: str) -> set[SideKey]:
    """The sides that those files are named after."""
    listed = _listed(folder, suffix)
    return {(hook.name, index, _SIDES[side]) for hook, names in listed for index, side, _ in names}


def side_of_path(path: str, suffix: str) -> SideKey | None:
    """The side that `unit_path` named a file after, ``HOOK/INDEX.SIDE`` and the suffix."""
    hook, _, name = path.rpartition("/")
    match = _NAME.fullmatch(name.removesuffix(suffix)) if name.endswith(suffix) else None
    return (hook, int(match[1]), _SIDES[_PLACES[match[2]]]) if match else None


def folder_name(model: str) -> str:
    """The model's name with everything but letters, digits, ``-``, ``_``, ``.`` as ``%XX``.

    Raises:
        InputError: the name is empty.
    """
    if not model:
        raise InputError("the name of a model must not be empty")
    name = quote(model, safe="")
    return f"%2E{name[1:]}" if name.startswith(".") else name


def _listed(folder: Path, suffix: str) -> list[tuple[HookPoint, list[tuple[int, int, str]]]]:
    """(index, place of the side, name without suffix) of a folder's files, a list a hook point."""
    listed = []
    for path in folder.iterdir() if folder.is_dir() else ():
        hook = _hook(path.name)
        if hook is not None and path.is_dir():
            listed.append((hook, sorted(_names(path, suffix))))
    return sorted(listed, key=lambda each: (each[0].layer, each[0].name))


@lru_cache(1024)
def _layer(hook: str) -> int:
    return HookPoint(hook).layer


def _names(folder: Path, suffix: str) -> Iterator[tuple[int, int, str]]:
    for file in os.listdir(folder):
        match = _NAME.fullmatch(file.removesuffix(suffix)) if file.endswith(suffix) else None
        if match:
            yield int(match[1]), _PLACES[match[2]], match[0]


def _hook(name: str) -> HookPoint | None:
    try:
        return HookPoint(name)
    except InputError:
        return None

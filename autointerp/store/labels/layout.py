"""The paths of the sides of units below a folder, and the order in which they are read."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from functools import lru_cache
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from autointerp.core.errors import InputError
from autointerp.core.ids import HookPoint, Side, UnitId

_NAME = re.compile(r"(\d{7,})\.(positive|negative)(?:\.[0-9a-f]{12})?")
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
    return PurePosixPath(HookPoint(unit.hook).name, f"{unit.index:07d}.{side}{suffix}")


def unit_sides(folder: Path, suffix: str) -> set[SideKey]:
    """The sides that the files of a folder are named after; others are ignored."""
    hooks = filter(is_hook, names_in(folder))
    paths = (f"{hook}/{name}" for hook in hooks for name in names_in(folder / hook))
    return {key for path in paths if (key := side_of_path(path, suffix)) is not None}


def side_of_path(path: str, suffix: str) -> SideKey | None:
    """The side that `unit_path` named a file after, ``HOOK/INDEX.SIDE`` and the suffix.

    The digest of an origin may stand before the suffix.
    """
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


@lru_cache(1024)
def _layer(hook: str) -> int:
    return HookPoint(hook).layer


def names_in(folder: Path) -> list[str]:
    """What a folder holds; nothing where there is no folder.

    Raises:
        OSError: there is one that cannot be listed.
    """
    # Path.is_dir also says no of some folders that cannot be looked into just now.
    with suppress(FileNotFoundError, NotADirectoryError):
        return os.listdir(folder)
    return []


def is_hook(name: str) -> bool:
    """Whether it is the name of a hook point."""
    try:
        return bool(HookPoint(name))
    except InputError:
        return False

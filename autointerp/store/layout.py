"""Where a side of a unit lies in a folder, and in which order sides are read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from autointerp.core.errors import InputError
from autointerp.core.ids import HookPoint, Side, UnitId

__all__ = ["reading_order", "unit_path", "unit_paths"]

_NAME = re.compile(r"(\d{7,})\.(positive|negative)")
_SIDES = tuple(Side)


def reading_order(unit: UnitId, side: Side) -> tuple[int, str, int, int]:
    """Sorts by layer, hook point, index, and the positive side before the negative one."""
    return unit.layer, unit.hook, unit.index, _SIDES.index(side)


def unit_path(unit: UnitId, side: Side, suffix: str) -> PurePosixPath:
    """``blocks.5.mlp.hook_post/0000131.positive`` and the suffix.

    Raises:
        InputError: the unit's hook point is none, so that a name never leaves the folder.
    """
    return PurePosixPath(HookPoint(unit.hook).name, f"{unit.index:07d}.{side}{suffix}")


def unit_paths(folder: Path, suffix: str) -> Iterator[Path]:
    """The files of a folder that `unit_path` named, in reading order; others are passed over."""
    found: list[tuple[tuple[int, str, int, int], Path]] = []
    for hook in folder.iterdir() if folder.is_dir() else ():
        if not hook.is_dir() or not _is_hook(hook.name):
            continue
        for path in hook.iterdir():
            match = _NAME.fullmatch(path.name.removesuffix(suffix))
            if match and path.name.endswith(suffix):
                unit = UnitId("", hook.name, int(match[1]))
                found.append((reading_order(unit, Side(match[2])), path))
    return (path for _, path in sorted(found))


def _is_hook(name: str) -> bool:
    try:
        HookPoint(name)
    except InputError:
        return False
    return True

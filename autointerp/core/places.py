"""What lies where a name points, whatever the name is."""

from __future__ import annotations

import os.path
from pathlib import Path


def place_at(name: str) -> Path | None:
    """The file or folder at a path; None where there is nothing that can be looked at.

    A name may be anything: longer than those of files are, or in a folder that is closed.
    """
    path = Path(os.path.expanduser(name))  # a home folder of nobody stays as it is
    return path if _is_there(path) else None


def holds(folder: Path, file: str) -> bool:
    """Whether a folder has such a file, and may be looked into."""
    return _is_there(folder / file) and (folder / file).is_file()


def is_folder(path: Path) -> bool:
    """Whether a path leads to a folder."""
    return _is_there(path) and path.is_dir()


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False

"""Folders that the library `datasets` wrote with ``save_to_disk``, read without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autointerp.core.errors import AutointerpError, InputError, field_name
from autointerp.core.files import read_file
from autointerp.core.json_text import parse_json
from autointerp.corpora.named_paths import NamedPath

_SPLITS, _STATE = "dataset_dict.json", "state.json"
_USUAL = "train"


@dataclass(frozen=True, slots=True)
class SavedRows:
    """The rows of one split."""

    files: tuple[Path, ...]
    """Arrow files, in the order of the rows."""
    split: str | None
    """None where the folder holds one data set without splits."""
    field: str | None
    """The column that was named."""


def is_saved_dataset(folder: Path) -> bool:
    """Whether a folder is a data set or several splits of one, as ``save_to_disk`` leaves them."""
    if (folder / _SPLITS).is_file():
        return True
    try:
        return (folder / _STATE).is_file() and "_data_files" in _object(folder / _STATE)
    except InputError:  # A file of that name that something else wrote.
        return False


def saved_rows(named: NamedPath) -> SavedRows:
    """The files of the split that is meant: the only one, or ``train`` where none is named.

    Raises:
        InputError: there is no such split, or a file is missing or damaged.
    """
    if (named.path / _SPLITS).is_file():
        split, field = _split_of(named, splits_of(named.path))
        return SavedRows(_files_of(named.path / split), split, field)
    own = _object(named.path / _STATE).get("_split")
    *split_named, field = named.parts or (None,)
    if split_named not in ([], [own]):
        has = f"the split {own} alone" if own else "no splits"
        raise InputError(
            f"{named.text} has {has}, but {split_named[0]} was asked for; write {named.text}:FIELD"
        )
    return SavedRows(_files_of(named.path), None, None if field == own else field)


def splits_of(folder: Path) -> tuple[str, ...]:
    """The names of the splits in a folder; empty where it holds one data set without splits."""
    path = folder / _SPLITS
    if not path.is_file():
        return ()
    splits = _object(path).get("splits")
    if not isinstance(splits, list) or not splits or not all(map(_is_plain, splits)):
        raise InputError(f"{path} does not list its splits; save the data set again")
    return tuple(splits)


def _split_of(named: NamedPath, splits: Sequence[str]) -> tuple[str, str | None]:
    """The split and the field that are named."""
    split, field = (*named.parts, None, None)[:2]
    if len(named.parts) == 1 and split not in splits:
        split, field = None, split
    if split is None:
        split = splits[0] if len(splits) == 1 else _USUAL
    if split not in splits:
        known = field_name([", ".join(splits[:10])])
        has = f"no split {split}, only {known}" if len(named.parts) > 1 else f"the splits {known}"
        raise InputError(f"{named.text} has {has}; write {named.text}:SPLIT:FIELD")
    return split, field


def _files_of(folder: Path) -> tuple[Path, ...]:
    path = folder / _STATE
    state = _object(path)
    if state.get("_indices_data_files"):
        raise InputError(
            f"{folder} keeps a choice of its rows in a file of indices; save it again after "
            "flatten_indices()"
        )
    listed = state.get("_data_files")
    names = [one.get("filename") for one in listed or () if isinstance(one, dict)]
    if not names or not all(map(_is_plain, names)):
        raise InputError(f"{path} does not list the files of its rows; save the data set again")
    files = tuple(folder / str(name) for name in names)
    if missing := [file.name for file in files if not file.is_file()]:
        raise InputError(f"{folder} lacks {missing[0]}, which its {_STATE} lists; copy it there")
    return files


def _is_plain(name: object) -> bool:
    """Whether it is the name of something in the folder itself."""
    return isinstance(name, str) and name not in ("", ".", "..") and Path(name).name == name


def _object(path: Path) -> dict[str, Any]:
    try:
        value = parse_json(read_file(path) or b"")
    except (AutointerpError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON; save the data set again") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} holds no JSON object; save the data set again")
    return value

"""Exports of a feature dictionary: a target appears whole or not at all."""

from __future__ import annotations

import gzip
import secrets
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

from autointerp.core.errors import InputError, StorageError
from autointerp.core.files import TEMP_SUFFIX, replacing, storage_errors, too_large
from autointerp.core.unreadable import OnUnreadable, refuse_unreadable
from autointerp.dictionary.manifest import JSONL, PARQUET
from autointerp.dictionary.neuron_record import write_neuron_records
from autointerp.dictionary.neuronpedia import write_neuronpedia
from autointerp.dictionary.read import Dictionary

_Writer = Callable[[Dictionary, Path, OnUnreadable], None]


def export_dictionary(
    dictionary: Dictionary,
    fmt: str,
    out: Path | str,
    on_unreadable: OnUnreadable = refuse_unreadable,
) -> Path:
    """The file or folder that was made; it must not have held anything before.

    A file for ``parquet`` and ``jsonl`` (compressed where its name ends in ``.gz``), a folder for
    ``neuronpedia`` and ``neuron-record``.

    Raises:
        InputError: the format is unknown, or something is at `out` already.
        StorageError: the disk refuses, or the dictionary is damaged; not where only files of single
            labels are, and `on_unreadable` takes that.
    """
    if fmt not in FORMATS:
        raise InputError(f"unknown export format {fmt!r}; the formats are {', '.join(FORMATS)}")
    if fmt in _TREES:
        return write_folder(out, fmt, lambda to: _TREES[fmt](dictionary, to, on_unreadable))
    target = Path(out).resolve()
    _refuse_taken_file(target, fmt)
    with replacing(target) as temporary:
        _FILES[fmt](dictionary, temporary, target.suffix == ".gz")
    return target


def write_folder(out: Path | str, fmt: str, write: Callable[[Path], None]) -> Path:
    """The folder that was made, with what `write` puts into it; it held nothing before.

    Raises:
        InputError: something is at `out` already; `fmt` is what it is told as.
        StorageError: the disk refuses.
    """
    target = Path(out).resolve()
    refuse_taken_folder(target, fmt)
    _write_tree(target, write)
    return target


def refuse_taken_folder(target: Path, fmt: str) -> None:
    """Nothing, where there is no folder yet, or an empty one.

    Raises:
        InputError: something is there; `fmt` is what is to be made.
    """
    with storage_errors(target, verb="read"):
        if target.exists() and not target.is_dir():
            raise InputError(f"{target} is a file, but {fmt} makes a folder; choose another --out")
        if target.is_dir() and any(target.iterdir()):
            raise InputError(f"{target} is not empty; choose another --out or empty it first")


def _refuse_taken_file(target: Path, fmt: str) -> None:
    with storage_errors(target, verb="read"):
        if target.is_dir():
            raise InputError(f"{target} is a folder, but {fmt} makes a file; add its name to --out")
        if target.exists() and target.stat().st_size:
            raise InputError(f"{target} exists already; choose another --out or delete it first")


def _write_tree(target: Path, write: Callable[[Path], None]) -> None:
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}{TEMP_SUFFIX}")
    with storage_errors(target):
        temporary.mkdir(parents=True)
        try:
            write(temporary)
            if target.is_dir():
                target.rmdir()
            temporary.rename(target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def _write_parquet(dictionary: Dictionary, path: Path, _compressed: bool) -> None:
    _copy(dictionary.file(PARQUET), path)


def _write_jsonl(dictionary: Dictionary, path: Path, compressed: bool) -> None:
    source = dictionary.file(JSONL)
    if compressed:
        _copy(source, path)
        return
    try:
        with gzip.open(source, "rb") as packed, path.open("wb") as lines:
            copy_growing(packed, lines, str(source), source.stat().st_size)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        msg = f"{source} is damaged: {error}; write or download the dictionary again"
        raise StorageError(msg) from error


def copy_growing(packed: gzip.GzipFile, lines: IO[bytes], where: str, size: int) -> None:
    """Copies what was compressed to `size` bytes, as long as it grows as text does.

    Raises:
        StorageError: it grows to thousands of times its size, as no table of labels does.
    """
    left = _GROWTH * size + _AT_ONCE
    while part := packed.read(_AT_ONCE):
        left -= len(part)
        if left < 0:
            raise too_large(f"{where}, decompressed,", _GROWTH * size)
        lines.write(part)


def _copy(source: Path, path: Path) -> None:
    with storage_errors(source, verb="copy"):
        shutil.copyfile(source, path)


_AT_ONCE = 1 << 20
_GROWTH = 200

_FILES: dict[str, Callable[[Dictionary, Path, bool], None]] = {
    "parquet": _write_parquet,
    "jsonl": _write_jsonl,
}
_TREES: dict[str, _Writer] = {
    "neuronpedia": write_neuronpedia,
    "neuron-record": write_neuron_records,
}
FORMATS: tuple[str, ...] = (*_FILES, *_TREES)

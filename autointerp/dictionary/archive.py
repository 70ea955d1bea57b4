"""The folder of a feature dictionary as one ZIP file, written from front to back."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Mapping, Set
from pathlib import PurePosixPath
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any, cast

from autointerp.core.explanations import Label
from autointerp.core.unreadable import OnUnreadable
from autointerp.dictionary.manifest import MANIFEST, ManifestInfo
from autointerp.dictionary.write import ManifestParts
from autointerp.store.labels import FolderLabelStore, LabelStore
from autointerp.store.labels.label_store import copy_all
from autointerp.store.labels.layout import SideKey
from autointerp.store.labels.packed_copy import copy_packed, is_packed

_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX, _ORDINARY_FILE = 3, 0o100644 << 16
_PACKED = frozenset({".gz", ".parquet", ".sqlite"})
_AT_ONCE = 1 << 20


def write_archive(
    file: IO[bytes],
    root: str,
    store: LabelStore,
    *,
    sides: Set[SideKey],
    on_unreadable: OnUnreadable,
    tables: Mapping[str, Callable[[IO[bytes]], None]],
) -> None:
    """Writes tables, labels, records and, last, the manifest, in a folder of the archive.

    The same labels give the same bytes: no time is in it. What the manifest says of the making is
    the provenance of the first label; it names no job, as several may have made the labels.

    Args:
        file: never looked back into, so that it can be sent while it grows.
        root: the folder's name.
        store: where labels and sets are read from.
        sides: those that the tables have; labels that came later are left out.
        on_unreadable: is told of labels and records that cannot be read, which are left out.
        tables: what writes each table, by its name.
    """
    with zipfile.ZipFile(cast(IO[bytes], _Forward(file)), "w") as archive:
        files = {n: _put_table(archive, f"{root}/{n}", write) for n, write in tables.items()}
        with TemporaryDirectory() as scratch:
            copy = FolderLabelStore(scratch)
            made = _copy_store(store, copy, sides, on_unreadable)
            for name in copy.compact(on_unreadable):
                with (copy.folder / name).open("rb") as whole:
                    files[name] = _put_file(archive, f"{root}/{name}", whole)
        if made is not None:
            made.files |= files
            archive.writestr(_member(f"{root}/{MANIFEST}"), made.manifest_json())


def _copy_store(
    store: LabelStore, copy: FolderLabelStore, sides: Set[SideKey], on_unreadable: OnUnreadable
) -> ManifestParts | None:
    """What the manifest says of the labels that were copied; None where there are none."""
    made: ManifestParts | None = None

    def add(label: Label) -> None:
        nonlocal made
        made = made or ManifestParts(ManifestInfo(None, label.provenance, None))
        made.add(label)

    if isinstance(store, FolderLabelStore) and is_packed(store.folder):
        copy_packed(store.folder, copy.folder, sides, on_unreadable, add)
        return made
    copy_all(store, copy, on_unreadable, sides)
    for label in copy.labels():
        add(label)
    return made


def _put_table(archive: zipfile.ZipFile, name: str, write: Callable[[IO[bytes]], None]) -> str:
    """Adds a table; its SHA-256."""
    with TemporaryFile() as whole:
        write(whole)
        whole.seek(0)
        return _put_file(archive, name, whole)


def _put_file(archive: zipfile.ZipFile, name: str, whole: IO[bytes]) -> str:
    """Adds a file; its SHA-256."""
    digest = hashlib.sha256()
    with archive.open(_member(name), "w", force_zip64=True) as member:
        while part := whole.read(_AT_ONCE):
            digest.update(part)
            member.write(part)
    return digest.hexdigest()


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _EPOCH)
    member.create_system, member.external_attr = _UNIX, _ORDINARY_FILE
    packed = PurePosixPath(name).suffix in _PACKED
    member.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
    return member


class _Forward:
    """A file that cannot be sought in: what was written stays as it is."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, data: Any) -> int:
        """Writes on."""
        return self._file.write(data)

    def flush(self) -> None:
        """Hands on what was written."""
        self._file.flush()

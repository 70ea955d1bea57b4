"""The label stores that a URL names, and copying labels from some stores to others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from typing_extensions import override

from autointerp.core.addresses import shown_address
from autointerp.core.errors import AutointerpError, InputError
from autointerp.core.explanations import Label
from autointerp.core.progress import Progress, SilentProgress
from autointerp.core.unreadable import if_readable, pass_over
from autointerp.store.artifacts import Artifacts
from autointerp.store.labels.folder_store import FolderLabelStore
from autointerp.store.labels.folder_stores import FolderLabelStores, holds_labels
from autointerp.store.labels.label_store import LabelStore, LabelStores, RowOf, RowsOf
from autointerp.store.labels.mending_store import MendingStore

_JSON = "json:"
_REDIS = ("redis://", "rediss://", "unix://")


def open_label_stores(
    url: str,
    artifacts: Artifacts | None = None,
    row_of: RowOf | None = None,
    rows_of: RowsOf | None = None,
    *,
    patience_s: float = 120.0,
) -> LabelStores:
    """The stores of ``json:DIR``, ``redis://...`` or ``unix://...``.

    Records go to the artifacts if labels are in Redis. Without `row_of`, which makes the row by
    which a label is listed, only whole labels are read and written;
    `rows_of` gives those that a folder has in a table.

    Raises:
        InputError: the URL is of another kind, or a newer autointerp wrote there.
        UpstreamError: Redis cannot be reached.
    """
    if url.startswith(_JSON) and url != _JSON:
        return FolderLabelStores(Path(url.removeprefix(_JSON)).expanduser(), row_of, rows_of)
    if not url.startswith(_REDIS):
        raise InputError(
            f"{shown_address(url)!r} does not name a store; write json:DIR or redis://HOST:PORT/0"
        )
    if artifacts is None:
        raise InputError("labels in Redis need a place for their records; set AUTOINTERP_ARTIFACTS")
    # Redis is an optional dependency, which files do not need.
    from autointerp.store.labels.redis_store import RedisLabelStores  # noqa: PLC0415
    from autointerp.store.redis_connection import RedisConnection  # noqa: PLC0415

    return RedisLabelStores(RedisConnection(url, patience_s=patience_s), artifacts, row_of)


class RunFolderStores(LabelStores):
    """The labels of one run's folder, as the stores of a service."""

    def __init__(self, folder: Path) -> None:
        self._store = FolderLabelStore(folder)

    @classmethod
    def of_run_folder(cls, folder: Path) -> RunFolderStores | None:
        """The stores of a folder that holds labels itself; None where it has a folder a model."""
        return cls(folder) if holds_labels(folder) else None

    @override
    def of(self, model: str) -> FolderLabelStore:
        return self._store

    @override
    def models(self) -> list[str]:
        subject = self._store.subject()
        return [subject] if subject else []


@dataclass(frozen=True, slots=True)
class CopiedLabels:
    """What became of one model's labels."""

    model: str
    n_copied: int
    n_same: int
    """Were there already, as they are."""
    n_kept: int
    """Failed, where the target has one that did not fail and keeps it."""
    unreadable: tuple[str, ...] = ()
    """Why labels, or records of labels, could not be read and were left out, a sentence each: in
    the source, or in the target, which keeps what a newer version wrote there."""


def copy_labels(
    source: LabelStores, target: LabelStores, progress: Progress | None = None
) -> Iterator[CopiedLabels]:
    """Copies labels with their records, model by model; a copy that was cut off is continued.

    Records that could not be read are brought by a later copy that can.

    Raises:
        StorageError: a store refuses; what was copied is kept.
        UpstreamError: a store cannot be reached; what was copied is kept.
    """
    progress = progress or SilentProgress()
    for model in source.models():
        yield _copy(model, source.of(model), target.of(model), progress)


def _copy(model: str, source: LabelStore, target: LabelStore, progress: Progress) -> CopiedLabels:
    n_copied = n_same = n_kept = 0
    unreadable: list[AutointerpError] = []
    stage = f"copying {model}"
    progress.start(stage, source.count(), "labels")
    # Of labels that are copied already: their records could not be read at that time.
    lacking = source.sides_with_sets() - target.sides_with_sets()
    into = MendingStore(target, lambda _: None)
    n_copied += _copy_kept(source, target, into, unreadable)
    for label in source.labels(unreadable.append):
        stored = into.get_label(label.unit, label.side)
        if (label.unit, label.side) in into.newer:
            continue
        is_same = stored == label
        if not is_same and not label.replaces(stored):
            n_kept += 1
            progress.advance(stage, 1)
            continue
        if not is_same or (label.unit.hook, label.unit.index, label.side) in lacking:
            _copy_sets(label, source, into, unreadable)
        if is_same:
            n_same += 1
        else:
            into.put_label(label)
            n_copied += 1
        progress.advance(stage, 1)
    for kept in source.all_evidence(unreadable.append):
        if kept not in target.evidence_of(kept.unit, pass_over):
            target.put_evidence(kept)
    newer = (*into.newer.values(), *into.newer_sets.values())
    return CopiedLabels(model, n_copied, n_same, n_kept, (*map(str, unreadable), *newer))


def _copy_kept(
    source: LabelStore,
    target: LabelStore,
    into: MendingStore,
    unreadable: list[AutointerpError],
) -> int:
    """Puts labels of other origins beside the newest, or before those come; how many."""
    n = 0
    for label in source.kept(unreadable.append):
        key = label.unit, label.side
        if if_readable(partial(source.get_label, *key), lambda _: None) is None:
            continue  # Nothing would stand in front of it.
        stored = into.get_label(*key)
        if key in into.newer or (stored is not None and stored.origin == label.origin):
            continue
        is_same = label in target.kept_of(label.unit, pass_over)
        lacks_sets = into.get_sets(*key, label.origin) is None and key not in into.newer_sets
        if not is_same or lacks_sets:
            read = partial(source.get_sets, *key, label.origin)
            there = None if key in into.newer_sets else if_readable(read, unreadable.append)
            target.put_kept(label, there)
            n += not is_same
    return n


def _copy_sets(
    label: Label, source: LabelStore, into: MendingStore, unreadable: list[AutointerpError]
) -> None:
    read = partial(source.get_sets, label.unit, label.side, label.origin)
    sets = if_readable(read, unreadable.append)
    if sets is not None:
        into.put_sets(sets, label.origin)

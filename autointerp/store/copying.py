"""Labels and their records, copied from one service's stores to another's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autointerp.core.labels import Label, LabelStatus
from autointerp.core.progress import Progress, SilentProgress
from autointerp.store.json_store import JsonStore
from autointerp.store.protocol import Store
from autointerp.store.stores import Stores


@dataclass(frozen=True, slots=True)
class Copied:
    """What became of one model's labels."""

    model: str
    n_copied: int
    n_same: int
    """Were there already, as they are."""
    n_kept: int
    """Failed, where the target has one that did not fail and keeps it."""

    @property
    def n_labels(self) -> int:
        """Labels of the source."""
        return self.n_copied + self.n_same + self.n_kept


class RunStores:
    """The labels of one run's folder, as the stores of a service."""

    def __init__(self, folder: Path) -> None:
        self._store = JsonStore(folder)

    @classmethod
    def found_in(cls, folder: Path) -> RunStores | None:
        """The run of a folder that holds labels itself and not folders of models."""
        return cls(folder) if (folder / "labels").is_dir() else None

    def of(self, model: str) -> JsonStore:  # noqa: ARG002 - there is one model
        """The run's labels."""
        return self._store

    def models(self) -> list[str]:
        """The one model."""
        first = next(self._store.labels(), None)
        return [first.unit.subject] if first else []


def copy_stores(
    source: Stores, target: Stores, progress: Progress | None = None
) -> Iterator[Copied]:
    """Copies model by model; what is the same already is passed over, so that it can go on.

    Raises:
        InputError: a newer autointerp wrote the source.
        StorageError: a store refuses, or is damaged; what was copied is kept.
        UpstreamError: a store cannot be reached; what was copied is kept.
    """
    progress = progress or SilentProgress()
    for model in source.models():
        yield _copy(model, source.of(model), target.of(model), progress)


def _copy(model: str, source: Store, target: Store, progress: Progress) -> Copied:
    n_copied = n_same = n_kept = 0
    stage = f"copying {model}"
    progress.start(stage, source.count(), "labels")
    for label in source.labels():
        there = target.get_label(label.unit, label.side)
        if there == label:
            n_same += 1
        elif label.status is LabelStatus.FAILED and _is_better(there):
            n_kept += 1
        else:
            # The label comes last: where it is, its records are.
            sets = source.get_sets(label.unit, label.side)
            if sets is not None:
                target.put_sets(sets)
            target.put_label(label)
            n_copied += 1
        progress.advance(stage, 1)
    return Copied(model, n_copied, n_same, n_kept)


def _is_better(there: Label | None) -> bool:
    return there is not None and there.status is not LabelStatus.FAILED

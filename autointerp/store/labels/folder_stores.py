"""The stores of a service in a folder: a folder a model."""

from __future__ import annotations

import threading
from pathlib import Path
from urllib.parse import unquote

from typing_extensions import override

from autointerp.core.errors import InputError, StorageError
from autointerp.core.files import storage_errors
from autointerp.store.labels.folder_store import FolderLabelStore
from autointerp.store.labels.label_store import LabelStores, RowOf, RowsOf
from autointerp.store.labels.layout import folder_name
from autointerp.store.labels.named_folder_store import NamedFolderStore


class FolderLabelStores(LabelStores):
    """A folder a model, named after it; a dictionary in a folder of another name has that name."""

    def __init__(
        self, folder: Path | str, row_of: RowOf | None = None, rows_of: RowsOf | None = None
    ) -> None:
        self.folder = Path(folder)
        self._row_of, self._rows_of = row_of, rows_of
        self._lock = threading.Lock()
        self._stores: dict[str, FolderLabelStore] = {}

    @override
    def of(self, model: str) -> FolderLabelStore:
        with self._lock:
            if model not in self._stores:
                self._stores[model] = self._opened(model)
            return self._stores[model]

    def _opened(self, model: str) -> FolderLabelStore:
        folder = self.folder / folder_name(model)
        store = FolderLabelStore(folder, self._row_of, rows_of=self._rows_of)
        try:
            subject = store.subject() if holds_labels(folder) else None
        except (InputError, StorageError):
            subject = None  # Whoever asks for its labels is told why they cannot be read.
        if subject in {None, model}:
            return store
        return NamedFolderStore(folder, str(subject), self._row_of, self._rows_of)

    @override
    def models(self) -> list[str]:
        with storage_errors(self.folder, verb="list"):
            if not self.folder.exists():
                return []
            names = [path.name for path in self.folder.iterdir() if holds_labels(path)]
        return sorted(map(unquote, names))


def holds_labels(folder: Path) -> bool:
    """Whether a folder is a store's; not whether what it holds can be read."""
    try:
        return (folder / "scores").is_dir() or (folder / "labels").is_dir()
    except OSError:
        return True  # Whoever asks for its labels is told why they cannot be read.

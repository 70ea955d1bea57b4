"""Labels with their records: one protocol, in files or in Redis."""

from autointerp.store.labels.folder_store import FolderLabelStore
from autointerp.store.labels.label_store import (
    LabelStore,
    LabelStores,
    LoadSides,
    MemoryUnitStore,
    RowOf,
    UnitStore,
)

__all__ = [
    "FolderLabelStore",
    "LabelStore",
    "LabelStores",
    "LoadSides",
    "MemoryUnitStore",
    "RowOf",
    "UnitStore",
]

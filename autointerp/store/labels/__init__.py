"""Labels with their records: one protocol, in files or in Redis."""

from autointerp.store.labels.json_store import JsonLabelStore
from autointerp.store.labels.label_store import (
    LabelStore,
    LabelStores,
    LoadSides,
    MemoryUnitStore,
    RowOf,
    UnitStore,
)

__all__ = [
    "JsonLabelStore",
    "LabelStore",
    "LabelStores",
    "LoadSides",
    "MemoryUnitStore",
    "RowOf",
    "UnitStore",
]

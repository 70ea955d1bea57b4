"""Where labels and their records are kept: one protocol, in files or in memory."""

from autointerp.store.json_store import JsonStore
from autointerp.store.memory import MemoryStore
from autointerp.store.protocol import Store
from autointerp.store.run_folder import RunFolder

__all__ = ["JsonStore", "MemoryStore", "RunFolder", "Store"]

"""The label stores of a service: one a subject model, in folders or in Redis."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote

from autointerp.core.errors import InputError
from autointerp.store.artifacts import Artifacts
from autointerp.store.files import storage_errors
from autointerp.store.json_store import JsonStore
from autointerp.store.memory import MemoryStore
from autointerp.store.protocol import RowOf, Store

_JSON = "json:"
_REDIS = ("redis://", "rediss://", "unix://")


class Stores(Protocol):
    """Every model's store."""

    def of(self, model: str) -> Store:
        """The store of a model's labels; empty where nobody labelled it."""
        ...

    def models(self) -> list[str]:
        """Names of the models of which there is a label, sorted."""
        ...


class MemoryStores:
    """Stores that end with the process."""

    def __init__(self, row_of: RowOf | None = None) -> None:
        self._row_of = row_of
        self._stores: dict[str, MemoryStore] = {}

    def of(self, model: str) -> MemoryStore:
        """The store of a model's labels."""
        return self._stores.setdefault(_named(model), MemoryStore(self._row_of))

    def models(self) -> list[str]:
        """Names of the models of which there is a label, sorted."""
        return sorted(model for model, store in self._stores.items() if store.count())


class JsonStores:
    """A folder a model, named after it."""

    def __init__(self, folder: Path | str, row_of: RowOf | None = None) -> None:
        self.folder = Path(folder)
        self._row_of = row_of
        self._lock = threading.Lock()
        self._stores: dict[str, JsonStore] = {}

    def of(self, model: str) -> JsonStore:
        """The store of a model's labels; its folder is made by the first put."""
        with self._lock:
            if model not in self._stores:
                folder = self.folder / folder_name(model)
                self._stores[model] = JsonStore(folder, self._row_of)
            return self._stores[model]

    def models(self) -> list[str]:
        """Names of the models that have a folder of labels, sorted."""
        with storage_errors(self.folder, verb="list"):
            if not self.folder.exists():
                return []
            found = [path.name for path in self.folder.iterdir() if (path / "labels").is_dir()]
        return sorted(unquote(name) for name in found)


def folder_name(model: str) -> str:
    """The model's name with everything but letters, digits, ``-``, ``_``, ``.`` as ``%XX``.

    Raises:
        InputError: the name is empty.
    """
    name = quote(_named(model), safe="")
    return f"%2E{name[1:]}" if name.startswith(".") else name


def open_stores(
    url: str,
    artifacts: Artifacts | None = None,
    row_of: RowOf | None = None,
    *,
    patience_s: float = 120.0,
) -> Stores:
    """The stores of ``json:DIR``, ``redis://...`` or ``unix://...``.

    Args:
        url: where labels are.
        artifacts: where records go if labels are in Redis.
        row_of: makes the row of a label, by which labels are listed; None where only whole
            labels are read and written.
        patience_s: how long a command goes on trying while Redis cannot be reached.

    Raises:
        InputError: the URL is none of these, or a newer autointerp wrote there.
        UpstreamError: Redis cannot be reached.
    """
    if url.startswith(_JSON) and url != _JSON:
        return JsonStores(Path(url.removeprefix(_JSON)).expanduser(), row_of)
    if not url.startswith(_REDIS):
        msg = f"{url.partition('@')[2] or url!r} is no store; write json:DIR or redis://HOST:PORT/0"
        raise InputError(msg)
    if artifacts is None:
        msg = "labels in Redis need a place for their records; set AUTOINTERP_ARTIFACTS"
        raise InputError(msg)
    # Redis is an optional dependency, which nobody needs for files.
    from autointerp.store.redis import RedisLink, RedisStores  # noqa: PLC0415

    return RedisStores(RedisLink(url, patience_s=patience_s), artifacts, row_of)


def _named(model: str) -> str:
    if not model:
        msg = "a model needs a name"
        raise InputError(msg)
    return model

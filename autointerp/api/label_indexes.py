"""The labels of each model in memory, kept up with its store."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import math
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

from autointerp.api.problems import Problem
from autointerp.api.store_reads import in_thread
from autointerp.core.errors import AutointerpError, InputError, StorageError
from autointerp.core.files import storage_errors
from autointerp.dictionary.rows import COLUMNS, current_row
from autointerp.store.labels import LabelStore, LabelStores
from autointerp.store.search.kept_index import KeptIndex
from autointerp.store.search.label_index import LabelIndex, LabelQuery

_LOGGER = logging.getLogger("autointerp.api")
# Readers wait for the store where what is known is so many times older than it should be.
_STALE = 4
_PATIENCE_S = 2.0
_SUFFIX, _UNUSED_S = ".index", 30 * 86_400.0
_AGAIN = {"Refresh": "3", "Retry-After": "3"}


class LabelIndexes:
    """One index a model, made when it is first asked for."""

    def __init__(
        self,
        stores: LabelStores,
        *,
        refresh_s: float,
        folder: Path | None = None,
        address: str = "",
    ) -> None:
        """Indexes are kept in the folder, where there is one, for processes after this one.

        The address of the stores tells them from those of other stores in the same folder.
        """
        self._stores, self._folder = stores, folder
        self._own = _digest_of(address)
        self._keeping: set[str] = set()
        self._refresh_s = refresh_s
        self._lock = threading.Lock()
        self._models: tuple[float, frozenset[str]] = (0.0, frozenset())
        self._indexes: dict[str, LabelIndex] = {}
        self._read_at: dict[str, float] = {}
        # A task is waited for by requests of its own event loop only.
        self._reading: dict[tuple[str, asyncio.AbstractEventLoop], asyncio.Task[None]] = {}

    def store(self, model: str) -> LabelStore:
        """The store of a model that has labels.

        Raises:
            Problem: 404 for any other name, so that no name leads out of the stores.
        """
        if model not in self._known(model):
            raise Problem(404, "model_unknown", "there are no labels of a model of that name")
        return self._stores.of(model)

    async def subject_of(self, name: str) -> str:
        """The model whose labels are served under a name, by the first of them that is known."""
        try:
            rows = (await self.fresh(name)).view.rows
        except Problem:
            return name
        return str(json.loads(rows[0])["model_id"]) if rows else name

    def may_have_kept(self, model: str) -> bool:
        """Whether labels of a model may be kept beside newer ones, by what was read a moment ago.

        For the event loop: what is older is read anew, but not waited for.
        """
        index, read_at = self._indexes.get(model), self._read_at.get(model)
        if index is None or read_at is None:
            return True
        if time.monotonic() - read_at > self._refresh_s:
            self._begin_refresh(model, index)
        return index.has_kept

    def is_near(self, model: str) -> bool:
        """Whether reading a label of a model asks nothing but this machine."""
        index = self._indexes.get(model)
        return index is not None and index.store.labels_are_local

    def are_sets_near(self, model: str) -> bool:
        """Whether reading sets of a model asks nothing but this machine."""
        index = self._indexes.get(model)
        return index is not None and index.store.sets_are_local

    def of(self, model: str) -> LabelIndex:
        """Its labels as they were at most a moment ago.

        Raises:
            Problem: 404 where it has none.
        """
        store = self.store(model)
        with self._lock:
            if model not in self._indexes:
                self._indexes[model] = LabelIndex(
                    store,
                    max_age_s=self._refresh_s,
                    n_columns=len(COLUMNS),
                    current=current_row,
                    kept=self._kept(model),
                )
            return self._indexes[model]

    def ready(self, model: str) -> LabelIndex | None:
        """Its labels as far as they are known; None while they are read for the first time."""
        return self._indexes.get(model) if model in self._read_at else None

    async def fresh(self, model: str) -> LabelIndex:
        """The same, for the event loop: what is known, while the store is asked for what is new.

        Only where that is too old do requests wait for the store's answer, all for the same one.

        Raises:
            Problem: 404 where it has none.
            UpstreamError: the store cannot be reached.
        """
        index = self._indexes.get(model)
        if index is None:
            index = await in_thread(partial(self.of, model))
        age = time.monotonic() - self._read_at.get(model, -math.inf)
        if age <= self._refresh_s:
            return index
        task = self._begin_refresh(model, index)
        if age > _STALE * self._refresh_s:
            await asyncio.shield(task)
        return index

    async def fresh_soon(self, model: str) -> LabelIndex:
        """The same, for who looks at a page, which is told where labels are read the first time.

        Later a page shows what is known where the store is slow to tell what is new.

        Raises:
            Problem: 404 where it has none; 503 with when to look again.
            UpstreamError: the store cannot be reached.
        """
        try:
            return await asyncio.wait_for(self.fresh(model), _PATIENCE_S)
        except TimeoutError as error:
            known = self.ready(model)
            if known is not None:
                return known
            detail = f"the labels of {model} are being read; this page looks again by itself"
            raise Problem(503, "labels_not_read", detail, headers=_AGAIN) from error

    async def begin(self) -> None:
        """Takes up the labels of every model, so that the first reader does not wait for that."""
        try:
            models = await in_thread(self._stores.models)
            for model in models:
                await self.fresh(model)
            await in_thread(partial(self._forget_others, models))
        except AutointerpError as error:
            # Requests will fail in the same way.
            _LOGGER.warning("labels could not be read at the start: %s", error)

    def _begin_refresh(self, model: str, index: LabelIndex) -> asyncio.Task[None]:
        """The one task that reads what is new."""
        key = (model, asyncio.get_running_loop())
        task = self._reading.get(key)
        if task is None:
            task = asyncio.create_task(self._refresh(model, index))
            self._reading[key] = task
            task.add_done_callback(partial(self._refreshed, key))
        return task

    async def _refresh(self, model: str, index: LabelIndex) -> None:
        began = time.monotonic()
        await in_thread(index.refresh)
        self._read_at[model] = began
        if index.is_worth_keeping and model not in self._keeping:
            self._keeping.add(model)
            keep = partial(self._keep, model, index)
            threading.Thread(target=keep, name="index-of-labels", daemon=True).start()

    def _kept(self, model: str) -> KeptIndex | None:
        if self._folder is None:
            return None
        return KeptIndex(self._folder / self._file_of(model), "\n".join((model, *COLUMNS)))

    def _file_of(self, model: str) -> str:
        return f"{self._own}-{_digest_of(model)}{_SUFFIX}"

    def _forget_others(self, models: Iterable[str]) -> None:
        """Deletes what was kept of models that have no labels any more.

        What was kept of other stores goes when no server has read it for a month.
        """
        if self._folder is None or not self._folder.is_dir():
            return
        names, oldest = set(map(self._file_of, models)), time.time() - _UNUSED_S
        with storage_errors(self._folder, verb="tidy"):
            for path in self._folder.glob(f"*{_SUFFIX}"):
                # Another server may tidy it too.
                with suppress(FileNotFoundError):
                    is_own = path.name.startswith(f"{self._own}-")
                    if path.name not in names and (is_own or path.stat().st_mtime < oldest):
                        path.unlink()

    def _keep(self, model: str, index: LabelIndex) -> None:
        try:
            index.keep()
        except AutointerpError as error:
            _LOGGER.warning("the index of labels was not kept: %s", error)
        finally:
            self._keeping.discard(model)

    def _refreshed(
        self, key: tuple[str, asyncio.AbstractEventLoop], task: asyncio.Task[None]
    ) -> None:
        self._reading.pop(key, None)
        if not task.cancelled():
            task.exception()  # Whoever waits has it; the next request asks again.

    def count(self, model: str) -> tuple[int, str | None]:
        """How many labels of a model are listed, and why some or all are not, where that is so.

        Raises:
            UpstreamError: the store cannot be reached.
        """
        try:
            index = self.of(model)
            index.page(LabelQuery(limit=1))
        except (InputError, StorageError) as error:
            return 0, str(error)
        return len(index), _problem(index)

    def problems(self) -> list[str]:
        """What is wrong with the labels of the models that were asked for, a sentence each."""
        problems = ((model, _problem(index)) for model, index in tuple(self._indexes.items()))
        return [f"{model}: {problem}" for model, problem in problems if problem]

    def _known(self, model: str) -> frozenset[str]:
        read_at, models = self._models
        if model not in models and time.monotonic() - read_at > self._refresh_s:
            models = frozenset(self._stores.models())
            self._models = (time.monotonic(), models)
        return models


def _digest_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def _problem(index: LabelIndex) -> str | None:
    left_out = index.left_out()
    if not left_out:
        return None
    what = (
        "a label cannot be read"
        if len(left_out) == 1
        else f"{len(left_out):,} labels cannot be read; the first"
    )
    return f"{what}: {left_out[0]}"

"""The labels of a model in memory are kept up whichever event loop asks."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from factories import make_label
from memory_store import MemoryLabelStore, MemoryLabelStores
from typing_extensions import override

from autointerp.api.label_indexes import LabelIndexes
from autointerp.dictionary import row_json
from autointerp.store.labels.label_rows import ListedRow
from autointerp.store.search.label_index import LabelQuery


class HeldStore(MemoryLabelStore):
    """Answers when it is let go."""

    def __init__(self) -> None:
        super().__init__(row_json)
        self.asked, self.let_go = threading.Event(), threading.Event()

    @override
    def rows_since(self, change: int, limit: int) -> tuple[list[ListedRow | None], int]:
        self.asked.set()
        assert self.let_go.wait(60)
        return super().rows_since(change, limit)


class HeldStores(MemoryLabelStores):
    """One model, whose labels are in that store."""

    def __init__(self, store: HeldStore) -> None:
        super().__init__()
        self._stores = {"tiny": store}


def held() -> tuple[HeldStore, LabelIndexes]:
    store = HeldStore()
    store.put_label(make_label())
    return store, LabelIndexes(HeldStores(store), refresh_s=0.0)


async def n_labels(indexes: LabelIndexes) -> int:
    index = await indexes.fresh("tiny")
    return len(index.loaded_page(LabelQuery(limit=5)).rows)


def test_readers_of_two_event_loops_wait_for_the_same_labels() -> None:
    store, indexes = held()

    async def meets_the_first() -> int:
        task = asyncio.create_task(n_labels(indexes))
        await asyncio.sleep(0)
        store.let_go.set()
        return await task

    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(asyncio.run, n_labels(indexes))
        assert store.asked.wait(60)
        assert asyncio.run(meets_the_first()) == 1
        assert first.result(60) == 1


def test_a_reading_that_ended_with_its_event_loop_holds_nobody_up() -> None:
    store, indexes = held()

    async def gives_up() -> None:
        task = asyncio.create_task(n_labels(indexes))
        await asyncio.to_thread(store.asked.wait, 60)
        task.cancel()

    asyncio.run(gives_up())
    store.let_go.set()
    assert asyncio.run(n_labels(indexes)) == 1

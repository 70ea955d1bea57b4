"""The labels of a model in memory are kept up whichever event loop asks."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from factories import make_label
from memory_store import MemoryLabelStore, MemoryLabelStores
from typing_extensions import override

from autointerp.api.label_indexes import LabelIndexes
from autointerp.api.problems import Problem
from autointerp.api.server import config_of
from autointerp.dictionary import row_json
from autointerp.settings import Settings
from autointerp.store.labels.label_rows import ListedRow, listed_row
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


def test_a_page_shows_what_was_read_where_the_store_is_slow_to_tell_what_is_new() -> None:
    store, indexes = held()

    async def meets_a_slow_store() -> tuple[int, int]:
        with pytest.raises(Problem, match="labels of tiny are being read"):
            await indexes.fresh_soon("tiny")
        store.let_go.set()
        await indexes.fresh("tiny")
        store.let_go.clear()
        try:
            known = await indexes.fresh_soon("tiny")
        finally:
            store.let_go.set()
        return len(known), await n_labels(indexes)

    assert asyncio.run(meets_a_slow_store()) == (1, 1)


class NumberedStore(MemoryLabelStore):
    """Many rows, and what was asked for."""

    def __init__(self) -> None:
        super().__init__(row_json)
        self.put_label(make_label())
        self.asked: list[int] = []
        row = listed_row(row_json(make_label()).encode())
        assert row is not None
        self._many = [row._replace(unit=number) for number in range(6000)]

    @override
    def rows_since(self, change: int, limit: int) -> tuple[list[ListedRow | None], int]:
        self.asked.append(change)
        rows: list[ListedRow | None] = [*self._many[change : change + limit]]
        return rows, change + len(rows)

    @override
    def mark(self, change: int) -> str | None:
        return f"mark {change}"


class NumberedStores(MemoryLabelStores):
    """One model, whose labels are in that store."""

    def __init__(self) -> None:
        super().__init__()
        self.store = NumberedStore()
        self._stores = {"tiny": self.store}


def test_a_server_that_starts_again_reads_only_newer_labels(tmp_path: Path) -> None:
    first, second = NumberedStores(), NumberedStores()
    indexes = LabelIndexes(first, refresh_s=0.0, folder=tmp_path / "indexes")
    assert asyncio.run(n_labels(indexes)) == 5
    for thread in threading.enumerate():
        if thread.name == "index-of-labels":
            thread.join(60)
    again = LabelIndexes(second, refresh_s=0.0, folder=tmp_path / "indexes")
    assert asyncio.run(n_labels(again)) == 5
    assert (first.store.asked[0], second.store.asked) == (0, [6000])
    assert len(again.of("tiny")) == 6000


async def begun(indexes: LabelIndexes) -> None:
    await indexes.begin()


def test_servers_of_several_stores_keep_their_indexes_in_one_folder(tmp_path: Path) -> None:
    folder, old = tmp_path / "indexes", time.time() - 40 * 86_400

    def served(address: str) -> tuple[LabelIndexes, NumberedStores]:
        stores = NumberedStores()
        return LabelIndexes(stores, refresh_s=0.0, folder=folder, address=address), stores

    for address in ("json:/a", "json:/b", "json:/c"):
        asyncio.run(begun(served(address)[0]))
        for thread in threading.enumerate():
            if thread.name == "index-of-labels":
                thread.join(60)
    assert len(list(folder.iterdir())) == 3
    for path in folder.iterdir():
        os.utime(path, (old, old))
    indexes, stores = served("json:/b")
    asyncio.run(begun(indexes))
    # That of its own is dated anew as it is read; what no server read for a month is gone.
    assert stores.store.asked == [6000]
    assert len(list(folder.iterdir())) == 1
    none = LabelIndexes(MemoryLabelStores(), refresh_s=0.0, folder=folder, address="json:/d")
    asyncio.run(begun(none))
    assert len(list(folder.iterdir())) == 1
    emptied = LabelIndexes(MemoryLabelStores(), refresh_s=0.0, folder=folder, address="json:/b")
    asyncio.run(begun(emptied))
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_holds_no_reader_up(tmp_path: Path) -> None:
    (tmp_path / "indexes").write_bytes(b"")
    indexes = LabelIndexes(NumberedStores(), refresh_s=0.0, folder=tmp_path / "indexes")
    assert asyncio.run(n_labels(indexes)) == 5


def test_an_index_that_cannot_be_kept_is_told_once_and_labels_are_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    indexes = LabelIndexes(NumberedStores(), refresh_s=0.0, folder=tmp_path / "file")

    async def refreshed() -> int:
        index = await indexes.fresh("tiny")
        for thread in threading.enumerate():
            if thread.name == "index-of-labels":
                await asyncio.to_thread(thread.join, 60)
        return len(index)

    assert [asyncio.run(refreshed()) for _ in range(3)] == [6000, 6000, 6000]
    assert caplog.text.count("the index of labels was not kept") == 1


def test_what_was_kept_of_a_model_without_labels_is_deleted_at_the_start(tmp_path: Path) -> None:
    stores = MemoryLabelStores(row_json)
    stores.of("tiny").put_label(make_label())
    store, *models = (hashlib.sha256(of).hexdigest()[:16] for of in (b"json:/a", b"tiny", b"gone"))
    names = [f"{store}-{model}.index" for model in models]
    for name in (*names, "notes.txt"):
        (tmp_path / name).write_bytes(b"autointerp index of labels")
    indexes = LabelIndexes(stores, refresh_s=0.0, folder=tmp_path, address="json:/a")
    asyncio.run(indexes.begin())
    assert {path.name for path in tmp_path.iterdir()} == {names[0], "notes.txt"}


@pytest.mark.parametrize(
    ("store", "address"),
    [
        ("redis://user:secret@host:6379/3", "redis://host:6379/3"),
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("json:/data/labels", "/data/labels"),
    ],
)
def test_indexes_are_told_apart_by_the_store_and_not_by_its_password(
    store: str, address: str, tmp_path: Path
) -> None:
    settings = Settings(store=store, redis_url="redis://other", cache_dir=tmp_path)
    assert config_of(settings).store_address == address

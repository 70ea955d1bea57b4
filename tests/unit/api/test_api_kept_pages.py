"""Pages of units that are kept: whatever changes in the store is seen by the next request."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from api_service import HEADERS, make_service
from damaged_rows import LABELS_FILE, stored_label, stored_sets
from factories import make_label, make_sets, make_unit
from starlette.testclient import TestClient
from typing_extensions import override

from autointerp.api.unit_pages import UnitPages
from autointerp.core.explanations import Label
from autointerp.core.ids import Side, UnitId
from autointerp.core.unreadable import OnUnreadable, refuse_unreadable
from autointerp.dictionary import row_json
from autointerp.store.labels import FolderLabelStore
from autointerp.store.labels.folder_stores import FolderLabelStores

PATH = "/v1/models/tiny/units/blocks.5.mlp.hook_post/131"
SETTLED_S = 0.15
"""Files that were written just now may be written again without looking otherwise."""


class CountingStore(FolderLabelStore):
    """Counts how often all labels of a unit are read."""

    n_reads = 0

    @override
    def kept_of(
        self, unit: UnitId, on_unreadable: OnUnreadable = refuse_unreadable
    ) -> tuple[Label, ...]:
        self.n_reads += 1
        return super().kept_of(unit, on_unreadable)


class CountingStores(FolderLabelStores):
    @override
    def of(self, model: str) -> FolderLabelStore:
        return self._stores.setdefault(model, CountingStore(self.folder / model, row_json))


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    store = CountingStores(tmp_path / "labels").of("tiny")
    assert isinstance(store, CountingStore)
    return store


@pytest.fixture
def client(store: CountingStore, tmp_path: Path) -> Iterator[TestClient]:
    stores = CountingStores(tmp_path / "labels")
    stores._stores["tiny"] = store
    service = make_service(tmp_path, stores=stores)
    time.sleep(SETTLED_S)
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        assert client.get("/v1/models/tiny/labels").status_code == 200
        yield client


def test_a_page_is_made_once_as_long_as_nothing_changes(
    client: TestClient, store: CountingStore
) -> None:
    first = client.get(PATH)
    assert {client.get(PATH).content for _ in range(3)} == {first.content}
    assert store.n_reads == 1
    answer = client.get(PATH, headers={"If-None-Match": first.headers["etag"]})
    assert (answer.status_code, store.n_reads) == (304, 1)
    with_trials = client.get(PATH, params={"trials": True})
    assert (store.n_reads, with_trials.content != first.content) == (2, True)


def _same_size_and_time(store: FolderLabelStore) -> None:
    """As a restored copy of another version would be."""
    path = store.folder / LABELS_FILE
    before = path.stat()
    stored_label(store.folder).damage(lambda data: b"x" * len(data))
    assert path.stat().st_size == before.st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES: dict[str, Callable[[FolderLabelStore], object]] = {
    "put again": lambda store: store.put_label(make_label(text="names of brooks")),
    "its other side": lambda store: store.put_label(make_label(side=Side.NEGATIVE)),
    "its records": lambda store: stored_sets(store.folder).put(None),
    "deleted": lambda store: stored_label(store.folder).put(None),
    "damaged": lambda store: stored_label(store.folder).put(b"{half"),
    "written in place": _same_size_and_time,
    "everything deleted": lambda store: shutil.rmtree(store.folder / "scores"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen_by_the_next_request(
    client: TestClient, store: CountingStore, change: str
) -> None:
    before = [client.get(PATH) for _ in range(2)][-1]
    CHANGES[change](store)
    after = client.get(PATH)
    assert after.content != before.content
    assert after.headers.get("etag") != before.headers["etag"]


def test_changes_faster_than_the_clock_of_the_files_are_all_seen(
    client: TestClient, store: CountingStore
) -> None:
    for n in range(100, 160):
        store.put_label(make_label(text=f"names of {n} rivers"))
        assert f"names of {n} rivers" in client.get(PATH).text


def test_what_could_not_be_read_is_tried_again(client: TestClient, store: CountingStore) -> None:
    store.put_label(make_label(side=Side.NEGATIVE))
    stored_label(store.folder).put(b"{half")
    time.sleep(SETTLED_S)
    for n in (1, 2):
        assert len(client.get(PATH).json()["unreadable"]) == 1
        assert store.n_reads == n


def test_kept_pages_take_no_more_than_they_may(tmp_path: Path) -> None:
    store = CountingStore(tmp_path, row_json)
    units = [make_unit(n) for n in range(20)]
    for unit in units:
        store.put_label(make_label(unit))
        store.put_sets(make_sets(unit))
    time.sleep(SETTLED_S)

    def page(pages: UnitPages, unit: UnitId, **changes: Any) -> bytes:
        sides = partial(store.get_sides, unit)
        return pages.page(store, unit, sides, **{"trials": False, "has_kept": True, **changes}).data

    size = len(page(UnitPages(), units[0]))
    pages, store.n_reads = UnitPages(most_bytes=5 * size + size // 2), 0
    for _ in range(2):
        assert [page(pages, unit) for unit in units] == [page(UnitPages(), unit) for unit in units]
    assert store.n_reads == 4 * len(units), "who goes round meets none that is kept"
    for unit in units[-4:]:
        page(pages, unit)
    assert store.n_reads == 4 * len(units)
    assert page(UnitPages(most_bytes=size // 2), units[0]) == page(pages, units[0])

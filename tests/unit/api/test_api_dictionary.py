from __future__ import annotations

import gzip
import io
import json
import tarfile
import threading
from collections.abc import Iterator, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pyarrow.parquet as pq
import pytest
from api_service import Service, listening, make_service, put_labels
from damaged_rows import stored_label
from factories import make_label, make_sets, make_unit
from memory_store import MemoryLabelStore, MemoryLabelStores
from starlette.testclient import TestClient

from autointerp.api.dictionary_formats import FORMATS as FORMATS_OF
from autointerp.api.dictionary_formats import LabelRows
from autointerp.core.errors import UpstreamError
from autointerp.core.explanations import Label, LabelOrigin, LabelSummary
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import UnitSets
from autointerp.core.scores import Score
from autointerp.core.unreadable import OnUnreadable, refuse_unreadable
from autointerp.dictionary import label_row, row_json
from autointerp.dictionary.rows import ROW_SCHEMA
from autointerp.store.labels import FolderLabelStore
from autointerp.store.labels.label_rows import ListedRow
from autointerp.store.labels.layout import SideKey

PATH = "/v1/models/tiny/dictionary"
FORMATS = ("parquet", "jsonl", "neuronpedia", "archive")


def test_the_table_has_a_row_a_label_in_every_format(client: TestClient, service: Service) -> None:
    parquet = client.get(PATH)
    table = pq.read_table(io.BytesIO(parquet.content))
    assert table.schema.equals(ROW_SCHEMA)
    lines = client.get(PATH, params={"format": "jsonl"}).text.splitlines()
    assert table.to_pylist() == [json.loads(line) for line in lines]
    expected = [label_row(label) for label in service.stores.of("tiny").labels()]
    assert [{**row, "q_value": None} for row in table.to_pylist()] == expected
    assert len(pd.read_parquet(io.BytesIO(parquet.content))) == 3


def test_q_values_are_of_all_rows_together(service: Service, client: TestClient) -> None:
    labels = [make_label(make_unit(n)) for n in range(200, 204)]
    results = [_with_p(label, p) for label, p in zip(labels, (0.01, 0.02, 0.5, 1.0), strict=True)]
    put_labels(service.stores, results)
    lines = client.get(PATH, params={"format": "jsonl"}).text.splitlines()
    found = {row["index"]: row["q_value"] for row in map(json.loads, lines)}
    assert found[200] == pytest.approx(0.04)
    assert found[202] == pytest.approx(2 / 3)
    assert found[131] is None


def test_the_neuronpedia_tree_comes_as_an_archive(client: TestClient) -> None:
    data = client.get(PATH, params={"format": "neuronpedia"}).content
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = archive.getnames()
        packed = archive.extractfile("tiny/features/batch-0.jsonl.gz")
        assert packed is not None
        features = [json.loads(line) for line in gzip.decompress(packed.read()).splitlines()]
    kinds = ("features", "activations", "explanations")
    files = [f"tiny/{kind}/batch-0.jsonl.gz" for kind in kinds]
    assert sorted(names) == sorted([*files, *(f"tiny/{kind}" for kind in kinds)])
    assert [feature["index"] for feature in features] == ["131", "132", "7"]


def test_the_archive_has_the_records_of_the_sides_that_have_them_and_asks_for_no_others() -> None:
    store, file = Asked(), io.BytesIO()
    for index in range(2000):
        store.put_label(make_label(make_unit(index)))
    store.put_label(make_label(make_unit(7), Side.NEGATIVE))
    store.put_sets(make_sets(make_unit(7), Side.NEGATIVE))
    store.put_sets(make_sets(make_unit(1500)))
    FORMATS_OF["neuronpedia"].write(LabelRows("tiny", [], 0, store), file)
    assert store.asked == [(7, Side.NEGATIVE), (1500, Side.POSITIVE)]
    rows = tree_of(file.getvalue())
    assert [(row["index"], row["polarity"]) for row in rows["activations/batch-0"]] == [
        *[("7", "negative")] * 5,
        *[("1500", "positive")] * 5,
    ]
    assert [len(rows[f"features/batch-{n}"]) for n in (0, 1)] == [1024, 976]
    assert len(file.getvalue()) % tarfile.RECORDSIZE == 0


def test_a_damaged_label_in_the_midst_costs_itself_only(tmp_path: Path) -> None:
    store = FolderLabelStore(tmp_path)
    with store.batch():
        for index in range(1100):
            store.put_label(make_label(make_unit(index)))
    stored_label(tmp_path, 1050).damage(lambda data: data[:-30])
    file, source = io.BytesIO(), LabelRows("tiny", [], 0, store)
    FORMATS_OF["neuronpedia"].write(source, file)
    rows = tree_of(file.getvalue())
    assert [len(rows[f"features/batch-{n}"]) for n in (0, 1)] == [1024, 75]
    assert len(source.left_out) == 1
    assert "1050 (positive) in" in source.left_out[0]


def test_a_model_without_labels_is_an_archive_of_empty_folders() -> None:
    file = io.BytesIO()
    FORMATS_OF["neuronpedia"].write(LabelRows("..odd/név", [], 0, MemoryLabelStore()), file)
    with tarfile.open(fileobj=io.BytesIO(file.getvalue())) as archive:
        kinds = ("features", "activations", "explanations")
        assert archive.getnames() == [f"odd_n_v/{kind}" for kind in kinds]


class Asked(MemoryLabelStore):
    """Notes whose sets were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[int, Side]] = []

    def get_sets(
        self, unit: UnitId, side: Side, origin: LabelOrigin | None = None
    ) -> UnitSets | None:
        self.asked.append((unit.index, side))
        return super().get_sets(unit, side, origin)


def tree_of(data: bytes) -> dict[str, list[dict[str, Any]]]:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            packed = archive.extractfile(member)
            if packed is not None:
                name = member.name.removeprefix("tiny/").removesuffix(".jsonl.gz")
                lines = gzip.decompress(packed.read()).splitlines()
                found[name] = [json.loads(line) for line in lines]
    return found


@pytest.mark.parametrize("fmt", FORMATS)
def test_parts_of_a_file_put_together_are_the_file(url: str, fmt: str) -> None:
    whole = httpx.get(f"{url}{PATH}", params={"format": fmt})
    etag = whole.headers["etag"]
    parts = []
    for first, last in ((0, 99), (100, 1500), (1501, "")):
        headers = {"Range": f"bytes={first}-{last}", "If-Range": etag}
        answer = httpx.get(f"{url}{PATH}", params={"format": fmt}, headers=headers)
        assert (answer.status_code, answer.headers["etag"]) == (206, etag)
        parts.append(answer.content)
    assert b"".join(parts) == whole.content
    assert (
        answer.headers["content-range"]
        == f"bytes 1501-{len(whole.content) - 1}/{len(whole.content)}"
    )


def test_the_second_download_says_how_long_it_is(url: str) -> None:
    first = httpx.get(f"{url}{PATH}")
    second = httpx.get(f"{url}{PATH}")
    assert second.headers["content-length"] == str(len(first.content))
    assert second.content == first.content
    head = httpx.head(f"{url}{PATH}")
    assert (head.status_code, head.headers["etag"]) == (200, first.headers["etag"])


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("bytes=0-", 206),
        ("bytes=-5", 206),
        ("bytes=999999999-", 416),
        ("bytes=-0", 416),
        ("bytes=5-2", 416),
        ("bytes=a-b", 200),
        ("bytes=-", 200),
        ("lines=1-2", 200),
        ("bytes=0-1,3-4", 200),
    ],
)
def test_a_range_is_answered_or_passed_over(url: str, asked: str, status: int) -> None:
    answer = httpx.get(f"{url}{PATH}", headers={"Range": asked})
    assert answer.status_code == status
    if status == 416:
        assert answer.json()["code"] == "range_not_satisfiable"
        assert answer.headers["content-range"].startswith("bytes */")


def test_a_range_that_ends_beyond_the_file_is_cut_to_it(url: str) -> None:
    whole = httpx.get(f"{url}{PATH}").content
    size, first = len(whole), len(whole) - 7
    answer = httpx.get(f"{url}{PATH}", headers={"Range": f"bytes={first}-{size + 1000}"})
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {first}-{size - 1}/{size}"
    assert answer.headers["content-length"] == "7"
    assert answer.content == whole[first:]


def test_more_last_bytes_than_there_are_are_the_whole_file(url: str) -> None:
    whole = httpx.get(f"{url}{PATH}").content
    answer = httpx.get(f"{url}{PATH}", headers={"Range": f"bytes=-{len(whole) + 1000}"})
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes 0-{len(whole) - 1}/{len(whole)}"
    assert answer.content == whole


def test_labels_that_changed_make_another_file(url: str, service: Service) -> None:
    before = httpx.get(f"{url}{PATH}")
    same = httpx.get(f"{url}{PATH}", headers={"If-None-Match": before.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    put_labels(service.stores, [make_label(text="names of brooks")])
    headers = {"Range": "bytes=10-", "If-Range": before.headers["etag"]}
    after = httpx.get(f"{url}{PATH}", headers=headers)
    assert after.status_code == 200
    assert after.headers["etag"] != before.headers["etag"]
    assert "names of brooks" in pd.read_parquet(io.BytesIO(after.content))["description"].tolist()


def test_a_format_that_is_none_is_refused(client: TestClient) -> None:
    answer = client.get(PATH, params={"format": "xlsx"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_a_dictionary_that_cannot_be_written_cuts_the_connection(tmp_path: Path) -> None:
    stores = FailingStores(row_json)
    service = make_service(tmp_path, stores=stores)
    asked = {"params": {"format": "neuronpedia"}}
    with listening(service.app) as url:
        stores.fails = True
        with httpx.stream("GET", f"{url}{PATH}", **asked) as answer:
            assert answer.status_code == 200
            stores.go_on.set()
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
                answer.read()
        stores.fails = False
        assert httpx.get(f"{url}{PATH}", **asked).status_code == 200


class FailingStores(MemoryLabelStores):
    """Stores whose records cannot be read while ``fails`` is set."""

    fails = False
    go_on = threading.Event()

    def of(self, model: str) -> MemoryLabelStore:
        return FailingStore(self) if self.fails else super().of(model)


class FailingStore(MemoryLabelStore):
    def __init__(self, stores: FailingStores) -> None:
        super().__init__()
        self._real = MemoryLabelStores.of(stores, "tiny")
        self._go_on = stores.go_on

    def summaries(self, on_unreadable: OnUnreadable = refuse_unreadable) -> Iterator[LabelSummary]:
        return self._real.summaries(on_unreadable)

    def sides_with_sets(self) -> Set[SideKey]:
        return self._real.sides_with_sets()

    def get_label(self, unit: UnitId, side: Side) -> Label | None:
        return self._real.get_label(unit, side)

    def rows_since(self, change: int, limit: int) -> tuple[list[ListedRow | None], int]:
        return self._real.rows_since(change, limit)

    def get_sets(self, unit: UnitId, side: Side, origin: LabelOrigin | None = None) -> None:
        self._go_on.wait(10)
        raise UpstreamError("the place of the records is gone", retryable=True)


def _with_p(label: Label, p: float) -> Label:
    first = label.results[0]
    scores = (*first.scores, Score("chance_p", p, None, None, 2, None))
    return replace(label, results=(replace(first, scores=scores), *label.results[1:]))

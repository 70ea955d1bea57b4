"""The dictionary's folder as one archive: whole, the same bytes each time, sent in parts."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest
from api_service import Service, listening, make_service, put_labels
from damaged_rows import HOOK, LABELS_FILE, StoredRow
from factories import make_label, make_sets, make_unit
from memory_store import MemoryLabelStore
from starlette.testclient import TestClient

from autointerp.api.dictionary_formats import FORMATS, LabelRows
from autointerp.client import Client
from autointerp.core.errors import InputError
from autointerp.core.ids import Side
from autointerp.dictionary import open_dictionary, row_json
from autointerp.dictionary.read import Dictionary
from autointerp.store import packing
from autointerp.store.known_text import KNOWN
from autointerp.store.labels import FolderLabelStore, LabelStore

PATH = "/v1/models/tiny/dictionary"
ARCHIVE = {"format": "archive"}


def unpacked(data: bytes, folder: Path) -> Dictionary:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        archive.extractall(folder)
    return open_dictionary(folder / "tiny")


def test_the_archive_is_a_dictionary_that_is_whole(
    client: TestClient, service: Service, tmp_path: Path
) -> None:
    answer = client.get(PATH, params=ARCHIVE)
    assert answer.headers["content-type"] == "application/zip"
    assert 'filename="tiny.zip"' in answer.headers["content-disposition"]
    found = unpacked(answer.content, tmp_path)
    assert found.verify() == ()
    store = service.stores.of("tiny")
    assert list(found.labels()) == list(store.labels())
    table = pq.read_table(io.BytesIO(client.get(PATH).content))
    assert list(found.rows()) == table.to_pylist()
    counts = found.manifest.counts
    assert counts.labels == len(table) == 3
    assert found.manifest.subject == next(store.labels()).provenance.subject


def test_records_and_scores_of_each_side_are_in_it(
    client: TestClient, service: Service, tmp_path: Path
) -> None:
    unit = make_unit(500)
    put_labels(service.stores, [make_label(unit, side) for side in Side])
    service.stores.of("tiny").put_sets(make_sets(unit, Side.NEGATIVE))
    found = unpacked(client.get(PATH, params=ARCHIVE).content, tmp_path)
    assert found.records(unit, Side.POSITIVE) is None
    records = found.records(unit, Side.NEGATIVE)
    assert records is not None
    assert found.label(unit, Side.POSITIVE) == make_label(unit)
    assert found.verify() == ()


def written(store: LabelStore, rows: list[bytes]) -> bytes:
    file = io.BytesIO()
    FORMATS["archive"].write(LabelRows("tiny", rows, 0, store), file)
    return file.getvalue()


def filled(n: int) -> tuple[MemoryLabelStore, list[bytes]]:
    store = MemoryLabelStore()
    for index in range(n):
        store.put_label(make_label(make_unit(index)))
    store.put_sets(make_sets(make_unit(1)))
    return store, [f"{row_json(label)}\n".encode() for label in store.labels()]


def test_the_same_labels_give_the_same_bytes() -> None:
    assert written(*filled(5)) == written(*filled(5))
    assert written(*filled(5)) != written(*filled(6))


def folder_filled(folder: Path, order: list[int]) -> FolderLabelStore:
    store = FolderLabelStore(folder, row_json)
    for index in order:
        store.put_label(make_label(make_unit(index)))
    store.put_sets(make_sets(make_unit(1)))
    return store


def test_a_folder_gives_the_bytes_of_any_store(tmp_path: Path) -> None:
    expected = written(*filled(5))
    _, rows = filled(5)
    assert written(folder_filled(tmp_path / "a", [3, 0, 4, 2, 1]), rows) == expected
    more = folder_filled(tmp_path / "b", list(range(8)))
    more.put_sets(make_sets(make_unit(7)))
    more.put_sets(make_sets(make_unit(7, hook="blocks.6.mlp.hook_post")))
    assert written(more, rows) == expected
    more.compact()
    assert written(more, rows) == expected
    assert more.count() == 8


def test_the_packed_values_of_a_folder_are_in_it_as_they_are(tmp_path: Path) -> None:
    store = folder_filled(tmp_path / "a", [0, 1])
    _, rows = filled(2)
    row = StoredRow(store.folder / LABELS_FILE, "labels", HOOK, 0, "positive")
    # Another compression of the same label, which packing it anew would not give.
    other = row.content
    assert other is not None
    body = zlib.decompressobj(zdict=KNOWN[packing.LABELS_VERSION]).decompress(other[3:])
    stream = zlib.compressobj(1, zdict=KNOWN[packing.LABELS_VERSION])
    row.put(other[:3] + stream.compress(body) + stream.flush())
    assert row.content != other
    unpacked(written(store, rows), tmp_path / "out")
    found = StoredRow(tmp_path / "out" / "tiny" / LABELS_FILE, "labels", HOOK, 0, "positive")
    assert found.content == row.content


def test_labels_of_a_folder_that_cannot_be_read_are_left_out_and_told(tmp_path: Path) -> None:
    store = folder_filled(tmp_path / "a", [0, 1, 2])
    _, rows = filled(3)
    StoredRow(store.folder / LABELS_FILE, "labels", HOOK, 1, "positive").put(b"")
    file = io.BytesIO()
    source = LabelRows("tiny", rows, 0, store)
    FORMATS["archive"].write(source, file)
    found = unpacked(file.getvalue(), tmp_path / "out")
    assert [label.unit.index for label in found.labels()] == [0, 2]
    assert (len(source.left_out), found.manifest.counts.labels) == (1, 2)
    assert found.verify() == ()
    assert found.records(make_unit(1), Side.POSITIVE) is None


def test_what_is_written_is_never_changed_afterwards() -> None:
    class Growing(io.BytesIO):
        def seek(self, *_arguments: int) -> int:
            raise AssertionError("it is sent while it grows")

        tell = seek

    store, rows = filled(3)
    file = Growing()
    FORMATS["archive"].write(LabelRows("tiny", rows, 0, store), file)
    assert file.getvalue() == written(store, rows)


def test_a_label_that_came_after_the_tables_is_left_out(tmp_path: Path) -> None:
    store, rows = filled(4)
    store.put_label(make_label(make_unit(99)))
    found = unpacked(written(store, rows), tmp_path)
    assert found.manifest.counts.labels == 4
    assert [label.unit.index for label in found.labels()] == [0, 1, 2, 3]
    assert found.verify() == ()


def test_a_downloaded_dictionary_names_no_job_and_says_so(tmp_path: Path) -> None:
    found = unpacked(written(*filled(2)), tmp_path)
    assert (found.manifest.job, found.manifest.created) == (None, None)
    with pytest.raises(InputError, match="names no job, as its labels were downloaded from a serv"):
        _ = found.job
    with pytest.raises(InputError, match="it holds 2 labels of tiny$"):
        found.find("5:1234")


def test_a_download_that_was_cut_goes_on_by_its_ranges(tmp_path: Path) -> None:
    with listening(make_service(tmp_path).app) as url:
        whole = httpx.get(f"{url}{PATH}", params=ARCHIVE)
        path = tmp_path / "a.zip"
        with Client(url) as client:
            assert client.download("tiny", path, format="archive") == path
        assert path.read_bytes() == whole.content
        headers = {"Range": "bytes=100-", "If-Range": whole.headers["etag"]}
        rest = httpx.get(f"{url}{PATH}", params=ARCHIVE, headers=headers)
    assert (rest.status_code, rest.content) == (206, whole.content[100:])

"""Artifacts in a folder, in fsspec's own memory, and in an S3-compatible server."""

from __future__ import annotations

import multiprocessing
import secrets
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from object_store import ObjectStore

from autointerp.core.errors import AutointerpError, InputError, StorageError, UpstreamError
from autointerp.store.artifacts import Artifacts


@pytest.fixture(scope="module")
def object_store() -> Iterator[ObjectStore]:
    with ObjectStore() as running:
        yield running


@pytest.fixture
def s3_url(object_store: ObjectStore) -> str:
    return object_store.url(f"{secrets.token_hex(4)}/place")


@pytest.fixture(params=["folder", "file-url", "remote", "s3"])
def artifacts(request: pytest.FixtureRequest, tmp_path: Path) -> Artifacts:
    if request.param == "s3":
        url = str(request.getfixturevalue("s3_url"))
    else:
        url = {
            "folder": str(tmp_path / "place"),
            "file-url": f"file://{tmp_path}/place",
            "remote": f"memory://{secrets.token_hex(4)}/place",
        }[request.param]
    return Artifacts(url, cache=tmp_path / "cache")


def test_bytes_come_back(artifacts: Artifacts) -> None:
    artifacts.put_bytes("jobs/job_1/plan.json", b"{}")
    assert artifacts.get_bytes("jobs/job_1/plan.json") == b"{}"
    assert artifacts.exists("jobs/job_1/plan.json")
    assert not artifacts.exists("jobs/job_1")
    assert not artifacts.exists("jobs/other")
    assert artifacts.get_bytes("jobs/other") is None
    assert artifacts.get_bytes("jobs") is None


@pytest.mark.parametrize(
    ("first", "end", "part"),
    [(0, 3, b"012"), (2, 5, b"234"), (4, 9, b"456"), (-2, None, b"56"), (-9, None, b"0123456")],
)
def test_a_part_of_a_file_comes_back(
    artifacts: Artifacts, first: int, end: int | None, part: bytes
) -> None:
    artifacts.put_bytes("a", b"0123456")
    assert artifacts.get_bytes("a", first, end) == part
    assert artifacts.get_bytes("b", first, end) is None


def test_a_file_comes_back_as_a_local_file(artifacts: Artifacts, tmp_path: Path) -> None:
    (tmp_path / "made").write_bytes(b"\x00" * 100_000)
    artifacts.put("a/b.safetensors", tmp_path / "made")
    found = artifacts.fetch("a/b.safetensors")
    assert found.read_bytes() == b"\x00" * 100_000
    assert found.name == "b.safetensors"
    assert artifacts.fetch("a/b.safetensors") == found


def test_a_file_that_was_replaced_is_fetched_again(artifacts: Artifacts) -> None:
    for data in (b"one", b"two"):
        artifacts.put_bytes("a", data)
        assert artifacts.fetch("a").read_bytes() == data


def test_what_is_not_there_is_told(artifacts: Artifacts) -> None:
    with pytest.raises(StorageError, match="place/a/b is not there"):
        artifacts.fetch("a/b")


def test_names_are_listed_and_deleted(artifacts: Artifacts) -> None:
    assert artifacts.names() == []
    for name in ("b/2", "a/1", "a/c/3"):
        artifacts.put_bytes(name, b"x")
    assert artifacts.names() == ["a/1", "a/c/3", "b/2"]
    assert artifacts.names("a") == ["a/1", "a/c/3"]
    artifacts.delete("a/1")
    artifacts.delete("a/1")
    assert artifacts.names("a") == ["a/c/3"]


# The S3 server of these tests fails where a file is replaced that it is still receiving.
@pytest.mark.parametrize("artifacts", ["folder", "file-url", "remote"], indirect=True)
def test_writers_at_once_leave_one_whole_file(artifacts: Artifacts) -> None:
    values = [bytes([number]) * 50_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda value: artifacts.put_bytes("a", value), values))
    assert artifacts.get_bytes("a") in values
    assert artifacts.names() == ["a"]


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../a", "a/../../b", "a\\b", "a\0b"])
def test_a_name_that_leads_elsewhere_is_refused(artifacts: Artifacts, name: str) -> None:
    with pytest.raises(InputError, match="is not a valid artifact name"):
        artifacts.get_bytes(name)
    with pytest.raises(InputError, match="is not a valid artifact name"):
        artifacts.put_bytes(name, b"")


def test_a_place_of_unknown_kind_is_refused_without_its_password() -> None:
    with pytest.raises(InputError, match="cannot store artifacts at foo://host/a") as caught:
        Artifacts("foo://user:secret@host/a")
    assert "secret" not in str(caught.value)


def test_a_file_in_the_way_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    place = Artifacts(str(tmp_path / "file"))
    with pytest.raises(StorageError, match="a part of that path is a file"):
        place.put_bytes("a/b", b"")


def test_what_another_process_puts_is_seen_at_once(s3_url: str) -> None:
    place = Artifacts(s3_url)
    place.put_bytes("a/one", b"1")
    assert place.names("a") == ["a/one"]
    assert not place.exists("a/two")
    put = "import sys; from autointerp.store.artifacts import Artifacts as A"
    put += "; A(sys.argv[1]).put_bytes('a/two', b'2')"
    subprocess.run([sys.executable, "-c", put, s3_url], check=True)
    assert place.exists("a/two")
    assert place.get_bytes("a/two") == b"2"
    assert place.names("a") == ["a/one", "a/two"]


def test_a_child_reads_with_what_its_parent_opened(s3_url: str) -> None:
    place = Artifacts(s3_url)
    place.put_bytes("a", b"1")
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sending.send(place.get_bytes("a")))
    child.start()
    assert receiving.poll(60)
    assert receiving.recv() == b"1"
    child.join()


def test_a_store_that_is_away_is_told_and_not_taken_for_an_empty_one(
    object_store: ObjectStore, s3_url: str
) -> None:
    place = Artifacts(s3_url)
    place.put_bytes("a", b"1")
    object_store.stop()
    try:
        for ask in (place.exists, place.get_bytes):
            with pytest.raises(UpstreamError, match="Could not connect") as caught:
                ask("a")
            assert caught.value.retryable
            assert "127.0.0.1" not in str(caught.value)
        with pytest.raises(UpstreamError, match=r"could not write s3://artifacts/.*/place/a: "):
            place.put_bytes("a", b"2")
    finally:
        object_store.start()
    assert place.get_bytes("a") == b"1"


def test_a_bucket_that_is_not_there_is_not_waited_for(object_store: ObjectStore) -> None:
    assert object_store.environment
    with pytest.raises(UpstreamError, match="bucket does not exist; check AUTO") as caught:
        Artifacts("s3://elsewhere/place").put_bytes("a", b"")
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "url",
    [
        "ftp://ada:hu#sh@127.0.0.1:9/x",
        "ftp://ada:hush@127.0.0.1:9/x",
        "webhdfs://ada:hu?sh@127.0.0.1/x",
        "s3://key:hush@bucket/x",
        "gs://hu/sh@bucket",
        "nothing://ada:hush@h/x",
    ],
)
def test_no_part_of_a_password_in_the_address_of_a_place_is_said(url: str) -> None:
    with pytest.raises(AutointerpError) as e:
        Artifacts(url)
    assert "hu" not in str(e.value)
    assert "sh@" not in str(e.value)

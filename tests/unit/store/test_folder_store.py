"""Labels and records in a folder: several writers, kills, full disks, damage, older layouts."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from damaged_files import DAMAGES
from damaged_rows import (
    HOOK,
    LABELS_FILE,
    RECORDS_FILE,
    ROW_DAMAGES,
    leave_half_done,
    stored_label,
    stored_sets,
)
from factories import make_label, make_record, make_sets, make_unit
from labelling import wait_until

from autointerp.core.errors import DamagedError, InputError, StorageError
from autointerp.core.explanations import LabelStatus
from autointerp.core.files import gzip_bytes, replacing, storage_errors
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import UnitSets
from autointerp.dictionary import row_json
from autointerp.store.codec import LABELS, SETS
from autointerp.store.labels import FolderLabelStore, label_database
from autointerp.store.labels.folder_stores import FolderLabelStores
from autointerp.store.labels.label_database import LabelDatabase
from autointerp.store.labels.mending_store import MendingStore
from autointerp.store.labels.stores import open_label_stores
from autointerp.store.search.label_index import LabelIndex, LabelQuery

FILES = (LABELS_FILE, RECORDS_FILE)


@pytest.fixture
def full(tmp_path: Path) -> FolderLabelStore:
    store = FolderLabelStore(tmp_path)
    store.put_label(make_label())
    store.put_sets(make_sets())
    return store


@contextmanager
def files_of_at_most(n_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def files_in(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def indices(store: FolderLabelStore) -> list[int]:
    return sorted(int(json.loads(row.text)["index"]) for row in store.rows_since(0, 10_000)[0])


def filled(folder: Path, n: int = 3) -> FolderLabelStore:
    store = FolderLabelStore(folder, row_json)
    for index in range(n):
        store.put_label(make_label(make_unit(index)))
    return store


def in_process(program: str, *arguments: str) -> subprocess.Popen[bytes]:
    env = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=env)


def test_labels_lie_in_one_file_and_records_in_one_a_hook_point(full: FolderLabelStore) -> None:
    full.put_sets(make_sets(make_unit(hook="blocks.10.mlp.hook_pre")))
    assert files_in(full.folder) == [
        "records/blocks.10.mlp.hook_pre.sqlite",
        RECORDS_FILE,
        LABELS_FILE,
    ]


def test_reading_makes_no_folder(tmp_path: Path) -> None:
    store = FolderLabelStore(tmp_path / "none", row_json)
    assert store.get_label(make_unit(), Side.POSITIVE) is None
    assert store.get_sets(make_unit(), Side.POSITIVE) is None
    assert list(store.labels()) == store.hooks(5) == []
    assert store.rows_since(0, 10) == ([], 0)
    assert FolderLabelStores(tmp_path / "none").models() == []
    assert not (tmp_path / "none").exists()


def test_a_folder_that_may_only_be_read_is_read(full: FolderLabelStore) -> None:
    for file in FILES:
        (full.folder / file).chmod(0o444)
    assert full.get_label(make_unit(), Side.POSITIVE) == make_label()
    assert full.get_sets(make_unit(), Side.POSITIVE) == make_sets()


def test_a_unit_of_another_model_is_not_there(full: FolderLabelStore) -> None:
    other = make_unit(subject="other")
    assert full.get_label(other, Side.POSITIVE) is None
    assert full.get_sets(other, Side.POSITIVE) is None
    assert full.subject() == "tiny"


def test_a_hook_point_never_leads_out_of_the_folder(tmp_path: Path) -> None:
    store, unit = FolderLabelStore(tmp_path), UnitId("tiny", "../../etc", 1)
    for read in (store.get_label, store.get_sets):
        with pytest.raises(InputError, match="is not a hook point"):
            read(unit, Side.POSITIVE)


def test_text_is_stored_once_for_all_units(tmp_path: Path) -> None:
    store = FolderLabelStore(tmp_path)
    for index in range(40):
        store.put_sets(make_sets(make_unit(index)))
    with closing(sqlite3.connect(tmp_path / RECORDS_FILE)) as connection:
        (n_windows,) = connection.execute("SELECT count(*) FROM windows").fetchone()
    assert n_windows == 6
    assert store.get_sets(make_unit(39), Side.POSITIVE) == make_sets(make_unit(39))


def with_other_text(index: int, **changes: object) -> UnitSets:
    sets = make_sets(make_unit(index))
    record = replace(sets.explain.records[0], **changes)  # type: ignore[arg-type]
    return replace(sets, explain=replace(sets.explain, records=(record,)))


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(
    "change", [{"document": "other"}, {"offset": 9}, {"tokens": tuple("abcd")}]
)
def test_windows_of_other_text_may_have_the_same_number(
    tmp_path: Path, change: dict[str, object], together: bool
) -> None:
    """Of another corpus, or of a model of the same name with another tokenizer."""
    store = FolderLabelStore(tmp_path)
    other = with_other_text(7, **change)
    with store.batch() if together else nullcontext():
        for sets in (make_sets(), other):
            store.put_sets(sets)
    for _ in range(2):
        assert store.get_sets(make_unit(), Side.POSITIVE) == make_sets()
        assert store.get_sets(make_unit(7), Side.POSITIVE) == other
        store.compact()


def test_one_token_may_have_two_texts_in_a_window_and_half_a_character(tmp_path: Path) -> None:
    record = replace(
        make_record(1, (0.0, 4.0, 0.0, 0.5), "top"),
        token_ids=(5, 5, 6, 7),
        tokens=("a", "\0b", "\ud800", ""),
    )
    sets = make_sets()
    sets = replace(sets, explain=replace(sets.explain, records=(record,)))
    store = FolderLabelStore(tmp_path)
    store.put_sets(sets)
    found = store.get_sets(make_unit(), Side.POSITIVE)
    assert found is not None
    assert found.explain.records[0].tokens == ("a", "\0b", "\ufffd", "")


def test_puts_of_a_batch_are_seen_by_the_thread_that_made_them(tmp_path: Path) -> None:
    store = FolderLabelStore(tmp_path, row_json)
    with store.batch(), store.batch():
        store.put_label(make_label())
        store.put_sets(make_sets())
        assert not (tmp_path / "scores").exists()
        assert store.get_label(make_unit(), Side.POSITIVE) == make_label()
        store.put_label(make_label(make_unit(2)))
        assert (store.count(), len(store.sides_with_sets())) == (2, 1)
        store.put_label(make_label(make_unit(3)))
    assert indices(FolderLabelStore(tmp_path, row_json)) == [2, 3, 131]


def test_labels_that_are_read_leave_the_others_of_a_batch_waiting(tmp_path: Path) -> None:
    store = FolderLabelStore(tmp_path)
    with store.batch():
        store.put_sets(make_sets())
        store.put_label(make_label())
        assert store.get_label(make_unit(2), Side.POSITIVE) is None
        assert store.get_sets(make_unit(2), Side.POSITIVE) is None
        assert FolderLabelStore(tmp_path).is_empty()
        assert store.get_sets(make_unit(), Side.POSITIVE) == make_sets()
        assert FolderLabelStore(tmp_path).count() == 1


def test_what_was_put_before_a_batch_broke_off_is_kept(tmp_path: Path) -> None:
    store = FolderLabelStore(tmp_path)

    def break_off() -> None:
        with store.batch():
            store.put_label(make_label())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    store.put_label(make_label(make_unit(2)))
    assert FolderLabelStore(tmp_path).count() == 2


@pytest.mark.parametrize("damage", ROW_DAMAGES)
def test_a_damaged_row_costs_itself_only_and_is_named(full: FolderLabelStore, damage: str) -> None:
    full.put_label(make_label(make_unit(132)))
    full.put_sets(make_sets(make_unit(132)))
    stored_label(full.folder).damage(ROW_DAMAGES[damage])
    stored_sets(full.folder).damage(ROW_DAMAGES[damage])
    reads: tuple[Callable[[], object], ...] = (
        lambda: full.get_label(make_unit(), Side.POSITIVE),
        lambda: list(full.labels()),
        lambda: list(full.summaries()),
        lambda: full.get_sets(make_unit(), Side.POSITIVE),
    )
    for read in reads:
        with pytest.raises((StorageError, InputError)) as caught:
            read()
        said = str(caught.value)
        assert "131 (positive) in " in said
        assert ("upgrade autointerp" if damage == "newer" else "; run again, with") in said
    for listed in (full.labels, full.summaries):
        errors: list[Exception] = []
        assert [one.unit.index for one in listed(errors.append)] == [132]
        assert len(errors) == 1
    assert full.get_sets(make_unit(132), Side.POSITIVE) == make_sets(make_unit(132))


def test_text_that_was_deleted_costs_the_records_of_it(full: FolderLabelStore) -> None:
    with closing(sqlite3.connect(full.folder / RECORDS_FILE)) as connection, connection:
        connection.execute("DELETE FROM windows WHERE window = 20")
    with pytest.raises(DamagedError, match=r"131 \(positive\) in .* the text of window 20 is miss"):
        full.get_sets(make_unit(), Side.POSITIVE)
    with closing(sqlite3.connect(full.folder / RECORDS_FILE)) as connection, connection:
        connection.execute("DELETE FROM tokens")
    with pytest.raises(DamagedError, match="131"):
        full.get_sets(make_unit(), Side.POSITIVE)


@pytest.mark.parametrize("damage", [name for name in ROW_DAMAGES if name != "newer"])
def test_damaged_content_counts_as_missing(full: FolderLabelStore, damage: str) -> None:
    notes: list[str] = []
    store = MendingStore(full, notes.append)
    stored_label(full.folder).damage(ROW_DAMAGES[damage])
    stored_sets(full.folder).damage(ROW_DAMAGES[damage])
    assert store.get_label(make_unit(), Side.POSITIVE) is None
    assert store.get_sets(make_unit(), Side.POSITIVE) is None
    assert len(notes) == 2


def test_a_failed_label_replaces_a_damaged_one_and_no_newer_one(full: FolderLabelStore) -> None:
    row, failed = stored_label(full.folder), make_label(status=LabelStatus.FAILED)
    row.damage(ROW_DAMAGES["newer"])
    newer = row.content
    full.put_label(failed)
    assert row.content == newer
    row.put(b"{half")
    full.put_label(failed)
    assert full.get_label(make_unit(), Side.POSITIVE) == failed


BROKEN = ["cut", "not UTF-8", "zeros", "folder", "unreadable", "pipe"]


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has pipes among files")
@pytest.mark.parametrize("damage", BROKEN)
def test_a_file_that_cannot_be_opened_is_named_with_what_to_do(
    full: FolderLabelStore, damage: str
) -> None:
    for index in range(20):
        full.put_label(make_label(make_unit(index)))
        full.put_sets(make_sets(make_unit(index)))
    for file, uses in {
        LABELS_FILE: (
            lambda: full.get_label(make_unit(), Side.POSITIVE),
            full.count,
            lambda: full.put_label(make_label()),
        ),
        RECORDS_FILE: (
            lambda: full.get_sets(make_unit(), Side.POSITIVE),
            lambda: full.put_sets(make_sets()),
        ),
    }.items():
        DAMAGES[damage](full.folder / file)
        for use in uses:
            with pytest.raises(StorageError, match=rf"{full.folder / file}.*; "):
                use()


def test_a_file_of_a_newer_version_is_refused_and_left_as_it_is(full: FolderLabelStore) -> None:
    for file, use in (
        (LABELS_FILE, lambda: full.put_label(make_label(make_unit(2)))),
        (LABELS_FILE, full.count),
        (RECORDS_FILE, lambda: full.put_sets(make_sets(make_unit(2)))),
        (RECORDS_FILE, lambda: full.get_sets(make_unit(), Side.POSITIVE)),
    ):
        path = full.folder / file
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA user_version = 9")
        before = path.read_bytes()
        with pytest.raises(
            InputError, match=rf"{path} was written by a newer autointerp \(schema 9"
        ):
            use()
        assert path.read_bytes() == before


def test_a_database_of_another_program_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / LABELS_FILE
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE labels (mine TEXT)")
    store = FolderLabelStore(tmp_path)
    for use in (store.count, lambda: store.put_label(make_label())):
        with pytest.raises(StorageError, match="is a database of another program; move it away"):
            use()


def test_an_empty_file_is_a_store_without_labels(tmp_path: Path) -> None:
    (tmp_path / "scores").mkdir()
    (tmp_path / LABELS_FILE).touch()
    store = FolderLabelStore(tmp_path)
    assert store.count() == 0
    store.put_label(make_label())
    assert store.count() == 1


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "scores").write_text("I am a file")
    with pytest.raises(StorageError, match="could not .*scores"):
        FolderLabelStore(tmp_path).put_label(make_label())
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="could not list"):
        FolderLabelStores(tmp_path / "file").models()


def test_a_write_that_the_disk_cuts_off_leaves_what_was_there_whole(
    full: FolderLabelStore,
) -> None:
    size = max((full.folder / file).stat().st_size for file in FILES)

    def fill() -> None:
        for index in range(400):
            full.put_label(make_label(make_unit(index), text="x" * 200))

    with files_of_at_most(size), pytest.raises(StorageError, match="could not write .*; "):
        fill()
    n_kept = full.count()
    assert 0 < n_kept < 400
    assert len(list(full.labels())) == n_kept
    full.put_label(make_label(make_unit(500)))
    assert full.count() == n_kept + 1


_WRITER = """
import sys
from factories import make_label, make_sets, make_unit
from autointerp.store.codec import LABELS, SETS
from autointerp.store.labels import FolderLabelStore, label_database
store = FolderLabelStore(sys.argv[1])
print("go", flush=True)
index = 0
while True:
    store.put_sets(make_sets(make_unit(index % 40)))
    store.put_label(make_label(make_unit(index % 40), text=f"text {index}"))
    index += 1
"""


@pytest.mark.parametrize("wait_s", [0.05, 0.13, 0.31])
def test_a_writer_killed_at_any_moment_leaves_only_whole_labels(
    tmp_path: Path, wait_s: float
) -> None:
    with in_process(_WRITER, str(tmp_path)) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        wait_until(lambda: (tmp_path / LABELS_FILE).exists() or writer.poll() is not None)
        time.sleep(wait_s)
        writer.send_signal(signal.SIGKILL)
    store = FolderLabelStore(tmp_path)
    labels = list(store.labels())
    assert len(labels) == store.count()
    assert all(store.get_sets(label.unit, label.side) for label in labels)
    store.put_label(make_label(make_unit(500)))


def test_a_reader_undoes_what_a_writer_left_half_done_when_it_was_killed(
    full: FolderLabelStore,
) -> None:
    paths = [full.folder / file for file in FILES]
    leave_half_done(*paths)
    assert all(path.with_name(f"{path.name}-journal").stat().st_size for path in paths)
    assert full.get_label(make_unit(), Side.POSITIVE) == make_label()
    assert full.get_sets(make_unit(), Side.POSITIVE) == make_sets()
    assert files_in(full.folder) == sorted(FILES)


_ROW_WRITER = """
import sys
from factories import make_label, make_sets, make_unit
from autointerp.dictionary import row_json
from autointerp.store.codec import LABELS, SETS
from autointerp.store.labels import FolderLabelStore, label_database
store, first = FolderLabelStore(sys.argv[1], row_json), int(sys.argv[2])
for index in range(first, first + 20):
    store.put_sets(make_sets(make_unit(index)))
    store.put_label(make_label(make_unit(index)))
"""


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    writers = [in_process(_ROW_WRITER, str(tmp_path), str(first)) for first in range(0, 80, 20)]
    for writer in writers:
        writer.communicate(timeout=600)
    assert [writer.returncode for writer in writers] == [0] * 4
    store = FolderLabelStore(tmp_path, row_json)
    assert indices(store) == list(range(80))
    assert len(store.sides_with_sets()) == 80


def _read_in_a_fork(store: FolderLabelStore) -> None:
    assert store.get_label(make_unit(), Side.POSITIVE) == make_label()
    store.put_label(make_label(make_unit(2)))


def test_a_store_is_used_on_both_sides_of_a_fork(full: FolderLabelStore) -> None:
    process = multiprocessing.get_context("fork").Process(target=_read_in_a_fork, args=(full,))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert full.count() == 2


def test_a_reader_goes_on_in_a_file_that_was_compacted(tmp_path: Path) -> None:
    writer, reader = FolderLabelStore(tmp_path), FolderLabelStore(tmp_path, row_json)
    for index in (5, 4):
        writer.put_label(make_label(make_unit(index)))
    _, change = reader.rows_since(0, 10)
    writer.put_label(make_label(make_unit(3)))
    writer.compact()
    rows, last = reader.rows_since(change, 10)
    assert sorted(int(json.loads(row.text)["index"]) for row in rows) == [3, 4, 5]
    assert reader.rows_since(last, 10) == ([], last)


def test_labels_of_a_writer_without_rows_have_rows(tmp_path: Path) -> None:
    filled(tmp_path)
    FolderLabelStore(tmp_path).put_label(make_label(make_unit(9)))
    assert indices(FolderLabelStore(tmp_path, row_json)) == [0, 1, 2, 9]


@pytest.mark.parametrize("row", [b"", b"x", b"null", b"[1]", b'{"layer": "x"}'], ids=str)
def test_a_row_that_is_none_is_made_good_from_the_label(tmp_path: Path, row: bytes) -> None:
    filled(tmp_path)
    for stored in (row, zlib.compress(row)):
        with closing(sqlite3.connect(tmp_path / LABELS_FILE)) as connection, connection:
            connection.execute("UPDATE labels SET row = ? WHERE unit = 1", (stored,))
        store = FolderLabelStore(tmp_path, row_json)
        assert len(LabelIndex(store).page(LabelQuery()).rows) == 3
        assert indices(store) == [0, 1, 2]


@pytest.mark.parametrize("url", ["", "json:", "DIR", "http://host/", "ftp://user:secret@host"])
def test_an_address_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(
        InputError, match="does not name a store; write json:DIR or redis://"
    ) as caught:
        open_label_stores(url)
    assert "secret" not in str(caught.value)


def test_redis_needs_a_place_for_records() -> None:
    with pytest.raises(InputError, match="set AUTOINTERP_ARTIFACTS"):
        open_label_stores("redis://127.0.0.1:1/0")


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (
            errno.ENOSPC,
            "free some space and run again, with --resume where the command has it: "
            "what is finished is kept",
        ),
        (errno.EROFS, "choose a folder on a disk that can be written"),
        (errno.EACCES, "choose a folder that this user may write"),
        (errno.EIO, "check the disk and run again, with --resume where the command has it"),
    ],
)
def test_each_refusal_of_the_disk_says_what_to_do(code: int, advice: str) -> None:
    with pytest.raises(StorageError) as caught, storage_errors(Path("runs/x")):
        raise OSError(code, "the system's words")
    assert str(caught.value) == f"could not write runs/x: the system's words; {advice}"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device of Linux")
def test_a_full_device_is_told_as_such() -> None:
    with (
        pytest.raises(StorageError, match="No space left on device; free some space"),
        storage_errors(Path("runs/x")),
        Path("/dev/full").open("wb", buffering=0) as device,
    ):
        device.write(b"label")


def test_an_interrupt_while_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    target.write_text("old")

    def write_half() -> None:
        with replacing(target) as temporary:
            temporary.write_bytes(b"ha")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert target.read_text() == "old"


def old_label(folder: Path, index: int) -> Path:
    """A label as autointerp wrote it when each was a JSON file; where it lies."""
    path = folder / "labels" / HOOK / f"{index:07d}.positive.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(LABELS.encode(make_label(make_unit(index))))
    sets = folder / "sets" / HOOK / f"{index:07d}.positive.json.gz"
    sets.parent.mkdir(parents=True, exist_ok=True)
    sets.write_bytes(gzip_bytes(SETS.encode(make_sets(make_unit(index)))))
    return path


def test_old_labels_that_cannot_be_read_just_now_are_copied_once_they_can(tmp_path: Path) -> None:
    paths = [old_label(tmp_path, index) for index in range(3)]
    whole = paths[1].read_bytes()
    DAMAGES["unreadable"](paths[1])
    store = FolderLabelStore(tmp_path, row_json)
    for put in (store.put_label, lambda label: store.put_sets(make_sets(label.unit))):
        with pytest.raises(StorageError, match=f"could not read {paths[1]}"):
            put(make_label(make_unit(9)))
    assert not (tmp_path / LABELS_FILE).exists()
    paths[1].unlink()
    paths[1].write_bytes(whole)
    store.put_label(make_label(make_unit(9)))
    assert indices(FolderLabelStore(tmp_path, row_json)) == [0, 1, 2, 9]
    assert store.get_label(make_unit(1), Side.POSITIVE) == make_label(make_unit(1))
    assert store.get_sets(make_unit(1), Side.POSITIVE) == make_sets(make_unit(1))


def test_old_labels_that_are_newer_or_damaged_are_copied_as_they_are(tmp_path: Path) -> None:
    damages = ("newer", "cut")
    for index, damage in enumerate(damages):
        DAMAGES[damage](old_label(tmp_path, index))
    store = FolderLabelStore(tmp_path, row_json)
    for _ in range(2):
        with pytest.raises(InputError, match="written by a newer autointerp"):
            store.get_label(make_unit(0), Side.POSITIVE)
        with pytest.raises(DamagedError, match="is damaged"):
            store.get_label(make_unit(1), Side.POSITIVE)
        assert len(store.sides_with_sets()) >= len(damages)
        store.put_label(make_label(make_unit(9)))
    assert (tmp_path / LABELS_FILE).exists()
    assert store.count() == 3


def test_an_old_folder_is_listed_without_being_copied(tmp_path: Path) -> None:
    for index in range(3):
        old_label(tmp_path, index)
    before = files_in(tmp_path)
    store = FolderLabelStore(tmp_path, row_json)
    first, change = store.rows_since(0, 2)
    rest, last = store.rows_since(change, 2)
    assert [int(json.loads(row.text)["index"]) for row in (*first, *rest)] == [0, 1, 2]
    assert store.rows_since(last, 2) == ([], last)
    assert len(LabelIndex(store).page(LabelQuery()).rows) == 3
    assert files_in(tmp_path) == before
    # Whoever goes on listing sees what is put, and that a file was mended.
    DAMAGES["cut"](old_label(tmp_path, 3))
    rows, last = store.rows_since(last, 10)
    assert rows[3:] == [None]
    assert len(store.left_out()) == 1
    FolderLabelStore(tmp_path).put_label(make_label(make_unit(3)))
    rows, last = store.rows_since(last, 10)
    assert sorted({int(json.loads(row.text)["index"]) for row in rows}) == [0, 1, 2, 3]
    assert store.left_out() == ()


def test_records_of_a_newer_version_stay_in_a_file_that_is_not_compacted(
    full: FolderLabelStore,
) -> None:
    full.put_sets(make_sets(make_unit(132)))
    row = stored_sets(full.folder)
    row.damage(ROW_DAMAGES["newer"])
    newer, told = row.content, list[Exception]()
    assert full.compact(told.append) == [RECORDS_FILE, LABELS_FILE]
    assert ["newer autointerp" in str(error) for error in told] == [True]
    assert row.content == newer
    assert full.get_sets(make_unit(132), Side.POSITIVE) == make_sets(make_unit(132))
    with closing(sqlite3.connect(full.folder / RECORDS_FILE)) as connection:
        connection.execute("PRAGMA user_version = 9")
    assert full.compact(told.append) == [RECORDS_FILE, LABELS_FILE]
    assert len(told) == 2
    assert row.content == newer


@pytest.mark.parametrize("name", [f"{HOOK} (1)", "blocks.x", "notes"])
def test_files_of_other_names_among_the_records_are_ignored(
    full: FolderLabelStore, name: str
) -> None:
    other = full.folder / "records" / f"{name}.sqlite"
    other.write_bytes((full.folder / RECORDS_FILE).read_bytes())
    assert len(full.sides_with_sets()) == 1
    assert full.compact() == [RECORDS_FILE, LABELS_FILE]
    full.clear()
    assert files_in(full.folder) == [f"records/{name}.sqlite"]


def test_a_folder_that_may_not_be_looked_into_is_told(full: FolderLabelStore) -> None:
    store = FolderLabelStore(full.folder, row_json)
    scores = full.folder / "scores"
    scores.rename(full.folder / "away")
    scores.symlink_to("scores")  # As root, only this is refused.
    for use in (full.count, full.sides_with_sets, full.compact, lambda: store.rows_since(0, 1)):
        with pytest.raises(StorageError, match=f"could not read {scores}"):
            use()


@pytest.mark.parametrize("name", [f"labels/{HOOK}", f"sets/{HOOK}"])
def test_a_folder_of_old_files_that_cannot_be_listed_ends_the_copy(
    tmp_path: Path, name: str
) -> None:
    old_label(tmp_path, 0)
    (tmp_path / name).rename(tmp_path / "away")
    (tmp_path / name).symlink_to((tmp_path / name).name)
    store = FolderLabelStore(tmp_path, row_json)
    with pytest.raises(StorageError, match="could not .*Too many levels of symbolic links"):
        store.put_label(make_label(make_unit(9)))
    (tmp_path / name).unlink()
    (tmp_path / "away").rename(tmp_path / name)
    store.put_label(make_label(make_unit(9)))
    assert indices(store) == [0, 9]
    assert len(store.sides_with_sets()) == 1


def test_records_that_cannot_be_listed_are_not_taken_for_none(full: FolderLabelStore) -> None:
    records = full.folder / "records"
    records.rename(full.folder / "away")
    records.symlink_to("records")
    for use in (full.sides_with_sets, full.compact, full.clear):
        with pytest.raises(StorageError, match=f"could not list {records}"):
            use()
    assert full.count() == 1


def test_a_file_of_many_labels_leaves_little_room_unused(tmp_path: Path) -> None:
    store, packed = FolderLabelStore(tmp_path), os.urandom(2800)
    table = LabelDatabase(tmp_path / "scores" / "labels.sqlite")
    with table.database.writing() as connection:
        for index in range(2000):
            key = (5, "blocks.5.mlp.hook_post", index, 0)
            label_database.put(connection, key, None, packed)
    before = table.database.path.stat().st_size
    store.compact()
    assert table.count() == 2000
    assert table.get((5, "blocks.5.mlp.hook_post", 1999, 0)) == packed
    assert table.database.path.stat().st_size < 2000 * 2800 * 1.1 < before

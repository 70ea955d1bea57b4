from __future__ import annotations

import errno
import gzip
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from damaged_files import DAMAGES
from factories import make_label, make_sets, make_unit
from labelling import wait_until
from opened_files import no_more_files

from autointerp.core.errors import InputError, StorageError
from autointerp.core.explanations import LabelStatus
from autointerp.core.files import remove_leftovers, replacing, storage_errors
from autointerp.core.ids import Side, UnitId
from autointerp.dictionary import row_json
from autointerp.store.labels import JsonLabelStore
from autointerp.store.labels.mending_store import MendingStore

LABEL = "labels/blocks.5.mlp.hook_post/0000131.positive.json"
SETS = "sets/blocks.5.mlp.hook_post/0000131.positive.json.gz"


@pytest.fixture
def full(tmp_path: Path) -> JsonLabelStore:
    store = JsonLabelStore(tmp_path)
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


def test_files_lie_by_hook_index_and_side(full: JsonLabelStore) -> None:
    files = sorted(str(p.relative_to(full.folder)) for p in full.folder.rglob("*") if p.is_file())
    assert files == [LABEL, SETS]


def test_reading_makes_no_folder(tmp_path: Path) -> None:
    store = JsonLabelStore(tmp_path / "none")
    assert store.get_label(make_unit(), Side.POSITIVE) is None
    assert list(store.labels()) == []
    assert not (tmp_path / "none").exists()


def test_equal_sets_are_equal_files_whenever_they_are_written(full: JsonLabelStore) -> None:
    before = (full.folder / SETS).read_bytes()
    time.sleep(1.1)
    full.put_sets(make_sets())
    assert (full.folder / SETS).read_bytes() == before


def test_a_cut_off_label_is_named_with_what_to_do(full: JsonLabelStore) -> None:
    path = full.folder / LABEL
    path.write_bytes(path.read_bytes()[:100])
    for read in (
        lambda: full.get_label(make_unit(), Side.POSITIVE),
        lambda: list(full.labels()),
        lambda: list(full.summaries()),
    ):
        with pytest.raises(StorageError) as caught:
            read()
        assert str(path) in str(caught.value)
        assert "is damaged" in str(caught.value)
        assert "delete it and run again with --resume" in str(caught.value)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def nowhere(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has pipes and devices among files")
@pytest.mark.parametrize("put", [pipe, endless, nowhere])
def test_what_is_no_file_is_named_and_not_waited_for(
    full: JsonLabelStore, put: Callable[[Path], None]
) -> None:
    rows = full.folder / "rows.jsonl"
    for path in (full.folder / LABEL, full.folder / SETS, rows):
        path.unlink(missing_ok=True)
        put(path)
    reads: tuple[Callable[[], object], ...] = (
        lambda: full.get_label(make_unit(), Side.POSITIVE),
        lambda: list(full.labels()),
        lambda: list(full.summaries()),
        lambda: full.get_sets(make_unit(), Side.POSITIVE),
    )
    said = r"a pipe or a device|symbolic links"
    for read in reads:
        with pytest.raises(StorageError, match=said):
            read()
    store = JsonLabelStore(full.folder, row_json)
    assert store.rows_since(0, 10)[0] == []
    assert [bool(re.search(said, sentence)) for sentence in store.left_out()] == [True]
    assert rows.is_file()
    assert not rows.is_symlink()


PACKED = gzip.compress(b"{}", mtime=0)
"""Without the time, since it names tests, which all processes of a run must name alike."""


@pytest.mark.parametrize("data", [b"", b"no gzip", PACKED[:-9], PACKED])
def test_damaged_sets_are_named(full: JsonLabelStore, data: bytes) -> None:
    path = full.folder / SETS
    path.write_bytes(data)
    with pytest.raises(StorageError, match="is damaged: .*; delete it") as caught:
        full.get_sets(make_unit(), Side.POSITIVE)
    assert str(path) in str(caught.value)


def test_a_flipped_bit_in_compressed_sets_is_damage(full: JsonLabelStore) -> None:
    path = full.folder / SETS
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x40
    path.write_bytes(bytes(data))
    with pytest.raises(StorageError, match="is damaged"):
        full.get_sets(make_unit(), Side.POSITIVE)


def test_a_file_that_was_renamed_is_not_taken_for_another_unit(full: JsonLabelStore) -> None:
    moved = full.folder / LABEL.replace("131", "132")
    (full.folder / LABEL).rename(moved)
    with pytest.raises(StorageError, match="holds tiny/.*/131, not tiny/.*/132"):
        full.get_label(make_unit(132), Side.POSITIVE)


def test_a_newer_label_is_an_input_error_and_not_damage(full: JsonLabelStore) -> None:
    path = full.folder / LABEL
    path.write_bytes(path.read_bytes().replace(b'"schema":1', b'"schema":9'))
    with pytest.raises(InputError, match="newer autointerp"):
        full.get_label(make_unit(), Side.POSITIVE)


def test_a_failed_label_does_not_replace_one_that_cannot_be_read_now(full: JsonLabelStore) -> None:
    path = full.folder / LABEL
    kept = path.rename(path.with_suffix(".kept"))
    path.symlink_to(path.name)
    with pytest.raises(StorageError, match="could not read"):
        full.put_label(make_label(status=LabelStatus.FAILED))
    kept.replace(path)
    assert full.get_label(make_unit(), Side.POSITIVE) == make_label()


def test_a_failed_label_replaces_a_damaged_one(full: JsonLabelStore) -> None:
    (full.folder / LABEL).write_bytes(b"{half")
    failed = make_label(status=LabelStatus.FAILED)
    full.put_label(failed)
    assert full.get_label(make_unit(), Side.POSITIVE) == failed


@pytest.mark.parametrize(
    "damage", [name for name in DAMAGES if name not in {"newer", "unreadable"}]
)
def test_damaged_content_counts_as_missing(full: JsonLabelStore, damage: str) -> None:
    notes: list[str] = []
    store = MendingStore(full, notes.append)
    DAMAGES[damage](full.folder / LABEL)
    DAMAGES[damage](full.folder / SETS)
    assert store.get_label(make_unit(), Side.POSITIVE) is None
    assert store.get_sets(make_unit(), Side.POSITIVE) is None
    assert len(notes) == 2


def test_what_only_could_not_be_read_does_not_count_as_missing(full: JsonLabelStore) -> None:
    store = MendingStore(full, lambda _sentence: None)
    with no_more_files(), pytest.raises(StorageError, match=f"could not read .*{LABEL}"):
        store.get_label(make_unit(), Side.POSITIVE)
    with no_more_files(), pytest.raises(StorageError, match=f"could not read .*{SETS}"):
        store.get_sets(make_unit(), Side.POSITIVE)


def test_a_hook_point_never_leads_out_of_the_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a hook point"):
        JsonLabelStore(tmp_path).get_label(UnitId("tiny", "../../etc", 1), Side.POSITIVE)


def test_leftovers_and_foreign_files_are_passed_over(full: JsonLabelStore) -> None:
    folder = (full.folder / LABEL).parent
    (folder / ".0000132.positive.json.ab12.tmp").write_bytes(b"{half")
    (folder / "notes.txt").write_text("mine")
    (folder / "132.positive.json").write_text("unpadded")
    (folder.parent / "elsewhere").mkdir()
    (folder.parent / "README").write_text("mine")
    assert full.count() == 1
    assert [label.unit.index for label in full.labels()] == [131]
    assert remove_leftovers(full.folder) == 1
    assert sorted(p.name for p in folder.iterdir()) == [
        "0000131.positive.json",
        "132.positive.json",
        "notes.txt",
    ]


def test_a_reader_of_the_old_label_never_sees_half_of_the_new_one(full: JsonLabelStore) -> None:
    path = full.folder / LABEL
    before = path.read_bytes()
    with path.open("rb") as reader:
        start = reader.read(100)
        full.put_label(make_label(text="a text of another length, much longer than the first"))
        assert start + reader.read() == before
    assert path.read_bytes() != before


def test_a_damaged_label_in_the_midst_ends_the_heads_where_it_lies(tmp_path: Path) -> None:
    store = JsonLabelStore(tmp_path)
    for index in range(400):
        store.put_label(make_label(make_unit(index)))
    path = tmp_path / LABEL.replace("0000131", "0000210")
    path.write_bytes(path.read_bytes().replace(b'"side":"positive"', b'"side":"upper"'))
    heads = store.summaries()
    assert [next(heads).unit.index for _ in range(210)] == list(range(210))
    with pytest.raises(StorageError, match=r"0000210\.positive\.json is damaged: value\.side"):
        next(heads)


def test_a_label_that_goes_while_heads_are_read_is_passed_over(tmp_path: Path) -> None:
    store = JsonLabelStore(tmp_path)
    for index in range(400):
        store.put_label(make_label(make_unit(index)))
    heads = store.summaries()
    assert next(heads).unit.index == 0
    (tmp_path / LABEL.replace("0000131", "0000399")).unlink()
    assert [head.unit.index for head in heads] == list(range(1, 399))


def test_a_write_that_the_disk_cuts_off_leaves_the_old_label_whole(full: JsonLabelStore) -> None:
    before = (full.folder / LABEL).read_bytes()
    with (
        files_of_at_most(100),
        pytest.raises(StorageError, match="could not write .*File too large"),
    ):
        full.put_label(make_label(text="another text"))
    assert (full.folder / LABEL).read_bytes() == before
    assert not list(full.folder.rglob("*.tmp"))


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "labels").write_text("I am a file")
    with pytest.raises(StorageError, match="could not write .*labels"):
        JsonLabelStore(tmp_path).put_label(make_label())


def test_a_folder_in_the_place_of_a_label_is_told(tmp_path: Path) -> None:
    (tmp_path / LABEL).mkdir(parents=True)
    with pytest.raises(StorageError, match="could not read .*0000131"):
        JsonLabelStore(tmp_path).get_label(make_unit(), Side.POSITIVE)
    with pytest.raises(StorageError, match="could not read .*0000131"):
        list(JsonLabelStore(tmp_path).summaries())


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "free some space and run again with --resume: what is finished is kept"),
        (errno.EROFS, "choose a folder on a disk that can be written"),
        (errno.EACCES, "choose a folder that this user may write"),
        (errno.EIO, "check the disk and run again with --resume"),
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


_WRITER = """
import sys
from factories import make_label, make_unit
from autointerp.store.labels import JsonLabelStore
store = JsonLabelStore(sys.argv[1])
print("go", flush=True)
index = 0
while True:
    store.put_label(make_label(make_unit(index % 40), text=f"text {index}"))
    index += 1
"""


@pytest.mark.parametrize("wait_s", [0.05, 0.13, 0.31])
def test_a_writer_killed_at_any_moment_leaves_only_whole_labels(
    tmp_path: Path, wait_s: float
) -> None:
    command = [sys.executable, "-c", _WRITER, str(tmp_path)]
    env = {"PYTHONPATH": ":".join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        wait_until(lambda: any(tmp_path.rglob("*.json")) or writer.poll() is not None)
        time.sleep(wait_s)
        writer.send_signal(signal.SIGKILL)
    store = JsonLabelStore(tmp_path)
    assert len(list(store.labels())) == store.count() > 0

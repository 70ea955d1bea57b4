from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from damaged_files import DAMAGES, removed
from factories import make_job, make_label, make_sets, make_unit

from autointerp.core.config import CorpusConfig, JobSpec
from autointerp.core.errors import AutointerpError, InputError, StorageError
from autointerp.store.run_folder import RunFolder, stored_job


def test_a_new_folder_is_made_with_its_job(tmp_path: Path) -> None:
    folder, job = tmp_path / "runs" / "demo", make_job(seed=3)
    with RunFolder.open(folder, job, resume=False) as run:
        assert (run.folder, run.job) == (folder, job)
        assert (run.summary, run.checkpoint) == (folder / "summary", folder / "checkpoint")
    assert JobSpec.model_validate_json((folder / "job.json").read_bytes()) == job


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path, make_job(), resume=True):
        assert (tmp_path / "job.json").exists()


def test_labels_are_kept_for_the_one_who_resumes(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path / "a", make_job(), resume=False) as run:
        run.store.put_label(make_label())
    with RunFolder.open(tmp_path / "a", make_job(), resume=True) as run:
        assert list(run.store.labels()) == [make_label()]


@pytest.mark.parametrize("damage", [name for name in DAMAGES if name != "newer"])
def test_a_damaged_job_is_named_with_what_to_do_and_other_runs_go_on(
    tmp_path: Path, damage: str
) -> None:
    for name in ("a", "b"):
        with RunFolder.open(tmp_path / name, make_job(), resume=False) as run:
            run.store.put_label(make_label())
    path = tmp_path / "a" / "job.json"
    before = path.read_text()
    DAMAGES[damage](path)
    for ask in (_opened, stored_job):
        with pytest.raises(AutointerpError) as caught:
            ask(tmp_path / "a")
        assert str(path) in str(caught.value)
        assert re.search("put it back .*--out|--resume|move it away", str(caught.value))
        ask(tmp_path / "b")
    removed(path)
    # As the manifest of a finished run has it.
    path.write_text(json.dumps({"job": json.loads(before)}["job"]))
    assert stored_job(tmp_path / "a") == make_job()
    _opened(tmp_path / "a")


def _opened(folder: Path) -> None:
    with RunFolder.open(folder, make_job(), resume=True) as run:
        assert run.store.count() == 1


def test_finished_labels_are_not_continued_by_accident(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path, make_job(), resume=False) as run:
        run.store.put_label(make_label(make_unit(1)))
        run.store.put_label(make_label(make_unit(2)))
    with (
        pytest.raises(InputError) as caught,
        RunFolder.open(tmp_path, make_job(), resume=False),
    ):
        pass
    assert str(caught.value) == (
        f"{tmp_path} holds 2 finished labels of this run; "
        "add --resume to continue or choose another --out"
    )


def test_a_run_without_labels_starts_again_without_resume(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path, make_job(), resume=False) as run:
        run.store.put_sets(make_sets())
    with RunFolder.open(tmp_path, make_job(), resume=False) as run:
        assert run.store.count() == 0


@pytest.mark.parametrize("resume", [True, False])
def test_the_folder_of_another_run_is_refused_with_every_difference(
    tmp_path: Path, resume: bool
) -> None:
    there = make_job(corpus=CorpusConfig(n_tokens=65_536), seed=1)
    here = make_job(corpus=CorpusConfig(n_tokens=32_768), llm_model="m")
    with RunFolder.open(tmp_path, there, resume=False) as run:
        run.summary.mkdir()
    with pytest.raises(InputError) as caught, RunFolder.open(tmp_path, here, resume=resume):
        pass
    assert str(caught.value) == (
        f"{tmp_path} holds another run: corpus.n_tokens is 65536 there and 32768 here, "
        "llm_model is None there and 'm' here, seed is 1 there and 0 here; "
        "choose another --out or ask for the same run again"
    )
    assert JobSpec.model_validate_json((tmp_path / "job.json").read_bytes()) == there


def test_a_run_that_kept_nothing_does_not_claim_its_folder(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path, make_job(seed=1), resume=False):
        pass
    with RunFolder.open(tmp_path, make_job(seed=2), resume=False):
        pass
    assert JobSpec.model_validate_json((tmp_path / "job.json").read_bytes()).seed == 2


def test_a_folder_with_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(
        InputError, match=r"does not hold a run \(it has thesis\.tex but no job\.json\)"
    ):
        RunFolder.open(tmp_path, make_job(), resume=True).__enter__()
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file is a file, not a folder; choose another --out"):
        RunFolder.open(tmp_path / "file", make_job(), resume=False).__enter__()


def test_a_folder_below_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"could not make .*file/run: Not a directory"):
        RunFolder.open(tmp_path / "file" / "run", make_job(), resume=False).__enter__()


@pytest.mark.parametrize("content", ["", "{", '{"units": "5:1", "colour": "red"}'])
def test_a_job_file_that_cannot_be_read_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "job.json").write_text(content)
    with pytest.raises(
        InputError, match=r"job\.json does not hold a job that this version reads: .*--out"
    ):
        RunFolder.open(tmp_path, make_job(), resume=True).__enter__()
    assert (tmp_path / "job.json").read_text() == content


def test_a_second_opening_names_the_process_that_writes(tmp_path: Path) -> None:
    with (
        RunFolder.open(tmp_path, make_job(), resume=False),
        pytest.raises(InputError) as caught,
        RunFolder.open(tmp_path, make_job(), resume=True),
    ):
        pass
    assert str(caught.value) == (
        f"{tmp_path} is being written by process {os.getpid()}; "
        "wait until it has finished or choose another --out"
    )


_HOLDER = """
import sys, time
from factories import make_job
from autointerp.store.run_folder import RunFolder

with RunFolder.open(sys.argv[1], make_job(), resume=False):
    print("locked", flush=True)
    time.sleep(300)
"""


def test_another_process_holds_the_folder_until_it_dies(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HOLDER, str(tmp_path)]
    env = {"PYTHONPATH": ":".join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(InputError, match=f"is being written by process {holder.pid};"):
            RunFolder.open(tmp_path, make_job(), resume=True).__enter__()
        holder.send_signal(signal.SIGKILL)
    with RunFolder.open(tmp_path, make_job(), resume=False) as run:
        assert run.store.count() == 0


def test_the_lock_is_let_go_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyError), RunFolder.open(tmp_path, make_job(), resume=False):
        raise KeyError("a fault of the caller")
    with RunFolder.open(tmp_path, make_job(), resume=False):
        pass


def test_leftovers_of_a_killed_run_are_cleaned(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path, make_job(), resume=False) as run:
        run.store.put_label(make_label())
    leftover = tmp_path / "scores/.labels.sqlite.ab12.tmp"
    leftover.write_bytes(b"{half")
    with RunFolder.open(tmp_path, make_job(), resume=True) as run:
        assert not leftover.exists()
        assert run.store.count() == 1


def test_a_run_killed_before_its_job_was_written_starts_anew(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("99999\n")
    (tmp_path / ".job.json.ab12cd34.tmp").write_text('{"uni')
    with RunFolder.open(tmp_path, make_job(), resume=False):
        assert sorted(p.name for p in tmp_path.iterdir()) == [".lock", "job.json"]


def test_a_collection_is_removed_where_it_is_large(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path, make_job(), resume=False) as run:
        assert run.remove_large_collection() == 0
        run.summary.mkdir()
        for size, removed_bytes in ((2**24, 0), (2**24 + 1, 2**24 + 1)):
            with (run.summary / "summary.safetensors").open("wb") as file:
                file.truncate(size)
            assert run.remove_large_collection() == removed_bytes
        assert not run.summary.exists()

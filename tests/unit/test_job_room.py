"""What a job needs is said before anything is loaded, and refused with what would fit."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from autointerp.core.config import CorpusConfig, JobSpec
from autointerp.core.errors import InputError
from autointerp.orchestration.counted_units import counted_units
from autointerp.orchestration.job_outlook import planned_work
from autointerp.wiring.job_plans import subject_shape
from autointerp.wiring.job_room import FreeRoom, JobNeeds, addresses_left, state_needs

_GIB = 2**30
WIDE = FreeRoom(None, None, None)


def job(units: str = "all", **further: object) -> JobSpec:
    given = {"subject": "smollm2-135m", "llm": "none", "corpus": CorpusConfig(n_tokens=32_768)}
    return JobSpec.model_validate({"units": units, **given, **further})


def needs_of(asked: JobSpec, *, on_cpu: bool = True) -> JobNeeds:
    shape = subject_shape(asked.subject)
    return JobNeeds.of(planned_work(asked, shape, counted_units(asked.units, shape)), on_cpu=on_cpu)


def refused(asked: JobSpec, folder: Path, room: FreeRoom) -> str:
    with pytest.raises(InputError) as error:
        state_needs(asked, folder, None, room=room, on_cpu=True)
    return str(error.value)


def test_time_memory_and_disk_are_one_sentence(tmp_path: Path) -> None:
    notes: list[str] = []
    state_needs(job(), tmp_path, notes.append, room=WIDE, on_cpu=True)
    [note] = notes
    assert note.startswith("46,080 labels need about ")
    assert "of memory and" in note
    assert "of disk, of which" in note


def test_too_little_memory_is_refused_with_what_would_fit(tmp_path: Path) -> None:
    needs = needs_of(job())
    message = refused(job(), tmp_path, FreeRoom(needs.memory // 2, None, None))
    assert "46,080 labels need" in message
    assert "of 30 layers at a time (--units layer:0,layer:1,layer:2,...,layer:" in message


def test_what_is_said_to_fit_fits(tmp_path: Path) -> None:
    room = FreeRoom(needs_of(job()).memory // 2, None, None)
    n = int(refused(job(), tmp_path, room).partition("fits with ")[2].split()[0])
    some = ",".join(f"layer:{layer}" for layer in range(n))
    state_needs(job(some), tmp_path, None, room=room, on_cpu=True)
    refused(job(f"{some},layer:{n}"), tmp_path, room)


def test_an_estimate_refuses_no_job_that_may_fit(tmp_path: Path) -> None:
    needs = needs_of(job())
    state_needs(
        job(), tmp_path, None, room=FreeRoom(None, None, int(0.81 * needs.disk)), on_cpu=True
    )
    # How many distinct tokens another text has is not known before it is read.
    room = FreeRoom(needs.memory - 2**20, None, None)
    refused(job(), tmp_path, room)
    mine = CorpusConfig(corpus="mine.txt", n_tokens=job().corpus.n_tokens)
    state_needs(job(corpus=mine), tmp_path, None, room=room, on_cpu=True)


def test_fewer_units_of_one_layer_are_drawn(tmp_path: Path) -> None:
    least, most = needs_of(job("random:1")), needs_of(job("layer:0"))
    room = FreeRoom((least.memory + most.memory) // 2, None, None)
    said = refused(job("layer:3"), tmp_path, room)
    assert re.search(r"fits with --units random:\d+@3( |$)", said)


def test_fewer_units_of_a_part_of_a_layer_are_its_first(tmp_path: Path) -> None:
    least, most = needs_of(job("3:0-0")), needs_of(job("3:0-1199,4:0-9"))
    room = FreeRoom((least.memory + most.memory) // 2, None, None)
    said = refused(job("3:0-1199,4:0-9"), tmp_path, room)
    assert re.search(r"fits with --units blocks\.3\.mlp\.hook_post:0-\d+( |$)", said)


def test_less_text_is_named_where_that_is_enough(tmp_path: Path) -> None:
    room = FreeRoom(None, None, needs_of(job()).disk * 2 // 3)
    n = int(refused(job(), tmp_path, room).rpartition("or with --tokens ")[2])
    less = {size: {"corpus": CorpusConfig(n_tokens=size)} for size in (n, 2 * n)}
    state_needs(job(**less[n]), tmp_path, None, room=room, on_cpu=True)
    refused(job(**less[2 * n]), tmp_path, room)


def test_what_the_folder_holds_already_is_not_needed_again(tmp_path: Path) -> None:
    needs = needs_of(job("0:0-9"))
    room = FreeRoom(None, None, int(0.8 * needs.disk) - 1_000)
    refused(job("0:0-9"), tmp_path, room)
    (tmp_path / "summary").write_bytes(b"x" * 2_000)
    state_needs(job("0:0-9"), tmp_path, None, room=room, on_cpu=True)


def test_a_job_whose_labels_are_all_there_is_not_refused(tmp_path: Path) -> None:
    none = FreeRoom(0, 0, 0)
    state_needs(job("0:0-9"), tmp_path, None, room=none, on_cpu=True, n_done=10)
    with pytest.raises(InputError):
        state_needs(job("0:0-9"), tmp_path, None, room=none, on_cpu=True, n_done=9)


def test_where_nothing_fits_a_narrower_dtype_or_a_smaller_model_is_advised(tmp_path: Path) -> None:
    half = needs_of(job("0:0", dtype="bfloat16")).memory
    assert "--dtype bfloat16" in refused(job("0:0"), tmp_path, FreeRoom(half, None, None))
    assert "not even one unit fits" in refused(job("0:0"), tmp_path, FreeRoom(1, None, None))


def test_a_device_takes_the_model_out_of_main_memory() -> None:
    assert needs_of(job(), on_cpu=False).memory < needs_of(job()).memory


def test_a_subject_whose_shape_is_not_known_is_not_refused(tmp_path: Path) -> None:
    notes: list[str] = []
    room = FreeRoom(1, 1, 1)
    state_needs(job(subject="somebody/model"), tmp_path, notes.append, room=room, on_cpu=True)
    assert notes == []


def test_a_limit_of_addresses_is_read_from_the_process() -> None:
    assert addresses_left() is None
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (16 * 2**30,) * 2)\n"
        "from autointerp.wiring.job_room import addresses_left; print(addresses_left())"
    )
    left = int(
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True).stdout
    )  # noqa: S603, E501
    assert 8 * _GIB < left < 16 * _GIB

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from noted_progress import NotedProgress

from autointerp.activations import (
    RecordedWindows,
    opened_recording,
    read_windows,
    record_windows,
)
from autointerp.core.errors import InputError
from autointerp.core.ids import Side
from autointerp.store.recorded_lines import as_recorded

HOOK, BELOW = "blocks.1.mlp.hook_post", "blocks.0.mlp.hook_pre"
WANTED = {(HOOK, 4): [9, 2, 30, 2], (HOOK, 5): [30, 31], (BELOW, 1): [2, 40]}


class Interrupted(Exception):
    pass


class Counting:
    """A subject model that says which windows it was given, and stops before one of its passes."""

    def __init__(self, subject: Any, *, stop_before: int | None = None) -> None:
        self._subject, self._stop = subject, stop_before
        self.passes: list[int] = []

    def read(self, tokens: Any, hooks: Any, receive: Any) -> None:
        if len(self.passes) == self._stop:
            raise Interrupted
        self.passes.append(len(tokens))
        self._subject.read(tokens, hooks, receive)


def recorded(collected: Any, subject: Any = None, **options: Any) -> RecordedWindows:
    given = {"batch_windows": 2, "progress": NotedProgress()} | options
    return record_windows(subject or collected.subject, collected.corpus, WANTED, **given)


def check_equal(found: RecordedWindows, collected: Any) -> None:
    read = read_windows(collected.subject, collected.corpus, WANTED, batch_windows=2)
    assert set(found) == set(read)
    assert len(found) == len(read) == 7
    for key, line in read.items():
        np.testing.assert_array_equal(found[key], as_recorded(line))
    lines = found.of_unit((HOOK, 4), [30, 9])
    np.testing.assert_array_equal(lines[1, : len(found[HOOK, 4, 9])], found[HOOK, 4, 9])


def test_one_pass_gives_what_reading_gives_rounded_as_records_are(
    collected: Any, tmp_path: Path
) -> None:
    subject = Counting(collected.subject)
    check_equal(recorded(collected, subject), collected)
    assert sum(subject.passes) == 5  # each window once
    check_equal(recorded(collected, folder=tmp_path / "a", name="a"), collected)


@pytest.mark.parametrize("stop_before", [0, 1, 2])
def test_an_interrupted_pass_goes_on_where_it_was(
    collected: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_before: int
) -> None:
    monkeypatch.setattr("autointerp.activations.recorded_windows._SAVE_EVERY_S", 0.0)
    subject, folder = Counting(collected.subject, stop_before=stop_before), tmp_path / "a"
    with pytest.raises(Interrupted):
        recorded(collected, subject, folder=folder, name="a")
    rest = Counting(collected.subject)
    options = {"batch_windows": 2, "progress": NotedProgress()}
    found = opened_recording(rest, collected.corpus, folder, "a", **options)  # type: ignore[arg-type]
    assert found is not None
    assert sum(subject.passes) + sum(rest.passes) == 5
    check_equal(found, collected)
    again = Counting(collected.subject)
    found = opened_recording(again, collected.corpus, folder, "a", **options)  # type: ignore[arg-type]
    assert found is not None
    assert not again.passes
    check_equal(found, collected)


@pytest.mark.parametrize(
    "damage",
    [
        *("none", "other name", "no state", "state is a folder", "no count", "half a file"),
        *("no file", "no index", "empty index", "cut index", "no hook point"),
    ],
)
def test_what_is_not_that_recording_is_not_taken_for_it(
    collected: Any, tmp_path: Path, damage: str
) -> None:
    folder = tmp_path / "a"
    recorded(collected, folder=folder, name="a")
    state = folder / "state.json"
    index = folder / f"{HOOK}.npz"
    if damage == "no state":
        state.write_text("{")
    elif damage == "state is a folder":
        state.unlink()
        state.mkdir()
    elif damage == "no count":
        state.write_text(json.dumps({**json.loads(state.read_text()), "n_done": None}))
    elif damage == "no hook point":
        state.write_text(json.dumps({**json.loads(state.read_text()), "hooks": ["../a"]}))
    elif damage == "no file":
        (folder / f"{HOOK}.lines").unlink()
    elif damage == "empty index":
        index.write_bytes(b"")
    elif damage == "cut index":
        index.write_bytes(index.read_bytes()[:-30])
    elif damage == "half a file":
        with (folder / f"{HOOK}.lines").open("rb+") as file:
            file.truncate(100)
    elif damage == "no index":
        index.write_bytes(b"PK")
    name = "b" if damage == "other name" else "a"
    options: Any = {"batch_windows": 2, "progress": NotedProgress()}
    found = opened_recording(collected.subject, collected.corpus, folder, name, **options)
    assert (found is not None) == (damage == "none")
    check_equal(recorded(collected, folder=folder, name="b"), collected)


def test_a_disk_without_room_is_said_before_anything_is_read(
    collected: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=150)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    subject = Counting(collected.subject)
    with pytest.raises(InputError, match="need .* are free; .* at most [12] units at once"):
        recorded(collected, subject, folder=tmp_path / "a", name="a")
    assert not subject.passes
    assert not (tmp_path / "a").exists()


def test_a_unit_that_was_not_recorded_is_not_there(collected: Any) -> None:
    found = recorded(collected)
    assert found.has((HOOK, 4))
    assert found.has((HOOK, 4), [2, 30])
    assert not found.has((HOOK, 4), [2, 31])
    assert not found.has((HOOK, 6))
    assert not found.has(("blocks.0.mlp.hook_post", 4))
    for key in ((HOOK, 6, 2), (HOOK, 4, 3)):
        with pytest.raises(KeyError):
            found[key]


@pytest.mark.parametrize("in_files", [False, True])
def test_it_says_how_many_units_are_larger_where_a_unit_peaks(
    collected: Any, tmp_path: Path, *, in_files: bool
) -> None:
    folder = tmp_path / "a" if in_files else None
    found = recorded(collected, folder=folder, name="a")
    found = RecordedWindows.of_lines(collected.corpus, found.lines_of(WANTED))
    for (hook, index), windows in WANTED.items():
        for window in set(windows):
            ids = collected.corpus[window].token_ids
            width = collected.subject.width(hook)
            whole = collected.subject.read_rows([ids], {hook: range(width)})[0]
            for side, place in (
                (Side.POSITIVE, whole[index].argmax()),
                (Side.NEGATIVE, whole[index].argmin()),
            ):
                sizes = np.abs(whole[:, place])
                expected = int((sizes > sizes[index] * (1 + 1e-6)).sum())
                assert found.ranks((hook, index), [window], side) == (expected,)

"""A job of more units than one chunk has: their windows are read in one pass over the text."""

from __future__ import annotations

import json
import signal

import pytest
from labelling import Labelling, wait_until

BOTH = "0:0-23,1:0-23,blocks.1.mlp.hook_pre:"
ALL, FIRST = f"{BOTH}0-23", f"{BOTH}0-15"
"""More units than are labelled together, and the first that are."""


def rows(labelling: Labelling, out: str) -> dict[str, dict[str, object]]:
    folder = str(labelling.folder / out / "table.jsonl")
    ended = labelling(["export", str(labelling.folder / out), "--format", "jsonl", "--out", folder])
    assert ended.code == 0, ended.err
    lines = (labelling.folder / out / "table.jsonl").read_text().splitlines()
    return {row["unit"]: row for row in map(json.loads, lines)}


def arguments(labelling: Labelling, out: str, units: str) -> list[str]:
    given = labelling.arguments(out, llm="none")
    given[given.index("--units") + 1] = units
    return given


def test_labels_are_those_of_units_that_are_read_by_themselves(labelling: Labelling) -> None:
    ended = labelling(arguments(labelling, "all", ALL))
    assert ended.code == 0, ended.err
    assert "72 units take" in ended.err
    assert labelling(arguments(labelling, "first", FIRST)).code == 0
    whole, first = rows(labelling, "all"), rows(labelling, "first")
    assert len(whole) == 72
    for unit, row in first.items():
        assert whole[unit]["description"] == row["description"]
        assert whole[unit]["status"] == row["status"]
        for column in ("score", "score_low", "score_null", "p_value"):
            assert whole[unit][column] == pytest.approx(row[column], rel=1e-3, abs=1e-4), unit
    assert not (labelling.folder / "all" / "activations").exists()


def test_a_run_that_is_stopped_in_between_goes_on_with_what_was_read(labelling: Labelling) -> None:
    assert labelling(arguments(labelling, "whole", ALL)).code == 0
    given = arguments(labelling, "a", ALL)
    running = labelling.spawn(given)
    wait_until(lambda: bool(labelling.labels("a")) or running.poll() is not None)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=300)
    assert running.returncode == 130
    assert (labelling.folder / "a" / "activations").exists()
    again = labelling([*given, "--resume"])
    assert again.code == 0, again.err
    assert "choose windows" not in again.err
    assert labelling.tables("a") == labelling.tables("whole")
    assert not (labelling.folder / "a" / "activations").exists()

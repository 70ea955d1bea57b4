from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from noted_progress import NotedProgress

from autointerp.activations import (
    RecordedWindows,
    joined_lines,
    read_part,
    record_windows,
    requests_of_part,
    write_part,
)
from autointerp.core.errors import DamagedError
from autointerp.store.artifacts import Artifacts

HOOK, BELOW = "blocks.1.mlp.hook_post", "blocks.0.mlp.hook_pre"
WANTED = {
    unit: np.array(windows, dtype=np.int32)
    for unit, windows in {
        (HOOK, 4): [9, 2, 30, 7, 8],
        (HOOK, 5): [30, 31],
        (BELOW, 1): [2, 40],
        (BELOW, 2): [],
    }.items()
}
CHUNKS = [[(HOOK, 4), (BELOW, 2)], [(BELOW, 1), (HOOK, 5)]]
NAME = "a" * 32


def recorded(collected: Any, requests: Any) -> RecordedWindows:
    return record_windows(
        collected.subject, collected.corpus, requests, batch_windows=2, progress=NotedProgress()
    )


def written(collected: Any, artifacts: Artifacts, folder: Path, of: int) -> None:
    for number in range(of):
        part = recorded(collected, requests_of_part(WANTED, number, of, batch_windows=2))
        write_part(folder / "part", NAME, map(part.lines_of, CHUNKS))
        artifacts.put(f"part {number}", folder / "part")


def read(artifacts: Artifacts, number: int, chunk: int, name: str = NAME) -> Any:
    return read_part(
        partial(artifacts.get_bytes, f"part {number}"),  # type: ignore[arg-type]
        name,
        chunk=chunk,
        n_chunks=len(CHUNKS),
    )


@pytest.mark.parametrize("of", [1, 2, 3, 9])
def test_chunks_of_all_parts_are_to_the_bit_what_one_pass_gives(
    collected: Any, tmp_path: Path, of: int
) -> None:
    artifacts = Artifacts(str(tmp_path / "artifacts"))
    written(collected, artifacts, tmp_path, of)
    whole = recorded(collected, WANTED)
    seen = set()
    for chunk in range(len(CHUNKS)):
        lines = joined_lines(read(artifacts, number, chunk) for number in range(of))
        found = RecordedWindows.of_lines(collected.corpus, lines)
        for key, line in found.items():
            np.testing.assert_array_equal(line, whole[key])
        assert all(found.has(u, WANTED[u].tolist()) for u in CHUNKS[chunk] if len(WANTED[u]))
        seen |= set(found)
    assert seen == set(whole)


def test_every_window_is_in_one_part_and_batches_are_those_of_the_whole_pass() -> None:
    parts = [requests_of_part(WANTED, number, 2, batch_windows=2) for number in range(2)]
    windows = [{int(w) for one in part.values() for w in one} for part in parts]
    # Read to the lower layer: 40, which is one batch with the first of those read to the upper.
    assert windows == [{40, 2}, {7, 8, 9, 30, 31}] or windows == [{40, 2, 7, 8}, {9, 30, 31}]
    assert sum(len(one) for part in parts for one in part.values()) == 9


def test_a_file_that_is_cut_off_or_changed_or_of_another_job_is_damaged(
    collected: Any, tmp_path: Path
) -> None:
    artifacts = Artifacts(str(tmp_path / "artifacts"))
    written(collected, artifacts, tmp_path, 1)
    data = artifacts.get_bytes("part 0") or b""
    with pytest.raises(DamagedError, match="another job"):
        read(artifacts, 0, 0, "b" * 32)
    for length in (0, 5, len(data) // 2, len(data) - 1):
        artifacts.put_bytes("part 0", data[:length])
        with pytest.raises(DamagedError):
            read(artifacts, 0, 0)
    # Somewhere in the numbers of the first chunk, which the second does not need.
    changed = bytearray(data)
    changed[300] ^= 1
    artifacts.put_bytes("part 0", bytes(changed))
    with pytest.raises(DamagedError):
        read(artifacts, 0, 0)
    assert read(artifacts, 0, 1)


def test_whatever_byte_is_changed_nothing_else_is_raised(collected: Any, tmp_path: Path) -> None:
    write_part(tmp_path / "part", NAME, map(recorded(collected, WANTED).lines_of, CHUNKS))
    data = (tmp_path / "part").read_bytes()
    n_damaged = 0
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1

        def bytes_of(first: int, end: int | None, changed: bytes = bytes(changed)) -> bytes:
            return changed[first:end]

        with suppress(DamagedError):
            read_part(bytes_of, NAME, chunk=1, n_chunks=len(CHUNKS))
            continue
        n_damaged += 1
    assert n_damaged > 500

"""What was read of a mapped file does not stay in memory."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from noted_progress import NotedProgress

from autointerp.activations import Summary, record_windows, save_summary, summary_by_hook
from autointerp.activations.summary_storage import load_summary
from autointerp.activations.tensor_file import TensorFile, write_tensors
from autointerp.core.text import Split

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
HOOKS = ("blocks.0.mlp.hook_pre", "blocks.1.mlp.hook_post")


def resident_kb(path: Path) -> int:
    """Of a file that this process has mapped."""
    lines = Path("/proc/self/smaps").read_text().splitlines()
    total, is_it = 0, False
    for line in lines:
        if "-" in line.split(" ", 1)[0]:
            is_it = line.endswith(str(path))
        elif is_it and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


def test_a_released_file_takes_no_memory_and_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    write_tensors(path, {"a": np.arange(1 << 20)}, {})
    file = TensorFile(path)
    view = file["a"]
    assert view.sum() == (1 << 19) * ((1 << 20) - 1)
    assert resident_kb(path) > 0
    file.release()
    assert resident_kb(path) == 0
    assert view[-1] == (1 << 20) - 1


@pytest.mark.parametrize("read", [load_summary, summary_by_hook])
def test_of_a_summary_that_was_read_no_page_stays(
    collected: Any, tmp_path: Path, read: Callable[[Path], Summary]
) -> None:
    path = tmp_path / "whole.safetensors"
    save_summary(collected.summary, path)
    summary = read(path)
    first = {hook: summary.hooks[hook, Split.EXPLAIN].state.total.clone() for hook in summary}
    assert resident_kb(path) == 0
    for hook, total in first.items():
        assert total.equal(collected.summary.hooks[hook, Split.EXPLAIN].state.total)


def test_lines_of_a_hook_point_are_let_go_when_another_is_read(
    collected: Any, tmp_path: Path
) -> None:
    wanted = {(hook, index): range(40) for hook in HOOKS for index in range(8)}
    recording = record_windows(
        collected.subject,
        collected.corpus,
        wanted,
        folder=tmp_path / "lines",
        progress=NotedProgress(),
    )
    files = [tmp_path / "lines" / f"{hook}.lines" for hook in HOOKS]
    assert [resident_kb(file) for file in files] == [0, 0]
    first = recording.of_unit((HOOKS[0], 3), [2, 5])
    assert resident_kb(files[0])
    recording.of_unit((HOOKS[1], 3), [2, 5])
    assert (resident_kb(files[0]), resident_kb(files[1]) > 0) == (0, True)
    np.testing.assert_array_equal(recording.of_unit((HOOKS[0], 3), [2, 5]), first)

"""One unit read from a file is what the summary in memory says of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autointerp.activations import open_summary, save_summary
from autointerp.activations.kernels import decoding, encoding
from autointerp.activations.kernels.encoding import bin_edges, signed_edges
from autointerp.activations.kernels.hook_state import empty_state
from autointerp.activations.summary_file import UNIT_AXIS
from autointerp.core.config import CollectConfig
from autointerp.core.errors import InputError
from autointerp.core.text import Split

HOOK = "blocks.1.mlp.hook_post"
FIRST = "blocks.0.mlp.hook_pre"
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def path(collected: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("summary") / "summary.safetensors"
    save_summary(collected.summary, target)
    return target


@pytest.mark.parametrize("split", list(Split))
@pytest.mark.parametrize(("hook", "index", "row"), [(FIRST, 3, 0), (FIRST, 7, 1), (HOOK, 17, 17)])
def test_a_unit_of_the_file_is_the_unit_of_the_summary(
    collected: Any, path: Path, hook: str, index: int, row: int, split: Split
) -> None:
    unit, part = open_summary(path).unit(hook, index, split), collected.summary.split(hook, split)
    assert (unit.hook, unit.index, unit.split) == (hook, index, split)
    assert (unit.n_tokens, unit.n_windows) == (part.n_tokens, part.n_windows)
    assert (unit.mean, unit.variance) == (part.mean[row], part.variance[row])
    assert (unit.minimum, unit.maximum) == (part.minimum[row], part.maximum[row])
    assert unit.histogram.tolist() == part.histogram[row].tolist()
    for number, side in enumerate(unit.sides):
        assert side.density == part.side_density(number)[row]
        assert side.window_density == part.window_density(number)[row]
        assert side.n_active_windows == part.active_windows(number)[row]
        assert side.peak_histogram.tolist() == part.peak_histogram(number)[row].tolist()
        for found, expected in (
            ((side.top_windows, side.top_values), part.ranked(number, row)),
            ((side.sampled_windows, side.sampled_values), part.sampled(number, row)),
            ((side.shared_windows, side.shared_values), part.shared(number, row)),
        ):
            assert [x.tolist() for x in found] == [x.tolist() for x in expected]


def test_every_field_of_a_state_has_a_unit_axis() -> None:
    empty = empty_state(7, CollectConfig(), torch.device("meta"), n_shared=3)
    assert {name: tensor.shape.index(7) for name, tensor in empty.tensors().items()} == UNIT_AXIS


def test_an_opened_file_says_what_it_is_of(collected: Any, path: Path) -> None:
    found, summary = open_summary(path), collected.summary
    assert found.hooks == tuple(summary)
    assert found.identity == summary.identity
    assert found.batches == summary.batches
    assert (found.n_units(FIRST), found.indices(FIRST).tolist()) == (2, [3, 7])
    for split in Split:
        part = summary.split(HOOK, split)
        assert (found.n_tokens(split), found.n_windows(split)) == (part.n_tokens, part.n_windows)
    assert found.histogram_edges.tolist() == signed_edges().tolist()
    assert found.peak_edges.tolist() == bin_edges().tolist()


@pytest.mark.parametrize(
    ("hook", "index", "message"),
    [
        (FIRST, 4, "has 2 units of blocks.0.mlp.hook_pre from 3 to 7, but not unit 4"),
        (FIRST, 8, "but not unit 8"),
        (HOOK, -1, "from 0 to 23, but not unit -1"),
        ("blocks.9.mlp.hook_post", 0, "has no blocks.9.mlp.hook_post; it has blocks.0.mlp"),
    ],
)
def test_a_unit_that_is_not_there_is_told(path: Path, hook: str, index: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_summary(path).unit(hook, index, Split.EXPLAIN)


def test_a_file_is_opened_without_torch(path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from autointerp.activations import open_summary; from autointerp.core.text import Split\n"
        f"unit = open_summary(Path({str(path)!r})).unit({HOOK!r}, 5, Split.EXPLAIN)\n"
        "print(unit.index, [m for m in ('torch', 'transformers', 'numba') if m in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ended.stdout == "5 []\n"


def test_a_file_stays_readable_when_another_takes_its_place(collected: Any, path: Path) -> None:
    opened = open_summary(path)
    before = opened.unit(HOOK, 3, Split.EXPLAIN).mean
    save_summary(collected.again(seed=5), path)
    assert opened.unit(HOOK, 3, Split.EXPLAIN).mean == before
    assert opened.identity.seed == 0
    assert open_summary(path).identity.config.seed == 5
    save_summary(collected.summary, path)


def test_the_function_of_a_package_is_not_hidden_by_the_module_of_its_name() -> None:
    program = (
        "import autointerp.activations.collection, autointerp.activations as a\n"
        "from autointerp.activations import collect\n"
        "print(callable(collect), callable(a.collect), hasattr(a, 'nothing'))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ended.stdout == "True True False\n"


@given(
    st.lists(
        st.tuples(st.floats(width=32, allow_nan=False), st.integers(0, 2**31)),
        min_size=1,
        max_size=8,
    )
)
def test_value_keys_are_read_as_they_were_written(pairs: list[tuple[float, int]]) -> None:
    values, windows = (torch.tensor(column) for column in zip(*pairs, strict=True))
    packed = encoding.value_keys(values.to(torch.float32), windows).numpy()
    found, ids = decoding.unpack_ranked(np.append(packed, decoding.EMPTY_RANK))
    assert found[:-1].tolist() == values.to(torch.float32).tolist()
    assert ids.tolist() == [*windows.tolist(), decoding.NO_WINDOW]
    assert np.isnan(found[-1])

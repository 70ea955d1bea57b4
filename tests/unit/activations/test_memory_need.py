"""What a collection needs is known before it starts, to the byte where it is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autointerp.activations import MemoryNeed
from autointerp.activations.collection_sizes import BatchShape, collection_memory
from autointerp.activations.memory_need import (
    available_memory,
    refuse_what_cannot_fit,
    room_in_cgroups,
    without_large_tables,
)
from autointerp.core.config import CollectConfig
from autointerp.core.errors import InputError
from autointerp.core.text import Split

MIB = 2**20
CPU = torch.device("cpu")


def need(**changes: int) -> MemoryNeed:
    values = {"state": 600 * MIB, "tables": 0, "batch": 320 * MIB, "model": 500 * MIB}
    return MemoryNeed(**{**values, "n_units": 6_000, "batch_windows": 32, **changes})


def test_the_state_and_the_tables_are_counted_to_the_byte(collected: Any) -> None:
    summary, corpus = collected.summary, collected.corpus
    n_shared = {split: len(part.shared_windows) for (_, split), part in summary.hooks.items()}
    table = next(iter(summary.tables.values()))
    found = collection_memory(
        {unit.hook: len(unit.indices) for unit in collected.units},
        collected.config,
        n_shared=n_shared,
        batch=BatchShape(n_pos=corpus.n_ctx + 1, width=24, itemsize=4),
        n_types=len(table.types),
        n_once=int(table.once.sum()),
        model_bytes=1000,
    )
    parts = summary.hooks.values()
    assert found.state == sum(t.nbytes for p in parts for t in p.state.tensors().values())
    assert found.tables == sum(
        tensor.nbytes
        for table in summary.tables.values()
        for tensor in (table.types, table.counts, table.once, table.sums, table.single)
    )
    assert found.n_units == 26
    assert found.total == found.state + found.tables + found.batch + 1000


def test_token_tables_of_more_than_two_gibibytes_are_left_out_unless_asked_for() -> None:
    small = need(tables=2**31)
    assert without_large_tables(small) == small
    assert without_large_tables(need(tables=2**31 + 1)) == need(tables=0)


def test_a_million_units_are_counted_without_being_made() -> None:
    found = collection_memory(
        {f"blocks.{i}.mlp.hook_post": 100_000 for i in range(100)},
        CollectConfig(),
        n_shared=dict.fromkeys(Split, 96),
        batch=BatchShape(n_pos=65, width=100_000, itemsize=2),
    )
    assert found.n_units == 10_000_000
    assert found.state > 2**36


def test_the_need_is_told_in_one_line() -> None:
    assert str(need()) == (
        "1.4 GiB: 600.0 MiB for the state of 6,000 units, 320.0 MiB for a batch of 32 windows, "
        "500.0 MiB for the model"
    )


@pytest.mark.parametrize(
    ("available", "advice"),
    [
        (800, "--batch-windows 12 would fit"),
        (500, "at most 1,300 units would fit, for example --units random:1300"),
        (100, "--units random:800 with --batch-windows 1 would fit"),
        (10, "not even one unit fits: free some memory or take a smaller model"),
    ],
)
def test_what_cannot_fit_is_refused_with_what_would(available: int, advice: str) -> None:
    with pytest.raises(InputError) as caught:
        refuse_what_cannot_fit(need(), available * MIB)
    said = str(caught.value)
    assert said.startswith("collecting needs 920.0 MiB beside the loaded model (1.4 GiB: 600.0 MiB")
    assert f"but only {available * 0.9:.1f} MiB is available; {advice}" in said


def test_what_fits_or_cannot_be_known_is_not_refused() -> None:
    assert need().further == 920 * MIB
    just_enough = 1 + int(920 * MIB / 0.9)
    refuse_what_cannot_fit(need(), just_enough)
    refuse_what_cannot_fit(need(), None)
    refuse_what_cannot_fit(need(state=0, batch=0), 0)
    with pytest.raises(InputError, match="is available"):
        refuse_what_cannot_fit(need(), just_enough - 2)


@given(
    st.integers(1, 10**9),
    st.integers(1, 10**9),
    st.integers(1, 10**6),
    st.integers(1, 4096),
    st.integers(0, 10**9),
)
def test_what_is_advised_does_fit(
    state: int, batch: int, n_units: int, windows: int, available: int
) -> None:
    wanted = need(
        state=state * n_units, batch=batch * windows, n_units=n_units, batch_windows=windows
    )
    try:
        refuse_what_cannot_fit(wanted, available)
    except InputError as error:
        said = str(error)
        fewer, smaller = number_after(said, "random:"), number_after(said, "--batch-windows ")
        if fewer is None and smaller is None:
            assert state + batch > available * 0.9
            return
        assert fewer is None or 1 <= fewer <= n_units
        assert smaller is None or 1 <= smaller <= windows
        n, b = fewer or n_units, smaller or windows
        refuse_what_cannot_fit(
            need(state=state * n, batch=batch * b, n_units=n, batch_windows=b), available
        )


def number_after(text: str, mark: str) -> int | None:
    rest = text.partition(mark)[2]
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return int(digits) if digits else None


def put(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


MEMINFO = {"proc/meminfo": "MemTotal:  9000 kB\nMemFree:  100 kB\nMemAvailable:  4096 kB\n"}
GROUP = "sys/fs/cgroup/app/job"
LEGACY = "sys/fs/cgroup/memory"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        (MEMINFO, 4 * MIB),
        (
            {
                **MEMINFO,
                "proc/self/cgroup": "0::/app/job\n",
                f"{GROUP}/memory.max": "max\n",
                f"{GROUP}/memory.current": "5\n",
                "sys/fs/cgroup/app/memory.max": "3000000\n",
                "sys/fs/cgroup/app/memory.current": "2500000\n",
                "sys/fs/cgroup/app/memory.stat": "anon 1\ninactive_file 100000\n",
            },
            600_000,
        ),
        (
            {
                **MEMINFO,
                "proc/self/cgroup": "5:cpu:/x\n4:memory:/only/on/the/host\n",
                f"{LEGACY}/memory.limit_in_bytes": "900000\n",
                f"{LEGACY}/memory.usage_in_bytes": "1000000\n",
                f"{LEGACY}/memory.stat": "total_inactive_file 20\n",
            },
            0,
        ),
        (
            {
                "proc/self/cgroup": "4:memory:/a\n",
                f"{LEGACY}/a/memory.limit_in_bytes": "9223372036854771712\n",
                f"{LEGACY}/a/memory.usage_in_bytes": "1\n",
            },
            9223372036854771711,
        ),
    ],
)
def test_free_memory_is_the_least_that_the_machine_and_its_groups_allow(
    tmp_path: Path, files: dict[str, str], expected: int | None
) -> None:
    assert available_memory(CPU, root=put(tmp_path, files)) == expected


def test_this_machine_says_what_is_free() -> None:
    found = available_memory(CPU)
    assert found is None or found > 0
    limited = room_in_cgroups()
    assert limited is None or limited >= 0


def test_a_device_that_says_nothing_is_not_judged() -> None:
    assert available_memory(torch.device("meta")) is None


class HalfUsed:
    """A device of which PyTorch holds 300 bytes, 100 of them in use."""

    def mem_get_info(self, device: torch.device) -> tuple[int, int]:
        return 700, 1000

    def memory_allocated(self, device: torch.device) -> int:
        return 100

    def memory_reserved(self, device: torch.device) -> int:
        return 300


def test_what_pytorch_holds_back_on_a_device_is_free_to_be_used() -> None:
    assert available_memory(torch.device("cuda:0"), cuda=HalfUsed()) == 900

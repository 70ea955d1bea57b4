"""What a collection will need of memory, computed before it starts, and what there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from autointerp.activations.collection_sizes import BatchShape, MemoryNeed, collection_memory
from autointerp.activations.token_table import TokenCounts
from autointerp.core.config import CollectConfig
from autointerp.core.errors import InputError
from autointerp.core.sizes import size_text
from autointerp.core.text import Split
from autointerp.corpora import TokenCorpus
from autointerp.subjects import HookUnits, SubjectModel
from autointerp.subjects.gpus import Cuda

_LARGEST_TABLES = 2 * 2**30
USABLE = 0.9
"""Of the memory that is free: the allocator, the tokenizer and the corpus need some."""


def memory_need(
    subject: SubjectModel,
    corpus: TokenCorpus,
    units: Sequence[HookUnits],
    config: CollectConfig,
    *,
    types: TokenCounts | None = None,
) -> MemoryNeed:
    """What collecting these units from this corpus needs."""
    n_shared = {split: min(config.shared_windows, len(corpus.window_ids(split))) for split in Split}
    batch = BatchShape(
        n_pos=corpus.n_ctx + (subject.tokenizer.bos_id is not None),
        width=max(subject.width(unit.hook) for unit in units),
        itemsize=subject.dtype.itemsize,
    )
    return collection_memory(
        {unit.hook: len(unit.indices) for unit in units},
        config,
        n_shared=n_shared,
        batch=batch,
        n_types=0 if types is None else len(types.counts),
        n_once=0 if types is None else types.n_once,
        model_bytes=sum(p.nbytes for p in subject.bridge.parameters()),
    )


def without_large_tables(need: MemoryNeed) -> MemoryNeed:
    """The need without token tables where these take more than 2 GiB."""
    return replace(need, tables=0) if need.tables > _LARGEST_TABLES else need


def refuse_what_cannot_fit(need: MemoryNeed, available: int | None) -> None:
    """Nothing, when the model is loaded and the rest fits into what is free, or that is unknown.

    Raises:
        InputError: it does not; the message says which ``--units`` or ``--batch-windows`` would.
    """
    room = None if available is None else int(available * USABLE)
    if room is None or need.further <= room:
        return
    raise InputError(
        f"collecting needs {size_text(need.further)} beside the loaded model ({need}), but "
        f"only {size_text(room)} is available; {_what_would_fit(need, room)}"
    )


def _what_would_fit(need: MemoryNeed, room: int) -> str:
    stored = need.state + need.tables
    a_window = need.batch / need.batch_windows
    windows = int((room - stored) / a_window) if a_window else 0
    if windows >= 1:
        return f"--batch-windows {windows} would fit"
    units = int((room - need.batch) / (stored / need.n_units)) if stored else 0
    if units >= 1:
        return f"at most {units:,} units would fit, for example --units random:{units}"
    units = int((room - a_window) / (stored / need.n_units)) if stored else 0
    if units >= 1:
        return f"--units random:{units} with --batch-windows 1 would fit"
    return "not even one unit fits: free some memory or take a smaller model"


def available_memory(
    device: torch.device, *, root: Path = Path("/"), cuda: Cuda = torch.cuda
) -> int | None:
    """Bytes that can still be had on a device; None where the system does not say.

    ``proc`` and ``sys`` are looked for in ``root``.
    """
    if device.type == "cuda":
        # What PyTorch holds back of what was freed serves the next allocations.
        unused = cuda.memory_reserved(device) - cuda.memory_allocated(device)
        return cuda.mem_get_info(device)[0] + unused
    if device.type != "cpu":
        return None
    limits = [_mem_available(root / "proc/meminfo"), room_in_cgroups(root)]
    return min((n for n in limits if n is not None), default=None)


def _mem_available(path: Path) -> int | None:
    for line in _lines(path):
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) * 1024
    return None


def room_in_cgroups(root: Path = Path("/")) -> int | None:
    """Bytes below the nearest limit of this process's control groups; None without a limit."""
    rooms = []
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, place = line.split(":", 2)
        if controllers == "":
            base, names = root / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            base = root / "sys/fs/cgroup/memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        inside = base / place.lstrip("/")
        # In a container the path may be the host's; what it may see is then mounted at the base.
        for group in (inside, *inside.parents):
            if group.is_relative_to(base):
                rooms.append(_room(group, *names))
    return min((n for n in rooms if n is not None), default=None)


def _room(group: Path, limit: str, usage: str, cache: str) -> int | None:
    texts = [_lines(group / name) for name in (limit, usage)]
    if not all(texts) or not texts[0][0].isdigit():
        return None
    # Pages of files that nobody has used lately are given back before memory runs out.
    stat = dict(line.split() for line in _lines(group / "memory.stat"))
    return max(0, int(texts[0][0]) - int(texts[1][0]) + int(stat.get(cache, 0)))


def _lines(path: Path) -> list[str]:
    return path.read_text().split("\n")[:-1] if path.is_file() else []

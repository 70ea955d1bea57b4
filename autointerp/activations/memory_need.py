"""What a collection will need of memory, computed before it starts, and what there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from autointerp.activations.kernels.hook_state import empty_state
from autointerp.activations.token_table import TokenCounts, table_bytes
from autointerp.core.config import CollectConfig
from autointerp.core.errors import InputError
from autointerp.core.text import Split
from autointerp.corpora import TokenCorpus
from autointerp.subjects import HookUnits, SubjectModel
from autointerp.subjects.gpus import Cuda

_NOTHING = torch.device("meta")
_LIVE = 4
"""A gated MLP has its two projections and their product at once; collecting holds one copy."""
_LARGEST_TABLES = 2 * 2**30
USABLE = 0.9
"""Of the memory that is free: the allocator, the tokenizer and the corpus need some."""


@dataclass(frozen=True, slots=True)
class BatchShape:
    """What decides the size of one batch's activations."""

    n_pos: int
    """Positions a window, BOS included."""
    width: int
    """Of the widest layer, in units."""
    itemsize: int
    """Bytes an activation."""


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Bytes that a collection needs; they do not depend on the number of tokens."""

    state: int
    """All units on all splits."""
    tables: int
    """Token lookup tables."""
    batch: int
    """Activations of one batch."""
    model: int
    """Weights, which are loaded before a collection starts."""
    n_units: int
    batch_windows: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.further + self.model

    @property
    def further(self) -> int:
        """What comes on top of the loaded model."""
        return self.state + self.tables + self.batch

    def __str__(self) -> str:
        parts = {
            f"the state of {self.n_units:,} units": self.state,
            "token tables": self.tables,
            f"a batch of {self.batch_windows:,} windows": self.batch,
            "the model": self.model,
        }
        shown = ", ".join(f"{_size(n)} for {name}" for name, n in parts.items() if n)
        return f"{_size(self.total)}: {shown}"


def collection_memory(
    n_units: Mapping[str, int],
    config: CollectConfig,
    *,
    n_shared: Mapping[Split, int],
    batch: BatchShape,
    n_types: int = 0,
    n_once: int = 0,
    model_bytes: int = 0,
) -> MemoryNeed:
    """What collecting will need, from the shapes of what it keeps.

    Units are counted by hook point, shared windows by split; ``n_types`` are the distinct tokens
    of the explain text, 0 where no token tables are kept, of which ``n_once`` occur once.
    """
    state = tables = 0
    for n in n_units.values():
        for split in Split:
            parts = empty_state(n, config, _NOTHING, n_shared=n_shared[split]).tensors()
            state += sum(tensor.nbytes for tensor in parts.values())
        if n_types:
            tables += table_bytes(n_types, n_once, n)
    return MemoryNeed(
        state=state,
        tables=tables,
        batch=config.batch_windows * batch.n_pos * batch.width * batch.itemsize * _LIVE,
        model=model_bytes,
        n_units=sum(n_units.values()),
        batch_windows=config.batch_windows,
    )


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
        f"collecting needs {_size(need.further)} beside the loaded model ({need}), but "
        f"only {_size(room)} is available; {_what_would_fit(need, room)}"
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


def _size(n: int) -> str:
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20)):
        if n >= scale:
            return f"{n / scale:.1f} {unit}"
    return f"{n / 2**10:.1f} KiB"

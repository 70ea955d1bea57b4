"""What a labelling job needs, said before anything is loaded, and refused where it has no room."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from autointerp.activations.memory_need import USABLE, available_memory
from autointerp.core.config import NO_LLM, JobSpec
from autointerp.core.errors import InputError
from autointerp.core.model_shape import ModelShape
from autointerp.core.sizes import size_text, time_text
from autointerp.orchestration.counted_units import counted_units
from autointerp.orchestration.job_estimate import (
    MAPPED,
    PROGRAM,
    TILL_LABELLED,
    PlannedWork,
    estimate_work,
)
from autointerp.orchestration.job_outlook import planned_work
from autointerp.wiring.job_plans import subject_shape

_LEAST_TOKENS = 2_048
_MOST_NAMED = 3
_PROGRAM_TO_COME = 200 * 2**20
"""Of the program's memory, what it takes only when it runs."""
_ADDRESSES_TO_COME = 1_600 * 2**20
"""The same of addresses, for threads and compiled code."""
_SURE_OF_DISK = 0.8
"""Of the disk that is planned so much is taken at least: plans were 25 % above what was."""
_STATM = Path("/proc/self/statm")


@dataclass(frozen=True, slots=True)
class FreeRoom:
    """Bytes that a job may take; None where that is not known."""

    memory: int | None
    """Of main memory."""
    addresses: int | None
    """Of address space (``ulimit -v``), where mapped files count."""
    disk: int | None

    @classmethod
    def of(cls, folder: Path) -> FreeRoom:
        """What this process can still have, and the disk of a folder."""
        free = available_memory(torch.device("cpu"))
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        return cls(
            memory=None if free is None else int(free * USABLE),
            addresses=addresses_left(),
            disk=shutil.disk_usage(there).free,
        )


def addresses_left() -> int | None:
    """Bytes below the limit of this process's address space; None without a limit."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY or not _STATM.is_file():
        return None
    return max(0, limit - int(_STATM.read_text().split()[0]) * resource.getpagesize())


@dataclass(frozen=True, slots=True)
class JobNeeds:
    """Bytes that a job takes beside the program, which runs already."""

    memory: int
    addresses: int
    disk: int
    stays: int
    """Of the disk, when all is done."""
    unsure: int
    """Of each, what depends on how many distinct tokens a text has that nobody counted."""

    @classmethod
    def of(cls, work: PlannedWork, *, on_cpu: bool) -> JobNeeds:
        """Those of a run in one process."""
        estimate = estimate_work(work)
        parts = {name: n for name, n in estimate.run_memory.items() if name != PROGRAM}
        if not on_cpu:
            # A device has memory of its own; what was collected comes from there at the end.
            parts = {name: n for name, n in parts.items() if name not in ("the model", "a batch")}
        whole, waiting = sum(parts.values()), parts.get(MAPPED, 0)
        disk = sum(estimate.folder.values())
        goes = sum(n for name, n in estimate.folder.items() if name.endswith(TILL_LABELLED))
        return cls(
            memory=whole - waiting + _PROGRAM_TO_COME,
            addresses=max(whole, parts.get("the model", 0) + goes) + _ADDRESSES_TO_COME,
            disk=disk,
            stays=disk - goes,
            unsure=0 if work.spec.corpus.corpus == "wiki" else work.collection.tables,
        )

    def beyond(self, room: FreeRoom, *, n_there: int) -> Iterator[tuple[str, int, int]]:
        """(name, needed, there) of what there is surely too little of.

        A job that would fit is not refused for an estimate: what is exact is checked later.
        """
        for name, needed, there, sure in (
            ("memory", self.memory, room.memory, 1.0),
            ("address space (ulimit -v)", self.addresses, room.addresses, 1.0),
            ("disk", max(0, self.disk - n_there), room.disk, _SURE_OF_DISK),
        ):
            if there is not None and sure * (needed - self.unsure) > there:
                yield name, needed, there


def state_needs(  # noqa: PLR0913 - a job, a folder and what is there
    job: JobSpec,
    folder: Path,
    note: Callable[[str], None] | None,
    *,
    room: FreeRoom,
    on_cpu: bool,
    n_done: int = 0,
) -> None:
    """Notes time, memory and disk of a job where the shape of its subject can be told.

    Nothing is noted without `note`, as where a part of the job is done. Where all of its labels
    are there, it needs nothing more.

    Raises:
        InputError: there is too little of something; the message says what would fit.
    """
    work = _work_of(job)
    if work is None or n_done >= work.n_labels:
        return
    needs, estimate = JobNeeds.of(work, on_cpu=on_cpu), estimate_work(work)
    if note is not None:
        note(_said(work, needs, estimate.seconds))
    n_there = _bytes_in(folder)
    lacking = list(needs.beyond(room, n_there=n_there))
    if lacking:

        def fits(less: PlannedWork) -> bool:
            return not any(JobNeeds.of(less, on_cpu=on_cpu).beyond(room, n_there=n_there))

        said = " and ".join(
            f"{size_text(needed)} of {name}, but {size_text(there)} are free"
            for name, needed, there in lacking
        )
        raise InputError(f"{_labels_need(work)} {said}; {_what_fits(work, fits)}")


def is_on_cpu(device: str) -> bool:
    """Whether a subject is run by the processor where a device was named so."""
    return device == "cpu" or (device == "auto" and not torch.cuda.is_available())


def _said(work: PlannedWork, needs: JobNeeds, seconds: float) -> str:
    without = "" if work.spec.llm == NO_LLM else ", the LLM's time not counted"
    return (
        f"{_labels_need(work)} about {time_text(seconds)} (by a test of this machine"
        f"{without}), {size_text(needs.memory)} of memory and {size_text(needs.disk)} of disk, of "
        f"which {size_text(needs.stays)} stay"
    )


def _labels_need(work: PlannedWork) -> str:
    return "1 label needs" if work.n_labels == 1 else f"{work.n_labels:,} labels need"


def _work_of(job: JobSpec) -> PlannedWork | None:
    try:
        shape = subject_shape(job.subject)
        return planned_work(job, shape, counted_units(job.units, shape))
    except InputError:
        # Not every subject tells before it is loaded, and what is wrong is said when it is.
        return None


def _bytes_in(folder: Path) -> int:
    if not folder.is_dir():
        return 0
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _what_fits(work: PlannedWork, fits: Callable[[PlannedWork], bool]) -> str:
    """What to ask for instead: less text, fewer units, or narrower numbers."""
    found = [text for text in (_fewer_units(work, fits), _less_text(work, fits)) if text]
    if found:
        return f"fits with {' or with '.join(found)}"
    narrow = work.spec.model_copy(update={"dtype": "bfloat16"})
    if work.spec.dtype != "bfloat16" and fits(_changed(work, narrow, work.units)):
        return "fits with --dtype bfloat16"
    return "not even one unit fits: free some, or take a smaller model"


def _less_text(work: PlannedWork, fits: Callable[[PlannedWork], bool]) -> str | None:
    n_tokens = work.spec.corpus.n_tokens // 2
    while n_tokens >= _LEAST_TOKENS:
        corpus = work.spec.corpus.model_copy(update={"n_tokens": n_tokens})
        if fits(_changed(work, work.spec.model_copy(update={"corpus": corpus}), work.units)):
            return f"--tokens {n_tokens}"
        n_tokens //= 2
    return None


def _fewer_units(work: PlannedWork, fits: Callable[[PlannedWork], bool]) -> str | None:
    """As many whole layers as fit, or so many units at random."""
    layers = [_usual_layer(hook, n, work.shape) for hook, n in work.units.items()]
    if None not in layers:
        n = _most(len(layers) - 1, lambda n: fits(_first(work, n)))
        if n:
            named = ",".join(f"layer:{layer}" for layer in layers[: min(n, _MOST_NAMED)])
            named += f",...,layer:{layers[n - 1]}" if n > _MOST_NAMED else ""
            return f"{n} of {len(layers)} layers at a time (--units {named})"
    hook = next(iter(work.units))
    n = _most(work.units[hook], lambda n: fits(_changed(work, work.spec, {hook: n})))
    if not n:
        return None
    layer = _usual_layer(hook, work.units[hook], work.shape)
    return f"--units {hook}:0-{n - 1}" if layer is None else f"--units random:{n}@{layer}"


def _usual_layer(hook: str, n: int, shape: ModelShape) -> int | None:
    """The layer where these are all its neurons."""
    _, layer, *rest = hook.split(".")
    return int(layer) if rest == ["mlp", "hook_post"] and n == shape.d_mlp else None


def _first(work: PlannedWork, n_hooks: int) -> PlannedWork:
    return _changed(work, work.spec, dict(list(work.units.items())[:n_hooks]))


def _changed(work: PlannedWork, spec: JobSpec, units: Mapping[str, int]) -> PlannedWork:
    return planned_work(spec, work.shape, units)


def _most(n: int, fits: Callable[[int], bool]) -> int:
    """The greatest number up to n that fits, 0 where not even 1 does."""
    low, high = 0, n
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low

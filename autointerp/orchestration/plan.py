"""What a job consists of, and the names of its parts: ids, queues, artifacts."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from autointerp.core.errors import DamagedError, unreadable
from autointerp.core.ids import Side, UnitId
from autointerp.core.job_state import Stage, WorkItem
from autointerp.store.artifacts import Artifacts

ACTIVATIONS, LABELS = "activations", "labels"
QUEUES = (ACTIVATIONS, LABELS)
SUMMARY = "summary.safetensors"
_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
CHUNK = 64
"""Labels of a chunk: units whose records are read together, and among which chance levels are
drawn."""


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class PlannedHook:
    """Units of one hook point, all with the same sides."""

    hook: str
    indices: tuple[int, ...]
    sides: tuple[Side | None, ...]
    """Labels of a unit; None is the stronger side, which the summary decides."""


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class JobPlan:
    """A planned job."""

    subject: str
    """Name of the subject model in unit ids."""
    collection: str
    """Owner of its COLLECT and MERGE items."""
    hooks: tuple[PlannedHook, ...]
    chunk: int = CHUNK

    @property
    def targets(self) -> Iterator[tuple[UnitId, Side | None]]:
        """What labels are of, in job order."""
        for planned in self.hooks:
            for index in planned.indices:
                for side in planned.sides:
                    yield UnitId(self.subject, planned.hook, index), side

    @property
    def n_targets(self) -> int:
        """How many labels there will be."""
        return sum(len(planned.indices) * len(planned.sides) for planned in self.hooks)

    @property
    def n_chunks(self) -> int:
        """How many chunks that makes."""
        return -(-self.n_targets // self.chunk)

    def of_chunk(self, number: int) -> list[tuple[UnitId, Side | None]]:
        """The targets of a chunk, 0-based."""
        begin, result = number * self.chunk, list[tuple[UnitId, Side | None]]()
        for planned in self.hooks:
            n_sides = len(planned.sides)
            n = len(planned.indices) * n_sides
            for place in range(max(0, begin), min(n, begin + self.chunk)):
                unit = UnitId(self.subject, planned.hook, planned.indices[place // n_sides])
                result.append((unit, planned.sides[place % n_sides]))
            # Where the chunk begins, counted from the next hook point's first target.
            begin -= n
        return result

    def unlabelled(
        self, committed: Collection[tuple[UnitId, Side]], *, chunk: int | None = None
    ) -> list[tuple[UnitId, Side | None]]:
        """Targets that have no label yet; of one chunk where it is given."""
        units = {unit for unit, _ in committed}
        return [
            (unit, side)
            for unit, side in (self.targets if chunk is None else self.of_chunk(chunk))
            if (unit not in units if side is None else (unit, side) not in committed)
        ]

    def chunks(self) -> dict[tuple[UnitId, Side | None], int]:
        """The chunk of every target."""
        return {target: place // self.chunk for place, target in enumerate(self.targets)}

    def to_json(self) -> bytes:
        """For `from_json`."""
        return _PLAN.dump_json(self)

    @classmethod
    def from_json(cls, data: bytes) -> JobPlan:
        """The plan that was written.

        Raises:
            InputError: a newer version wrote it.
            DamagedError: it is damaged.
        """
        try:
            return _PLAN.validate_json(data)
        except ValidationError as error:
            raise unreadable("the plan of a job", error, "submit the job again") from error


_PLAN = TypeAdapter(JobPlan)


def read_plan(artifacts: Artifacts, job_id: str) -> JobPlan:
    """The plan of a job.

    Raises:
        InputError: a newer version wrote it.
        DamagedError: it is gone or damaged.
        StorageError: it could not be read.
    """
    return JobPlan.from_json(required(artifacts, plan_name(job_id)))


def new_id(kind: str) -> str:
    """``kind_`` and 26 characters that sort by time."""
    return _id(kind, time.time(), secrets.randbits(80))


def id_of_time(moment: float) -> str:
    """An id that sorts after those of all jobs submitted before a moment, in seconds since 1970."""
    return _id("job", moment, 0)


def _id(kind: str, moment: float, rest: int) -> str:
    number = int(moment * 1000) << 80 | rest
    digits = [_CROCKFORD[number >> (5 * place) & 31] for place in reversed(range(26))]
    return f"{kind}_{''.join(digits)}"


def queue_of(item: WorkItem) -> str:
    """The queue of workers that can do it."""
    return LABELS if item.stage is Stage.LABEL else ACTIVATIONS


def plan_name(owner: str) -> str:
    """The artifact that says what a job or a collection consists of."""
    folder = "collections" if owner.startswith("col_") else "jobs"
    return f"{folder}/{owner}/plan.json"


def shard_name(collection: str, number: int, of: int) -> str:
    """The artifact of a shard, 0-based."""
    return f"collections/{collection}/shard-{number + 1:05d}-of-{of:05d}.safetensors"


def summary_name(collection: str) -> str:
    """The artifact of a collection's whole summary."""
    return f"collections/{collection}/{SUMMARY}"


def windows_name(job_id: str, number: int) -> str:
    """The artifact of what units do in a part of the windows, 0-based."""
    return f"jobs/{job_id}/windows-{number + 1:05d}.lines"


def chunk_name(job_id: str, number: int) -> str:
    """The artifact that a label worker reads."""
    return f"jobs/{job_id}/chunk-{number:05d}.npz"


def required(artifacts: Artifacts, name: str) -> bytes:
    """The bytes of an artifact that must be there.

    Raises:
        DamagedError: it is not.
        StorageError: it could not be read.
    """
    data = artifacts.get_bytes(name)
    if data is None:
        raise DamagedError(f"{artifacts.where}/{name} is gone; submit the job again")
    return data

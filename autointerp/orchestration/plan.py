"""What a job consists of: its units in order, the sides that are labelled, its chunks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from autointerp.core.errors import StorageError
from autointerp.core.ids import Side, UnitId

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
        begin, found = number * self.chunk, list[tuple[UnitId, Side | None]]()
        for planned in self.hooks:
            n_sides = len(planned.sides)
            n = len(planned.indices) * n_sides
            for place in range(max(0, begin), min(n, begin + self.chunk)):
                unit = UnitId(self.subject, planned.hook, planned.indices[place // n_sides])
                found.append((unit, planned.sides[place % n_sides]))
            # Where the chunk begins, counted from the next hook point's first target.
            begin -= n
        return found

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
            StorageError: it is damaged.
        """
        try:
            return _PLAN.validate_json(data)
        except ValidationError as error:
            msg = f"the plan of a job is damaged: {error.errors(include_url=False)[0]['msg']}"
            raise StorageError(msg) from error


_PLAN = TypeAdapter(JobPlan)

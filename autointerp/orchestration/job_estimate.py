"""What a labelling job will need, from shapes and measured constants: time, memory, disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autointerp.core.config import JobSpec
from autointerp.core.ids import HookPoint
from autointerp.core.model_shape import ModelShape
from autointerp.core.shown import N_SHOWN_OTHER, N_SHOWN_RANDOM, N_SHOWN_TOP
from autointerp.core.text import Split
from autointerp.orchestration.machine_costs import MachineCosts
from autointerp.orchestration.machine_speed import this_machine
from autointerp.orchestration.planned_text import PlannedText
from autointerp.orchestration.shards import shards_of
from autointerp.store.run_folder import SMALL_COLLECTION

TILL_LABELLED = "till all are labelled"
"""Ends the names of the parts of a run's folder that go then."""
_WAITING = f"activations, {TILL_LABELLED}"
MAPPED = "activations in the page cache"
"""The part of memory that the system takes back where it needs it."""
PROGRAM = "the program"
"""The part of memory that a process takes before it does anything."""
ITEM_BYTES = {"float32": 4, "bfloat16": 2}
"""Of a weight and of an activation, by dtype."""

# Measured sizes in bytes (docs/scale.md says how).
_PROGRAM = 650 * 2**20
_LABEL_PROGRAM = 350 * 2**20
_UNIT_IN_RUN = 7_000
_LINE_IN_RUN = 40
_LINE_PEAKS = 8
_RECORD_FIXED = 17
_RECORD_VALUE = 2
_RECORD_VALUE_ALONE = 5.6
_LABEL_PACKED = 2_940
_ROW_IN_TABLES = 710
_LABEL_IN_REDIS = 6_200
_CHUNK_VALUE = 12
_CHUNK_FIXED = 120
_CHUNK_TYPE = 8


@dataclass(frozen=True, slots=True)
class CollectionSize:
    """Bytes of what is collected, in memory and in its file."""

    state: int
    tables: int
    batch: int
    """Activations of one batch while it is read."""
    file: int


@dataclass(frozen=True, slots=True)
class PlannedWork:
    """A job by its sizes."""

    spec: JobSpec
    shape: ModelShape
    units: Mapping[str, int]
    """By hook point."""
    collection: CollectionSize
    n_workers: int = 1
    """Processes that label, a core each."""
    n_readers: int = 1
    """Processes that read text, with all cores of a machine each."""

    @property
    def text(self) -> PlannedText:
        """What is read."""
        return PlannedText.of(self.spec.corpus, vocab=self.shape.vocab)

    @property
    def n_units(self) -> int:
        """Of all hook points."""
        return sum(self.units.values())

    @property
    def n_labels(self) -> int:
        """Units, twice where both sides of zero are labelled."""
        return self.n_units * (2 if self.spec.sides == "both" and self.shape.gated else 1)

    @property
    def n_layers(self) -> int:
        """Layers that are run: none behind the last that is read."""
        return 1 + max((HookPoint(hook).layer for hook in self.units), default=-1)

    @property
    def n_lines(self) -> int:
        """Windows of a label's records."""
        spec, there = self.spec, self.text.n_windows
        select, score = spec.select, spec.score
        n_top = max(select.n_top, spec.explain.n_exemplars)
        others = select.n_band * (1 + len(select.explain_quantiles))
        if not self.shape.gated:
            # A neuron behind a gate is silent in hardly any window.
            others += select.n_silent
        n_known = float(min(there[Split.EXPLAIN], max(n_top, N_SHOWN_TOP)))
        for n, passed_over in (others, n_top), (N_SHOWN_RANDOM, 0), (N_SHOWN_OTHER, 0):
            # Some of these are among the windows that are wanted already.
            drawn_from = max(1, there[Split.EXPLAIN] - passed_over)
            n_known += n * max(0.0, 1 - (n_known - passed_over) / drawn_from)
        asked = {
            Split.EXPLAIN: round(n_known),
            Split.VALIDATION: max(score.n_rule_windows, score.n_validation),
            Split.HELD_OUT: max(score.n_rule_windows, score.n_heldout),
        }
        return sum(min(n, there[split]) for split, n in asked.items())


@dataclass(frozen=True, slots=True)
class StageTime:
    """One stage of a job."""

    name: str
    cpu_s: float
    """Of all cores together."""
    seconds: float
    """Of the clock, where nothing else runs there."""


@dataclass(frozen=True, slots=True)
class JobEstimate:
    """What a job will need; sizes are bytes by part."""

    machine: str
    """What times are of, for people."""
    stages: tuple[StageTime, ...]
    run_memory: Mapping[str, int]
    """Of one process that does everything, as ``label`` is."""
    reader_memory: Mapping[str, int]
    """Of a service's process that reads text."""
    worker_memory: Mapping[str, int]
    """Of a service's process that labels."""
    folder: Mapping[str, int]
    """Of a run's folder, what goes when all is labelled included."""
    artifacts: Mapping[str, int]
    """Of a service, in files or an object store."""
    store: Mapping[str, int]
    """Of a service, in Redis."""

    @property
    def seconds(self) -> float:
        """Of the clock, for all stages."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def cpu_s(self) -> float:
        """Of all cores together."""
        return sum(stage.cpu_s for stage in self.stages)


def estimate_work(work: PlannedWork, machine: MachineCosts | None = None) -> JobEstimate:
    """Time, memory and disk of a job; the LLM's part is `llm.prices.estimate_job`.

    Times are of this machine unless another is given.
    """
    machine = machine or this_machine()
    folder = _folder(work)
    model = work.shape.n_weights * ITEM_BYTES[work.spec.dtype]
    size = work.collection
    always = {PROGRAM: _PROGRAM, "the model": model}
    collected = {"what is collected": size.state + size.tables, "a batch": size.batch}
    labelled = {
        "a hook point's part": (size.state + size.tables) // max(1, len(work.units)),
        "windows of units": work.n_labels * (_UNIT_IN_RUN + _LINE_IN_RUN * work.n_lines),
        MAPPED: folder[_WAITING],
    }
    # What was collected goes before units are labelled.
    both = max(collected, labelled, key=lambda parts: sum(parts.values()))
    chunk = {"records of a chunk": _chunk_bytes(work, min(64, work.n_labels)) * 3}
    return JobEstimate(
        machine=machine.name,
        stages=_stages(work, machine),
        run_memory=always | both,
        reader_memory=always | collected | chunk,
        worker_memory={PROGRAM: _LABEL_PROGRAM, **chunk},
        folder=folder,
        artifacts={
            "collection": size.file * (1 + _n_shards(work)),
            _WAITING: folder[_WAITING],
            "chunks": _chunk_bytes(work, work.n_labels),
            "records": int(
                work.n_labels
                * work.n_lines
                * (_RECORD_FIXED + _RECORD_VALUE_ALONE * work.spec.corpus.n_ctx)
            ),
        },
        store={"labels": work.n_labels * _LABEL_IN_REDIS},
    )


def _n_shards(work: PlannedWork) -> int:
    return shards_of(n_tokens=work.text.n_tokens, n_units=work.n_units)


def _folder(work: PlannedWork) -> Mapping[str, int]:
    n_ctx, n_lines = work.spec.corpus.n_ctx, work.n_labels * work.n_lines
    is_large = work.collection.file > SMALL_COLLECTION
    return {
        f"collection, {TILL_LABELLED}" if is_large else "collection": work.collection.file,
        _WAITING: n_lines * (_LINE_PEAKS + 2 * n_ctx),
        "records": n_lines * (_RECORD_FIXED + _RECORD_VALUE * n_ctx),
        "labels": work.n_labels * _LABEL_PACKED,
        "tables": work.n_labels * _ROW_IN_TABLES,
    }


def _chunk_bytes(work: PlannedWork, n_labels: int) -> int:
    """Of the files that carry records to label workers."""
    line = _CHUNK_VALUE * work.spec.corpus.n_ctx + _CHUNK_FIXED
    return n_labels * (work.n_lines * line + _CHUNK_TYPE * work.text.n_types)


def _stages(work: PlannedWork, machine: MachineCosts) -> tuple[StageTime, ...]:
    text, dtype = work.text, work.spec.dtype
    forward = work.n_layers * text.n_positions * machine.layer_s(work.shape, dtype)
    n_explain = text.n_tokens * work.spec.corpus.explain
    collecting = text.n_tokens * machine.collect_s + n_explain * machine.table_s
    collecting = work.n_units * (machine.collect_unit_s + collecting)
    n_lines = work.n_labels * work.n_lines
    one = work.n_workers
    reading = min(work.n_readers, _n_shards(work)) * machine.second_core
    begun = machine.start_s + work.shape.n_weights * machine.load_s
    begun += text.n_tokens * machine.text_s
    # Records run the windows that any unit asks for; of many units that is all of them.
    share = min(1.0, n_lines / text.all_windows)
    cpu_and_speed = {
        "start": (begun, 1.0),
        "forward": (forward, reading),
        "collecting": (collecting, reading),
        "choosing windows": (work.n_labels * machine.choose_s, 1.0),
        "records": (forward * share + n_lines * machine.line_s, machine.second_core),
        "labels": (work.n_labels * machine.label_s, float(one)),
        "tables": (work.n_labels * machine.write_s, 1.0),
    }
    return tuple(StageTime(name, cpu, cpu / speed) for name, (cpu, speed) in cpu_and_speed.items())

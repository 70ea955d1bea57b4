"""Units with their activations on held-out text, drawn as a labelling job draws windows."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from autointerp.activations import (
    Activations,
    CollectPlan,
    Summary,
    UnitPlan,
    UnitReader,
    WindowSample,
    build_sets,
    collect,
    read_windows,
)
from autointerp.activations.sampling.strata import TOP, unit_strata
from autointerp.core.config import CollectConfig, SelectConfig
from autointerp.core.ids import Side, UnitId
from autointerp.core.progress import Progress, SilentProgress
from autointerp.core.records import TokenMeans, UnitSets
from autointerp.core.seeds import derive_seed
from autointerp.core.text import Split
from autointerp.corpora import TokenCorpus
from autointerp.subjects import HookUnits, SubjectModel

_MIN_ACTIVE_WINDOWS = 2
_N_TOP_RANDOM = 10


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How units are read."""

    n_heldout: int = 40
    """Held-out windows drawn for each unit."""
    whole: bool = False
    """Read every held-out window, so that a score over all of them can be had."""
    explain: bool = True
    """Read explain windows too, which nulls need and metrics do not."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class KnownUnit:
    """One side of one unit: its windows, and what was read of it."""

    sets: UnitSets
    means: TokenMeans
    top_random: tuple[int, ...]
    """Held-out windows: the strongest, and as many uniformly random ones."""
    real: Mapping[int, NDArray[np.float64]]
    """Window id -> activations of the side, shape (n_tokens,), for every window that was read."""

    @property
    def unit(self) -> UnitId:
        """Whose it is."""
        return self.sets.held_out.unit


@dataclass(frozen=True, slots=True)
class UnitsRead:
    """All units that can be checked."""

    corpus: TokenCorpus
    subject: SubjectModel
    units: tuple[KnownUnit, ...]
    """In random order; each was read on the drawn windows of the one before, too."""
    n_dead: int
    """Units that do not activate on enough text."""
    options: ReadOptions


def read_units(
    subject: SubjectModel,
    corpus: TokenCorpus,
    units: Sequence[HookUnits],
    options: ReadOptions,
    *,
    progress: Progress | None = None,
) -> UnitsRead:
    """The stronger side of every unit, collected and read.

    Raises:
        InputError: the units or the corpus cannot be collected from.
    """
    progress = progress or SilentProgress()
    summary = collect(
        subject,
        corpus,
        units=units,
        config=CollectConfig(seed=options.seed),
        plan=CollectPlan(token_means=True),
        progress=progress,
    )
    reader = UnitReader(
        summary, SelectConfig(), n_heldout=options.n_heldout, seed=options.seed, corpus=corpus
    )
    plans, n_dead = _plans(subject, reader, units, seed=options.seed)
    if not options.explain:
        plans = [_held_out_only(plan) for plan in plans]
    extra = {plan.unit: _top_random(summary, reader, plan, corpus, options) for plan in plans}
    wanted = _requests(plans, extra, corpus, options)
    read = read_windows(subject, corpus, wanted, progress=progress)
    known = tuple(
        KnownUnit(
            build_sets(plan, read, corpus, subject),
            reader.token_means(plan.unit, plan.side),
            extra[plan.unit],
            _sides(read, plan, wanted[plan.unit.hook, plan.unit.index]),
        )
        for plan in plans
    )
    return UnitsRead(corpus, subject, known, n_dead, options)


def _plans(
    subject: SubjectModel, reader: UnitReader, units: Sequence[HookUnits], *, seed: int
) -> tuple[list[UnitPlan], int]:
    plans, n_dead = [], 0
    for group in units:
        for index in group.indices:
            unit = UnitId(subject.name, group.hook, index)
            side = reader.side(unit, two_sided=subject.two_sided(unit.hook))
            if _alive(reader, unit, side):
                plans.append(reader.plan(unit, side))
            else:
                n_dead += 1
    # So that the next unit is a random other one.
    random.Random(derive_seed(seed, "order of units")).shuffle(plans)
    return plans, n_dead


def _held_out_only(plan: UnitPlan) -> UnitPlan:
    nothing = WindowSample(())
    samples = {split: nothing for split in Split} | {Split.HELD_OUT: plan.samples[Split.HELD_OUT]}
    return replace(plan, samples=samples)


def _alive(reader: UnitReader, unit: UnitId, side: Side) -> bool:
    splits = (Split.EXPLAIN, Split.HELD_OUT)
    enough = (reader.n_active(unit, side, split) >= _MIN_ACTIVE_WINDOWS for split in splits)
    return reader.peak(unit, side) > 0 and all(enough)


def _top_random(
    summary: Summary,
    reader: UnitReader,
    plan: UnitPlan,
    corpus: TokenCorpus,
    options: ReadOptions,
) -> tuple[int, ...]:
    """The strongest held-out windows, and as many random ones, none twice."""
    pools = unit_strata(
        summary.split(plan.unit.hook, Split.HELD_OUT),
        side=0 if plan.side is Side.POSITIVE else 1,
        column=reader.column(plan.unit),
        quantiles=(),
        threshold=summary.identity.config.threshold,
    )
    top = [w for pool in pools if pool.name == TOP for w in pool.candidates[:_N_TOP_RANDOM]]
    others = sorted(set(corpus.window_ids(Split.HELD_OUT)) - set(top))
    generator = np.random.default_rng(derive_seed(options.seed, "top-random", str(plan.unit)))
    drawn = generator.choice(others, min(len(top), len(others)), replace=False)
    return (*top, *(int(window) for window in drawn))


def _requests(
    plans: Sequence[UnitPlan],
    extra: Mapping[UnitId, Sequence[int]],
    corpus: TokenCorpus,
    options: ReadOptions,
) -> dict[tuple[str, int], tuple[int, ...]]:
    """Windows by unit: its own, and those of the next unit, which is its random one."""
    every = corpus.window_ids(Split.HELD_OUT) if options.whole else ()
    result = {}
    for place, plan in enumerate(plans):
        before = plans[place - 1].samples[Split.HELD_OUT].windows
        windows = (*plan.windows, *extra[plan.unit], *before, *every)
        result[plan.unit.hook, plan.unit.index] = tuple(dict.fromkeys(windows))
    return result


def _sides(
    read: Activations, plan: UnitPlan, windows: Sequence[int]
) -> dict[int, NDArray[np.float64]]:
    hook, index = plan.unit.hook, plan.unit.index
    sign = plan.side.sign
    return {w: np.maximum(0.0, sign * read[hook, index, w].astype(np.float64)) for w in windows}

"""Whether a scorer that asks an LLM tells a unit's own label from another unit's."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from autointerp.core.seeds import derive_seed
from autointerp.sanity.known_units import UnitsRead
from autointerp.sanity.nulls import area, own_explanation, scoring_set
from autointerp.scorers import Scorer, ScorerSpec

_N_BOOTSTRAP = 1000


@dataclass(frozen=True, slots=True)
class Separation:
    """One scorer over some units."""

    scorer: str
    score: str
    n: int
    """Units whose own and shuffled label both have a score."""
    n_asked: int
    """Units that were tried."""
    own: float | None
    """Median score of the own labels."""
    shuffled: float | None
    auc: float | None
    """How often an own label scores above a shuffled one, ties counting half."""
    low: float | None
    """95 % percentile bootstrap over units."""
    high: float | None


async def judge_separation(
    scorers: Mapping[ScorerSpec, Scorer], read: UnitsRead, *, n_units: int, n_windows: int
) -> tuple[Separation, ...]:
    """Every scorer on the first units that have a label, each label shuffled to the next unit.

    The labels are what token lookup says in words: right by construction, and nothing is asked
    to explain.

    Args:
        scorers: by the record of each.
        read: the units.
        n_units: how many of them.
        n_windows: held-out windows of each, drawn as a job draws them for an LLM.

    Raises:
        UpstreamError: the LLM cannot be used.
    """
    explained = [(unit, await own_explanation(unit, read)) for unit in read.units]
    there = [(unit, e) for unit, e in explained if e is not None][:n_units]
    labels = [explanation for _, explanation in there]
    separations = []
    for spec, scorer in scorers.items():
        questions = []
        for place, (unit, own) in enumerate(there):
            foreign = labels[(place + 1) % len(labels)]
            others = tuple(label for label in labels if label not in {own, foreign})
            windows = replace(scoring_set(unit, read).first(n_windows), others=others)
            questions += [scorer.score(own, windows), scorer.score(foreign, windows)]
        results = await asyncio.gather(*questions)
        values = [result.score(spec.headline).value for result in results]
        pairs = list(zip(values[::2], values[1::2], strict=True))
        separations.append(_separation(spec, pairs, seed=read.options.seed))
    return tuple(separations)


def _separation(
    spec: ScorerSpec, pairs: Sequence[tuple[float | None, float | None]], *, seed: int
) -> Separation:
    both = np.array([(a, b) for a, b in pairs if a is not None and b is not None]).reshape(-1, 2)
    n = len(both)
    if not n:
        return Separation(spec.name, spec.headline, 0, len(pairs), None, None, None, None, None)
    generator = np.random.default_rng(derive_seed(seed, "separation", spec.name))
    drawn = (both[generator.integers(n, size=n)] for _ in range(_N_BOOTSTRAP))
    areas = [area(some[:, 0].tolist(), some[:, 1].tolist()) or 0.0 for some in drawn]
    low, high = np.quantile(areas, [0.025, 0.975]).tolist()
    own, shuffled = np.median(both, axis=0).tolist()
    value = area(both[:, 0].tolist(), both[:, 1].tolist())
    return Separation(spec.name, spec.headline, n, len(pairs), own, shuffled, value, low, high)

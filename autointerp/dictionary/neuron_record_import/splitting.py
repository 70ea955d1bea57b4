"""Records dealt into sets by their text, and the least that they must hold.

Every copy of a text, white space and letter case apart, goes to the same set, and no record is
in two.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from autointerp.core.errors import InputError
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import (
    ActivationRecord,
    ExplainSet,
    NeuronStats,
    Stratum,
    TokenMeans,
    UnitSets,
)
from autointerp.core.seeds import derive_seed
from autointerp.core.text import Split

_MIN_ACTIVE = 2
# Windows of a part of unknown size: so many that its sample is a negligible share.
_ENDLESS = 1_000_000

_Records = Sequence[ActivationRecord]


def group_by_stratum(records: _Records) -> Mapping[str, list[ActivationRecord]]:
    """The records by stratum, in order of first appearance."""
    result: dict[str, list[ActivationRecord]] = {}
    for record in records:
        result.setdefault(record.stratum, []).append(record)
    return result


def group_by_text(records: _Records, *, seed: int) -> list[list[ActivationRecord]]:
    """Records of the same text together, the texts in an order that only the seed decides."""
    groups = defaultdict(list)
    for record in records:
        groups[record.document].append(record)
    order = sorted(groups, key=lambda document: derive_seed(seed, "split", document))
    return [groups[document] for document in order]


def split_records(
    records: _Records, scored: Sequence[str], *, seed: int
) -> Mapping[Split, list[ActivationRecord]]:
    """The records of each set; strata that are not scored are in the explain set only.

    All three sets get some of each scored stratum. A text that is in several of them is counted
    with the first.
    """
    place = {name: number for number, name in enumerate(scored)}
    homes: dict[str | None, list[list[ActivationRecord]]] = defaultdict(list)
    for group in group_by_text(records, seed=seed):
        home = min(
            (r.stratum for r in group if r.stratum in place), key=place.__getitem__, default=None
        )
        homes[home].append(group)
    dealt: dict[Split, list[ActivationRecord]] = {split: [] for split in Split}
    for home in (*scored, None):
        groups = homes[home]
        splits = _splits(len(groups)) if home is not None else [Split.EXPLAIN] * len(groups)
        for split, group in zip(splits, groups, strict=True):
            usable = group if split is Split.EXPLAIN else [r for r in group if r.stratum in place]
            dealt[split] += usable
    return dealt


def _splits(n: int) -> list[Split]:
    """Of n texts about 40 % are held out, a tenth choose, and the others explain."""
    n_held_out = max(1 if n < 4 else 2, round(0.4 * n))
    n_validation = max(1, round(0.1 * n)) if n > 4 else 0
    parts = ((Split.HELD_OUT, n_held_out), (Split.VALIDATION, n_validation))
    named = [split for split, size in parts for _ in range(size)][:n]
    return named + [Split.EXPLAIN] * (n - len(named))


def explain_set(
    unit: UnitId, side: Side, records: _Records, *, peak: float | None = None
) -> ExplainSet:
    """What an explainer reads, strongest first; the peak is that of the records if not given."""
    ranked = sorted(records, key=lambda record: -record.peak(side))
    named = tuple(r if r.peak(side) > 0 else replace(r, stratum="silent") for r in ranked)
    own = max((record.peak(side) for record in records), default=0.0)
    return ExplainSet(unit, side, named, own if peak is None else peak)


def scored_part(
    records: _Records, side: Side
) -> tuple[tuple[ActivationRecord, ...], tuple[Stratum, ...]]:
    """Records of a scored set with their strata, each of which stands for as much text."""
    drawn = Counter(record.stratum for record in records)
    strata = []
    for name, own in group_by_stratum(records).items():
        peaks = [record.peak(side) for record in own]
        strata.append(Stratum(name, _ENDLESS, len(own), min(peaks), max(peaks)))
    weighted = [replace(record, weight=_ENDLESS / drawn[record.stratum]) for record in records]
    return interleaved(weighted), tuple(strata)


def interleaved(records: _Records) -> tuple[ActivationRecord, ...]:
    """One of each stratum in turn, so that the first few are of all of them."""
    columns = [list(own) for own in group_by_stratum(records).values()]
    longest = max(map(len, columns), default=0)
    return tuple(own[i] for i in range(longest) for own in columns if i < len(own))


def check_records(path: Path, records: _Records, side: Side) -> None:
    """Raises an InputError for records that cannot be explained or scored."""
    if not records:
        raise InputError(f"{path} has no records")
    for r in records:
        if not len(r.tokens) == len(r.token_ids) == len(r.activations) > 0:
            raise InputError(
                f"window {r.window} in {path} has {len(r.tokens)} tokens and "
                f"{len(r.activations)} activations; each token needs one"
            )
    if not any(record.peak(side) > 0 for record in records):
        raise InputError(f"no record in {path} activates the unit: there is nothing to explain")
    values = {activation for record in records for activation in record.activations}
    if len(values) == 1:
        msg = f"every activation in {path} is {values.pop():g}: there is nothing to explain"
        raise InputError(msg)
    if len({(record.document, record.offset) for record in records}) == 1:
        msg = f"{path} has only one window: an explanation of it cannot be tested on another"
        raise InputError(msg)


def check_active(path: Path, sets: UnitSets) -> None:
    """Raises an InputError where too few texts activate the unit to explain from or score on."""
    side = sets.explain.side
    n_active = [
        len({(r.document, r.offset) for r in records if r.peak(side) > 0})
        for records in (sets.explain.records, sets.held_out.records)
    ]
    if min(n_active) < _MIN_ACTIVE:
        raise InputError(
            f"too few different texts in {path} activate the unit: {n_active[0]} to explain from "
            f"and {n_active[1]} to score on, where {_MIN_ACTIVE} of each are needed"
        )


def token_means(explain: ExplainSet) -> TokenMeans:
    """Mean activation of each token over the explain records, by their weights."""
    sums: dict[int, float] = defaultdict(float)
    weights: dict[int, float] = defaultdict(float)
    counts: Counter[int] = Counter()
    for record in explain.records:
        for token, value in zip(record.token_ids, record.side(explain.side), strict=True):
            sums[token] += record.weight * value
            weights[token] += record.weight
            counts[token] += 1
    means = {token: total / weights[token] for token, total in sums.items()}
    overall = math.fsum(sums.values()) / math.fsum(weights.values()) if weights else 0.0
    return TokenMeans(means, dict(counts), overall)


def count_records(
    records: _Records, side: Side, mean_and_variance: tuple[float | None, float | None]
) -> NeuronStats:
    """What can be counted over the records; the file's own mean and variance where it has them."""
    values = [activation for record in records for activation in record.activations]
    active = sum(side.sign * value > 0 for value in values)
    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) * (value - mean) for value in values) / len(values)
    known_mean, known_variance = mean_and_variance
    return NeuronStats(
        n_tokens=len(values),
        n_windows=len(records),
        mean=mean if known_mean is None else known_mean,
        variance=variance if known_variance is None else known_variance,
        minimum=min(values),
        maximum=max(values),
        density=active / len(values),
        window_density=sum(record.peak(side) > 0 for record in records) / len(records),
        histogram=(),
        bin_edges=(),
        quantiles=(),
    )

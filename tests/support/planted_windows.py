"""Windows of random tokens on which a unit follows one known rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from autointerp.core.ids import Side, UnitId
from autointerp.core.records import (
    ActivationRecord,
    ExplainSet,
    HeldOutSet,
    TokenMeans,
    UnitSets,
    ValidationSet,
)

N_CTX, N_TOKENS = 32, 40
Rule = Callable[[Sequence[int], int], Sequence[float]]
"""Activations from a window's token ids and its number."""


def names(ids: Sequence[int]) -> tuple[str, ...]:
    """Every fifth token goes on with a word, the others begin one."""
    return tuple(f"x{'abcdefgh'[i // 5]}" if i % 5 == 0 else f" w{i}" for i in ids)


def position(_ids: Sequence[int], _number: int) -> list[float]:
    return [1.0 if place < 2 else 0.0 for place in range(len(_ids))]


def pair(ids: Sequence[int], _number: int) -> list[float]:
    """Token 7 behind 3 or 4."""
    return [float(b == 7 and a in (3, 4)) for a, b in zip((0, *ids), ids, strict=False)]


def word_end(ids: Sequence[int], _number: int) -> list[float]:
    """Token 5, which goes on with a word, behind 10 or 15, which do so too."""
    return [float(b == 5 and a in (10, 15)) for a, b in zip((0, *ids), ids, strict=False)]


def repeated(ids: Sequence[int], _number: int) -> list[float]:
    return [float(token in ids[:place]) for place, token in enumerate(ids)]


def topic(ids: Sequence[int], number: int) -> list[float]:
    return [1.0 if number % 3 == 0 else 0.0] * len(ids)


def token(ids: Sequence[int], _number: int) -> list[float]:
    return [1.0 if one == 9 else 0.0 for one in ids]


def planted_sets(
    rule: Rule, *, n: int = 60, n_ctx: int = N_CTX, side: Side = Side.POSITIVE, inside: bool = True
) -> tuple[UnitSets, TokenMeans]:
    """The sets of such a unit and its table of tokens; windows begin inside documents or not."""
    rng = np.random.default_rng(0)
    records = []
    for number in range(n):
        ids = _tokens(rng, n_ctx)
        records.append(
            ActivationRecord(
                window=number,
                document=f"{number:016x}",
                offset=n_ctx * 3 if inside else 0,
                token_ids=ids,
                tokens=names(ids),
                activations=tuple(side.sign * value for value in rule(ids, number)),
                stratum="band0",
                weight=1.0,
            )
        )
    unit = UnitId("planted", "blocks.0.mlp.hook_post", 0)
    active = sorted(records, key=lambda r: -r.peak(side))[:20]
    sets = UnitSets(
        ExplainSet(unit, side, tuple(r for r in active if r.peak(side) > 0), 1.0),
        ValidationSet(unit, side, (), (), 1.0),
        HeldOutSet(unit, side, tuple(records), (), 1.0),
    )
    return sets, _table(records, side)


def _tokens(rng: np.random.Generator, n: int) -> tuple[int, ...]:
    """Mostly rare tokens, and of some the pairs that rules ask for."""
    ids: NDArray[np.int64] = rng.integers(0, N_TOKENS, n)
    for place in range(1, n - 1, 6):
        one, two = ((3, 7), (4, 7), (1, 7), (10, 5), (15, 5), (1, 5))[int(rng.integers(6))]
        ids[place], ids[place + 1] = one, two
    return tuple(ids.tolist())


def _table(records: Sequence[ActivationRecord], side: Side) -> TokenMeans:
    ids = np.concatenate([record.token_ids for record in records])
    values = np.concatenate([record.side(side) for record in records])
    counts, sums = np.bincount(ids), np.bincount(ids, values)
    known = np.flatnonzero(counts).tolist()
    return TokenMeans(
        {one: float(sums[one] / counts[one]) for one in known},
        {one: int(counts[one]) for one in known},
        float(values.mean()),
    )

"""Mistakes that belong to a word and not to a place: a reader makes them wherever it stands.

As graded_llm.py has them for places, but drawn once for each explanation, ability and token.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Rule = Callable[[Sequence[str]], Sequence[int]]

# Tokens of one slot share their mistakes; few labels name two of one slot.
_SLOTS = 4096


@dataclass(frozen=True)
class MistakenRules(Mapping[str, Rule]):
    """What a reader of an ability takes each explanation for."""

    rules: Mapping[str, Rule]
    ability: float

    def __getitem__(self, explanation: str) -> Rule:
        return _mistaken(self.rules[explanation], explanation, self.ability)

    def __iter__(self) -> Iterator[str]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)


def _mistaken(rule: Rule, explanation: str, ability: float) -> Rule:
    if ability >= 1:
        return rule
    s = 1 - ability
    rng = np.random.default_rng([zlib.crc32(explanation.encode()), round(10 * ability)])
    missed, stray = rng.random((2, _SLOTS))
    moved, alarm = 4 * s * rng.normal(size=_SLOTS), rng.integers(1, 11, _SLOTS)

    def own(tokens: Sequence[str]) -> list[int]:
        at = [zlib.crc32(token.encode("utf-8", "replace")) % _SLOTS for token in tokens]
        true = np.array(rule(tokens))
        levels = np.clip(np.rint(true + moved[at]), 1, 10)
        levels = np.where(missed[at] < s / 2, 0, levels)
        silent = np.where(stray[at] < s / 50, alarm[at], 0)
        return [int(level) for level in np.where(true > 0, levels, silent)]

    return own

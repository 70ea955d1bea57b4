"""Planted neurons on real text, with explanations of them from exact to wrong.

A neuron's activation is the height of the token times a factor of the token before it, times
lognormal noise, and 0 for one occurrence in seven; beneath lies a small lognormal activity on
every token of two neurons in three. Noise is a function of the last three tokens and the neuron.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from _graded_units import Drawn, Floats, GradedUnits, Ids, KnownModel, LabelRule, Pieces

from autointerp.corpora import TokenCorpus
from autointerp.subjects import HookUnits
from autointerp.subjects.tokenizer import HfTokenizer

HOOK = "blocks.0.mlp.hook_post"
QUALITIES = ("exact", "too narrow", "too broad", "other tokens", "another neuron's")
_FIRES, _SPREAD, _BENEATH = 6 / 7, 0.5, 0.02
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class PlantedRule:
    """What a neuron responds to, or an explanation says that it responds to."""

    heights: dict[int, float]
    """Vocabulary id -> height, 0..1."""
    before: frozenset[int]
    """Ids of which one should stand before; empty where it does not matter."""
    without: float
    """Factor where none of them does."""

    def levels(self, pieces: Pieces) -> Callable[[Sequence[str]], list[int]]:
        """Level 0..10 of each token of a text, given as strings."""
        ids = list(self.heights)
        named = zip(pieces(ids), self.heights.values(), strict=True)
        tens = {piece: max(1, round(10 * height)) for piece, height in named}
        weak = {piece: max(1, round(level * self.without)) for piece, level in tens.items()}
        before = set(pieces(sorted(self.before)))

        def rule(tokens: Sequence[str]) -> list[int]:
            if not before:
                return [tens.get(token, 0) for token in tokens]
            previous = ["", *tokens[:-1]]
            return [
                (tens if left in before else weak).get(token, 0)
                for left, token in zip(previous, tokens, strict=True)
            ]

        return rule


class PlantedModel(KnownModel):
    """A subject whose neurons are plain functions of the tokens."""

    def __init__(self, rules: Sequence[PlantedRule], tokenizer: HfTokenizer, n_types: int) -> None:
        super().__init__(tokenizer, name="planted", n_layers=1, gated=False)
        self.rules = rules
        self._heights = np.zeros((len(rules), n_types))
        self._factors = np.ones((len(rules), n_types))
        for i, rule in enumerate(rules):
            self._heights[i, list(rule.heights)] = list(rule.heights.values())
            if rule.before:
                self._factors[i] = rule.without
                self._factors[i, list(rule.before)] = 1.0

    def width(self, hook: str) -> int:  # noqa: ARG002
        """Number of neurons."""
        return len(self.rules)

    def columns(self, tokens: Ids, hook: str) -> Floats:  # noqa: ARG002
        """Activations of all neurons at the only hook point."""
        every = [self.activations(tokens, i) for i in range(len(self.rules))]
        return np.stack(every, axis=-1)

    def activations(self, tokens: Ids, neuron: int) -> Floats:
        """Of one neuron on each token of each window."""
        before = np.pad(tokens, ((0, 0), (1, 0)))[:, :-1]
        further = np.pad(tokens, ((0, 0), (2, 0)))[:, :-2]
        rule = self.rules[neuron]
        factor = self._factors[neuron][before]
        factor[:, 0] = rule.without if rule.before else 1.0
        normal, fires, beneath = (
            _hashed(tokens, before, further, 3 * neuron + part) for part in range(3)
        )
        noise = np.exp(_SPREAD * np.sqrt(2) * _normal(normal)) * (fires < _FIRES)
        small = _BENEATH * np.exp(0.8 * _normal(beneath)) if neuron % 3 else 0.0
        return np.asarray(self._heights[neuron][tokens] * factor * noise + small)


def _hashed(tokens: Ids, before: Ids, further: Ids, salt: int) -> Floats:
    """Uniform in 0..1, a function of the ids and the salt."""
    state = tokens.astype(np.uint64) + np.uint64(1)
    with np.errstate(over="ignore"):
        for part in (before, further, np.int64(salt)):
            state = (state * _MULTIPLIER) ^ (state >> np.uint64(29))
            state += np.asarray(part).astype(np.uint64) + np.uint64(1)
        for shift in (30, 27, 31):
            state = (state ^ (state >> np.uint64(shift))) * _MULTIPLIER
    return (state >> np.uint64(11)).astype(np.float64) / 2.0**53


def _normal(uniform: Floats) -> Floats:
    """The logistic approximation of a normal quantile."""
    inner = np.clip(uniform, 1e-3, 1 - 1e-3)
    return np.asarray(np.log(inner / (1 - inner)) / 1.702)


def planted_rules(corpus: TokenCorpus, n: int, seed: int) -> list[PlantedRule]:
    """Neurons for one to twelve tokens, rare or common, half of them with a context."""
    rng = np.random.default_rng(seed)
    counts = np.bincount(corpus.tokens)
    common = np.flatnonzero(counts >= 400)
    medium = np.flatnonzero((counts >= 15) & (counts < 400))
    rules = []
    for i in range(n):
        pool, most = (common, 3) if i % 4 == 0 else (medium, 12)
        chosen = rng.choice(pool, size=int(rng.integers(1 + 2 * (i % 4 > 0), most + 1)))
        heights = {int(t): float(h) for t, h in zip(chosen, _heights(rng, chosen), strict=True)}
        before: frozenset[int] = frozenset()
        if i % 2:
            before = frozenset(_seen_before(corpus, chosen, rng))
        rules.append(PlantedRule(heights, before, 0.15 if before else 1.0))
    return rules


def _heights(rng: np.random.Generator, chosen: Ids) -> Floats:
    return np.asarray(rng.uniform(0.3, 1.0, size=len(chosen)))


def _seen_before(corpus: TokenCorpus, chosen: Ids, rng: np.random.Generator) -> list[int]:
    """Tokens that stand before the chosen ones, until half of the occurrences have one."""
    places = np.flatnonzero(np.isin(corpus.tokens[1:], chosen))
    kinds, counts = np.unique(corpus.tokens[places], return_counts=True)
    order = rng.permutation(len(kinds))
    enough = int(np.searchsorted(np.cumsum(counts[order]), counts.sum() / 2)) + 1
    return [int(t) for t in kinds[order[:enough]]]


def explanations(
    rules: Sequence[PlantedRule], neuron: int, corpus: TokenCorpus, seed: int
) -> list[PlantedRule]:
    """One of each of `QUALITIES`."""
    rng = np.random.default_rng([seed, neuron])
    own = rules[neuron]
    tokens = sorted(own.heights, key=lambda t: -own.heights[t])
    counts = np.bincount(corpus.tokens)
    mass = int(counts[tokens].sum())
    pool = np.flatnonzero((counts >= 15) & (counts <= max(60, mass)))
    rng.shuffle(pool)
    added = pool[: int(np.searchsorted(np.cumsum(counts[pool]), mass)) + 1].tolist()
    few = tokens[: max(1, len(tokens) // 3)]
    others = [*tokens[-1:], *added] if len(tokens) > 1 else added
    nothing: frozenset[int] = frozenset()
    return [
        own,
        PlantedRule({t: own.heights[t] for t in few}, own.before, own.without),
        PlantedRule({**dict.fromkeys(added, 0.6), **own.heights}, nothing, 1.0),
        PlantedRule(dict.fromkeys(others, 0.6), nothing, 1.0),
        rules[(neuron + 2) % len(rules)],
    ]


def planted_units(
    corpus: TokenCorpus, tokenizer: HfTokenizer, n: int, *, n_types: int
) -> GradedUnits:
    """So many neurons with their labels.

    Args:
        corpus: whose tokens they are for.
        tokenizer: of the corpus.
        n: neurons.
        n_types: size of the vocabulary.
    """
    planted = planted_rules(corpus, n, 0)
    model = PlantedModel(planted, tokenizer, n_types)

    def rules(_drawn: Drawn) -> list[list[LabelRule]]:
        return [[*explanations(planted, i, corpus, 0)] for i in range(n)]

    return GradedUnits(model, [HookUnits(HOOK, tuple(range(n)))], QUALITIES, rules)

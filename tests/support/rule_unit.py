"""A unit that follows a rule over words: a tokenizer, a probe and explain sets of it.

A token is a word with its leading space, as `WordTokenizer` writes it. The first word of a text
has one too, so that a text and its ids read alike.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from factories import make_unit

from autointerp.core.ids import Side, UnitId
from autointerp.core.probe import ProbedText
from autointerp.core.records import ActivationRecord, ExplainSet, TokenMeans
from autointerp.explainers import ExplainInputs

Rule = Callable[[Sequence[str]], float]
"""The activation at the last of some words, by all of them."""


class WordTokenizer:
    """Every word that it meets is a token."""

    name, bos_id = "words", None

    def __init__(self, words: Sequence[str]) -> None:
        self._ids = {word: place for place, word in enumerate(dict.fromkeys(words))}

    def encode(self, text: str) -> list[int]:
        return [self._ids.setdefault(word, len(self._ids)) for word in text.split()]

    def pieces(self, token_ids: Sequence[int]) -> tuple[str, ...]:
        words = list(self._ids)
        return tuple(f" {words[token]}" for token in token_ids)


@dataclass
class RuleProbe:
    """Runs texts by the rule and counts them."""

    tokenizer: WordTokenizer
    rule: Rule
    sign: int = 1
    n_ctx: int = 512
    batches: list[int] = field(default_factory=list)
    """Sequences or texts of each call."""

    async def measure(self, unit: UnitId, texts: Sequence[str]) -> tuple[ProbedText, ...]:
        self.batches.append(len(texts))
        ids = [self.tokenizer.encode(text)[: self.n_ctx] for text in texts]
        return tuple(self._run(text, row) for text, row in zip(texts, ids, strict=True))

    async def measure_ids(
        self, unit: UnitId, sequences: Sequence[Sequence[int]]
    ) -> tuple[ProbedText, ...]:
        self.batches.append(len(sequences))
        return tuple(self._run("".join(self.tokenizer.pieces(ids)), ids) for ids in sequences)

    async def continuations(
        self,
        unit: UnitId,
        prompts: Sequence[str],
        *,
        sign: float,
        target_kl: float,
        n_tokens: int,
        seed: int,
    ) -> tuple[str, ...]:
        raise NotImplementedError

    def activations(self, ids: Sequence[int]) -> tuple[float, ...]:
        words = [piece.strip() for piece in self.tokenizer.pieces(ids)]
        return tuple(self.sign * self.rule(words[: i + 1]) for i in range(len(words)))

    def _run(self, text: str, ids: Sequence[int]) -> ProbedText:
        return ProbedText(text, self.tokenizer.pieces(ids), self.activations(ids))


COMMON = tuple(
    f"{first}{last}" for first in ("ba", "co", "du", "fi", "ge", "lo") for last in ("n", "rt", "sk")
)
"""Words that mean nothing to any rule."""


def rule_inputs(
    rule: Rule,
    texts: Sequence[str],
    *,
    sign: int = 1,
    n_filler: int = 40,
    n_ctx: int = 512,
    seed: int = 0,
) -> tuple[ExplainInputs, RuleProbe]:
    """Explain inputs with these texts as windows, strongest first, behind a probe.

    Token counts are of those texts and of fillers that are made of common words.
    """
    rng = random.Random(seed)
    filler = [" ".join(rng.choices(COMMON, k=12)) for _ in range(n_filler)]
    tokenizer = WordTokenizer(COMMON)
    probe = RuleProbe(tokenizer, rule, sign, n_ctx)
    side = Side.POSITIVE if sign > 0 else Side.NEGATIVE
    records = sorted(
        (_record(place, text, probe, side) for place, text in enumerate(texts)),
        key=lambda record: -record.peak(side),
    )
    sums: Counter[int] = Counter()
    counts: Counter[int] = Counter()
    for text in (*texts, *filler):
        ids = tokenizer.encode(text)
        counts.update(ids)
        for token, activation in zip(ids, probe.activations(ids), strict=True):
            sums[token] += max(0.0, sign * activation)
    means = TokenMeans(
        {token: sums[token] / n for token, n in counts.items()},
        dict(counts),
        sums.total() / counts.total(),
    )
    peak = max((record.peak(side) for record in records), default=1.0) or 1.0
    explain = ExplainSet(make_unit(), side, tuple(records), peak)
    return ExplainInputs(explain, means, tokenizer, probe=probe), probe


def _record(place: int, text: str, probe: RuleProbe, side: Side) -> ActivationRecord:
    ids = tuple(probe.tokenizer.encode(text))
    values = probe.activations(ids)
    active = max((side.sign * value for value in values), default=0.0) > 0
    return ActivationRecord(
        window=place,
        document=f"{place:016x}",
        offset=0,
        token_ids=ids,
        tokens=probe.tokenizer.pieces(ids),
        activations=values,
        stratum="top" if active else "silent",
        weight=1.0,
    )

"""A probe without a model: a unit is a plain function of the word, and writes its own words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.core.probe import ProbedText


@dataclass
class PlainProbe:
    """Texts are split at spaces, each word a token."""

    activation: Callable[[str], float] = lambda _: 0.0
    words: Mapping[UnitId, str] = field(default_factory=dict)
    """What each unit writes while it is held up; others cannot be steered."""
    steered: list[tuple[UnitId, float, float, int]] = field(default_factory=list)
    """(unit, sign, KL, seed) of every call so far."""
    vocabulary: Sequence[str] = ()
    """The word of each token id."""

    async def measure(self, unit: UnitId, texts: Sequence[str]) -> tuple[ProbedText, ...]:
        """What the function says of each word."""
        split = [text.split() for text in texts]
        return tuple(
            ProbedText(text, tuple(words), tuple(self.activation(word) for word in words))
            for text, words in zip(texts, split, strict=True)
        )

    async def measure_ids(
        self, unit: UnitId, sequences: Sequence[Sequence[int]]
    ) -> tuple[ProbedText, ...]:
        """What the function says of the word of each id."""
        texts = [" ".join(self.vocabulary[token] for token in ids) for ids in sequences]
        return await self.measure(unit, texts)

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
        """The unit's word behind a number, another for each prompt."""
        self.steered.append((unit, sign, target_kl, seed))
        if unit not in self.words:
            raise InputError(f"holding {unit} up moves nothing")
        return tuple(f" {place} {self.words[unit]}" for place in range(len(prompts)))

"""What a text will come to that has not been read yet: windows by split, and distinct tokens."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from autointerp.core.config import CorpusConfig
from autointerp.core.text import Split

_TYPES = {1_973: 804, 3_509: 1_372, 17_861: 4_936, 64_557: 11_189}
"""Distinct ones of SmolLM2's 49,152 tokens in so many tokens of the built-in Wikipedia text."""
_ONCE = {1_973: 575, 3_509: 972, 17_861: 3_162, 64_557: 5_840}
"""How many of these occur once."""
_SPLITS = {
    2_048: (16, 8, 8),
    4_096: (31, 8, 27),
    8_192: (55, 8, 68),
    16_384: (128, 8, 126),
    32_768: (283, 24, 214),
    65_536: (510, 84, 446),
}
"""Windows of explain, validation and held-out text in so many tokens of it: few documents are
split unevenly."""
_GROWTH = 0.5
"""Behind the last of these: their number grows as that power of the text."""
_FILLED = 0.98
"""Of a window on average; the last of a document is shorter."""


@dataclass(frozen=True, slots=True)
class PlannedText:
    """A text by its sizes."""

    n_tokens: int
    n_windows: Mapping[Split, int]
    n_types: int
    """Distinct tokens of the explain text."""
    n_once: int
    """How many of them occur once."""

    @classmethod
    def of(cls, config: CorpusConfig, *, vocab: int) -> PlannedText:
        """The text of a job: split as was counted in the built-in one, others as in the mean."""
        whole = max(1, round(config.n_tokens / (config.n_ctx * _FILLED)))
        shares = _shares(config)
        n_explain = config.n_tokens * config.explain
        there = max(1, _read_off(_TYPES, n_explain))
        n_types = min(vocab, math.ceil(n_explain), there)
        # Where the vocabulary ends, tokens come again and again.
        once = _read_off(_ONCE, n_explain) / there * n_types / there
        return cls(
            n_tokens=config.n_tokens,
            n_windows={split: max(1, round(share * whole)) for split, share in shares.items()},
            n_types=n_types,
            n_once=int(min(1.0, once) * n_types),
        )

    @property
    def all_windows(self) -> int:
        """Of every split."""
        return sum(self.n_windows.values())

    @property
    def n_positions(self) -> int:
        """Positions that the model runs: a BOS goes before every window."""
        return self.n_tokens + self.all_windows


def _shares(config: CorpusConfig) -> dict[Split, float]:
    rest = 1 - config.explain - config.validation
    means: tuple[float, ...] = (config.explain, config.validation, rest)
    usual = CorpusConfig(n_tokens=config.n_tokens, n_ctx=config.n_ctx)
    if config == usual and config.n_tokens <= max(_SPLITS):
        nearest = min(_SPLITS, key=lambda n: abs(math.log(n / config.n_tokens)))
        counted = _SPLITS[nearest]
        means = tuple(n / sum(counted) for n in counted)
    return dict(zip(Split, means, strict=True))


def _read_off(counted: Mapping[int, int], n_tokens: float) -> int:
    """A straight line between what was counted, both as logarithms."""
    known = sorted(counted.items())
    last, most = known[-1]
    if n_tokens >= last:
        return round(most * math.pow(n_tokens / last, _GROWTH))
    pairs = list(zip(known, known[1:], strict=False))
    (low, few), (high, many) = next((p for p in pairs if n_tokens < p[1][0]), pairs[-1])
    slope = math.log(many / few) / math.log(high / low)
    return math.ceil(few * math.pow(max(1.0, n_tokens) / low, slope))

"""What a file of records from elsewhere holds, as values."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autointerp.core.explanations import Explanation
from autointerp.core.ids import Side
from autointerp.core.levels import rectify
from autointerp.core.records import NeuronStats, TokenMeans, UnitSets


@dataclass(frozen=True, slots=True)
class Plain:
    """A record as other tools have it."""

    tokens: tuple[str, ...]
    activations: tuple[float, ...]

    def peak(self, side: Side) -> float:
        """The largest activation of one side."""
        return max(rectify(self.activations, side))


@dataclass(frozen=True, slots=True)
class TextVocabulary:
    """A tokenizer that knows the tokens of a file and nothing else."""

    name: str
    texts: Mapping[int, str]

    @property
    def bos_id(self) -> None:
        """There is none."""
        return

    @classmethod
    def of(cls, tokens: Iterable[str]) -> TextVocabulary:
        """Ids made up for each different text, in order of appearance."""
        return cls.known(dict(enumerate(dict.fromkeys(tokens))))

    @classmethod
    def known(cls, texts: Mapping[int, str]) -> TextVocabulary:
        """The ids that the file itself has."""
        joined = "\x1f".join(f"{i}:{text}" for i, text in sorted(texts.items()))
        digest = hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        return cls(f"text:{digest}", texts)

    def encode(self, text: str) -> list[int]:
        """Ids of the longest known tokens from the left; what begins none is passed over."""
        ids = {token: i for i, token in self.texts.items() if token}
        longest = max(map(len, ids), default=0)
        found, place = [], 0
        while place < len(text):
            lengths = range(min(longest, len(text) - place), 0, -1)
            n = next((n for n in lengths if text[place : place + n] in ids), 0)
            found += [ids[text[place : place + n]]] if n else []
            place += max(1, n)
        return found

    def pieces(self, token_ids: Sequence[int]) -> tuple[str, ...]:
        """The tokens' texts; an unknown id is U+FFFD."""
        return tuple(self.texts.get(i, "\ufffd") for i in token_ids)


@dataclass(frozen=True, slots=True)
class RecordFile:
    """What a file says of one side of one unit, ready to be explained and scored."""

    path: Path
    digest: str
    """First 16 hex digits of the SHA-256 of the file's bytes, decompressed."""
    sets: UnitSets
    token_means: TokenMeans
    """Fitted on the explain records alone."""
    stats: NeuronStats
    vocabulary: TextVocabulary
    explanation: Explanation | None
    """The file's own, None where it has none."""
    no_population: str | None
    """Why there is no population score; None where there is one."""
    notes: tuple[str, ...] = ()

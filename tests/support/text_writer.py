"""A scripted LLM that writes texts by descriptions, as receipts ask for them."""

from __future__ import annotations

import json
import random
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rule_unit import COMMON

from autointerp.llm import ChatRequest

Write = Callable[[random.Random], str]
_ASKED = re.compile(r'^\d+\. (".*") \((\d+) fires, (\d+) silent\)$', re.MULTILINE)
_FAILED = re.compile(r'^\d+\. (".*")$', re.MULTILINE)


@dataclass(frozen=True)
class TextWriter:
    """Answers what receipts ask."""

    fires: Mapping[str, Write]
    """By description: writes a text in which it applies."""
    silent: Mapping[str, Write] = field(default_factory=dict)
    """Writes a near miss; common words where there is none."""
    better: Mapping[str, str | None] = field(default_factory=dict)
    """The description that it gives in place of one that failed; otherwise the same again. None
    drops it."""
    errs: float = 0.0
    """Probability that a text is of the other kind."""

    def __call__(self, request: ChatRequest) -> str:
        """The reply."""
        asked = request.messages[-1].content
        if "descriptions" in asked:
            old = [json.loads(found) for found in _FAILED.findall(asked)]
            new = [self.better.get(text, text) for text in old]
            said = [{"description": text or "", "drop": text is None} for text in new]
            return json.dumps({"descriptions": said})
        senses = [
            self._sense(json.loads(text), int(n_fires), int(n_silent))
            for text, n_fires, n_silent in _ASKED.findall(asked)
        ]
        return json.dumps({"senses": senses})

    def _sense(self, text: str, n_fires: int, n_silent: int) -> dict[str, object]:
        rng = random.Random(zlib.crc32(text.encode()))
        kinds = (self.fires[text], self.silent.get(text, common_words))

        def written(kind: int, n: int) -> list[str]:
            texts: dict[str, None] = {}
            while len(texts) < n:
                other = rng.random() < self.errs
                texts[kinds[kind != other](rng)] = None
            return list(texts)

        return {
            "fires": written(0, n_fires),
            "silent": written(1, n_silent),
            "broader": f"broader than {text}",
            "narrower": f"narrower than {text}",
        }


def common_words(rng: random.Random) -> str:
    """Words that mean nothing to any rule."""
    return " ".join(rng.choices(COMMON, k=8))


def around(*phrases: str) -> Write:
    """Writes texts that hold one of these phrases."""

    def write(rng: random.Random) -> str:
        words = rng.choices(COMMON, k=7)
        words.insert(rng.randrange(8), rng.choice(phrases))
        return " ".join(words)

    return write

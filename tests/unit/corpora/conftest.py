"""What the tests of corpora share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

# Nothing here may ask the hub; its library reads this when it is imported.
os.environ.setdefault("HF_HUB_OFFLINE", "1")


class CharacterTokenizer:
    """One token a character; like real ones it refuses text that is not valid Unicode."""

    name = "characters"
    bos_id = None

    def encode(self, text: str) -> list[int]:
        return [ord(c) for c in text.encode().decode()]

    def pieces(self, token_ids: Sequence[int]) -> tuple[str, ...]:
        return tuple(chr(i) for i in token_ids)


@pytest.fixture(scope="session")
def tokenizer() -> CharacterTokenizer:
    return CharacterTokenizer()


@pytest.fixture
def jsonl(tmp_path: Path) -> Callable[[Sequence[str]], str]:
    """Writes texts to a JSON lines file and gives its path."""

    def write(texts: Sequence[str]) -> str:
        path = tmp_path / "texts.jsonl"
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        return str(path)

    return write

"""Text as it travels: documents, splits, windows, and text of others in prompts."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Protocol


class Split(StrEnum):
    """Which side of the document split a text is on. Only the split makes the three sets."""

    EXPLAIN = "explain"
    VALIDATION = "validation"
    HELD_OUT = "held_out"


def document_id(text: str) -> str:
    """16 hex digits that depend on the text's words only, so near-identical texts share them.

    White space is folded and letter case ignored: two copies of one article that differ in
    line breaks are the same document to the split.
    """
    folded = " ".join(text.split()).casefold()
    return hashlib.sha256(folded.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Document:
    """One text of a corpus, before tokenization."""

    text: str
    source: str
    """Where it came from, for people: an article title, a file name with a line number."""


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive tokens of one document, without BOS or padding."""

    id: int
    """0-based position in the corpus; ids of one split are contiguous."""
    document: str
    """`document_id` of the document."""
    offset: int
    """0-based position of the first token in its document."""
    token_ids: tuple[int, ...]
    """Vocabulary ids, at least one."""
    split: Split


class TextTokenizer(Protocol):
    """What corpora and prompts need of a subject model's tokenizer."""

    @property
    def name(self) -> str:
        """Name and a digest of the vocabulary, for provenance."""

    @property
    def bos_id(self) -> int | None:
        """Id put before every window, or None where the model takes none."""

    def encode(self, text: str) -> list[int]:
        """Vocabulary ids of a text, without any special token added."""

    def pieces(self, token_ids: Sequence[int]) -> tuple[str, ...]:
        r"""One string per token, leading space kept; `core.characters` joins them.

        A token that holds part of a character is shown by its bytes: ``\xe6``.
        """


# Endpoints read the marks of their chat template wherever they stand: <|im_end|> in a corpus ends
# the turn. So the first character of whatever is spelled like such a mark is written as its JSON
# escape. A prompt shows it so, and nothing turns it back.
_NAMES = (
    "s|unk|pad|mask|bos|eos|cls|sep|eod|eot|eop|sop|eom|sys|inst|think|thinking|tool|image|img|"
    "video|audio|system|user|assistant|human|ai|bot|reponame|filename"
)
# Names with an underscore or a digit cover <start_of_turn>, <extra_id_0>, <fim_prefix>,
# [TOOL_CALLS] and what else tokenizers reserve; <p>, vector<int> and [12] stay as they are.
_MARK = re.compile(
    rf"<(?=[|\uff5c])|<(?=/?(?i:{_NAMES}|[a-z]\w*[_0-9]\w*)>)"
    r"|\[(?=/?(?:[gs]?[A-Z_]{2,}|(?i:inst)|[a-z]\w*_\w*)\])"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LATE_CONTROL = re.compile(r"[\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")


@lru_cache(maxsize=4096)
def quoted(text: str) -> str:
    """The text as one line of JSON that can be encoded and holds no mark of a chat template."""
    # Kept, as the same few tokens are quoted again and again.
    body = json.dumps(plain_text(text), ensure_ascii=False)
    return defused(_LATE_CONTROL.sub(_escape, body))


def defused(text: str) -> str:
    """The text with an escape in whatever is spelled like a mark of a chat template."""
    return _MARK.sub(_escape, text)


def plain_text(text: str) -> str:
    """The text with U+FFFD for lone halves of characters, which no endpoint takes."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def spells_a_mark(text: str) -> bool:
    """Whether something in the text is spelled like a mark of a chat template."""
    return _MARK.search(text) is not None


def is_unsafe(text: str) -> bool:
    """Whether something in the text must be escaped before a prompt may hold it."""
    return spells_a_mark(text) or any(p.search(text) for p in (_CONTROL, _SURROGATE))


def escaped_from(text: str, place: int) -> str:
    """The text with the character at the 0-based place as its JSON escape."""
    units = text[place].encode("utf-16-be").hex()
    escape = "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))
    return text[:place] + escape + text[place + 1 :]


def _escape(match: re.Match[str]) -> str:
    return escaped_from(match[0], 0)

"""Text of others as prompts show it: it stays text, whatever it holds.

Endpoints read the marks of their chat template wherever they stand: ``<|im_end|>`` in a corpus
ends the turn. So the first character of whatever is spelled like such a mark is written as its
JSON escape. A prompt shows it so, and nothing turns it back.
"""

from __future__ import annotations

import json
import re

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


def quoted(text: str) -> str:
    """The text as one line of JSON that can be encoded and holds no mark of a chat template."""
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

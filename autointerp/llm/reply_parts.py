"""The parts of a completion, in the shapes that services give them: content, logprobs, usage."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from autointerp.llm.chat_model import TokenChoice, Usage, ranked

# What OpenAI itself sends for a token too improbable to have a number.
_IMPROBABLE = -9999.0
_DEEPEST = 6
_ANSWERS = frozenset({"text", "output_text", "message"})
_THOUGHTS = re.compile(r"reason|think|thought", re.IGNORECASE)
_TEXTS = ("text", "content", "value", "parts", "summary", "thinking", "reasoning")


@dataclass(frozen=True, slots=True)
class Content:
    """The text of a message."""

    answer: str
    thoughts: str
    """What came apart from the answer, in a field or a part of its own."""


def read_content(message: dict[str, Any]) -> Content:
    """The answer of a message, which is in its parts of type text, and its thoughts."""
    parts = list(_parts(message.get("content"), is_answer=True))
    for name, value in message.items():
        if name != "content" and _THOUGHTS.search(name):
            parts += _parts(value, is_answer=False)
    answer = "".join(text for text, is_answer in parts if is_answer)
    return Content(answer, "".join(text for text, is_answer in parts if not is_answer))


def _parts(value: object, *, is_answer: bool, depth: int = 0) -> Iterator[tuple[str, bool]]:
    """Texts in order, and whether each belongs to the answer."""
    if isinstance(value, str):
        yield value, is_answer
    elif isinstance(value, list) and depth < _DEEPEST:
        for one in value:
            yield from _parts(one, is_answer=is_answer, depth=depth + 1)
    elif isinstance(value, dict) and depth < _DEEPEST:
        is_answer = is_answer and value.get("type", "text") in _ANSWERS
        is_answer = is_answer and value.get("thought") is not True
        given = next((value[name] for name in _TEXTS if value.get(name)), None)
        yield from _parts(given, is_answer=is_answer, depth=depth + 1)


def read_logprobs(value: object) -> tuple[TokenChoice, ...] | None:
    """Generated tokens with log-probabilities; None where they have another shape than OpenAI's."""
    content = value.get("content") if isinstance(value, dict) else None
    if not isinstance(content, list):
        return None
    tokens = [_token(one) for one in content]
    known = [token for token in tokens if token is not None]
    return tuple(known) if len(known) == len(tokens) else None


def _token(value: object) -> TokenChoice | None:
    if not isinstance(value, dict) or not isinstance(value.get("token"), str):
        return None
    token, logprob = value["token"], _logprob(value.get("logprob"))
    tops = value.get("top_logprobs") or []
    if isinstance(tops, dict):
        pairs = list(tops.items())
    elif isinstance(tops, list) and all(isinstance(one, dict) for one in tops):
        pairs = [(one.get("token"), one.get("logprob")) for one in tops]
    else:
        return None
    known = {name: _logprob(number) for name, number in pairs if isinstance(name, str)}
    result = {name: number for name, number in known.items() if number is not None}
    chosen = _IMPROBABLE if logprob is None else logprob
    # A grammar may have forced a token that is not among the most probable ones.
    result.setdefault(token, chosen)
    return TokenChoice(token, chosen, ranked(result.items()))


def _logprob(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def read_usage(value: object) -> Usage:
    """Tokens that a reply cost; those that are not given or are no number are 0."""
    if not isinstance(value, dict):
        return Usage()
    details = value.get("prompt_tokens_details")
    cached = n_tokens(details.get("cached_tokens")) if isinstance(details, dict) else 0
    named = [value.get("prompt_tokens"), value.get("completion_tokens")]
    return Usage(n_tokens(named[0]), n_tokens(named[1]), cached)


def n_tokens(value: object) -> int:
    """A count in whatever form, rounded up; 0 where it is none."""
    try:
        number = float(value) if isinstance(value, int | float | str) else 0.0
    except (ValueError, OverflowError):
        return 0
    return math.ceil(number) if math.isfinite(number) and 0 < number < 1e12 else 0

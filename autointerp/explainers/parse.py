"""Reading an LLM's explanation: what counts as one, and why something does not."""

from __future__ import annotations

import re
import unicodedata

from autointerp.llm import UnreadableJsonError, find_object
from autointerp.llm.reply_formats import without_reasoning

NO_PATTERN = "no single pattern"

_REFUSAL = re.compile(
    r"^(?:i(?:['’]?m| am) (?:very |so )?(?:sorry|not able|unable)|sorry, (?:but )?i"
    r"|i (?:can(?:not|['’]t)|won['’]t|will not)|as an ai|unfortunately,? i)\b",
    re.IGNORECASE,
)
_PREAMBLE = re.compile(
    r"^(?:the|this) (?:neuron|feature|unit) "
    r"(?:(?:is )?(?:active|activates?|fires?|responds?|looks?)(?: strongly)?"
    r" (?:on|for|to|at|when|in)|detects)\s+",
    re.IGNORECASE,
)


class UnreadableReplyError(ValueError):
    """The reply is not an explanation; the message is the reason, for asking again."""


def parse_explanation(reply: str, *, as_json: bool, max_words: int) -> str:
    """The explanation in a reply, as one line without quotes or introduction.

    Raises:
        UnreadableReplyError: it is empty, a refusal, reasoning without an answer, not of the
            form asked for, or over-long.
    """
    text = answer_text(reply)
    line = _one_line(_json_field(text) if as_json else text.split("\n", 1)[0])
    _refuse_refusal(line)
    line = _PREAMBLE.sub("", line).strip(" .`*")
    if len(line) > 1 and line[0] == line[-1] and line[0] in "\"'" and line.count(line[0]) == 2:
        line = line[1:-1].strip()
    if not re.search(r"\w", line):
        raise UnreadableReplyError("the reply held no words")
    n_words = len(line.split())
    if n_words > max_words:
        msg = f"the explanation has {n_words} words, at most {max_words} are allowed"
        raise UnreadableReplyError(msg)
    return line


def answer_text(reply: str) -> str:
    """The reply without its reasoning.

    Raises:
        UnreadableReplyError: nothing else is in it, or it is a refusal.
    """
    text = without_reasoning(reply)
    if not text:
        reason = "only reasoning and no answer" if reply.strip() else "nothing"
        raise UnreadableReplyError(f"the reply held {reason}")
    _refuse_refusal(text)
    return text


def _refuse_refusal(text: str) -> None:
    if _REFUSAL.match(text):
        raise UnreadableReplyError(f"the reply is a refusal: {text[:60]!r}")


def _one_line(text: str) -> str:
    """The words, without control characters and without halves of characters."""
    known = (" " if unicodedata.category(c) in {"Cc", "Cs"} else c for c in text)
    return " ".join("".join(known).split())


def _json_field(text: str) -> str:
    try:
        value = find_object(text)
    except UnreadableJsonError as error:
        raise UnreadableReplyError(str(error)) from error
    field = value.get("explanation") if value else None
    if not isinstance(field, str):
        raise UnreadableReplyError('the reply is not JSON with a text under "explanation"')
    return field

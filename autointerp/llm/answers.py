"""The one reader of replies: where the answer stands in what an LLM wrote.

Models write thoughts before they answer, marked or not. What is marked as thoughts is never
searched, and in the rest the answer is the last value that fits what was asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import replace

from autointerp.llm.chat_model import ChatReply, TokenChoice
from autointerp.llm.thoughts import MARK, FoundObject, json_objects, without_thoughts

CUT_OFF = "the reply was cut off at its token limit"
ONLY_REASONING = "the reply held only reasoning and no answer"

_NUMBER = r"(?<![\d.,-])-?\d+(?:[.,]\d+)*"
# Before one that ends a sentence.
_SAYING = r"(?:[:=.!?;>{(—]|\b(?:is|say|be|answer|choose|therefore|so)\b)[^\w\n-]*"


class NoAnswerError(ValueError):
    """Nothing in the reply fits what was asked for; the message says why."""


def answer_of(reply: ChatReply) -> str:
    """The text of a reply with its thoughts blanked, so that places in it stay.

    Raises:
        NoAnswerError: nothing else is in it.
    """
    shown = without_thoughts(reply.text)
    if shown.strip():
        return shown
    held = ONLY_REASONING if is_only_reasoning(reply) else "the reply held nothing"
    raise NoAnswerError(f"{held} ({reply.finish_reason})")


def is_only_reasoning(reply: ChatReply) -> bool:
    """Whether a reply holds thoughts and no answer."""
    thought = bool(reply.thoughts.strip() or reply.text.strip())
    return thought and not without_thoughts(reply.text).strip()


def find_object(text: str, *keys: str, what: str) -> FoundObject:
    """The last JSON object in an answer that has all of these keys, wherever it stands.

    Its place is that of the outermost object around it. `what` says what should stand under the
    keys, for the message.

    Raises:
        NoAnswerError: there is none, or what might be it is broken, cut off or nested too deeply.
    """
    for found in reversed(json_objects(text)):
        value = _holding(found.value, keys)
        if value is not None:
            return replace(found, value=value)
    start, end = text.find("{"), text.rfind("}")
    if start >= 0:
        try:
            json.loads(text[start : end + 1])
        except (ValueError, RecursionError) as error:
            raise NoAnswerError(f"the reply is not JSON: {error}") from error
    raise NoAnswerError(f"the reply is not JSON with {what}: {text.strip()[:40]!r}")


def _holding(value: object, keys: Collection[str]) -> dict[str, object] | None:
    """The object, or the last within it, that has all of these keys."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            if all(key in one for key in keys):
                return one
            left += one.values()
        elif isinstance(one, list):
            left += one
    return None


def find_word(reply: ChatReply, *words: str) -> re.Match[str]:
    """The one of these words that a reply gives as its answer, as group 1.

    It stands alone on the last line, or behind a label there; else it begins the answer; else it
    ends it, behind a colon, a full stop or a word such as "is".

    Raises:
        NoAnswerError: there is none.
    """
    text = answer_of(reply)
    word = rf"(?:{'|'.join(words)})\b"
    found = _short_answer(text, word)
    if found is None:
        begins = re.compile(rf"[\W_]*?({word})", re.IGNORECASE)
        parts = (*reversed(_parts(text)), (0, len(text)))
        found = next((m for part in parts if (m := begins.match(text, *part))), None)
    found = found or _ending(reply, text, word)
    if found is None:
        options = " nor ".join(words)
        raise NoAnswerError(f"neither {options}: {text.strip()[:40]!r} ({reply.finish_reason})")
    return found


def find_number(reply: ChatReply, allowed: range) -> int:
    """The one of these numbers that a reply gives as its answer.

    It stands alone on the last line, or behind a label there, or is the only number, or ends the
    answer behind a colon or a word such as "is".

    Raises:
        NoAnswerError: there is none, or another.
    """
    span = f"from {allowed[0]} to {allowed[-1]}"
    try:
        text = answer_of(reply)
    except NoAnswerError as error:
        raise NoAnswerError(f"asked for one number {span}: {error}") from error
    found = _short_answer(text, _NUMBER)
    last = _parts(text)[-1]
    different = set(re.findall(_NUMBER, text[slice(*last)]))
    if found is None and len(different) > 1:
        found = _ending(reply, text, _NUMBER)
    given = {found[1]} if found else different
    if len(given) == 1 and given <= {str(number) for number in allowed}:
        return int(given.pop())
    shown = f"{text.strip()[:40]!r} ({reply.finish_reason})"
    raise NoAnswerError(f"asked for one number {span}, found {shown}")


def _short_answer(text: str, pattern: str) -> re.Match[str] | None:
    """What fits, where nothing else stands on the last line but a label."""
    # A label such as "Answer:" or "**Final rating** =", which is no answer itself.
    label = rf"(?:(?![\W_]*{pattern})[^\n:=]{{0,40}}[:=])?"
    line = re.compile(rf"{label}[\W_]*?({pattern})[\W_]*", re.IGNORECASE)
    return _unless_broken(text, line.fullmatch(text, *last_lines(text)[2]))


def _ending(reply: ChatReply, text: str, pattern: str) -> re.Match[str] | None:
    """What fits, at the end of the last sentence of a reply that was not cut off."""
    start, end = _parts(text)[-1]
    found = re.compile(rf"{_SAYING}({pattern})[\W_]*\Z", re.IGNORECASE).search(text, start, end)
    return _unless_broken(text, found) if reply.finish_reason != "length" else None


def _unless_broken(text: str, found: re.Match[str] | None) -> re.Match[str] | None:
    """What was found, but for a value in an object that never ends."""
    line = text[slice(*last_lines(text)[2])]
    return None if line.count("{") > line.count("}") else found


def last_lines(text: str) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Start and end of the whole answer, of what follows its last mark, and of its last line."""
    start, end = _parts(text)[-1]
    line = text.rfind("\n", start, start + len(text[start:end].rstrip())) + 1
    return (0, len(text)), (start, end), (line or start, end)


def _parts(text: str) -> list[tuple[int, int]]:
    """Start and end of what lies between marks, but for white space; all of it where nothing is."""
    cuts = [(0, 0), *(mark.span() for mark in MARK.finditer(text)), (len(text), len(text))]
    parts = [(one[1], other[0]) for one, other in zip(cuts, cuts[1:], strict=False)]
    return [part for part in parts if text[slice(*part)].strip()] or [(0, len(text))]


def token_starts(tokens: Sequence[TokenChoice]) -> dict[int, TokenChoice]:
    """Tokens by the place in the text of their first character that is not white space."""
    starts: dict[int, TokenChoice] = {}
    place = 0
    for choice in tokens:
        blank = len(choice.token) - len(choice.token.lstrip())
        starts[place + blank] = choice
        place += len(choice.token)
    return starts


def placed_tokens(reply: ChatReply) -> dict[int, TokenChoice] | None:
    """`token_starts` of a reply by places in its text; None where tokens and text do not match.

    Tokens of thoughts that are not in the text may stand before it.
    """
    if not reply.tokens:
        return None
    before = "".join(choice.token for choice in reply.tokens).rfind(reply.text)
    if before < 0:
        return None
    return {place - before: choice for place, choice in token_starts(reply.tokens).items()}

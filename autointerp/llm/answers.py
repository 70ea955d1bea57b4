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
from autointerp.llm.json_in_text import FoundObject, json_objects, strict_json
from autointerp.llm.thoughts import MARK, without_thoughts

CUT_OFF = "the reply was cut off at its token limit"
ONLY_REASONING = "the reply held only reasoning and no answer"

_FENCE = re.compile(r"^[ \t]*```\w*[ \t]*$", re.MULTILINE)
_NUMBER = r"(?<![\d.,-])-?\d+(?:[.,]\d+)*"
# Before one that ends a sentence.
_SAYING = r"(?:[:：=.!?;>{(—]|\s[-–]\s|\b(?:is|say|be|answer|choose|think|therefore|so)\b)[^\w\n-]*"
# A few words and a colon, which are not the answer.
_LABEL = r"[\W_]*(?:\w+[^\w\n:=：]+){0,2}\w+[^\w\n:=：]*[:=：]"
_WHOLE = r"(-?\d+)(?:[.,]0{1,2})?"
_OF = r"(?:/|\(?(?:out of|of|von|sur|de|su|van|av|af|из)\b)"


class NoAnswerError(ValueError):
    """Nothing in the reply fits what was asked for; the message says why."""


def answer_of(reply: ChatReply) -> str:
    """The text of a reply with its thoughts blanked, so that places in it stay.

    The lines are blanked too that begin and end code in Markdown.

    Raises:
        NoAnswerError: nothing else is in it.
    """
    shown = without_thoughts(reply.text)
    if shown.strip():
        return _FENCE.sub(lambda line: " " * len(line[0]), shown)
    reason = ONLY_REASONING if is_only_reasoning(reply) else "the reply held nothing"
    raise NoAnswerError(f"{reason} ({reply.finish_reason})")


def is_only_reasoning(reply: ChatReply) -> bool:
    """Whether a reply holds thoughts and no answer."""
    thought = bool(reply.thoughts.strip() or reply.text.strip())
    return thought and not without_thoughts(reply.text).strip()


def find_object(text: str, *keys: str, what: str, kind: type = object) -> FoundObject:
    """The last JSON object in an answer that has all of these keys, wherever it stands.

    One with values of the kind under them goes before others. Its place is that of the outermost
    object around it. `what` says what should stand under the keys, for the message.

    Raises:
        NoAnswerError: there is none, or what might be it is broken, cut off or nested too deeply.
    """
    objects = [
        replace(one, value=value)
        for one in reversed(json_objects(text))
        if (value := _holding(one.value, keys)) is not None
    ]
    fitting = (one for one in objects if all(isinstance(one.value[key], kind) for key in keys))
    if objects:
        return next(fitting, objects[0])
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

    It stands alone on the last line, or behind a label there, or on the first, or as a value of
    JSON; else it begins the answer; else it ends it, behind a colon, a full stop or a word such as
    "is"; else a comma or full stop follows it behind a label.

    Raises:
        NoAnswerError: there is none.
    """
    text = strict_json(answer_of(reply))
    word = rf"(?:{'|'.join(words)})\b"
    match = _short_answer(text, word)
    if match is None:
        begins = re.compile(rf"[\W_]*?({word})", re.IGNORECASE)
        parts = (*reversed(_parts(text)), (0, len(text)))
        match = next((m for part in parts if (m := begins.match(text, *part))), None)
    match = match or _ending(reply, text, word) or _labelled(text, word)
    if match is None:
        options = " nor ".join(words)
        raise NoAnswerError(f"neither {options}: {text.strip()[:40]!r} ({reply.finish_reason})")
    return match


def find_number(reply: ChatReply, allowed: range) -> int:
    """The one of these numbers that a reply gives as its answer.

    It stands alone on the last line, or behind a label there, or on the first, or as a value of
    JSON; else it is the only number; else it ends the answer, behind a colon, a full stop or a
    word such as "is"; else it begins it as "8/10" does, whose 10 is not read as a number.

    Raises:
        NoAnswerError: there is none, or another.
    """
    span = f"from {allowed[0]} to {allowed[-1]}"
    try:
        text = strict_json(answer_of(reply))
    except NoAnswerError as error:
        raise NoAnswerError(f"asked for one number {span}: {error}") from error
    scale = rf"(?<=\d)\s*{_OF}\s*{allowed[-1]}(?![\d.,]*\d)\)?"
    if len(allowed) < 4:
        # 1/2 may be one of two just as well.
        scale = r"(?!)"
    plain = re.sub(scale, lambda match: " " * len(match[0]), text)
    found = _short_answer(plain, _NUMBER)
    start, end = _parts(plain)[-1]
    different = set(re.findall(_NUMBER, plain[start:end]))
    if found is None and len(different) > 1:
        begins = re.compile(rf"(?:{_LABEL})?[\W_]*?({_NUMBER}){scale}", re.IGNORECASE)
        found = _ending(reply, plain, _NUMBER) or begins.match(text, start, end)
    given = {found[1]} if found else different
    whole = {int(n[1]) for one in given if (n := re.fullmatch(_WHOLE, one, re.ASCII))}
    if len(given) == len(whole) == 1 and whole <= {*allowed}:
        return whole.pop()
    shown = f"{text.strip()[:40]!r} ({reply.finish_reason})"
    raise NoAnswerError(f"asked for one number {span}, found {shown}")


def _short_answer(text: str, pattern: str) -> re.Match[str] | None:
    """What fits, where nothing else stands on the last line, or the first, but a label."""
    # A label such as "Answer:" or "**Final rating** =" may stand before it.
    label = rf"(?:(?![\W_]*{pattern})[^\n:=：]{{0,40}}[:=：])?"
    line = re.compile(rf"{label}[\W_]*?({pattern})[\W_]*", re.IGNORECASE)
    match = _unless_broken(text, line.fullmatch(text, *last_lines(text)[2]))
    first = _first_line(text)
    is_whole = text.count("{", *first) <= text.count("}", *first)
    return match or _value(text, pattern) or (line.fullmatch(text, *first) if is_whole else None)


def _value(text: str, pattern: str) -> re.Match[str] | None:
    """What fits as the only value of the last JSON object that does."""
    value = re.compile(rf'":\s*"?[^\w"]*?({pattern})[^\w"]*"?\s*[,}}]', re.IGNORECASE)
    objects = json_objects(text)
    matches = list(value.finditer(text, objects[-1].start, objects[-1].end)) if objects else []
    return matches[0] if len(matches) == 1 else None


def _labelled(text: str, word: str) -> re.Match[str] | None:
    """The word behind a label that begins the answer, or behind "the answer is"."""
    start, end = _parts(text)[-1]
    begins = re.compile(rf"{_LABEL}[\W_]*?({word})[*_\"'`]*\s*[,.;(—–]", re.IGNORECASE)
    says = re.compile(rf"\b(?:answer|verdict) is[^\w\n]*({word})", re.IGNORECASE)
    matches = list(says.finditer(text, start, end))
    same = len({one[1].lower() for one in matches}) == 1
    return begins.match(text, start, end) or (matches[0] if same else None)


def _first_line(text: str) -> tuple[int, int]:
    """Start and end of the first line with words of what follows the last mark."""
    start, end = _parts(text)[-1]
    start += len(text[start:end]) - len(text[start:end].lstrip())
    line = text.find("\n", start, end)
    return start, end if line < 0 else line


def _ending(reply: ChatReply, text: str, pattern: str) -> re.Match[str] | None:
    """What fits, at the end of the last sentence of a reply that was not cut off."""
    start, end = _parts(text)[-1]
    match = re.compile(rf"{_SAYING}({pattern})[\W_]*\Z", re.IGNORECASE).search(text, start, end)
    # The last of several values of an object is not what was asked for.
    in_object = match and any(one.end > match.start(1) for one in json_objects(text))
    if in_object or reply.finish_reason == "length":
        return None
    return _unless_broken(text, match)


def _unless_broken(text: str, match: re.Match[str] | None) -> re.Match[str] | None:
    """What was found, but for a value in an object that never ends."""
    line = text[slice(*last_lines(text)[2])]
    return None if line.count("{") > line.count("}") else match


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

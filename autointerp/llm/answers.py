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
from autointerp.llm.listed_values import as_list
from autointerp.llm.named_values import named_value, without_asides
from autointerp.llm.plain_form import plain_characters, plain_form, without_runs
from autointerp.llm.rival_answers import SeveralValuesError
from autointerp.llm.short_answers import (
    are_names,
    ending,
    is_taken_back,
    short_answer,
    word_in_sentence,
)
from autointerp.llm.short_numbers import number_of
from autointerp.llm.thoughts import without_thoughts
from autointerp.llm.ticked_options import ticked, true_option

CUT_OFF = "the reply was cut off at its token limit"
ONLY_REASONING = "the reply held only reasoning and no answer"

_FENCE = re.compile(r"^[ \t]*```\w*[ \t]*$", re.MULTILINE)


class NoAnswerError(ValueError):
    """Nothing in the reply fits what was asked for; the message says why."""


class DifferingAnswersError(NoAnswerError):
    """Several answers are given, and nothing tells which of them is meant."""

    def __init__(self, answer: str) -> None:
        super().__init__(f"several answers that differ: {answer.strip()[:40]!r}")


def answer_of(reply: ChatReply) -> str:
    """The text of a reply with its thoughts blanked, so that places in it stay.

    The lines are blanked too that begin and end code in Markdown.

    Raises:
        NoAnswerError: nothing else is in it.
    """
    shown = without_runs(without_thoughts(reply.text))
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
    object around it. `what` says what should stand under the keys, for the message. A list that
    was asked for may be written as `as_list` reads it.

    Raises:
        NoAnswerError: there is none, or what might be it is broken, cut off or nested too deeply.
    """
    objects = [
        replace(one, value=_of_kind(value, keys, kind))
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
    """The object, or the last within it, that has all of these keys, in any case of letters."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            if all(key in one for key in keys):
                return one
            in_small = {str(name).strip().lower(): inner for name, inner in one.items()}
            if all(key in in_small for key in keys):
                return in_small
            left += one.values()
        elif isinstance(one, list):
            left += one
        elif isinstance(one, str):
            left += [inner.value for inner in json_objects(one)]
    return None


def _of_kind(value: dict[str, object], keys: Collection[str], kind: type) -> dict[str, object]:
    if kind is not list:
        return value
    return {name: (as_list(one) or one) if name in keys else one for name, one in value.items()}


def find_word(reply: ChatReply, *words: str) -> re.Match[str]:
    """The one of these words that a reply gives as its answer, as group 1.

    It stands alone on the last line, or behind a label there, or on the first, or as a value of
    JSON; else it begins the answer; else it ends it, behind a colon, a full stop or a word such as
    "is"; else a comma or full stop follows it behind a label.

    Raises:
        DifferingAnswersError: there are several.
        NoAnswerError: there is none.
    """
    answer = answer_of(reply)
    text, word = _plain(answer), rf"(?:{'|'.join(words)})\b(?!-[^\W\d_])"
    try:
        match = true_option(text, word) or _marked(answer, text, word)
        if match is None and not are_names(text, word):
            match = word_in_sentence(text, word, cut_off=_is_cut_off(reply))
    except SeveralValuesError as error:
        raise DifferingAnswersError(answer) from error
    if match is not None and is_taken_back(text, match, word):
        match = ending(text, word, cut_off=_is_cut_off(reply))
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
        answer = answer_of(reply)
        text = _plain(answer)
        found = number_of(answer, text, allowed, cut_off=_is_cut_off(reply))
    except SeveralValuesError as error:
        said = DifferingAnswersError(answer)
        raise NoAnswerError(f"asked for one number {span}: {said}") from error
    except NoAnswerError as error:
        raise NoAnswerError(f"asked for one number {span}: {error}") from error
    if found is None:
        shown = f"{text.strip()[:40]!r} ({reply.finish_reason})"
        raise NoAnswerError(f"asked for one number {span}, found {shown}")
    return found


def _plain(answer: str) -> str:
    return without_asides(strict_json(plain_form(answer)))


def _marked(answer: str, text: str, pattern: str) -> re.Match[str] | None:
    """What fits and is ticked, stands under a name, or in a line with nothing else."""
    return (
        ticked(plain_characters(answer), pattern)
        or named_value(text, pattern)
        or short_answer(text, pattern)
    )


def _is_cut_off(reply: ChatReply) -> bool:
    return reply.finish_reason == "length"


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

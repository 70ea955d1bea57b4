"""What scorers read out of replies: a yes or no, and lists of them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from autointerp.llm import ChatReply, TokenChoice
from autointerp.llm.answers import (
    CUT_OFF,
    DifferingAnswersError,
    NoAnswerError,
    answer_of,
    find_object,
    find_word,
    placed_tokens,
)
from autointerp.llm.json_in_text import FoundObject
from autointerp.llm.listed_values import bare_list, words_alone
from autointerp.llm.rival_answers import SeveralValuesError, refuse_rivals

_WORDS = {"true": True, "yes": True, "false": False, "no": False}
_WORD = rf"(?:{'|'.join(_WORDS)})\b"
_BEGINS = re.compile(rf"[\W_]*({_WORD})(?=[*_`\"']*(?:\s*[,.;:(|—–!?]|\s-\s|\s*\Z))", re.IGNORECASE)
_BOOLEAN = re.compile(r"\b(?:true|false)\b")
_NAMED = re.compile(r"[\"'](?:yes|no)[\"']\s*:", re.IGNORECASE)
_OTHERS = re.compile(r"[\"'](?:in|un|not?|non)[ _-]?active", re.IGNORECASE)
"""The name of a list of those that are not active."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was read out of a reply, or why nothing could be."""

    verdict: bool | None = None
    probability: float | None = None
    """Of yes, where the endpoint gives log-probabilities."""
    predicted: tuple[float, ...] | None = None
    """Predicted activation per token, model units."""
    failure: str | None = None


def read_yes_no(reply: ChatReply) -> Verdict:
    """The yes or no of a reply, with the probability of yes against no at its place.

    Where it says neither, true stands for yes and false for no.
    """
    try:
        words, answer = _yes_or_true(reply)
    except NoAnswerError as error:
        return Verdict(failure=str(error))
    placed = placed_tokens(reply)
    choices = [c for c in reply.tokens or () if c.token.strip().lower() in words]
    # Where tokens and text do not match, one such token is the answer's all the same.
    choice = placed.get(answer.start(1)) if placed else choices[0] if len(choices) == 1 else None
    probability = _share(choice, *words) if choice in choices and choice else None
    return Verdict(answer[1].lower() == words[0], probability)


def _yes_or_true(reply: ChatReply) -> tuple[tuple[str, str], re.Match[str]]:
    """The pair of words of which a reply gives one, and where it stands."""
    try:
        return ("yes", "no"), find_word(reply, "yes", "no")
    except DifferingAnswersError:
        raise
    except NoAnswerError:
        # True may stand for no there.
        if not _NAMED.search(reply.text):
            with suppress(NoAnswerError):
                return ("true", "false"), find_word(reply, "true", "false")
        raise


def read_booleans(reply: ChatReply, n: int) -> list[Verdict]:
    """One answer for each of ``n`` texts from ``{"active": [true, false, ...]}``.

    A list of another length says nothing of any text, so all of them fail; an item that is
    neither true nor false fails alone.
    """
    if reply.finish_reason == "length":
        return [Verdict(failure=CUT_OFF)] * n
    what = 'a list under "active"'
    try:
        text = answer_of(reply)
        listed = _listed(text, n, what)
    except NoAnswerError as error:
        return [Verdict(failure=str(error))] * n
    items = listed.value["active"]
    if not isinstance(items, list):
        return [Verdict(failure=f"the reply is not JSON with {what}: {items!r:.40}")] * n
    if len(items) != n:
        return [Verdict(failure=f"asked for {n} answers, found {len(items)}")] * n
    if _are_shuffled(items):
        return [Verdict(failure="the answers are not in the order of the texts")] * n
    verdicts = list(map(_boolean, items))
    return [
        Verdict(verdict, probability)
        if verdict is not None
        else Verdict(failure=f"neither true nor false: {json.dumps(item)[:40]}")
        for verdict, item, probability in zip(
            verdicts, items, _boolean_probabilities(reply, listed, items), strict=True
        )
    ]


def _listed(text: str, n: int, what: str) -> FoundObject:
    """The object with the list of n booleans, or that list where it has no name."""
    bare = bare_list(text, n) or words_alone(text, n, _WORDS)
    bare = None if _OTHERS.search(text) else bare
    try:
        found = find_object(text, "active", what=what, kind=list)
    except NoAnswerError:
        if bare is None or None in map(_boolean, bare):
            raise
    else:
        if isinstance(found.value["active"], list) or bare is None:
            return found
    return FoundObject({"active": bare}, len(text), len(text))


def _boolean(item: object) -> bool | None:
    """The boolean that an item of a list is, as a word or under its name or the only one's too."""
    if isinstance(item, dict):
        own = [value for name, value in item.items() if str(name).lower() == "active"]
        booleans = [value for value in map(_boolean, own or item.values()) if value is not None]
        return booleans[0] if len(booleans) == 1 else None
    if isinstance(item, str):
        said = _BEGINS.match(item)
        with suppress(SeveralValuesError):
            return _WORDS[refuse_rivals(item, said, _WORD, len(item))[1].lower()] if said else None
        return None
    return item if isinstance(item, bool) else None


def _are_shuffled(items: Sequence[object]) -> bool:
    """Whether items have numbers such as those of the texts, and not in their order."""
    numbers = [
        next((one for one in item.values() if type(one) is int), -1)
        for item in items
        if isinstance(item, dict)
    ]
    are_of_texts = len(numbers) == len(items) and all(0 <= n <= len(items) for n in numbers)
    return are_of_texts and numbers != list(range(numbers[0], numbers[0] + len(items)))


def _boolean_probabilities(
    reply: ChatReply, listed: FoundObject, items: Sequence[object]
) -> list[float | None]:
    start = max(listed.start, reply.text.find('"active"', listed.start))
    words = list(_BOOLEAN.finditer(reply.text, start, listed.end))
    message = [json.dumps(item) for item in items]
    placed = placed_tokens(reply)
    if placed is None or [word[0] for word in words] != message:
        return [None] * len(items)
    choices = [placed.get(word.start()) for word in words]
    return [
        _share(choice, "true", "false") if choice and choice.token.strip() == word else None
        for choice, word in zip(choices, message, strict=True)
    ]


def _share(choice: TokenChoice, yes: str, no: str) -> float | None:
    mass = {yes: 0.0, no: 0.0}
    for token, logprob in choice.alternatives:
        word = token.strip().lower()
        if word in mass:
            mass[word] += math.exp(logprob)
    total = sum(mass.values())
    return mass[yes] / total if total > 0 else None

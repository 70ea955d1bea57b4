"""What scorers that ask an LLM have in common: questions in batches, answers, trials, scores."""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from typing_extensions import override

from autointerp.core.errors import InputError, RequestRefusedError
from autointerp.core.explanations import PromptRef
from autointerp.core.records import ActivationRecord
from autointerp.core.scores import Trial
from autointerp.core.seeds import derive_seed
from autointerp.llm import ChatModel, ChatReply, ChatRequest, PromptTooLongError, TokenChoice
from autointerp.llm.answers import (
    CUT_OFF,
    NoAnswerError,
    answer_of,
    find_number,
    find_object,
    find_word,
    placed_tokens,
)
from autointerp.llm.json_in_text import FoundObject
from autointerp.llm.reply_formats import chat_request
from autointerp.llm.wrapped_model import why_refused
from autointerp.scorers.scorer_inputs import Scorer, ScoringSet
from autointerp.templates import load_template
from autointerp.templates.loader import Role

T = TypeVar("T")

_BOOLEAN = re.compile(r"\b(?:true|false)\b")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was read out of a reply, or why nothing could be."""

    verdict: bool | None = None
    probability: float | None = None
    """Of yes, where the endpoint gives log-probabilities."""
    predicted: tuple[float, ...] | None = None
    """Predicted activation per token, model units."""
    failure: str | None = None


class PromptedScorer(Scorer):
    """A scorer that puts one prompt to an LLM."""

    name: str

    def __init__(self, model: ChatModel, prompt: str, *, version: str = "v1") -> None:
        self._model, self._template = model, load_template(prompt, version)

    @property
    @override
    def prompts(self) -> tuple[PromptRef, ...]:
        return (self._template.ref,)


def trial_of(record: ActivationRecord, answer: Verdict, *, truth: bool | None = None) -> Trial:
    """The trial of one window."""
    return Trial(
        record.window,
        record.stratum,
        record.weight,
        answer.predicted,
        answer.verdict,
        answer.probability,
        answer.failure,
        truth,
    )


def trials_of(windows: ScoringSet, answers: Sequence[Verdict]) -> tuple[Trial, ...]:
    """One trial a window, in their order."""
    return tuple(trial_of(r, a) for r, a in zip(windows.records, answers, strict=True))


def derived_random(windows: ScoringSet, *names: str | int) -> random.Random:
    """A generator that depends on the set's seed, its unit and side, and the names."""
    seed = derive_seed(windows.seed, str(windows.unit), str(windows.side), *names)
    return random.Random(seed)


def batches(windows: ScoringSet, size: int, name: str) -> list[tuple[ActivationRecord, ...]]:
    """The windows, ``size`` to a question, the last of which may hold fewer.

    Single ones keep their order; several are shuffled first, so that the strata mix.

    Raises:
        InputError: a size below 1.
    """
    if size < 1:
        raise InputError(f"a question holds at least 1 window, found windows_per_call={size}")
    records = list(windows.records)
    if size > 1:
        derived_random(windows, name, "order").shuffle(records)
    return [tuple(records[i : i + size]) for i in range(0, len(records), size)]


async def ask_all(
    ask: Callable[[Sequence[ActivationRecord]], Awaitable[list[T]]],
    windows: ScoringSet,
    size: int,
    name: str,
) -> list[T]:
    """What asking gives for every window, in their order; see `batches` and `ask_in_parts`."""
    asked = batches(windows, size, name)
    replies = await asyncio.gather(*(ask_in_parts(ask, batch) for batch in asked))
    result = {
        record.window: one
        for batch, own in zip(asked, replies, strict=True)
        for record, one in zip(batch, own, strict=True)
    }
    return [result[record.window] for record in windows.records]


async def ask_in_parts(
    ask: Callable[[Sequence[ActivationRecord]], Awaitable[list[T]]],
    batch: Sequence[ActivationRecord],
) -> list[T]:
    """What asking about a batch gives for each window, in halves where it does not fit the LLM.

    Asking raises `PromptTooLongError` where several windows do not fit together.
    """
    try:
        return await ask(batch)
    except PromptTooLongError:
        if len(batch) < 2:
            raise
    half = (len(batch) + 1) // 2
    parts = await asyncio.gather(*(ask_in_parts(ask, p) for p in (batch[:half], batch[half:])))
    return [one for part in parts for one in part]


def yes_no_request(
    model: ChatModel, turns: Sequence[tuple[Role, str]], *, fresh: bool
) -> ChatRequest:
    """A question that is answered with one word."""
    return chat_request(
        model.features,
        turns,
        max_tokens=8,
        grammar='root ::= "yes" | "no"',
        logprobs=True,
        fresh=fresh,
    )


async def ask_one(
    model: ChatModel, request: ChatRequest, read: Callable[[ChatReply], Verdict]
) -> Verdict:
    """What is read out of the reply; a refusal is a failure.

    Raises:
        UpstreamError: the LLM could not be used.
    """
    try:
        return read(await model.reply(request))
    except RequestRefusedError as error:
        return Verdict(failure=why_refused(error))


async def ask_batch(
    model: ChatModel, request: ChatRequest, n: int, read: Callable[[ChatReply], list[T | str]]
) -> list[T | str]:
    """What is read of each of n windows, or why nothing could be had.

    Raises:
        PromptTooLongError: several windows do not fit together.
        UpstreamError: the LLM could not be used.
    """
    try:
        reply = await model.reply(request)
        answer_of(reply)
    except RequestRefusedError as error:
        if isinstance(error, PromptTooLongError) and n > 1:
            raise
        return [why_refused(error)] * n
    except NoAnswerError as error:
        return [str(error)] * n
    return read(reply)


async def ask_number(
    model: ChatModel, request: ChatRequest, allowed: range, verdict: Callable[[int], Verdict]
) -> Verdict:
    """The verdict that the one number in the reply stands for; none or another is a failure.

    Raises:
        UpstreamError: the LLM could not be used.
    """

    def read(reply: ChatReply) -> Verdict:
        try:
            return verdict(find_number(reply, allowed))
        except NoAnswerError as error:
            return Verdict(failure=str(error))

    return await ask_one(model, request, read)


def read_yes_no(reply: ChatReply) -> Verdict:
    """The yes or no of a reply, with the probability of yes against no at its place."""
    try:
        answer = find_word(reply, "yes", "no")
    except NoAnswerError as error:
        return Verdict(failure=str(error))
    placed = placed_tokens(reply)
    words = [c for c in reply.tokens or () if c.token.strip().lower() in {"yes", "no"}]
    # Where tokens and text do not match, one such token is the answer's all the same.
    choice = placed.get(answer.start(1)) if placed else words[0] if len(words) == 1 else None
    probability = _share(choice, "yes", "no") if choice in words and choice else None
    return Verdict(answer[1].lower() == "yes", probability)


def read_booleans(reply: ChatReply, n: int) -> list[Verdict]:
    """One answer for each of ``n`` texts from ``{"active": [true, false, ...]}``.

    A list of another length says nothing of any text, so all of them fail; an item that is
    neither true nor false fails alone.
    """
    if reply.finish_reason == "length":
        return [Verdict(failure=CUT_OFF)] * n
    what = 'a list under "active"'
    try:
        listed = find_object(answer_of(reply), "active", what=what, kind=list)
    except NoAnswerError as error:
        return [Verdict(failure=str(error))] * n
    items = listed.value["active"]
    if not isinstance(items, list):
        return [Verdict(failure=f"the reply is not JSON with {what}: {items!r:.40}")] * n
    if len(items) != n:
        return [Verdict(failure=f"asked for {n} answers, found {len(items)}")] * n
    return [
        Verdict(item, probability)
        if isinstance(item, bool)
        else Verdict(failure=f"neither true nor false: {json.dumps(item)[:40]}")
        for item, probability in zip(
            items, _boolean_probabilities(reply, listed, items), strict=True
        )
    ]


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

"""What scorers that ask an LLM have in common: questions in batches, answers, trials, scores."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from typing_extensions import override

from autointerp.core.errors import InputError, RequestRefusedError
from autointerp.core.explanations import PromptRef
from autointerp.core.records import ActivationRecord
from autointerp.core.scores import Trial
from autointerp.core.seeds import derive_seed
from autointerp.llm import ChatModel, ChatReply, ChatRequest, PromptTooLongError
from autointerp.llm.answers import (
    NoAnswerError,
    answer_of,
    find_number,
)
from autointerp.llm.reply_formats import chat_request
from autointerp.llm.wrapped_model import why_refused
from autointerp.scorers.scorer_inputs import Scorer, ScoringSet
from autointerp.scorers.verdict_replies import Verdict
from autointerp.templates import load_template
from autointerp.templates.loader import Role

T = TypeVar("T")


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

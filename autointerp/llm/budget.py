"""A limit on what a job spends, kept also while calls are in flight.

Before a call is sent, the most that it can cost is set aside; when it has ended, what it did cost
takes that place. A call that does not fit waits for the calls in flight, most of which give
some of their share back, and is refused only when none is left. So the strict bound on a prompt
(a token has at least one byte) wastes nothing until the very end, and no estimate from earlier
replies is needed, which could not be a bound: the next prompt may have more tokens to the byte
than any before it.

It holds as far as the endpoint keeps to the limit that it is sent and reports truly what it used.
What a client repeats by itself within one call counts once.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import replace

from typing_extensions import override

from autointerp.core.config import Budget
from autointerp.core.errors import (
    BudgetExhaustedError,
    InputError,
    RequestFailedError,
    RequestRefusedError,
    UpstreamError,
)
from autointerp.llm.chat_model import (
    ChatModel,
    ChatReply,
    ChatRequest,
    EchoRequest,
    Features,
    LlmRequest,
    ReplyRefusedError,
    Usage,
)
from autointerp.llm.cost_log import CostLog, Ledger, Spent, charge_to, current_purpose
from autointerp.llm.prices import Price
from autointerp.llm.wrapped_model import WrappedModel

# What chat templates put around turns, and the system prompt that some add by themselves.
_TOKENS_A_MESSAGE = 16
_TOKENS_A_REQUEST = 64
# Ten tiny requests, the first of which has no limit.
_MOST_TO_PREPARE = Usage(10 * 128, 10 * 20 + 256)


def most_tokens(request: LlmRequest, features: Features) -> Usage:
    """The most tokens that a request can cost: a prompt token has at least one byte.

    A schema counts as a part of the prompt, as which OpenAI charges it; hidden reasoning counts
    as a part of the reply.
    """
    if isinstance(request, EchoRequest):
        request = request.as_chat
    texts = [message.content for message in request.messages]
    if request.schema is not None:
        texts += [request.schema.name, request.schema.text]
    n_bytes = sum(len(text.encode("utf-8", "replace")) for text in texts)
    around = _TOKENS_A_REQUEST + _TOKENS_A_MESSAGE * len(request.messages)
    return Usage(n_bytes + around, request.max_tokens + features.hidden_tokens)


class BudgetedModel(WrappedModel):
    """Any chat model with a limit on what it spends; every call is recorded.

    It belongs between the reply cache and the client, so that nothing is set aside for replies
    from the cache. An object belongs to one event loop.
    """

    def __init__(
        self,
        model: ChatModel,
        *,
        budget: Budget,
        price: Price | None,
        cost_log: CostLog | None = None,
        at_once: int | None = None,
    ) -> None:
        """Wraps a model; a budget without numbers only records.

        The price is None where it is unknown. The log holds what was spent before. Only `at_once`
        calls are handed on at a time, if given: a call that merely waits for its turn is not
        recorded, as a killed process would count it as paid.

        Raises:
            InputError: a budget in dollars, and the price of this or of what was spent before is
                unknown.
        """
        super().__init__(model)
        self._budget, self._price = budget, price
        self._cost_log = cost_log or CostLog()
        self._turn = nullcontext() if at_once is None else asyncio.Semaphore(at_once)
        self._preparing = asyncio.Lock()
        self._n_in_flight = 0
        self._ended = asyncio.Event()
        self._refused: str | None = None
        if budget.usd is not None and (price is None or self._cost_log.committed()[1] is None):
            whose = model.name if price is None else "what this job spent before"
            raise InputError(
                f"a budget of ${budget.usd:g} cannot be kept, because the price of {whose} is "
                "unknown; give it in a file of prices or set --budget-tokens instead"
            )

    @property
    def ledger(self) -> Ledger:
        """What was spent, before this process too."""
        return self._cost_log.ledger

    @override
    async def send(self, request: LlmRequest) -> ChatReply:
        """The reply of the wrapped model.

        A call that fails transiently, or that is cancelled, may have been charged all
        the same: it counts as the most it can cost, unless nothing was sent meanwhile.

        Raises:
            BudgetExhaustedError: it could cost more than is left when nothing is in flight, or
                that was so for a call before.
        """
        if isinstance(request, ChatRequest):
            await self.prepare()
        async with self._turn:
            return await self._paid(request)

    @override
    async def prepare(self) -> Usage | None:
        """What it cost to find out what the model can do, which is set aside first.

        Raises:
            BudgetExhaustedError: that could cost more than is left.
        """
        async with self._preparing:
            if self.features.is_known:
                return None
            with charge_to("prepare", ""):
                number = await self._begin("prepare", self._spent(_MOST_TO_PREPARE))
            spent = Spent()
            try:
                usage = await self.wrapped.prepare()
                spent = Spent() if usage is None else self._spent(usage)
            finally:
                self._cost_log.end_call(number, spent)
        return usage

    async def _paid(self, request: LlmRequest) -> ChatReply:
        worst = self._spent(most_tokens(request, self.features))
        number = await self._begin(request.key(self.name), worst)
        self._n_in_flight += 1
        n_sent = self.wrapped.total_usage.requests
        spent = replace(worst, assumed=1)
        try:
            reply = await self._pass_on(request)
            spent = self._cost(reply, worst)
        except RequestFailedError:
            raise
        except ReplyRefusedError as error:
            spent = self._spent(error.usage) if error.usage.prompt_tokens else spent
            raise
        except RequestRefusedError:
            spent = Spent()
            raise
        except UpstreamError as error:
            if not error.retryable or self.wrapped.total_usage.requests == n_sent:
                spent = Spent()
            raise
        finally:
            self._n_in_flight -= 1
            self._ended.set()
            self._ended = asyncio.Event()
            self._cost_log.end_call(number, spent)
        return reply

    async def _begin(self, key: str, worst: Spent) -> int:
        """Records the call as soon as it fits."""
        # Once one did not fit, a smaller one may, but the amounts in the message must stay true.
        while self._refused is None:
            number = self._cost_log.begin_within(
                key, worst, tokens=self._budget.tokens, usd=self._budget.usd
            )
            if number is not None:
                return number
            if self._n_in_flight:
                await self._ended.wait()
            else:
                self._refused = self._exhausted(worst)
        raise BudgetExhaustedError(self._refused)

    def _spent(self, usage: Usage) -> Spent:
        usd = None if self._price is None else self._price.cost(usage)
        return Spent(1, 0, usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens, usd)

    def _cost(self, reply: ChatReply, worst: Spent) -> Spent:
        if reply.from_cache:
            return Spent(cached_replies=1)
        if reply.usage.prompt_tokens <= 0:
            # Every request has a prompt, so this endpoint does not say what it used.
            return replace(worst, assumed=1)
        return self._spent(reply.usage)

    def _exhausted(self, worst: Spent) -> str:
        tokens, usd = self._cost_log.committed()
        limits, spent, option = [], [], "--budget-tokens"
        if self._budget.usd is not None and usd is not None:
            limits.append(f"${self._budget.usd:g}")
            spent.append(f"${usd:.4f}")
            option = "--budget-usd"
        if self._budget.tokens is not None:
            limits.append(f"{self._budget.tokens:,} tokens")
            spent.append(f"{tokens:,} tokens")
        if len(limits) == 2:
            option = "--budget-usd or --budget-tokens"
        price = "" if worst.usd is None else f" (${worst.usd:.4f})"
        return (
            f"of {' and '.join(limits)} to spend, {' and '.join(spent)} are spent, and the next "
            f"call ({current_purpose().stage}) could cost {worst.tokens:,} tokens{price}; what is "
            f"finished is kept: raise {option} and run again with --resume"
        )


def ledger_of(model: ChatModel) -> Ledger | None:
    """What a model has spent, where it or what it wraps has a budget."""
    while isinstance(model, WrappedModel):
        if isinstance(model, BudgetedModel):
            return model.ledger
        model = model.wrapped
    return None

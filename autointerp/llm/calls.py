"""One question to an endpoint, asked until it is answered or that makes no more sense."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from autointerp.core.errors import AutointerpError, RequestFailedError, UpstreamError
from autointerp.llm.complaints import Complaint, final_error, stated_error
from autointerp.llm.endpoint_state import EndpointState, endpoint_state
from autointerp.llm.exchange import Answer, Exchange, Passing, Surroundings, not_json
from autointerp.llm.meter import Failure, Meter
from autointerp.llm.protocol import TotalUsage, Usage
from autointerp.llm.rate_limiter import Permit
from autointerp.llm.retry import ClientOptions, asked_pause_s, wait_s
from autointerp.llm.wire import NotJsonError, WrongShapeError

T = TypeVar("T")
_MODELS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """What is asked, by what is known of the endpoint when it is sent."""

    path: str
    body: Callable[[], dict[str, Any]]
    read: Callable[[bytes], tuple[T, Usage]]
    may_mend: Callable[[Complaint, dict[str, Any]], bool]
    """Learns from a complaint about a body; whether another body is worth sending at once."""
    n_tokens: int
    """What it costs, about."""


class Calls:
    """Asks one model at one endpoint, within the limits that all its callers share."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        model: str,
        secret: str,
        options: ClientOptions,
        surroundings: Surroundings,
    ) -> None:
        self._exchange = exchange
        self._endpoint = exchange.endpoint
        self._model = model
        self._secret = secret
        self._options = options
        self._surroundings = surroundings
        self._meter = surroundings.meter or Meter()
        self._rng = random.Random(surroundings.seed)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._state: EndpointState | None = None
        self._total = TotalUsage()
        self._n_answered = 0

    @property
    def total_usage(self) -> TotalUsage:
        """Requests, retries and tokens so far."""
        return self._total

    async def ask(self, question: Question[T]) -> T:
        """The answer to a question, after as many attempts as make sense.

        Where others were answered between the first failure and the last, one question that is
        not answered says nothing against the endpoint.
        """
        state = self._join()
        last: Passing | None = None
        n_failed = n_answered = 0
        try:
            async with asyncio.timeout(None) as deadline:
                while n_failed < self._options.attempts:
                    if last is not None:
                        self._total = replace(self._total, retries=self._total.retries + 1)
                    outcome = await self._admitted(question, state, deadline)
                    if not isinstance(outcome, Passing):
                        return outcome[0]
                    n_answered = self._n_answered if last is None else n_answered
                    last = outcome
                    if outcome.is_outage and state.circuit.is_open:
                        n_failed = 0
                        continue
                    n_failed += 1
                    await self._wait(n_failed, outcome, state)
        except TimeoutError:
            raise self._too_late(last, state) from None
        assert last is not None
        error = self._gave_up(last)
        if self._n_answered > n_answered:
            raise RequestFailedError(str(error))
        if last.is_outage:
            state.circuit.give_up(error)
        raise error

    async def _admitted(
        self, question: Question[T], state: EndpointState, deadline: asyncio.Timeout
    ) -> tuple[T] | Passing:
        """One attempt, once the limits and the circuit let it pass."""
        async with state.limiter.acquire(question.n_tokens) as permit:
            if deadline.when() is None:
                now = asyncio.get_running_loop().time()
                deadline.reschedule(now + self._options.deadline_s)
            async with state.circuit.attempt():
                outcome = await self._attempt(question, state, permit)
                if isinstance(outcome, Passing):
                    if outcome.is_broken:
                        state.circuit.failed()
                    elif outcome.status is not None:
                        state.circuit.answered()
                    if outcome.is_limit:
                        state.limiter.throttled(permit)
                return outcome

    async def _attempt(
        self, question: Question[T], state: EndpointState, permit: Permit
    ) -> tuple[T] | Passing:
        """One attempt; what the endpoint does not take is left out on the way."""
        while True:
            body = question.body()
            self._total = replace(self._total, requests=self._total.requests + 1)
            self._meter.sent()
            began = time.monotonic()
            came = await self._exchange.post(question.path, body)
            seconds = time.monotonic() - began
            outcome = (
                self._read(question, came, state, permit) if isinstance(came, Answer) else came
            )
            if not isinstance(outcome, Complaint):
                self._count(outcome, seconds)
                return outcome
            state.circuit.answered()
            # Where the body would differ by now, another call has learned something meanwhile.
            if body == question.body() and not question.may_mend(outcome, body):
                raise await self._final(outcome)

    def _count(self, outcome: tuple[T] | Passing, seconds: float) -> None:
        if isinstance(outcome, Passing):
            self._meter.failed(outcome.failure)
        else:
            self._meter.answered(seconds)

    def _read(
        self, question: Question[T], answer: Answer, state: EndpointState, permit: Permit
    ) -> tuple[T] | Passing | Complaint:
        try:
            value, usage = question.read(answer.body)
        except NotJsonError as error:
            return not_json(error)
        except WrongShapeError as error:
            stated = stated_error(answer.body)
            if stated is not None:
                return self._exchange.sorted_out(stated, answer.headers)
            self._meter.failed(Failure.UNREADABLE)
            msg = (
                f"{self._endpoint} answered with JSON that is not a chat completion ({error}); "
                "check that AUTOINTERP_LLM_BASE_URL is an OpenAI-compatible endpoint"
            )
            raise UpstreamError(msg, retryable=False) from None
        self._total = self._total.plus(usage)
        self._n_answered += 1
        state.circuit.succeeded()
        state.limiter.succeeded()
        n_tokens = usage.prompt_tokens + usage.completion_tokens
        state.limiter.correct(permit, n_tokens or permit.n_tokens)
        self._heed(answer.headers, state, permit)
        return (value,)

    def _heed(self, headers: Mapping[str, str], state: EndpointState, permit: Permit) -> None:
        pause_s = asked_pause_s(headers, n_tokens=permit.n_tokens)
        if pause_s > 0:
            state.limiter.pause(min(self._options.longest_wait_s, pause_s))

    async def _wait(self, n_failed: int, failure: Passing, state: EndpointState) -> None:
        """Between two attempts; where the endpoint asks for it, everybody waits."""
        asked = failure.asked_wait_s
        seconds = wait_s(n_failed, asked_s=asked, options=self._options, rng=self._rng)
        if failure.is_limit and asked is not None:
            state.limiter.pause(seconds)
        elif n_failed < self._options.attempts and not state.circuit.is_open:
            await self._surroundings.sleep(seconds)

    async def close(self) -> None:
        """Gives back the connections; twice is fine."""
        state = self._join()
        await self._exchange.close()
        await state.limiter.close()

    def _join(self) -> EndpointState:
        loop = asyncio.get_running_loop()
        if self._loop not in (None, loop):
            msg = (
                f"the client for {self._endpoint} was first used in another event loop, where its "
                "connections are; reply and close within one asyncio.run"
            )
            raise AutointerpError(msg)
        self._loop = loop
        if self._state is None:
            world = self._surroundings
            self._state = endpoint_state(
                self._endpoint,
                self._secret,
                options=self._options,
                sleep=world.sleep,
                clock=world.clock,
                shared=world.limits,
            )
        return self._state

    def _too_late(self, last: Passing | None, state: EndpointState) -> UpstreamError:
        within = f"within {self._options.deadline_s:g} s"
        if last is not None and state.circuit.is_open:
            what = last.what if last.reached else "could not be reached"
            msg = f"{self._endpoint} {what} and did not come back {within}; start it again"
        else:
            msg = (
                f"{self._endpoint} gave no answer {within}, all attempts together; "
                "use a faster model or allow more time"
            )
        return UpstreamError(msg, retryable=True)

    def _gave_up(self, failure: Passing) -> UpstreamError:
        n = self._options.attempts
        times = "once" if n == 1 else f"{n} times"
        if not failure.reached:
            msg = f"could not reach {self._endpoint}: {failure.advice} (tried {times})"
        else:
            msg = f"{self._endpoint} {failure.what}, {times}: {failure.advice}"
        return UpstreamError(msg, retryable=True)

    async def _final(self, complaint: Complaint) -> UpstreamError:
        refused = complaint.status == 400 and complaint.code != "insufficient_quota"
        self._meter.failed(Failure.REFUSED if refused else Failure.REJECTED)
        if complaint.status == 404:
            return UpstreamError(await self._not_found(), retryable=False)
        return final_error(
            complaint, endpoint=self._endpoint, model=self._model, secret=self._secret
        )

    async def _not_found(self) -> str:
        names = await self._exchange.model_names()
        start = f"{self._endpoint} answered 404 for model {self._model!r}: "
        if names is None or self._model in names:
            return start + "check AUTOINTERP_LLM_BASE_URL (it usually ends in /v1) and the model"
        shown = ", ".join(names[:_MODELS_SHOWN]) + (", ..." if len(names) > _MODELS_SHOWN else "")
        return start + f"it has {shown or 'no model'}; set AUTOINTERP_LLM_MODEL to one of those"

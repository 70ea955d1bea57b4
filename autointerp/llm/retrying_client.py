"""One call to an endpoint, repeated until it is answered or repeating makes no more sense."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from autointerp.core.errors import AutointerpError, RequestFailedError
from autointerp.llm.api_call import ApiCall, CallRefusedError, TransientFailure
from autointerp.llm.api_errors import ApiError, is_transient
from autointerp.llm.chat_model import TotalUsage
from autointerp.llm.endpoint import Endpoint, HttpReply
from autointerp.llm.endpoint_state import EndpointState, endpoint_state
from autointerp.llm.failure_words import SAID_AFTER, FailureWords
from autointerp.llm.lasting_check import TinyQuestion
from autointerp.llm.options import ClientDependencies, ClientOptions, Failure, Meter
from autointerp.llm.rate_limiter import Permit
from autointerp.llm.stated_waits import asked_pause_s

T = TypeVar("T")
_SLOW = 3
"""Times that a call may give no answer in time while others are answered."""


class RetryingClient:
    """Calls one model at one endpoint, within the limits that all its callers share."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        model: str,
        secret: str,
        options: ClientOptions,
        dependencies: ClientDependencies,
    ) -> None:
        self._endpoint, self._address, self._model = endpoint, endpoint.address, model
        self._secret, self._options, self._dependencies = secret, options, dependencies
        self._meter = dependencies.meter or Meter()
        self._rng = random.Random(dependencies.seed)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._state: EndpointState | None = None
        self._total = TotalUsage()
        self.n_answered = 0
        """Calls that were answered so far."""
        self.has_answered_before = False
        """Whether the endpoint is known to have answered an earlier client."""
        self.tiny = TinyQuestion(model)
        self.words = FailureWords(
            endpoint, self._meter, model, secret, options=options, dependencies=dependencies
        )

    @property
    def endpoint(self) -> Endpoint:
        """Where calls go."""
        return self._endpoint

    @property
    def total_usage(self) -> TotalUsage:
        """Requests, retries and tokens so far."""
        return self._total

    async def call(self, call: ApiCall[T]) -> T:
        """The reply to a call, after as many attempts as make sense.

        Where others were answered since its first failure, it says nothing against the endpoint.

        Raises:
            CallRefusedError: it is refused, or failed each time as some refuse.
            UpstreamError: the endpoint could not be used.
        """
        state = self._join()
        last: TransientFailure | None = None
        n_failed = n_answered = n_early = 0
        looked_into: set[str] = set()
        n_lasting = state.check.n_lasting
        try:
            async with asyncio.timeout(None) as deadline:
                while last is None or self._is_tried_again(last, n_failed, n_answered, state):
                    if last is not None:
                        self._total = replace(self._total, retries=self._total.retries + 1)
                    outcome = await self._asked(call, state, deadline, n_lasting)
                    if not isinstance(outcome, TransientFailure):
                        return outcome[0]
                    if call.gives_up(outcome):
                        given_up = self.words.gave_up(outcome, 1)
                        raise CallRefusedError(outcome.as_error, given_up, failure=outcome)
                    n_answered = self.n_answered if last is None else n_answered
                    asked_s = outcome.asked_s(is_again=last is not None and last.is_limit)
                    last = outcome
                    is_early = self._options.cuts(asked_s, n_early)
                    n_early, n_failed = n_early + is_early, n_failed + (not is_early)
                    state.check.look_into(outcome, looked_into)
                    await self._wait(n_failed, outcome, asked_s, state)
                error = self.words.gave_up(last, n_failed + n_early)
                is_there = self.n_answered > n_answered
                if is_there:
                    error = RequestFailedError(str(error))
                lasted = last.status is None or last.is_outage or last.is_limit
                if lasted and call.tells_what_lasts and not is_there:
                    is_there = await self._is_there(last, state, deadline)
        except TimeoutError:
            late = self.words.too_late(last, is_away=state.circuit.is_open)
            alone = last is not None and self.n_answered > n_answered
            raise (RequestFailedError(str(late)) if alone else late) from None
        if last.is_outage:
            state.circuit.give_up(error)
        if not lasted or (call.tells_what_lasts and (is_there or last.is_limit)):
            raise CallRefusedError(last.as_error, error, lasted=lasted)
        raise error

    def _is_tried_again(
        self, last: TransientFailure, n_failed: int, n_answered: int, state: EndpointState
    ) -> bool:
        """Whether a call that has failed so often is sent once more."""
        if last.is_outage and state.circuit.is_open:
            return True
        slow = last.failure is Failure.TIMEOUT and self.n_answered > n_answered
        return n_failed < (min(_SLOW, self._options.attempts) if slow else self._options.attempts)

    async def _is_there(
        self, last: TransientFailure, state: EndpointState, deadline: asyncio.Timeout
    ) -> bool:
        """Whether the endpoint answers something tiny, so that it is the call that fails."""
        if last.is_limit or not last.reached:
            return False
        once = replace(self.tiny.call, gives_up=lambda _: True)
        try:
            outcome = await self._admitted(once, state, deadline, state.check.n_lasting)
            return not isinstance(outcome, TransientFailure)
        except CallRefusedError as refused:
            if refused.error.lasts:
                raise
            # Refused is answered.
            return True

    async def _asked(
        self, call: ApiCall[T], state: EndpointState, deadline: asyncio.Timeout, n_lasting: int
    ) -> tuple[T] | TransientFailure:
        """One attempt; what one of several servers refuses is asked again, as others may not."""
        refused, n = None, 0
        while True:
            try:
                outcome = await self._admitted(call, state, deadline, n_lasting, refused)
            except CallRefusedError as error:
                is_over, refused, n = error is refused, error, n + 1
                if is_over or not state.check.is_asked_again(
                    error, n, is_question=call.is_question
                ):
                    raise
                self._total = replace(self._total, retries=self._total.retries + 1)
                if state.check.doubt is None:
                    await self._dependencies.sleep(self._options.wait_s(min(n, 3), rng=self._rng))
            else:
                if refused is not None and not isinstance(outcome, TransientFailure):
                    state.check.was_answered_again(refused)
                return outcome

    async def _admitted(
        self,
        call: ApiCall[T],
        state: EndpointState,
        deadline: asyncio.Timeout,
        n_lasting: int,
        refused: CallRefusedError | None = None,
    ) -> tuple[T] | TransientFailure:
        """One attempt, once the limits and the circuit admit it.

        Raises:
            CallRefusedError: it lasts, or was refused before, and is what was refused.
        """
        while True:
            await call.until_form_is_known()
            async with state.limiter.acquire(call.n_tokens) as permit:
                if deadline.when() is None:
                    deadline.reschedule(
                        asyncio.get_running_loop().time() + self._options.deadline_s
                    )
                if call.is_held:
                    continue
                call = call.in_form()
                async with state.attempt(n_lasting) as is_held:
                    if not is_held:
                        if refused is not None and state.check.is_of_a_question(refused):
                            raise refused
                        return await self._attempt(call, state, permit)
                    outcome = await self._ask_tiny(call, state, permit)
                    if isinstance(outcome, TransientFailure) and call.gives_up(outcome):
                        return outcome
                    state.check.judge(outcome, self.words)

    async def _ask_tiny(
        self, call: ApiCall[T], state: EndpointState, permit: Permit
    ) -> TransientFailure | CallRefusedError | None:
        """What a tiny question in place of a call fails with; None where it is answered."""
        tiny = replace(self.tiny.call, allowance=call.allowance)
        try:
            outcome = await self._attempt(tiny, state, permit)
        except CallRefusedError as refused:
            return refused
        if not isinstance(outcome, TransientFailure):
            return None
        self.words.wait(outcome, SAID_AFTER)
        if outcome.asked_wait_s and not outcome.is_hint:
            state.limiter.pause(self._options.wait_s(1, asked_s=outcome.asked_wait_s))
        return outcome

    async def _attempt(
        self, call: ApiCall[T], state: EndpointState, permit: Permit
    ) -> tuple[T] | TransientFailure:
        call.allowance.take()
        self._total = replace(self._total, requests=self._total.requests + 1)
        self._meter.sent()
        began = time.monotonic()
        # A balancer may keep a connection with one server.
        reply = await self._endpoint.post(call.path, call.body, anew=state.check.is_about_servers)
        seconds = time.monotonic() - began
        outcome = self._read(call, reply, state, permit) if isinstance(reply, HttpReply) else reply
        if isinstance(outcome, TransientFailure):
            self._meter.failed(outcome.failure)
            state.failed(outcome, permit)
            call.allowance.last = outcome
        elif isinstance(outcome, ApiError):
            state.circuit.answered()
            raise CallRefusedError(outcome)
        else:
            self._meter.answered(seconds)
        return outcome

    def _read(
        self, call: ApiCall[T], reply: HttpReply, state: EndpointState, permit: Permit
    ) -> tuple[T] | TransientFailure | ApiError:
        try:
            made = self._endpoint.read(reply, call.read, answers=state.check.has_answered)
        except CallRefusedError:
            self._meter.failed(Failure.UNREADABLE)
            raise
        if not isinstance(made, tuple):
            return made
        value, usage = made
        self._total = self._total.plus(usage)
        self.n_answered += call.body is not self.tiny.call.body
        state.succeeded()
        n_tokens = usage.prompt_tokens + usage.completion_tokens
        state.limiter.correct(permit, n_tokens or permit.n_tokens)
        pause_s = asked_pause_s(reply.headers, n_tokens=permit.n_tokens)
        # Where more is told, the next question is answered or says how long to wait.
        if 0 < pause_s <= self._options.longest_wait_s:
            state.limiter.pause(pause_s)
        return (value,)

    async def _wait(
        self, n_failed: int, failure: TransientFailure, asked_s: float | None, state: EndpointState
    ) -> None:
        """Between two attempts; where the endpoint requests it, everybody waits."""
        seconds = self._options.wait_s(n_failed, asked_s=asked_s, rng=self._rng)
        self.words.wait(failure, n_failed, seconds if asked_s is not None else 0.0)
        if failure.is_limit and asked_s is not None:
            state.limiter.pause(seconds)
        elif n_failed < self._options.attempts and not state.is_held:
            await self._dependencies.sleep(seconds)

    async def servers_differ(self, error: ApiError) -> bool:
        """Whether several servers are behind the address, of which some refuse so, any question."""
        check = self._join().check
        # What may pass was asked several times already.
        if check.has_answered and not (check.is_of_servers(error) or is_transient(error)):
            check.look_for_servers(error)
            with suppress(CallRefusedError):
                await self.call(self.tiny.call)
        return check.is_of_servers(error)

    async def pause(self, error: ApiError) -> None:
        """Waits as long as an error asks, or a moment."""
        await self._dependencies.sleep(self._options.wait_s(2, asked_s=error.asked_wait_s))

    async def close(self) -> None:
        """Closes the connections; twice is fine."""
        limiter = self._join().limiter
        await self._endpoint.close()
        await limiter.close()

    def _join(self) -> EndpointState:
        loop = asyncio.get_running_loop()
        if self._loop not in (None, loop):
            raise AutointerpError(
                f"the client for {self._address} was first used in another event loop, where its "
                "connections are; reply and close within one asyncio.run"
            )
        self._loop = loop
        if self._state is None:
            self._state = endpoint_state(
                (self._address, self._secret, self._model), self._options, self._dependencies
            )
            self._state.check.has_answered |= self.has_answered_before
        return self._state

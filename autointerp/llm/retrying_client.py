"""One call to an endpoint, repeated until it is answered or repeating makes no more sense."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from autointerp.core.errors import AutointerpError, RequestFailedError, UpstreamError
from autointerp.llm.api_call import ApiCall, CallRefusedError, TransientFailure
from autointerp.llm.api_errors import ApiError, is_transient
from autointerp.llm.call_attempts import CallAttempts
from autointerp.llm.chat_model import TotalUsage
from autointerp.llm.endpoint import Endpoint, HttpReply
from autointerp.llm.endpoint_state import EndpointState, endpoint_state
from autointerp.llm.failure_words import SAID_AFTER, FailureWords
from autointerp.llm.lasting_check import TinyQuestion
from autointerp.llm.options import ClientDependencies, ClientOptions, Failure, Meter
from autointerp.llm.rate_limiter import Permit
from autointerp.llm.stated_waits import asked_pause_s

T = TypeVar("T")


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

    async def call(self, call: ApiCall[T], attempts: CallAttempts | None = None) -> T:
        """The reply to a call, after as many attempts as make sense, with those that it had before.

        Where others were answered since its first failure, it says nothing against the endpoint.

        Raises:
            CallRefusedError: it is refused, or failed each time as some refuse.
            UpstreamError: the endpoint could not be used.
        """
        state, attempts = self._join(), attempts or CallAttempts(self._options)
        attempts.n_lasting = state.check.n_lasting
        try:
            async with asyncio.timeout_at(attempts.until_s) as attempts.deadline:
                while True:
                    held = state.is_held
                    outcome = await self._asked(call, state, attempts)
                    if not isinstance(outcome, TransientFailure):
                        return outcome[0]
                    if call.gives_up(outcome):
                        given_up = self.words.gave_up(outcome, 1)
                        raise CallRefusedError(outcome.as_error, given_up, failure=outcome)
                    last, asked_s = outcome, attempts.failed(outcome, state, held=held)
                    await self._wait(outcome, attempts.n_failed, asked_s, state)
                    if not attempts.is_tried_again(state, tells_what_lasts=call.tells_what_lasts):
                        break
                    self._total = replace(self._total, retries=self._total.retries + 1)
                error = self.words.gave_up(last, attempts.n)
                is_there = attempts.others_answered(state)
                if is_there:
                    error = RequestFailedError(str(error))
                lasted = last.status is None or last.is_outage or last.is_limit
                if lasted and call.tells_what_lasts and not is_there:
                    is_there = await self._is_there(last, state, attempts)
        except TimeoutError:
            raise self._too_late(attempts, state) from None
        if last.is_outage:
            state.circuit.give_up(error)
        if not lasted or (call.tells_what_lasts and (is_there or last.is_limit)):
            raise CallRefusedError(last.as_error, error, lasted=lasted)
        raise error

    def _too_late(self, attempts: CallAttempts, state: EndpointState) -> UpstreamError:
        """What to raise once a call's time is over."""
        late = self.words.too_late(attempts.last, attempts.n, is_away=state.circuit.is_open)
        return RequestFailedError(str(late)) if attempts.others_answered(state) else late

    async def _is_there(
        self, last: TransientFailure, state: EndpointState, attempts: CallAttempts
    ) -> bool:
        """Whether the endpoint answers something tiny, so that it is the call that fails."""
        if last.is_limit or not last.reached:
            return False
        once = replace(self.tiny.call, gives_up=lambda _: True)
        try:
            outcome = await self._admitted(once, state, attempts)
            return not isinstance(outcome, TransientFailure)
        except CallRefusedError as refused:
            if refused.error.lasts:
                raise
            # Refused is answered.
            return True

    async def _asked(
        self, call: ApiCall[T], state: EndpointState, attempts: CallAttempts
    ) -> tuple[T] | TransientFailure:
        """One attempt; what one of several servers refuses is asked again, as others may not."""
        refused, n = None, 0
        while True:
            try:
                outcome = await self._admitted(call, state, attempts, refused)
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
        attempts: CallAttempts,
        refused: CallRefusedError | None = None,
    ) -> tuple[T] | TransientFailure:
        """One attempt, once the limits and the circuit admit it.

        Raises:
            CallRefusedError: it lasts, or was refused before, and is what was refused.
        """
        while True:
            await call.until_form_is_known()
            is_again = attempts.last is not None
            async with state.limiter.acquire(call.n_tokens, is_again=is_again) as permit:
                attempts.was_admitted()
                if call.is_held:
                    continue
                call = call.in_form()
                async with state.attempt(attempts.n_lasting) as is_held:
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
        is_question = call.body is not self.tiny.call.body
        self.n_answered += is_question
        state.succeeded(is_question=is_question)
        n_tokens = usage.prompt_tokens + usage.completion_tokens
        state.limiter.correct(permit, n_tokens or permit.n_tokens)
        pause_s = asked_pause_s(reply.headers, n_tokens=permit.n_tokens)
        # Where more is told, the next question is answered or says how long to wait.
        if 0 < pause_s <= self._options.longest_wait_s:
            state.limiter.pause(pause_s)
        return (value,)

    async def _wait(
        self, failure: TransientFailure, n: int, asked_s: float | None, state: EndpointState
    ) -> None:
        """Behind an attempt that failed, of so many; where that is asked for, everybody waits."""
        seconds = self._options.wait_s(n, asked_s=asked_s, rng=self._rng)
        self.words.wait(failure, n, seconds if asked_s is not None else 0.0)
        if failure.is_limit and asked_s is not None:
            state.limiter.pause(seconds)
        elif (failure.is_limit or n < self._options.attempts) and not state.is_held:
            await self._dependencies.sleep(seconds)

    def new_attempts(self) -> CallAttempts:
        """For a question that may be asked again in the same form."""
        return CallAttempts(self._options)

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

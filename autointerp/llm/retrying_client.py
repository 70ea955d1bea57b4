"""One call to an endpoint, repeated until it is answered or repeating makes no more sense."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import replace
from typing import TypeVar

from autointerp.core.errors import AutointerpError, RequestFailedError, UpstreamError
from autointerp.llm.api_call import ApiCall, CallRefusedError, TransientFailure, not_json
from autointerp.llm.api_errors import ApiError, shortened_line, stated_error, wording
from autointerp.llm.capabilities import PROBE
from autointerp.llm.chat_model import TotalUsage, Usage
from autointerp.llm.endpoint import Endpoint, HttpReply
from autointerp.llm.endpoint_state import EndpointState, endpoint_state
from autointerp.llm.error_body import asked_pause_s
from autointerp.llm.failure_words import SAID_AFTER, FailureWords
from autointerp.llm.options import ClientDependencies, ClientOptions, Failure, Meter
from autointerp.llm.rate_limiter import Permit
from autointerp.llm.wire_format import BrokenReplyError, NotJsonError, WrongShapeError, read_reply

T = TypeVar("T")
_SLOW = 3
"""Times that a call may give no answer in time while others are answered."""
_TINY_TOKENS = 64


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
        self._endpoint, self._address = endpoint, endpoint.address
        self._model = model
        self._secret, self._options = secret, options
        self._dependencies = dependencies
        self._meter = dependencies.meter or Meter()
        self._rng = random.Random(dependencies.seed)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._state: EndpointState | None = None
        self._total = TotalUsage()
        self.n_answered = 0
        """Calls that were answered so far."""
        self.has_answered_before = False
        """Whether the endpoint is known to have answered an earlier client."""
        tiny = {"model": model, "messages": [{"role": "user", "content": PROBE}]}
        self._tiny = ApiCall("chat/completions", tiny, self._read_tiny, _TINY_TOKENS)
        """Sent in place of a call while the endpoint is away: it may be the call that fails."""
        self._tiny_usage = Usage()
        self.words = FailureWords(
            endpoint,
            model=model,
            secret=secret,
            options=options,
            dependencies=dependencies,
            meter=self._meter,
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

        Where others were answered between the first failure and the last, one call that is
        not answered says nothing against the endpoint.

        Raises:
            CallRefusedError: it is refused, or failed each time with a status that some use
                for refusals.
            UpstreamError: the endpoint could not be used.
        """
        state = self._join()
        last: TransientFailure | None = None
        n_failed = n_answered = 0
        n_lasting = state.circuit.n_lasting
        try:
            async with asyncio.timeout(None) as deadline:
                while last is None or self._is_tried_again(last, n_failed, n_answered, state):
                    if last is not None:
                        self._total = replace(self._total, retries=self._total.retries + 1)
                    outcome = await self._admitted(call, state, deadline, n_lasting)
                    if not isinstance(outcome, TransientFailure):
                        return outcome[0]
                    if call.gives_up(outcome):
                        given_up = self.words.gave_up(outcome, 1)
                        raise CallRefusedError(outcome.as_error, given_up, failure=outcome)
                    n_answered = self.n_answered if last is None else n_answered
                    last = outcome
                    n_failed += 1
                    self.words.wait(outcome, n_failed)
                    await self._wait(n_failed, outcome, state)
                error = self.words.gave_up(last, n_failed)
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
        once = replace(self._tiny, gives_up=lambda _: True)
        try:
            outcome = await self._admitted(once, state, deadline, state.circuit.n_lasting)
            return not isinstance(outcome, TransientFailure)
        except CallRefusedError:
            # Refused is answered.
            return True

    async def _admitted(
        self, call: ApiCall[T], state: EndpointState, deadline: asyncio.Timeout, n_lasting: int
    ) -> tuple[T] | TransientFailure:
        """One attempt, once the limits and the circuit admit it."""
        while True:
            async with state.limiter.acquire(call.n_tokens) as permit:
                if deadline.when() is None:
                    now = asyncio.get_running_loop().time()
                    deadline.reschedule(now + self._options.deadline_s)
                async with state.circuit.attempt(n_lasting) as is_held:
                    if not is_held:
                        return self._counted(
                            await self._attempt(call, state, permit), state, permit
                        )
                    outcome = await self._ask_tiny(state, permit)
                    if outcome is not None and call.gives_up(outcome):
                        return outcome
                    self._refuse_what_lasts(outcome, state)

    async def _ask_tiny(self, state: EndpointState, permit: Permit) -> TransientFailure | None:
        """What a tiny question fails with; None where the endpoint is there."""
        try:
            outcome = self._counted(await self._attempt(self._tiny, state, permit), state, permit)
        except CallRefusedError:
            return None
        if not isinstance(outcome, TransientFailure):
            return None
        self.words.wait(outcome, SAID_AFTER)
        return outcome

    def _refuse_what_lasts(self, outcome: TransientFailure | None, state: EndpointState) -> None:
        """Raises `CallRefusedError` where a limit lasts, by what became of something tiny."""
        limit = outcome if outcome is not None and outcome.may_last else None
        words = wording(limit.as_error) if limit is not None else None
        has_answered = self.has_answered_before or state.circuit.has_answered
        lasts = state.circuit.lasts(words, has_answered=has_answered)
        if limit is not None and lasts:
            error = replace(limit.as_error, lasts=True)
            instead = self.words.used_up(error, has_answered=has_answered)
            raise state.circuit.refuse(CallRefusedError(error, instead))

    def _counted(
        self, outcome: tuple[T] | TransientFailure, state: EndpointState, permit: Permit
    ) -> tuple[T] | TransientFailure:
        """The outcome of an attempt, once what it says of the endpoint is known to all calls."""
        if isinstance(outcome, TransientFailure):
            if outcome.is_broken:
                state.circuit.failed()
            elif outcome.status is not None:
                state.circuit.answered()
            if outcome.is_limit:
                state.limiter.throttled(permit)
        return outcome

    async def _attempt(
        self, call: ApiCall[T], state: EndpointState, permit: Permit
    ) -> tuple[T] | TransientFailure:
        self._total = replace(self._total, requests=self._total.requests + 1)
        self._meter.sent()
        began = time.monotonic()
        reply = await self._endpoint.post(call.path, call.body)
        seconds = time.monotonic() - began
        outcome = self._read(call, reply, state, permit) if isinstance(reply, HttpReply) else reply
        if isinstance(outcome, TransientFailure):
            self._meter.failed(outcome.failure)
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
            value, usage = call.read(reply.body)
        except NotJsonError as error:
            return not_json(error)
        except BrokenReplyError as error:
            what = f"ended a reply with {shortened_line(str(error))!r}"
            return TransientFailure(what, "try again later", is_unreadable=True)
        except WrongShapeError as error:
            stated = stated_error(reply.body)
            if stated is not None:
                return self._endpoint.classified(stated, reply.headers)
            self._meter.failed(Failure.UNREADABLE)
            instead = UpstreamError(
                f"{self._address} answered with JSON that is not a chat completion ({error}); "
                "check that AUTOINTERP_LLM_BASE_URL is an OpenAI-compatible endpoint; it usually "
                "ends in /v1",
                retryable=False,
            )
            # Its words may refuse no more than an option.
            raise CallRefusedError(ApiError(0, str(error)), instead) from None
        self._total = self._total.plus(usage)
        self.n_answered += call.body is not self._tiny.body
        state.circuit.succeeded()
        state.limiter.succeeded()
        n_tokens = usage.prompt_tokens + usage.completion_tokens
        state.limiter.correct(permit, n_tokens or permit.n_tokens)
        pause_s = asked_pause_s(reply.headers, n_tokens=permit.n_tokens)
        if pause_s > 0:
            state.limiter.pause(min(self._options.longest_wait_s, pause_s))
        return (value,)

    async def _wait(self, n_failed: int, failure: TransientFailure, state: EndpointState) -> None:
        """Between two attempts; where the endpoint requests it, everybody waits."""
        # Once, as it is the call where something tiny is answered.
        if failure.may_last and n_failed == 1:
            state.circuit.limited(wording(failure.as_error))
        asked_s = failure.asked_wait_s
        seconds = self._options.backoff.wait_s(n_failed, asked_s=asked_s, rng=self._rng)
        if failure.is_limit and asked_s is not None:
            state.limiter.pause(seconds)
        elif n_failed < self._options.attempts and not state.circuit.is_held:
            await self._dependencies.sleep(seconds)

    def _read_tiny(self, body: bytes) -> tuple[None, Usage]:
        usage = read_reply(body, model=self._model).usage
        self._tiny_usage = self._tiny_usage.plus(usage)
        return None, usage

    def take_tiny_usage(self) -> Usage:
        """What tiny questions have cost that no reply includes yet."""
        taken, self._tiny_usage = self._tiny_usage, Usage()
        return taken

    async def pause(self, error: ApiError) -> None:
        """Waits as long as an error asks, or a moment."""
        asked_s = error.asked_wait_s
        await self._dependencies.sleep(self._options.backoff.wait_s(2, asked_s=asked_s))

    async def close(self) -> None:
        """Closes the connections; twice is fine."""
        state = self._join()
        await self._endpoint.close()
        await state.limiter.close()

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
                self._address, self._secret, options=self._options, dependencies=self._dependencies
            )
        return self._state

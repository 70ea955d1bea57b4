"""Single requests to one model at one endpoint, and what they tell all its callers."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import replace
from typing import TypeVar

from autointerp.core.errors import AutointerpError
from autointerp.llm.api_call import ApiCall, CallRefusedError, TransientFailure
from autointerp.llm.api_errors import ApiError
from autointerp.llm.chat_model import TotalUsage
from autointerp.llm.endpoint import Endpoint, HttpReply
from autointerp.llm.endpoint_state import EndpointState, endpoint_state
from autointerp.llm.failure_words import SAID_AFTER, FailureWords
from autointerp.llm.lasting_check import LastingCheck, TinyQuestion
from autointerp.llm.options import ClientDependencies, ClientOptions, Failure, Meter
from autointerp.llm.rate_limiter import Permit
from autointerp.llm.stated_waits import asked_pause_s

T = TypeVar("T")


class SendingClient:
    """Sends what was admitted, once. An object belongs to one event loop."""

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

    @property
    def check(self) -> LastingCheck:
        """What is known of refusals of the model."""
        return self._join().check

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
        self._pause_as_asked(outcome, state)
        return outcome

    def _pause_as_asked(self, failure: TransientFailure, state: EndpointState) -> None:
        """Holds all back as long as what looked whether a failure passes was asked to wait."""
        self.words.wait(failure, SAID_AFTER)
        if failure.asked_wait_s and not failure.is_hint:
            state.limiter.pause(self._options.wait_s(1, asked_s=failure.asked_wait_s))

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
        is_tiny = call.body is self.tiny.call.body
        self.n_answered += not is_tiny
        state.succeeded(is_question=not (is_tiny or call.is_probe))
        n_tokens = usage.prompt_tokens + usage.completion_tokens
        state.limiter.correct(permit, n_tokens or permit.n_tokens)
        pause_s = asked_pause_s(reply.headers, n_tokens=permit.n_tokens)
        # Where more is told, the next question is answered or says how long to wait.
        if 0 < pause_s <= self._options.longest_wait_s:
            state.limiter.pause(pause_s)
        return (value,)

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

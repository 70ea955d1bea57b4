"""One call to an endpoint, repeated until it is answered or repeating makes no more sense."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from autointerp.core.errors import AutointerpError, RequestFailedError, UpstreamError
from autointerp.llm.api_errors import (
    ApiError,
    final_error,
    message_part,
    shortened_line,
    stated_error,
    stops_everything,
)
from autointerp.llm.chat_model import TotalUsage, Usage
from autointerp.llm.endpoint import Endpoint, HttpReply, TransientFailure, not_json
from autointerp.llm.endpoint_state import EndpointState, endpoint_state
from autointerp.llm.error_body import asked_pause_s
from autointerp.llm.options import ClientDependencies, ClientOptions, Failure, Meter
from autointerp.llm.rate_limiter import Permit
from autointerp.llm.wire_format import BrokenReplyError, NotJsonError, WrongShapeError

T = TypeVar("T")
_MODELS_SHOWN = 8
_OF_ONE_REQUEST = (400, 451)


@dataclass(frozen=True, slots=True)
class ApiCall(Generic[T]):
    """What is sent, and how its reply is read."""

    path: str
    body: dict[str, Any]
    read: Callable[[bytes], tuple[T, Usage]]
    n_tokens: int
    """Approximate cost."""
    gives_up: Callable[[TransientFailure], bool] = lambda _: False
    """Whether a failure that may pass counts as a refusal at once."""


class CallRefusedError(Exception):
    """The endpoint refuses a call as it stands; whoever made it knows what to do."""

    def __init__(self, error: ApiError, instead: UpstreamError | None = None) -> None:
        """The error, and what to raise where nothing can be done, if that is known."""
        super().__init__()
        self.error, self.instead = error, instead


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
        self._endpoint = endpoint
        self._address = endpoint.address
        self._model = model
        self._secret = secret
        self._options = options
        self._dependencies = dependencies
        self._meter = dependencies.meter or Meter()
        self._rng = random.Random(dependencies.seed)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._state: EndpointState | None = None
        self._total = TotalUsage()
        self._n_answered = 0

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
        try:
            async with asyncio.timeout(None) as deadline:
                while n_failed < self._options.attempts:
                    if last is not None:
                        self._total = replace(self._total, retries=self._total.retries + 1)
                    outcome = await self._admitted(call, state, deadline)
                    if not isinstance(outcome, TransientFailure):
                        return outcome[0]
                    if call.gives_up(outcome):
                        raise CallRefusedError(_as_error(outcome), self._gave_up(outcome, 1))
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
        error = self._gave_up(last, self._options.attempts)
        if self._n_answered > n_answered:
            error = RequestFailedError(str(error))
        if last.status is not None and not (last.is_outage or last.is_limit):
            raise CallRefusedError(_as_error(last), error)
        if last.is_outage:
            state.circuit.give_up(error)
        raise error

    async def _admitted(
        self, call: ApiCall[T], state: EndpointState, deadline: asyncio.Timeout
    ) -> tuple[T] | TransientFailure:
        """One attempt, once the limits and the circuit admit it."""
        async with state.limiter.acquire(call.n_tokens) as permit:
            if deadline.when() is None:
                now = asyncio.get_running_loop().time()
                deadline.reschedule(now + self._options.deadline_s)
            async with state.circuit.attempt():
                outcome = await self._attempt(call, state, permit)
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
        self._n_answered += 1
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
        asked_s = failure.asked_wait_s
        seconds = self._options.backoff.wait_s(n_failed, asked_s=asked_s, rng=self._rng)
        if failure.is_limit and asked_s is not None:
            state.limiter.pause(seconds)
        elif n_failed < self._options.attempts and not state.circuit.is_open:
            await self._dependencies.sleep(seconds)

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

    def _too_late(self, last: TransientFailure | None, state: EndpointState) -> UpstreamError:
        within = f"within {self._options.deadline_s:g} s"
        if last is not None and state.circuit.is_open:
            what = last.what if last.reached else "could not be reached"
            msg = f"{self._address} {what} and did not come back {within}; start it again"
        else:
            msg = (
                f"{self._address} gave no answer {within}, all attempts together; "
                "use a faster model or allow more time"
            )
        return UpstreamError(msg, retryable=True)

    def _gave_up(self, failure: TransientFailure, n: int) -> UpstreamError:
        times = "once" if n == 1 else f"{n} times"
        if not failure.reached:
            msg = f"could not reach {self._address}: {failure.advice} (tried {times})"
        else:
            msg = f"{self._address} {failure.what}, {times}: {failure.advice}"
        return UpstreamError(msg, retryable=True)

    async def final(self, error: ApiError) -> UpstreamError:
        """What to raise for a refusal that nothing can be done about."""
        refused = error.status in _OF_ONE_REQUEST and not stops_everything(error)
        self._meter.failed(Failure.REFUSED if refused else Failure.REJECTED)
        if error.status == 404:
            said = message_part(error, self._secret)
            return UpstreamError(await self._not_found() + said, retryable=False)
        return final_error(error, endpoint=self._address, model=self._model, secret=self._secret)

    async def _not_found(self) -> str:
        names = await self._endpoint.model_names()
        start = f"{self._address} answered 404 for model {self._model!r}: "
        if names is None or self._model in names:
            return start + "check AUTOINTERP_LLM_BASE_URL (it usually ends in /v1) and the model"
        shown = ", ".join(names[:_MODELS_SHOWN]) + (", ..." if len(names) > _MODELS_SHOWN else "")
        return start + f"it has {shown or 'no model'}; set AUTOINTERP_LLM_MODEL to one of those"


def _as_error(failure: TransientFailure) -> ApiError:
    if failure.error is not None:
        return failure.error
    timed_out = failure.failure is Failure.TIMEOUT
    status = 408 if timed_out else 502 if failure.cut else 0
    return ApiError(failure.status or status, failure.what)

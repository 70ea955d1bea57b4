"""Any endpoint that speaks OpenAI's chat format: OpenAI, vLLM, Ollama, llama.cpp."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import openai

from autointerp.core.errors import AutointerpError, InputError, UpstreamError
from autointerp.llm.address import is_loopback, read_address
from autointerp.llm.complaints import (
    Complaint,
    final_error,
    may_pass,
    read_complaint,
    rejected_parameter,
    stated_error,
)
from autointerp.llm.protocol import ChatReply, ChatRequest, Features, TotalUsage
from autointerp.llm.retry import ClientOptions, retry_after_s, wait_s
from autointerp.llm.wire import (
    NotJsonError,
    WrongShapeError,
    read_model_names,
    read_reply,
    to_parameters,
    without,
)

if TYPE_CHECKING:
    from httpx2 import AsyncBaseTransport

__all__ = ["OpenAICompatible", "Surroundings"]

_CONNECT_TIMEOUT_S = 10.0
_MODELS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a client needs of the world, so that a test can give it another one."""

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    """Waits so many seconds."""
    clock: Callable[[], float] = time.time
    """Unix time in seconds."""
    transport: AsyncBaseTransport | None = None
    """Sends HTTP requests; None takes the network."""
    seed: int = 0
    """Of the jitter in waits."""


_FEATURES, _OPTIONS, _SURROUNDINGS = Features(), ClientOptions(), Surroundings()


@dataclass(frozen=True, slots=True)
class _Passing:
    """A failed attempt that may be repeated."""

    what: str
    """Predicate of a sentence about the endpoint: ``answered 503``."""
    advice: str
    asked_wait_s: float | None = None
    reached: bool = True


class OpenAICompatible:
    """One model at one endpoint. An object belongs to one event loop."""

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key: str | None = None,
        features: Features = _FEATURES,
        options: ClientOptions = _OPTIONS,
        surroundings: Surroundings = _SURROUNDINGS,
    ) -> None:
        """Prepares a client; nothing is sent yet.

        Args:
            base_url: address up to and including ``/v1``.
            model: name of the model at the endpoint.
            api_key: None where the endpoint takes none; the environment is not read, so that
                a key never goes to an endpoint that it is not for.
            features: what the endpoint can do; what it rejects is taken away while running.
            options: limits on time, attempts and concurrency.
            surroundings: clock, sleep and transport.

        Raises:
            InputError: the address is not an http or https one, or the model has no name.
        """
        self._host, self._endpoint = read_address(base_url)
        if not model:
            msg = f"no model was named for {self._endpoint}; set AUTOINTERP_LLM_MODEL"
            raise InputError(msg)
        self._model = model
        self._secret = api_key or ""
        self._features = features
        self._dropped: frozenset[str] = frozenset()
        self._options = options
        self._surroundings = surroundings
        self._rng = random.Random(surroundings.seed)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._slots = asyncio.Semaphore(options.max_in_flight)
        self._total = TotalUsage()
        self._client = self._make_client(base_url)

    def _make_client(self, base_url: str) -> openai.AsyncOpenAI:
        # Redirects stay off: one would carry prompts, and within a host the key, to an address
        # that nobody chose. A proxy of the environment is for the outside world; sent through
        # it, a loopback address would mean the proxy's own machine.
        http_client = openai.DefaultAsyncHttpxClient(
            follow_redirects=False,
            trust_env=not is_loopback(self._host),
            transport=self._surroundings.transport,
        )
        return openai.AsyncOpenAI(
            base_url=base_url,
            api_key=self._secret or "none",
            max_retries=0,
            timeout=openai.Timeout(self._options.timeout_s, connect=_CONNECT_TIMEOUT_S),
            http_client=http_client,
        )

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._model

    @property
    def features(self) -> Features:
        """What the endpoint can do, as far as it is known by now."""
        return self._features

    @property
    def dropped_parameters(self) -> tuple[str, ...]:
        """Request parameters that the endpoint rejected and that are no longer sent, sorted."""
        return tuple(sorted(self._dropped))

    @property
    def total_usage(self) -> TotalUsage:
        """Requests, retries and tokens so far."""
        return self._total

    async def reply(self, request: ChatRequest) -> ChatReply:
        """The answer to one request; see `ChatModel`."""
        self._stay_in_one_loop()
        async with self._slots:
            try:
                async with asyncio.timeout(self._options.deadline_s):
                    return await self._answer(request)
            except TimeoutError:
                msg = (
                    f"{self._endpoint} gave no answer within {self._options.deadline_s:g} s, "
                    "all attempts together; use a faster model or allow more time"
                )
                raise UpstreamError(msg, retryable=True) from None

    async def close(self) -> None:
        """Gives back the connections; twice is fine."""
        self._stay_in_one_loop()
        await self._client.close()

    def _stay_in_one_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop not in (None, loop):
            msg = (
                f"the client for {self._endpoint} was first used in another event loop, where its "
                "connections are; reply and close within one asyncio.run"
            )
            raise AutointerpError(msg)
        self._loop = loop

    async def _answer(self, request: ChatRequest) -> ChatReply:
        for attempt in range(1, self._options.attempts + 1):
            outcome = await self._attempt(request)
            if isinstance(outcome, ChatReply):
                self._total = self._total.plus(outcome.usage)
                return outcome
            if attempt == self._options.attempts:
                raise self._gave_up(outcome)
            self._total = replace(self._total, retries=self._total.retries + 1)
            await self._surroundings.sleep(
                wait_s(
                    attempt,
                    asked_s=outcome.asked_wait_s,
                    options=self._options,
                    rng=self._rng,
                )
            )
        raise AssertionError("attempts is at least 1")

    def _gave_up(self, failure: _Passing) -> UpstreamError:
        n = self._options.attempts
        times = "once" if n == 1 else f"{n} times"
        if not failure.reached:
            msg = f"could not reach {self._endpoint}: {failure.advice} (tried {times})"
        else:
            msg = f"{self._endpoint} {failure.what}, {times}: {failure.advice}"
        return UpstreamError(msg, retryable=True)

    async def _attempt(self, request: ChatRequest) -> ChatReply | _Passing:
        """One attempt; parameters that the endpoint rejects are dropped on the way."""
        while True:
            body = self._body(request)
            outcome = await self._send(body)
            if not isinstance(outcome, Complaint):
                return outcome
            rejected = rejected_parameter(outcome, body)
            if rejected is None:
                raise await self._final(outcome)
            # Where the body would differ by now, another call has dropped something meanwhile.
            if body == self._body(request):
                self._drop(rejected)

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        return to_parameters(
            request, model=self._model, features=self._features, dropped=self._dropped
        )

    def _drop(self, parameter: str) -> None:
        features = without(self._features, parameter)
        if features == self._features:
            self._dropped |= {parameter}
        self._features = features

    async def _send(self, body: dict[str, Any]) -> ChatReply | _Passing | Complaint:
        self._total = replace(self._total, requests=self._total.requests + 1)
        extra = {"grammar": body["grammar"]} if "grammar" in body else None
        known = {key: value for key, value in body.items() if key != "grammar"}
        try:
            async with asyncio.timeout(self._options.timeout_s):
                raw = await self._client.chat.completions.with_raw_response.create(
                    **known, extra_body=extra
                )
        except (TimeoutError, openai.APITimeoutError):
            return _Passing(
                f"gave no answer within {self._options.timeout_s:g} s",
                "use a faster model, lower AUTOINTERP_LLM_MAX_IN_FLIGHT or allow more time",
            )
        except openai.APIStatusError as error:
            complaint = read_complaint(error.status_code, error.response.text)
            return self._sorted_out(complaint, error.response.headers)
        except openai.APIConnectionError as error:
            return _lost_connection(error)
        return self._read(raw.content, raw.headers)

    def _read(self, body: bytes, headers: Mapping[str, str]) -> ChatReply | _Passing | Complaint:
        try:
            return read_reply(body, model=self._model)
        except NotJsonError as error:
            return _Passing(
                f"answered with something that is not JSON ({error})",
                "check AUTOINTERP_LLM_BASE_URL, which usually ends in /v1",
            )
        except WrongShapeError as error:
            stated = stated_error(body)
            if stated is not None:
                return self._sorted_out(stated, headers)
            msg = (
                f"{self._endpoint} answered with JSON that is not a chat completion ({error}); "
                "check that AUTOINTERP_LLM_BASE_URL is an OpenAI-compatible endpoint"
            )
            raise UpstreamError(msg, retryable=False) from None

    def _sorted_out(self, complaint: Complaint, headers: Mapping[str, str]) -> _Passing | Complaint:
        if not may_pass(complaint):
            return complaint
        advice = "try again later"
        if complaint.status == 429:
            advice = "lower AUTOINTERP_LLM_MAX_IN_FLIGHT or try again later"
        asked = retry_after_s(headers, now_s=self._surroundings.clock())
        return _Passing(f"answered {complaint.status}", advice, asked)

    async def _final(self, complaint: Complaint) -> UpstreamError:
        if complaint.status == 404:
            return UpstreamError(await self._not_found(), retryable=False)
        return final_error(
            complaint, endpoint=self._endpoint, model=self._model, secret=self._secret
        )

    async def _not_found(self) -> str:
        names = await self._model_names()
        start = f"{self._endpoint} answered 404 for model {self._model!r}: "
        if names is None or self._model in names:
            return start + "check AUTOINTERP_LLM_BASE_URL (it usually ends in /v1) and the model"
        shown = ", ".join(names[:_MODELS_SHOWN]) + (", ..." if len(names) > _MODELS_SHOWN else "")
        return start + f"it has {shown or 'no model'}; set AUTOINTERP_LLM_MODEL to one of those"

    async def _model_names(self) -> list[str] | None:
        """Names of the models that the endpoint lists, None where it does not say."""
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                raw = await self._client.models.with_raw_response.list()
        except (TimeoutError, openai.APIError):
            return None
        return read_model_names(raw.content)


def _lost_connection(error: openai.APIConnectionError) -> _Passing:
    # By name: the SDK has moved from httpx to httpx2, and each has its own ConnectError.
    if type(error.__cause__).__name__ == "ConnectError":
        return _Passing("", "is the server running?", reached=False)
    return _Passing("cut the connection", "see the server's log or try again later")

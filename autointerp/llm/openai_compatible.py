"""Any endpoint that speaks OpenAI's chat format: OpenAI, vLLM, Ollama, llama.cpp."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from typing_extensions import override

from autointerp.core.errors import InputError, RequestRefusedError, UpstreamError
from autointerp.llm.api_errors import ApiError, is_about_content, stops_everything
from autointerp.llm.capabilities import (
    LIMITS,
    Capabilities,
    CapabilityFile,
    fewer_alternatives,
)
from autointerp.llm.chat_model import (
    ChatReply,
    ChatRequest,
    EchoModel,
    EchoUnsupportedError,
    Features,
    NamedModel,
    TokenChoice,
    TotalUsage,
    Usage,
)
from autointerp.llm.endpoint import Endpoint, TransientFailure
from autointerp.llm.negotiation import PlainRefusedError, Refusal, negotiate, probe
from autointerp.llm.options import ClientDependencies, ClientOptions, Failure
from autointerp.llm.request_body import MAX_ECHO_ALTERNATIVES, chat_body, echo_parameters
from autointerp.llm.retrying_client import ApiCall, CallRefusedError, RetryingClient
from autointerp.llm.wire_format import NoEchoError, read_echo, read_reply, starved_tokens

_BYTES_A_TOKEN = 4
_MOST_FORMS = 4
_FEATURES, _OPTIONS, _DEPENDENCIES = Features(), ClientOptions(), ClientDependencies()
Answer = tuple[ChatReply, int | None]
"""A reply, and the hidden tokens that left no room for one."""


class OpenAICompatible(NamedModel, EchoModel):
    """One model at one endpoint. An object belongs to one event loop.

    What the endpoint takes is found out with a few tiny requests before the first question, and
    again when it refuses what it took before.

    Args:
        base_url: address up to and including ``/v1``.
        model: name of the model at the endpoint.
        api_key: None where the endpoint takes none. The environment is not read: a key must
            not go to an endpoint that it is not for.
        features: what the endpoint can do; what it refuses is taken away while running.
        options: limits; clients of one endpoint and key share the strictest among theirs.
        dependencies: clock, sleep and transport.
        capabilities: folder that stores what is learned for the next process, if any.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key: str | None = None,
        features: Features = _FEATURES,
        options: ClientOptions = _OPTIONS,
        dependencies: ClientDependencies = _DEPENDENCIES,
        capabilities: Path | None = None,
    ) -> None:
        """Prepares a client; nothing is sent yet.

        Raises:
            InputError: an address, name or key that cannot be one.
        """
        secret, timeout_s = api_key or "", options.timeout_s
        endpoint = Endpoint(base_url, secret=secret, timeout_s=timeout_s, dependencies=dependencies)
        self._address = endpoint.address
        if not model:
            raise InputError(f"no model was named for {self._address}; set AUTOINTERP_LLM_MODEL")
        super().__init__(model, features)
        self._configured = features
        self._file = CapabilityFile(
            capabilities, endpoint=self._address, model=model, clock=dependencies.clock
        )
        stored = self._file.read()
        self._is_known = stored is not None or not options.negotiates
        self._known = stored or Capabilities()
        self._features = self._within(self._known)
        self._n_echoed = self._known.echoed or MAX_ECHO_ALTERNATIVES
        self._client = RetryingClient(
            endpoint, model=model, secret=secret, options=options, dependencies=dependencies
        )
        self._negotiating = asyncio.Lock()
        self._failed: UpstreamError | None = None
        self._n_failed = 0

    @property
    def known(self) -> Capabilities:
        """What the endpoint was found not to take, or to need."""
        return self._known

    @property
    @override
    def total_usage(self) -> TotalUsage:
        return self._client.total_usage

    @override
    async def prepare(self) -> Usage | None:
        """What it cost to find out what the endpoint takes; None where that is known.

        Raises:
            UpstreamError: it could not be used, or refuses the plainest request that can be.
        """
        if self._is_known:
            return None
        n_failed = self._n_failed
        async with self._negotiating:
            if self._is_known:
                return None
            self._fail_as_others(n_failed)
            try:
                return await self._negotiate(probe())
            except UpstreamError as error:
                self._fails_for_all(error)
                raise

    def _fails_for_all(self, error: UpstreamError) -> UpstreamError:
        self._failed, self._n_failed = error, self._n_failed + 1
        return error

    def _fail_as_others(self, n_failed: int) -> None:
        """Raises what another call has found out while this one waited for its turn."""
        if self._failed is not None and self._n_failed > n_failed:
            raise UpstreamError(str(self._failed), retryable=self._failed.retryable)

    @override
    async def reply(self, request: ChatRequest) -> ChatReply:
        """The reply to one request.

        Where hidden reasoning has eaten the whole limit for the first time, the call is
        repeated once with a higher one, and its usage is that of both.
        """
        await self.prepare()
        hidden = self._features.hidden_tokens
        reply, starved = await self._answer(request)
        if starved is None or hidden:
            return reply
        if not self._features.hidden_tokens:
            self._learn(self._known.with_reasoning(starved))
        second, _ = await self._answer(request)
        return replace(second, usage=_sum(reply.usage, second.usage))

    @override
    async def prompt_logprobs(self, text: str) -> tuple[TokenChoice, ...]:
        if self._known.echoed == 0:
            raise self._no_echo()
        try:
            choices = await self._echo(text)
        except NoEchoError:
            self._learn(replace(self._known, echoed=0))
            raise self._no_echo() from None
        if self._known.echoed is None:
            self._learn(replace(self._known, echoed=self._n_echoed))
        return choices

    @override
    async def close(self) -> None:
        await self._client.close()

    async def _answer(self, request: ChatRequest) -> Answer:
        """The answer to a question, in the form that the endpoint takes now."""
        for _ in range(_MOST_FORMS):
            known = self._known
            try:
                return await self._client.call(self._chat(request, known))
            except CallRefusedError as refused:
                refusal = refused
            if is_about_content(refusal.error):
                raise RequestRefusedError(str(await self._final(refusal))) from None
            if stops_everything(refusal.error):
                raise await self._final(refusal) from None
            n_failed = self._n_failed
            async with self._negotiating:
                self._fail_as_others(n_failed)
                # Where the body would differ by now, another call has learned something.
                if self._body(request, known) == self._body(request, self._known):
                    return await self._after(refusal, request)
        raise await self._final(refusal)

    async def _after(self, refusal: CallRefusedError, request: ChatRequest) -> Answer:
        """The answer to the plain form of a question whose options were refused.

        Raises:
            RequestRefusedError: it is refused for what it says.
            UpstreamError: the endpoint refuses everything by now.
        """
        tiny, plain = probe(request), self._known.without_options()
        sent = self._body(request, self._known)
        if _names_one(refusal.error, sent) or await self._refusal(tiny, self._known) is not None:
            try:
                call = replace(self._chat(request, plain), gives_up=_is_refusal)
                answer = await self._client.call(call)
            except CallRefusedError:
                if await self._refusal(tiny, plain) is not None:
                    raise self._fails_for_all(await self._final(refusal)) from None
            else:
                cost = await self._negotiate(tiny)
                reply, starved = answer
                return replace(reply, usage=_sum(reply.usage, cost)), starved
        raise refusal.instead or RequestRefusedError(str(await self._final(refusal))) from None

    async def _negotiate(self, tiny: ChatRequest) -> Usage:
        """What it cost to find out which of a probe's options the endpoint takes."""
        before = self._client.total_usage
        options = {*self._body(tiny, self._known)}
        if options & {*LIMITS}:
            options |= {"limit", *LIMITS}
        if any(m.role == "system" for m in tiny.messages):
            options.add("system")
        try:
            found = await negotiate(
                lambda c: self._refusal(tiny, c, patient=c == c.without_options()),
                self._known,
                options,
            )
        except PlainRefusedError as error:
            refusal = error.refusal
            if isinstance(refusal, ApiError):
                refusal = await self._client.final(refusal)
            raise refusal from None
        self._is_known = True
        self._learn(
            replace(found, hidden_tokens=max(found.hidden_tokens, self._known.hidden_tokens))
        )
        after = self._client.total_usage
        return Usage(
            after.prompt_tokens - before.prompt_tokens,
            after.completion_tokens - before.completion_tokens,
            after.cached_tokens - before.cached_tokens,
        )

    async def _refusal(
        self, tiny: ChatRequest, known: Capabilities, *, patient: bool = False
    ) -> Refusal | None:
        """What a probe of this form is refused with; None where it is answered.

        A status of 500 is a refusal unless patient, and asked again where it may pass.
        """
        call = replace(self._chat(tiny, known), gives_up=_times_out if patient else _is_refusal)
        try:
            await self._client.call(call)
        except CallRefusedError as refused:
            if stops_everything(refused.error):
                raise await self._final(refused) from None
            return refused.error
        except UpstreamError as error:
            if error.retryable:
                raise
            return error
        return None

    async def _final(self, refused: CallRefusedError) -> UpstreamError:
        return refused.instead or await self._client.final(refused.error)

    def _chat(self, request: ChatRequest, known: Capabilities) -> ApiCall[Answer]:
        letters = sum(len(message.content) for message in request.messages)
        return ApiCall(
            "chat/completions",
            self._body(request, known),
            self._read_chat,
            letters // _BYTES_A_TOKEN + request.max_tokens + self._features.hidden_tokens,
        )

    def _body(self, request: ChatRequest, known: Capabilities) -> dict[str, Any]:
        return chat_body(request, model=self._name, features=self._configured, known=known)

    def _read_chat(self, body: bytes) -> tuple[Answer, Usage]:
        reply = read_reply(body, model=self._name)
        empty = not reply.text and reply.finish_reason == "length"
        return (reply, starved_tokens(body) if empty else None), reply.usage

    async def _echo(self, text: str) -> tuple[TokenChoice, ...]:
        while True:
            n = self._n_echoed
            call = ApiCall(
                "completions",
                echo_parameters(text, model=self._name, n_alternatives=n),
                lambda body: read_echo(body, text),
                len(text) // _BYTES_A_TOKEN,
            )
            try:
                return await self._client.call(call)
            except CallRefusedError as refused:
                error = refused.error
                if stops_everything(error) or self._known.echoed:
                    raise await self._final(refused) from None
                fewer = fewer_alternatives(n, error.text) if "logprobs" in error.text.lower() else 0
                if not fewer:
                    raise NoEchoError from None
                self._n_echoed = min(self._n_echoed, fewer)

    def _no_echo(self) -> EchoUnsupportedError:
        return EchoUnsupportedError(
            f"{self._address} gives no log-probabilities of a prompt for {self._name!r}; "
            "use another endpoint, vLLM for example, or another way to simulate"
        )

    def _learn(self, known: Capabilities) -> None:
        self._known = known
        self._features = self._within(known)
        self._file.write(known)

    def _within(self, known: Capabilities) -> Features:
        return replace(known.within(self._configured), is_known=self._is_known)


def _names_one(error: ApiError, sent: Collection[str]) -> bool:
    words = {*re.findall(r"[a-z_]+", error.text.lower()), error.parameter}
    return any(name in words for name in {*sent, "system"} - {"model", "messages"})


def _times_out(failure: TransientFailure) -> bool:
    return failure.failure is Failure.TIMEOUT


def _is_refusal(failure: TransientFailure) -> bool:
    return _times_out(failure) or failure.status in (500, 501, 502)


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        one.prompt_tokens + other.prompt_tokens,
        one.completion_tokens + other.completion_tokens,
        one.cached_tokens + other.cached_tokens,
    )

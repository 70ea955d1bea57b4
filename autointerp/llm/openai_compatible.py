"""Any endpoint that speaks OpenAI's chat format: OpenAI, vLLM, Ollama, llama.cpp."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from typing_extensions import override

from autointerp.core.errors import InputError
from autointerp.llm.api_errors import ApiError, cannot_echo, rejected_parameter
from autointerp.llm.capabilities import Capabilities, CapabilityFile, fewer_alternatives
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
from autointerp.llm.endpoint import Endpoint
from autointerp.llm.options import ClientDependencies, ClientOptions
from autointerp.llm.retrying_client import ApiCall, RetryingClient
from autointerp.llm.wire_format import (
    MAX_ECHO_ALTERNATIVES,
    NoEchoError,
    echo_parameters,
    read_echo,
    read_reply,
    starved_tokens,
    to_parameters,
)

_BYTES_A_TOKEN = 4
_FEATURES, _OPTIONS, _DEPENDENCIES = Features(), ClientOptions(), ClientDependencies()


class OpenAICompatible(NamedModel, EchoModel):
    """One model at one endpoint. An object belongs to one event loop.

    Args:
        base_url: address up to and including ``/v1``.
        model: name of the model at the endpoint.
        api_key: None where the endpoint takes none. The environment is not read: a key must
            not go to an endpoint that it is not for.
        features: what the endpoint can do; what it rejects is taken away while running.
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
        self._known = self._file.read()
        self._features = self._known.within(features)
        self._n_echoed = self._known.echoed or MAX_ECHO_ALTERNATIVES
        self._client = RetryingClient(
            endpoint, model=model, secret=secret, options=options, dependencies=dependencies
        )

    @property
    def dropped_parameters(self) -> tuple[str, ...]:
        """Request parameters that the endpoint rejected and that are no longer sent, sorted."""
        return tuple(sorted(self._known.dropped))

    @property
    @override
    def total_usage(self) -> TotalUsage:
        return self._client.total_usage

    @override
    async def reply(self, request: ChatRequest) -> ChatReply:
        """The reply to one request.

        Where hidden reasoning has eaten the whole limit for the first time, the call is
        repeated once with a higher one, and its usage is that of both.
        """
        hidden = self._features.hidden_tokens
        call = self._chat(request)
        reply, starved = await self._client.call(call)
        if starved is None or hidden:
            return reply
        if not self._features.hidden_tokens:
            self._learn(self._known.with_reasoning(starved))
        second, _ = await self._client.call(call)
        return replace(second, usage=_sum(reply.usage, second.usage))

    @override
    async def prompt_logprobs(self, text: str) -> tuple[TokenChoice, ...]:
        if self._known.echoed == 0:
            raise self._no_echo()
        call = ApiCall(
            "completions",
            lambda: echo_parameters(text, model=self._name, n_alternatives=self._n_echoed),
            lambda body: read_echo(body, text),
            self._adapt_echo,
            len(text) // _BYTES_A_TOKEN,
        )
        try:
            choices = await self._client.call(call)
        except NoEchoError:
            self._learn(replace(self._known, echoed=0))
            raise self._no_echo() from None
        if self._known.echoed is None:
            self._learn(replace(self._known, echoed=self._n_echoed))
        return choices

    @override
    async def close(self) -> None:
        await self._client.close()

    def _chat(self, request: ChatRequest) -> ApiCall[tuple[ChatReply, int | None]]:
        letters = sum(len(message.content) for message in request.messages)
        return ApiCall(
            "chat/completions",
            lambda: to_parameters(
                request, model=self._name, features=self._features, dropped=self._known.dropped
            ),
            self._read_chat,
            self._adapt_chat,
            letters // _BYTES_A_TOKEN + request.max_tokens + self._features.hidden_tokens,
        )

    def _read_chat(self, body: bytes) -> tuple[tuple[ChatReply, int | None], Usage]:
        reply = read_reply(body, model=self._name)
        empty = not reply.text and reply.finish_reason == "length"
        return (reply, starved_tokens(body) if empty else None), reply.usage

    def _adapt_chat(self, error: ApiError, body: dict[str, Any]) -> bool:
        parameter = rejected_parameter(error, body)
        if parameter is None:
            return False
        sent = body[parameter]
        self._learn(self._known.without(parameter, sent=sent, message=error.text))
        return True

    def _adapt_echo(self, error: ApiError, body: dict[str, Any]) -> bool:
        if self._known.echoed or not cannot_echo(error):
            return False
        if "logprobs" in error.text.lower():
            self._n_echoed = fewer_alternatives(body["logprobs"], error.text)
            if self._n_echoed:
                return True
        raise NoEchoError

    def _no_echo(self) -> EchoUnsupportedError:
        return EchoUnsupportedError(
            f"{self._address} gives no log-probabilities of a prompt for {self._name!r}; "
            "use another endpoint, vLLM for example, or another way to simulate"
        )

    def _learn(self, known: Capabilities) -> None:
        self._known = known
        self._features = known.within(self._configured)
        self._file.write(known)


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        one.prompt_tokens + other.prompt_tokens,
        one.completion_tokens + other.completion_tokens,
        one.cached_tokens + other.cached_tokens,
    )

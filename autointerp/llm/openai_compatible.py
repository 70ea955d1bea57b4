"""Any endpoint that speaks OpenAI's chat format: OpenAI, vLLM, Ollama, llama.cpp."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from typing_extensions import override

from autointerp.core.addresses import shown_address
from autointerp.core.errors import InputError
from autointerp.llm.api_call import ApiCall, CallRefusedError
from autointerp.llm.api_errors import stops_everything
from autointerp.llm.capabilities import (
    Capabilities,
    CapabilityFile,
    PromptsRead,
    fewer_alternatives,
)
from autointerp.llm.chat_model import (
    ChatReply,
    ChatRequest,
    EchoModel,
    EchoUnsupportedError,
    Features,
    NamedModel,
    ReplyRefusedError,
    TokenChoice,
    TotalUsage,
    Usage,
    ranked,
)
from autointerp.llm.endpoint import Endpoint
from autointerp.llm.formed_client import BYTES_A_TOKEN
from autointerp.llm.negotiated_client import NegotiatedClient
from autointerp.llm.options import ClientDependencies, ClientOptions
from autointerp.llm.reply_body import read_usage
from autointerp.llm.retrying_client import RetryingClient
from autointerp.llm.wire_format import WireModel, parsed, sendable, why_refused_in

_FEATURES, _OPTIONS, _DEPENDENCIES = Features(), ClientOptions(), ClientDependencies()
_LEAST_AGAIN = 256
_CUT_IN_VAIN = 3
_MAX_ECHO_ALTERNATIVES = 20


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
        secret = api_key or ""
        endpoint = Endpoint(base_url, secret=secret, options=options, dependencies=dependencies)
        self._address = endpoint.address
        if not model:
            raise InputError(f"no model was named for {self._address}; set AUTOINTERP_LLM_MODEL")
        if endpoint.has_added_scheme:
            note = f"the LLM's address lacks http:// or https://, and is taken for {self._address}"
            features = replace(features, further_notes=(*features.further_notes, note))
        super().__init__(model, features)
        self._client = RetryingClient(
            endpoint, model=model, secret=secret, options=options, dependencies=dependencies
        )
        file = CapabilityFile(
            capabilities, endpoint=self._address, model=model, clock=dependencies.clock
        )
        self._asking = NegotiatedClient(
            self._client, model, features=features, file=file, negotiates=options.negotiates
        )
        self._n_echoed = self.known.echoed or _MAX_ECHO_ALTERNATIVES
        self._prompts_read, self._n_cut = PromptsRead(), 0

    @override
    def __repr__(self) -> str:
        return f"OpenAICompatible({self.name} at {shown_address(self._address)})"

    @property
    @override
    def features(self) -> Features:
        return self._asking.features(prompts_cut=self._prompts_read.are_cut)

    @property
    def known(self) -> Capabilities:
        """What the endpoint was found not to take, or to need."""
        return self._asking.known

    @property
    @override
    def total_usage(self) -> TotalUsage:
        return self._client.total_usage

    @override
    async def prepare(self) -> Usage | None:
        return await self._asking.prepare()

    @override
    async def reply(self, request: ChatRequest) -> ChatReply:
        """The reply to one request.

        Where hidden reasoning has eaten the whole limit for the first time, or an answer was cut
        off, the question is repeated once with more room, and its usage is that of both.
        """
        await self.prepare()
        reply = await self._with_room(request)
        reply = replace(reply, usage=reply.usage.plus(self._client.tiny.take_usage()))
        why = why_refused_in(reply)
        if why is not None:
            raise ReplyRefusedError(f"{self._address} {why}", reply.usage)
        return reply

    async def _with_room(self, request: ChatRequest) -> ChatReply:
        hidden = self.known.hidden_tokens
        first, starved = await self._asking.answer(request)
        first = self._seen(request, first)
        if starved is None and (first.finish_reason != "length" or not self._is_worth_more()):
            return first
        if starved is not None:
            if self.features.hidden_tokens > self._asking.configured.hidden_tokens and hidden:
                return first
            if not self.known.hidden_tokens:
                self._asking.learn(self.known.with_reasoning(starved))
            again = request
        else:
            again = replace(request, max_tokens=max(_LEAST_AGAIN, 4 * request.max_tokens))
        second, _ = await self._asking.answer(again)
        if starved is None:
            self._n_cut = self._n_cut + 1 if second.finish_reason == "length" else 0
        second = self._seen(request, second)
        return replace(second, usage=first.usage.plus(second.usage))

    def _is_worth_more(self) -> bool:
        """Whether more room may end a reply that was cut off: weak models only go on and on."""
        return not self._asking.configured.small and self._n_cut < _CUT_IN_VAIN

    def _seen(self, request: ChatRequest, reply: ChatReply) -> ChatReply:
        n_bytes = sum(len(m.content.encode("utf-8", "replace")) for m in request.messages)
        return replace(reply, prompt_cut=self._prompts_read.is_cut(reply.usage, n_bytes))

    @override
    async def prompt_logprobs(self, text: str) -> tuple[TokenChoice, ...]:
        if self.known.echoed == 0:
            raise self._no_echo()
        try:
            choices = await self._echo(text)
        except _NoEchoError:
            self._asking.learn(replace(self.known, echoed=0))
            raise self._no_echo() from None
        if self.known.echoed is None:
            self._asking.learn(replace(self.known, echoed=self._n_echoed))
        return choices

    @override
    async def close(self) -> None:
        await self._client.close()

    async def _echo(self, text: str) -> tuple[TokenChoice, ...]:
        while True:
            n = self._n_echoed
            call = ApiCall(
                "completions",
                _echo_parameters(text, model=self._name, n_alternatives=n),
                lambda body: _read_echo(body, text),
                len(text) // BYTES_A_TOKEN,
            )
            try:
                return await self._client.call(call)
            except CallRefusedError as refused:
                error = refused.error
                if stops_everything(error) or self.known.echoed:
                    raise await self._asking.final(refused) from None
                fewer = fewer_alternatives(n, error.text) if "logprobs" in error.text.lower() else 0
                if not fewer:
                    raise _NoEchoError from None
                self._n_echoed = min(self._n_echoed, fewer)

    def _no_echo(self) -> EchoUnsupportedError:
        return EchoUnsupportedError(
            f"{self._address} gives no log-probabilities of a prompt for {self._name!r}; "
            "use another endpoint, vLLM for example, or another way to simulate"
        )


class _NoEchoError(Exception):
    """A reply without log-probabilities of the prompt."""


class _EchoLogprobs(WireModel):
    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None] | None = None


class _EchoChoice(WireModel):
    text: str
    logprobs: _EchoLogprobs


class _EchoCompletion(WireModel):
    choices: list[_EchoChoice]
    usage: Any = None


def _read_echo(body: bytes, text: str) -> tuple[tuple[TokenChoice, ...], Usage]:
    """The prompt's tokens, and what they cost.

    Raises:
        NotJsonError: the body is not JSON.
        _NoEchoError: the reply has no log-probabilities of the prompt.
    """
    try:
        completion = _EchoCompletion.model_validate(parsed(body))
    except ValidationError:
        raise _NoEchoError from None
    if not completion.choices or not completion.choices[0].text.startswith(text):
        raise _NoEchoError
    usage = read_usage(completion.usage)
    logprobs = completion.choices[0].logprobs
    tops = logprobs.top_logprobs or []
    n = len(logprobs.tokens) - usage.completion_tokens
    if n < 1 or not len(logprobs.tokens) == len(logprobs.token_logprobs) == len(tops):
        raise _NoEchoError
    rows = list(zip(logprobs.tokens, logprobs.token_logprobs, tops, strict=True))[:n]
    return tuple(_echoed_token(*row) for row in rows), usage


def _echoed_token(token: str, logprob: float | None, top: dict[str, float] | None) -> TokenChoice:
    if logprob is None:
        return TokenChoice(token, math.nan, ())
    return TokenChoice(token, logprob, ranked({token: logprob, **(top or {})}.items()))


def _echo_parameters(text: str, *, model: str, n_alternatives: int) -> dict[str, Any]:
    """The JSON body that asks for a prompt's log-probabilities.

    One token is generated and thrown away: several endpoints refuse to generate none.
    """
    return {
        "model": model,
        "prompt": sendable(text),
        "max_tokens": 1,
        "temperature": 0.0,
        "echo": True,
        "logprobs": n_alternatives,
    }

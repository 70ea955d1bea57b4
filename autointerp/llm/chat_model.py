"""What explainers and scorers send to any LLM, and what they get back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Protocol, runtime_checkable

from typing_extensions import override

from autointerp.core.errors import RequestRefusedError, UpstreamError


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """A named JSON schema that a reply must follow."""

    name: str
    text: str
    """The schema as JSON text, so that equal schemas are equal values."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request. Equal requests have equal keys and may be answered from the cache."""

    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    schema: JsonSchema | None = None
    """Sent where the endpoint follows schemas; the reader must not rely on it."""
    grammar: str | None = None
    """GBNF grammar, sent instead of the schema where the endpoint (llama.cpp) takes one."""
    top_logprobs: int = 0
    """Alternatives requested at each generated token; 0 requests no log-probabilities."""
    fresh: bool = False
    """Send also where a reply is cached, and cache the new one in its place. Not sent itself."""

    def key(self, model: str) -> str:
        """SHA-256 over the model's name and everything in the request that decides the reply."""
        # Every call is keyed twice, and asdict would take most of that time.
        sent = {name: getattr(self, name) for name in self.__slots__ if name != "fresh"}
        sent["messages"] = [{"role": m.role, "content": m.content} for m in self.messages]
        if self.schema is not None:
            sent["schema"] = {"name": self.schema.name, "text": self.schema.text}
        return _key(model, sent)


@dataclass(frozen=True, slots=True)
class TokenChoice:
    """One generated token with what else could have stood there."""

    token: str
    logprob: float
    """Natural logarithm of its probability."""
    alternatives: tuple[tuple[str, float], ...]
    """(token, natural log-probability), most probable first; the token itself among them."""


def ranked(logprobs: Iterable[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    """Tokens with their log-probabilities, most probable first."""
    return tuple(sorted(logprobs, key=lambda item: (-item[1], item[0])))


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that one reply cost."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Prompt tokens that the endpoint says it took from its prefix cache."""

    def plus(self, other: Usage) -> Usage:
        """Both together."""
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
        )


@dataclass(frozen=True, slots=True)
class TotalUsage:
    """Requests of one model object and what they cost since it was made."""

    requests: int = 0
    """Requests sent, repeated ones included."""
    retries: int = 0
    """Of those, repetitions after a failure that may pass."""
    cached_replies: int = 0
    """Replies for which nothing was sent: from the reply cache or shared with an equal call."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Prompt tokens that the endpoint says it took from its prefix cache."""

    def plus(self, usage: Usage) -> TotalUsage:
        """The same with the tokens of one more reply."""
        return replace(
            self,
            prompt_tokens=self.prompt_tokens + usage.prompt_tokens,
            completion_tokens=self.completion_tokens + usage.completion_tokens,
            cached_tokens=self.cached_tokens + usage.cached_tokens,
        )


@dataclass(frozen=True, slots=True)
class ChatReply:
    """A reply, as it came."""

    text: str
    finish_reason: str
    """``stop``, ``length``, ``content_filter`` ..., in the endpoint's words."""
    tokens: tuple[TokenChoice, ...] | None
    """Generated tokens with log-probabilities, None where none came."""
    usage: Usage
    model: str
    """Name of the model that says it answered."""
    prompt_cut: bool = False
    """The endpoint read far fewer tokens than the prompt has."""
    from_cache: bool = False
    """Read from the reply cache: nothing was sent and nothing paid."""
    thoughts: str = ""
    """What the model thought before it answered, where that came apart from the text."""


@dataclass(frozen=True, slots=True)
class Features:
    """What an endpoint can do, as configured or observed."""

    logprobs: bool = True
    schema: bool = True
    grammar: bool = False
    system_role: bool = True
    """False where instructions stand in front of the first user's words."""
    max_top_logprobs: int = 20
    n_ctx: int | None = None
    """Tokens that fit one request with its reply; None where unknown."""
    small: bool = False
    """True for a model too weak for instructions: few-shot prompts are chosen."""
    hidden_tokens: int = 0
    """Tokens that a request may cost beyond its limit: the model reasons out of sight first."""
    echo: bool | None = None
    """Whether it gives log-probabilities of a prompt; None where it was not tried yet."""
    asked_without: tuple[str, ...] = ()
    """What was found not to be taken and is not sent, in words, sorted."""
    prompts_cut: bool = False
    """Whether an endpoint was seen to read far fewer tokens than prompts have."""
    further_notes: tuple[str, ...] = ()
    """Further sentences about the endpoint, for who reads the results."""
    is_known: bool = True
    """False until the endpoint was asked what it takes; see `ChatModel.prepare`."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about what was found, for who reads the results."""
        notes = []
        if self.asked_without:
            notes.append(f"the LLM was asked without: {', '.join(self.asked_without)}")
        if self.prompts_cut:
            notes.append(
                "the LLM's endpoint reads far fewer tokens than prompts have: its context is too "
                "small and cuts them (num_ctx for Ollama); replies to them are not scored"
            )
        return (*notes, *self.further_notes)


class ChatModel(Protocol):
    """Any LLM that answers chat requests."""

    @property
    def name(self) -> str:
        """Name of the model, as it goes into labels and cache keys."""

    @property
    def features(self) -> Features:
        """What it can do."""

    @property
    def total_usage(self) -> TotalUsage:
        """Requests, retries and tokens so far."""

    async def reply(self, request: ChatRequest) -> ChatReply:
        """The reply to one request.

        Raises:
            RequestRefusedError: the endpoint refuses this request for what is in it.
            UpstreamError: the endpoint could not be used, after the retries that make sense.
        """

    async def prepare(self) -> Usage | None:
        """What it cost to find out what it can do; None where nothing had to be sent.

        Raises:
            UpstreamError: it could not be used, or refuses the plainest request that can be.
        """
        return None

    async def close(self) -> None:
        """Closes connections; a server that was started for the model is stopped."""


class NamedModel(ChatModel):
    """A chat model that keeps its name, its features and its usage itself."""

    def __init__(self, name: str, features: Features) -> None:
        self._name, self._features, self._total = name, features, TotalUsage()

    @property
    @override
    def name(self) -> str:
        return self._name

    @property
    @override
    def features(self) -> Features:
        return self._features

    @property
    @override
    def total_usage(self) -> TotalUsage:
        return self._total


class ReplyRefusedError(RequestRefusedError):
    """A reply came and holds no answer: a filter stopped it, or the model refused."""

    def __init__(self, message: str, usage: Usage) -> None:
        """The usage is what the reply cost all the same."""
        super().__init__(message)
        self.usage = usage


class EchoUnsupportedError(UpstreamError):
    """The endpoint gives no log-probabilities of a prompt, whatever it is."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=False)


@runtime_checkable
class EchoModel(Protocol):
    """An LLM that can say how probable it finds a text."""

    async def prompt_logprobs(self, text: str) -> tuple[TokenChoice, ...]:
        """The text's tokens in order, each with what else could have stood there.

        A token that is given no number, as the first one, has no alternatives and a
        log-probability that is not a number.

        Raises:
            EchoUnsupportedError: the endpoint cannot do this at all.
            RequestRefusedError: the endpoint refuses this text.
            UpstreamError: the endpoint could not be used, after the retries that make sense.
        """


@dataclass(frozen=True, slots=True)
class EchoRequest:
    """Requests the log-probabilities of a text, and no answer."""

    text: str
    fresh: ClassVar[bool] = False

    @property
    def as_chat(self) -> ChatRequest:
        """The chat request that costs as much; one token is generated and thrown away."""
        return ChatRequest((Message("user", self.text),), max_tokens=1)

    def key(self, model: str) -> str:
        """Another key than that of a chat request with the same words."""
        sent: dict[str, object] = {"messages": [{"role": "user", "content": self.text}]}
        return _key(f"{model} prompt_logprobs", sent)


def _key(model: str, sent: dict[str, object]) -> str:
    text = json.dumps([model, sent], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


LlmRequest = ChatRequest | EchoRequest
"""What a `WrappedModel` passes on."""

"""Log-probabilities of texts by way of the same cache, budget and cost log as replies.

A text travels as a request of a kind of its own through whatever stands around the client, and
its tokens come back as those of a reply: what holds for replies (nobody pays twice, no limit is
exceeded) holds for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from autointerp.llm.budget import CountedModel
from autointerp.llm.protocol import (
    ChatModel,
    ChatReply,
    ChatRequest,
    EchoModel,
    Message,
    TokenChoice,
    Usage,
)
from autointerp.llm.wrapped import WrappedModel


@dataclass(frozen=True, slots=True)
class EchoRequest(ChatRequest):
    """Asks for the log-probabilities of its one message's text, and for no answer."""

    @classmethod
    def of(cls, text: str) -> EchoRequest:
        """The request for a text; one token is generated and thrown away."""
        return cls((Message("user", text),), max_tokens=1)

    def key(self, model: str) -> str:
        """Another than that of the question with the same words."""
        return ChatRequest.key(self, f"{model} prompt_logprobs")


class EchoClient(ChatModel, EchoModel, Protocol):
    """A client that does both."""


class EchoReplies(WrappedModel):
    """A client that takes requests for an echo too; it belongs inside budget and cache."""

    def __init__(self, client: EchoClient) -> None:
        super().__init__(client)
        self._client = client

    async def reply(self, request: ChatRequest) -> ChatReply:
        """The answer; of an echo, the text's tokens, as many as it cost, and one thrown away."""
        if not isinstance(request, EchoRequest):
            return await self._client.reply(request)
        tokens = await self._client.prompt_logprobs(request.messages[0].content)
        return ChatReply("", "stop", tokens, Usage(len(tokens), 1), self.name)


class EchoingModel(CountedModel):
    """A counted model around `EchoReplies`: it says how probable texts are, cached and recorded."""

    async def prompt_logprobs(self, text: str) -> tuple[TokenChoice, ...]:
        """Log-probabilities of a text; see `EchoModel`.

        Raises:
            BudgetExhaustedError: it could cost more than is left.
            StorageError: the cache cannot be read or written.
        """
        return (await self.reply(EchoRequest.of(text))).tokens or ()

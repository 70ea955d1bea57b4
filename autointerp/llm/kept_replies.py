"""Replies that a reply cache keeps, found without the endpoint that gave them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from autointerp.core.addresses import stored_address
from autointerp.core.files import SMOLLM2_GGUF
from autointerp.llm.cache import cached_reply
from autointerp.llm.chat_model import ChatReply, ChatRequest
from autointerp.llm.wire_format import without_system

EMBEDDED_IDENTITY = f"embedded:{SMOLLM2_GGUF.package}=={SMOLLM2_GGUF.version}"
"""Of the embedded LLM in keys of replies."""
# What endpoints were found to give of alternatives at a token; requests ask for at most 20.
_ALTERNATIVES = (0, 1, 5, 10, 20)


def endpoint_identity(address: str, model: str | None) -> str:
    """Of a model behind an endpoint in keys of replies."""
    return f"{stored_address(address)}:{model}"


@dataclass(frozen=True, slots=True)
class KeptReplies:
    """The replies in a folder, by request."""

    folder: Path | None
    """None keeps none."""
    addresses: Sequence[str] = ()
    """Of the endpoints that may have been asked."""

    def find(self, request: ChatRequest, model: str) -> ChatReply | None:
        """The reply of a model to a request, in any form in which an endpoint may have taken it.

        Raises:
            StorageError: the folder cannot be read.
        """
        if self.folder is None:
            return None
        identities = [EMBEDDED_IDENTITY, model]
        identities += [endpoint_identity(address, model) for address in self.addresses]
        for identity, form in product(identities, _forms(request)):
            reply = cached_reply(self.folder, form.key(identity))
            if reply is not None:
                return reply
        return None


def _forms(request: ChatRequest) -> Iterator[ChatRequest]:
    """The request as endpoints of different abilities are sent it."""
    messages = dict.fromkeys([request.messages, without_system(request.messages)])
    grammars = dict.fromkeys([request.grammar, None])
    alternatives = _ALTERNATIVES if request.top_logprobs else (0,)
    for own, grammar, n in product(messages, grammars, alternatives):
        yield replace(request, messages=own, grammar=grammar, top_logprobs=n)

"""OpenAI's formats of requests: of chat, and of the older completions with echo."""

from __future__ import annotations

import json
from typing import Any

from autointerp.llm.capabilities import LIMITS, Capabilities
from autointerp.llm.chat_model import ChatRequest, Features, Message

MAX_ECHO_ALTERNATIVES = 20
# What a chat template may put around a prompt.
_AROUND = 64


def chat_body(
    request: ChatRequest, *, model: str, features: Features, known: Capabilities
) -> dict[str, Any]:
    """The JSON body of a request, without what the endpoint is known not to take.

    The features' hidden tokens are added to the limit.
    """
    taken = known.within(features)
    limit = request.max_tokens + max(features.hidden_tokens, known.hidden_tokens)
    if known.n_ctx is not None:
        room = known.n_ctx - _AROUND - sum(len(m.content) for m in request.messages) // 3
        limit = min(limit, max(room, request.max_tokens))
    limit = limit if known.max_limit is None else min(limit, known.max_limit)
    messages = request.messages if taken.system_role else without_system(request.messages)
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": m.role, "content": _sendable(m.content)} for m in messages],
        known.limit_name: limit,
        "temperature": request.temperature,
        "seed": request.seed,
        "stop": list(request.stop) or None,
        **_format(request, taken, known),
    }
    if request.top_logprobs and taken.logprobs:
        body["logprobs"] = True
        body["top_logprobs"] = min(request.top_logprobs, taken.max_top_logprobs)
    return {k: v for k, v in body.items() if v is not None and k not in known.dropped}


def limit_of(body: dict[str, Any]) -> int | None:
    """The limit on a reply's tokens in a body; None where it has none."""
    return next((int(body[name]) for name in LIMITS if name in body), None)


def without_system(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The turns with instructions in front of the first user's words, and roles that alternate."""
    folded: list[Message] = []
    for message in messages:
        role = "user" if message.role == "system" else message.role
        if folded and folded[-1].role == role:
            content = f"{folded.pop().content}\n\n{message.content}"
            message = Message(role, content)  # noqa: PLW2901
        folded.append(Message(role, message.content))
    return tuple(folded)


def _sendable(text: str) -> str:
    """The text with lone surrogates replaced: they cannot be written as UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _format(request: ChatRequest, taken: Features, known: Capabilities) -> dict[str, Any]:
    if request.grammar is not None and taken.grammar:
        return {"grammar": request.grammar}
    if request.schema is None or not taken.schema:
        return {}
    if known.json_object:
        # OpenAI refuses this where the prompt does not speak of JSON.
        told = any("json" in message.content.lower() for message in request.messages)
        return {"response_format": {"type": "json_object"}} if told else {}
    schema = {
        "name": request.schema.name,
        "schema": json.loads(request.schema.text),
        "strict": True,
    }
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def echo_parameters(text: str, *, model: str, n_alternatives: int) -> dict[str, Any]:
    """The JSON body that asks for a prompt's log-probabilities.

    One token is generated and thrown away: several endpoints refuse to generate none.
    """
    return {
        "model": model,
        "prompt": _sendable(text),
        "max_tokens": 1,
        "temperature": 0.0,
        "echo": True,
        "logprobs": n_alternatives,
    }

"""Tiny questions that find out what an endpoint takes, and whether it is there."""

from __future__ import annotations

from dataclasses import replace

from autointerp.llm.chat_model import ChatRequest, JsonSchema, Message

PROBE = 'Reply with {"answer": "yes"} as JSON.'
_WITHOUT_THE_WORD = 'Reply with {"answer": "yes"}.'
# Some services send JSON only to who speaks of it.
PROBES = (PROBE, _WITHOUT_THE_WORD)
"""What is asked; the reply does not matter."""
PROBE_TOKENS = 20
_WHOLE = ChatRequest(
    (),
    PROBE_TOKENS,
    temperature=0.0,
    seed=1,
    schema=JsonSchema(
        "answer",
        '{"type": "object", "properties": {"answer": {"type": "string"}}, '
        '"required": ["answer"], "additionalProperties": false}',
    ),
    top_logprobs=20,
)


def probe(like: ChatRequest | None = None) -> ChatRequest:
    """A tiny question with the options of a request, or with all that are ever sent."""
    options = _WHOLE if like is None else like
    has_system = like is None or any(message.role == "system" for message in like.messages)
    system = (Message("system", "Be brief."),) if has_system else ()
    names_json = like is None or any("json" in message.content.lower() for message in like.messages)
    turns = (*system, Message("user", PROBE if names_json else _WITHOUT_THE_WORD))
    # One grammar that is refused says nothing about others.
    grammar = None if options.grammar is None else 'root ::= "yes"'
    # A limit may be refused for being too small.
    limit = min(PROBE_TOKENS, options.max_tokens)
    return replace(options, messages=turns, max_tokens=limit, grammar=grammar)

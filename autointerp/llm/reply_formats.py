"""The forms of replies: schemas and grammars (GBNF) that ask for them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from autointerp.llm.chat_model import ChatRequest, Features, JsonSchema, Message

Turn = tuple[Literal["system", "user", "assistant"], str]
"""(role, text)."""

LEVEL = 'level ::= "10" | [1-9]'
"""A level above 0."""


def chat_request(  # noqa: PLR0913
    features: Features,
    turns: Iterable[Turn],
    *,
    max_tokens: int,
    schema: JsonSchema | None = None,
    grammar: str | None = None,
    logprobs: bool = False,
    seed: int | None = None,
    fresh: bool = False,
) -> ChatRequest:
    """The request with these turns, and of the form of its reply what the endpoint takes.

    `logprobs` says whether the reader uses them. A fresh request is sent also where a reply is
    stored.
    """
    return ChatRequest(
        messages=tuple(Message(role, content) for role, content in turns),
        max_tokens=max_tokens,
        seed=seed,
        schema=schema,
        grammar=grammar if features.grammar else None,
        top_logprobs=min(20, features.max_top_logprobs) if logprobs and features.logprobs else 0,
        fresh=fresh,
    )


def object_schema(name: str, properties: Mapping[str, object]) -> JsonSchema:
    """The schema of an object with exactly these properties."""
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return JsonSchema(name, json.dumps(schema))


def array_schema(items: object, *, least: int | None = None, most: int) -> dict[str, object]:
    """The schema of a list of ``least`` to ``most`` items."""
    bounds = {"maxItems": most} if least is None else {"minItems": least, "maxItems": most}
    return {"type": "array", **bounds, "items": items}


def in_turn(rules: Iterable[str]) -> str:
    """These one after another with commas between them, in GBNF."""
    return ' ", " '.join(rules)


def some_of(name: str, items: Sequence[str]) -> list[str]:
    """The rules of a list of some of the items (in GBNF), each once, in their order.

    Without them a small model lists one item until its limit, or what does not stand in the text.
    The first rule has the name given (small letters and digits), the others begin with it.
    """
    if not items:
        return [f'{name} ::= "[]"']
    rules = [f'{name} ::= "[" {name}-0? "]"']
    last = len(items) - 1
    for i, item in enumerate(items[:last]):
        rules.append(f'{name}-{i} ::= {item} (", " {name}-{i + 1})? | {name}-{i + 1}')
    return [*rules, f"{name}-{last} ::= {items[last]}"]


def literal(text: str) -> str:
    """The text as GBNF writes it; it holds no line break."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

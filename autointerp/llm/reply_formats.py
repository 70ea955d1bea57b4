"""The forms of replies: schemas and grammars (GBNF) that ask for them, and reading them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from autointerp.llm.chat_model import ChatRequest, Features, JsonSchema, Message, TokenChoice

Turn = tuple[Literal["system", "user", "assistant"], str]
"""(role, text)."""

# Some chat templates open the reasoning themselves, so that only its end is in the reply.
_REASONING = re.compile(r"\A.*</think>|<think>.*\Z", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)


class UnreadableJsonError(ValueError):
    """Text that looks like a JSON object and is not one; the message says why."""


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


def without_reasoning(text: str) -> str:
    """The answer behind an LLM's reasoning; empty where there is only reasoning."""
    return _REASONING.sub("", text).strip()


def token_starts(tokens: Sequence[TokenChoice]) -> dict[int, TokenChoice]:
    """Tokens by the place in the text of their first character that is not white space."""
    starts: dict[int, TokenChoice] = {}
    place = 0
    for choice in tokens:
        blank = len(choice.token) - len(choice.token.lstrip())
        starts[place + blank] = choice
        place += len(choice.token)
    return starts


def find_object(text: str) -> dict[str, object] | None:
    """The JSON object from the first ``{`` to the last ``}``; None where there is no ``{``.

    Only the first fenced block is searched if there is one.

    Raises:
        UnreadableJsonError: it is cut off, broken, nested too deeply or has an endless number.
    """
    fenced = _FENCE.search(text)
    body = fenced[1] if fenced else text
    start, end = body.find("{"), body.rfind("}")
    if start < 0:
        return None
    try:
        value: dict[str, object] = json.loads(body[start : end + 1])
    except (ValueError, RecursionError) as error:
        raise UnreadableJsonError(f"the reply is not JSON: {error}") from error
    return value

"""The forms of replies: grammars (GBNF) that hold a model to them, and what reading them needs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from autointerp.llm.protocol import TokenChoice

# Some chat templates open the reasoning themselves, so that only its end is in the reply.
_REASONING = re.compile(r"\A.*</think>|<think>.*\Z", re.DOTALL | re.IGNORECASE)

LEVEL = 'level ::= "10" | [1-9]'
"""A level above 0."""


def some_of(name: str, items: Sequence[str]) -> list[str]:
    """The rules of a list of some of the items, each once, in their order.

    Without them a small model lists one item until its limit, or what does not stand in the text.
    The first rule has the name given, the others begin with it.

    Args:
        name: small letters and digits.
        items: in GBNF.
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

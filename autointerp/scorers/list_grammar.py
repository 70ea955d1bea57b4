"""Grammars (GBNF) for lists of what is active: some of the items, each once, in their order.

Without them a small model lists one item until its limit, or what does not stand in the text.
"""

from __future__ import annotations

from collections.abc import Sequence

LEVEL = 'level ::= "10" | [1-9]'
"""A level above 0."""


def some_of(name: str, items: Sequence[str]) -> list[str]:
    """The rules of a list; the first has the name given, the others begin with it.

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

"""How levels are asked for and written down."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Protocol

from autointerp.core.quoting import quoted
from autointerp.core.records import MAX_LEVEL
from autointerp.llm import ChatReply, ChatRequest, Features, JsonSchema, Message
from autointerp.scorers.llm_judge import CUT_OFF
from autointerp.scorers.simulation.levels_reply import (
    LevelsReply,
    UnreadableLevelsError,
    read_digits,
    read_rows,
    read_window_rows,
)
from autointerp.templates import Template

_ROW = 8

Windows = Sequence[tuple[str, ...]]
"""The tokens of each window of one call."""


class LevelsForm(Protocol):
    """How levels are asked for and written down."""

    top: int
    """The greatest level."""
    template: Template

    def request(self, explanation: str, windows: Windows, features: Features) -> ChatRequest:
        """The question for the levels of all these windows."""
        ...

    def read(self, reply: ChatReply, windows: Windows) -> list[LevelsReply | str]:
        """For each of these windows its levels, or why they cannot be read."""
        ...


def read_each(
    reply: ChatReply, windows: Windows, read: Callable[[int, int], LevelsReply]
) -> list[LevelsReply | str]:
    """For each window what ``read`` gives for its number, from 1 on, and its number of tokens.

    Args:
        reply: what is read; where it broke off, that is why a window cannot be.
        windows: those asked about.
        read: raises `UnreadableLevelsError`.
    """
    outcomes: list[LevelsReply | str] = []
    for number, tokens in enumerate(windows, 1):
        try:
            outcomes.append(read(number, len(tokens)))
        except UnreadableLevelsError as error:
            outcomes.append(CUT_OFF if reply.finish_reason == "length" else str(error))
    return outcomes


class OneWindow:
    """JSON rows of eight levels 0..10 for one window."""

    top = MAX_LEVEL

    def __init__(self, template: Template) -> None:
        self.template = template

    def request(self, explanation: str, windows: Windows, features: Features) -> ChatRequest:
        """The question for the first of the windows."""
        lengths = _row_lengths(len(windows[0]))
        turns = self.template.render(explanation=explanation, rows=render_rows(windows[0]))
        return ChatRequest(
            messages=tuple(Message(role, content) for role, content in turns),
            max_tokens=60 + 4 * sum(lengths),
            schema=_schema({"rows": lengths}),
            grammar=_grammar({"rows": lengths}) if features.grammar else None,
            top_logprobs=_n_logprobs(features),
        )

    def read(self, reply: ChatReply, windows: Windows) -> list[LevelsReply | str]:
        """Its levels; a reply that was cut off is unreadable."""

        def rows(_number: int, n_tokens: int) -> LevelsReply:
            _refuse_cut_off(reply)
            return read_rows(reply, row_lengths=_row_lengths(n_tokens), top=self.top)

        return read_each(reply, windows, rows)


class Digits:
    """A digit a token for one window, for small models."""

    top = 9

    def __init__(self, template: Template) -> None:
        self.template = template

    def request(self, explanation: str, windows: Windows, features: Features) -> ChatRequest:
        """The question for the first of the windows."""
        cells = "|".join(_one_line(token) for token in windows[0])
        turns = self.template.render(explanation=explanation, rows=cells)
        n_tokens = len(windows[0])
        return ChatRequest(
            messages=tuple(Message(role, content) for role, content in turns),
            max_tokens=n_tokens + 4,
            grammar=f"root ::= [0-9]{{{n_tokens}}}" if features.grammar else None,
            top_logprobs=_n_logprobs(features),
        )

    def read(self, reply: ChatReply, windows: Windows) -> list[LevelsReply | str]:
        """Its levels; a reply that was cut off is unreadable."""

        def digits(_number: int, n_tokens: int) -> LevelsReply:
            _refuse_cut_off(reply)
            return read_digits(reply, n_tokens=n_tokens)

        return read_each(reply, windows, digits)


class ManyWindows:
    """JSON rows of eight levels 0..10 under the number of each window."""

    top = MAX_LEVEL

    def __init__(self, template: Template) -> None:
        self.template = template

    def request(self, explanation: str, windows: Windows, features: Features) -> ChatRequest:
        """The question for all windows."""
        texts = [f"Text {i}\n{render_rows(tokens)}" for i, tokens in enumerate(windows, 1)]
        lists = {str(i): _row_lengths(len(tokens)) for i, tokens in enumerate(windows, 1)}
        turns = self.template.render(explanation=explanation, texts="\n\n".join(texts))
        return ChatRequest(
            messages=tuple(Message(role, content) for role, content in turns),
            max_tokens=40 + sum(20 + 4 * sum(lengths) for lengths in lists.values()),
            schema=_schema(lists),
            grammar=_grammar(lists) if features.grammar else None,
            top_logprobs=_n_logprobs(features),
        )

    def read(self, reply: ChatReply, windows: Windows) -> list[LevelsReply | str]:
        """The levels of each; what is wrong with one does not matter to another."""

        def rows(number: int, n_tokens: int) -> LevelsReply:
            lengths = _row_lengths(n_tokens)
            return read_window_rows(reply, number, row_lengths=lengths, top=self.top)

        return read_each(reply, windows, rows)


def _refuse_cut_off(reply: ChatReply) -> None:
    if reply.finish_reason == "length":
        raise UnreadableLevelsError(CUT_OFF)


def _n_logprobs(features: Features) -> int:
    return min(20, features.max_top_logprobs) if features.logprobs else 0


def _row_lengths(n_tokens: int) -> tuple[int, ...]:
    return tuple(min(_ROW, n_tokens - first) for first in range(0, n_tokens, _ROW))


def render_rows(tokens: Sequence[str], *, by_index: bool = False) -> str:
    """Tokens as JSON strings, eight a row; rows numbered, or headed by their first index."""
    lines = []
    for number, first in enumerate(range(0, len(tokens), _ROW), 1):
        cells = [quoted(token) for token in tokens[first : first + _ROW]]
        lines.append(f"{first if by_index else number}: {', '.join(cells)}")
    return "\n".join(lines)


def _one_line(token: str) -> str:
    shown = token.replace("\n", "↵").replace("|", "¦")
    return "".join(c if c.isprintable() else "·" for c in shown)


def _schema(lists: dict[str, tuple[int, ...]]) -> JsonSchema:
    properties = {
        name: {
            "type": "array",
            "minItems": len(lengths),
            "maxItems": len(lengths),
            "items": {
                "type": "array",
                "minItems": min(lengths, default=0),
                "maxItems": max(lengths, default=0),
                "items": {"type": "integer", "minimum": 0, "maximum": MAX_LEVEL},
            },
        }
        for name, lengths in lists.items()
    }
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(lists),
        "additionalProperties": False,
    }
    return JsonSchema("levels", json.dumps(schema))


def _grammar(lists: dict[str, tuple[int, ...]]) -> str:
    # A schema alone lets a small model emit white space without end; a grammar forbids it.
    parts = []
    for name, lengths in lists.items():
        rows = ['"[" l ' + '", " l ' * (n - 1) + '"]"' for n in lengths]
        body = ' ", " '.join(rows)
        parts.append(f'\\"{name}\\": [" {body} "]')
    return f'root ::= "{{{", ".join(parts)}}}"\nl ::= "10" | [0-9]'

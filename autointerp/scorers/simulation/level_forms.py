"""How levels are asked for and written down."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence

from typing_extensions import override

from autointerp.core.records import MAX_LEVEL
from autointerp.core.text import quoted
from autointerp.llm import ChatReply, ChatRequest, Features
from autointerp.llm.answers import CUT_OFF, NoAnswerError
from autointerp.llm.reply_formats import Turn, array_schema, chat_request, in_turn, object_schema
from autointerp.scorers.simulation.levels_reply import (
    LevelsReply,
    read_digits,
    read_rows,
    read_window_rows,
)
from autointerp.templates import Template

_ROW = 8

Windows = Sequence[tuple[str, ...]]
"""The tokens of each window of one call."""


class LevelsForm(ABC):
    """How levels are asked for and written down."""

    top = MAX_LEVEL
    """The greatest level."""

    def __init__(self, template: Template) -> None:
        self.template = template

    @abstractmethod
    def request(self, explanation: str, windows: Windows, features: Features) -> ChatRequest:
        """The question for the levels of all these windows; some forms ask about one alone."""

    @abstractmethod
    def read(self, reply: ChatReply, windows: Windows) -> list[LevelsReply | str]:
        """For each of these windows its levels, or why they cannot be read."""


def read_each(
    reply: ChatReply, windows: Windows, read: Callable[[int, int], LevelsReply]
) -> list[LevelsReply | str]:
    """For each window what ``read`` gives for its number, from 1 on, and its number of tokens.

    Reading raises `NoAnswerError`; where the reply broke off, that is the reason.
    """
    outcomes: list[LevelsReply | str] = []
    for number, tokens in enumerate(windows, 1):
        try:
            outcomes.append(read(number, len(tokens)))
        except NoAnswerError as error:
            outcomes.append(CUT_OFF if reply.finish_reason == "length" else str(error))
    return outcomes


class OneWindow(LevelsForm):
    """JSON rows of eight levels 0..10 for one window."""

    @override
    def request(self, explanation: str, windows: Windows, features: Features) -> ChatRequest:
        lengths = _row_lengths(len(windows[0]))
        turns = self.template.render(explanation=explanation, rows=render_rows(windows[0]))
        return _rows_request(features, turns, {"rows": lengths}, 60 + 4 * sum(lengths))

    @override
    def read(self, reply: ChatReply, windows: Windows) -> list[LevelsReply | str]:
        def rows(_number: int, n_tokens: int) -> LevelsReply:
            _refuse_cut_off(reply)
            return read_rows(reply, row_lengths=_row_lengths(n_tokens), top=self.top)

        return read_each(reply, windows, rows)


class Digits(LevelsForm):
    """A digit a token for one window, for small models."""

    top = 9

    @override
    def request(self, explanation: str, windows: Windows, features: Features) -> ChatRequest:
        cells = "|".join(_one_line(token) for token in windows[0])
        turns = self.template.render(explanation=explanation, rows=cells)
        n_tokens = len(windows[0])
        return chat_request(
            features,
            turns,
            max_tokens=n_tokens + 4,
            grammar=f"root ::= [0-9]{{{n_tokens}}}",
            logprobs=True,
        )

    @override
    def read(self, reply: ChatReply, windows: Windows) -> list[LevelsReply | str]:
        def digits(_number: int, n_tokens: int) -> LevelsReply:
            _refuse_cut_off(reply)
            return read_digits(reply, n_tokens=n_tokens)

        return read_each(reply, windows, digits)


class ManyWindows(LevelsForm):
    """JSON rows of eight levels 0..10 under the number of each window.

    What is wrong with one does not matter to another.
    """

    @override
    def request(self, explanation: str, windows: Windows, features: Features) -> ChatRequest:
        texts = [f"Text {i}\n{render_rows(tokens)}" for i, tokens in enumerate(windows, 1)]
        lists = {str(i): _row_lengths(len(tokens)) for i, tokens in enumerate(windows, 1)}
        turns = self.template.render(explanation=explanation, texts="\n\n".join(texts))
        n_tokens = 40 + sum(20 + 4 * sum(lengths) for lengths in lists.values())
        return _rows_request(features, turns, lists, n_tokens)

    @override
    def read(self, reply: ChatReply, windows: Windows) -> list[LevelsReply | str]:
        def rows(number: int, n_tokens: int) -> LevelsReply:
            lengths = _row_lengths(n_tokens)
            return read_window_rows(reply, number, row_lengths=lengths, top=self.top)

        return read_each(reply, windows, rows)


def _refuse_cut_off(reply: ChatReply) -> None:
    if reply.finish_reason == "length":
        raise NoAnswerError(CUT_OFF)


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


def _rows_request(
    features: Features,
    turns: Iterable[Turn],
    lists: Mapping[str, tuple[int, ...]],
    max_tokens: int,
) -> ChatRequest:
    level = {"type": "integer", "minimum": 0, "maximum": MAX_LEVEL}
    properties, parts = {}, []
    for name, lengths in lists.items():
        row = array_schema(level, least=min(lengths, default=0), most=max(lengths, default=0))
        properties[name] = array_schema(row, least=len(lengths), most=len(lengths))
        rows = in_turn(f'"[" {in_turn(["l"] * n)} "]"' for n in lengths)
        parts.append(f'\\"{name}\\": [" {rows} "]')
    return chat_request(
        features,
        turns,
        max_tokens=max_tokens,
        schema=object_schema("levels", properties),
        # A schema alone lets a small model emit white space without end; a grammar forbids it.
        grammar=f'root ::= "{{{", ".join(parts)}}}"\nl ::= "10" | [0-9]',
        logprobs=True,
    )

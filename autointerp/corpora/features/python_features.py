"""Features of Python's sources, told by Python's own tokenizer and parser."""

from __future__ import annotations

import ast
import io
import keyword
import tokenize
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from autointerp.corpora.features.feature import Feature
from autointerp.corpora.features.token_labels import Span, TokenLabels, labels_of_spans
from autointerp.corpora.features.tokenized_text import TokenizedText

_DEEP = 3
"""Levels of indentation or of brackets from which on they are called deep."""
_NO_STATEMENT = {
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.NL,
    tokenize.COMMENT,
    tokenize.ENDMARKER,
}
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
_STRINGS = {tokenize.STRING} | {
    getattr(tokenize, name) for name in ("FSTRING_MIDDLE",) if hasattr(tokenize, name)
}


@dataclass(frozen=True, slots=True)
class PythonSpans:
    """Ranges of characters of one source, by what they are."""

    comments: list[Span] = field(default_factory=list)
    strings: list[Span] = field(default_factory=list)
    """Literals with their quotes, docstrings too; of f-strings what is no expression."""
    names: list[Span] = field(default_factory=list)
    keywords: list[Span] = field(default_factory=list)
    arguments: list[Span] = field(default_factory=list)
    """Names of parameters where a function is defined."""
    defined: list[Span] = field(default_factory=list)
    """Names of functions and classes where they are defined."""
    shallow_indents: list[Span] = field(default_factory=list)
    """White space before the first word of a statement, one or two levels."""
    deep_indents: list[Span] = field(default_factory=list)
    other_indents: list[Span] = field(default_factory=list)
    """White space before lines that begin no statement: their depth is no block's."""
    shallow_brackets: list[Span] = field(default_factory=list)
    """Words and signs inside one pair of brackets or two."""
    deep_brackets: list[Span] = field(default_factory=list)


def python_features() -> tuple[Feature, ...]:
    """All of them."""
    return (
        _of(
            "code-comment", "comments", lambda s: s.comments, "string literals", lambda s: s.strings
        ),
        _of(
            "code-string", "string literals", lambda s: s.strings, "comments", lambda s: s.comments
        ),
        _of(
            "code-argument",
            "parameters in the definition of a function",
            lambda s: s.arguments,
            "other names",
            lambda s: s.names,
        ),
        _of(
            "code-definition",
            "names of functions and classes where they are defined",
            lambda s: s.defined,
            "other names",
            lambda s: s.names,
        ),
        _of("code-keyword", "keywords", lambda s: s.keywords, "names", lambda s: s.names),
        _of(
            "indent-depth",
            f"the blanks before a statement that is indented {_DEEP} levels or more",
            lambda s: s.deep_indents,
            "the blanks before a statement that is indented less",
            lambda s: s.shallow_indents,
            lambda s: s.other_indents,
        ),
        _of(
            "bracket-depth",
            f"words and signs inside {_DEEP} pairs of brackets or more",
            lambda s: s.deep_brackets,
            "words and signs inside fewer",
            lambda s: s.shallow_brackets,
        ),
    )


_Kind = Callable[[PythonSpans], Sequence[Span]]


def _of(  # noqa: PLR0913, PLR0917 - what a row of the table of features says
    name: str,
    marks: str,
    kind: _Kind,
    hard: str,
    hard_kind: _Kind,
    ignored_kind: _Kind = lambda _spans: (),
) -> Feature:
    def label(text: TokenizedText) -> TokenLabels | None:
        spans = python_spans(text.text)
        if spans is None:
            return None
        return labels_of_spans(
            text, positive=kind(spans), hard=hard_kind(spans), ignored=ignored_kind(spans)
        )

    return Feature.of(name, marks, hard, label, corpus="python")


@lru_cache(maxsize=8)
def python_spans(source: str) -> PythonSpans | None:
    """What stands where in a source; None where it is not this Python's."""
    try:
        tree = ast.parse(source)
        tokens = list(tokenize.generate_tokens(io.StringIO(source, newline="").readline))
    except (SyntaxError, ValueError, tokenize.TokenError, RecursionError, MemoryError):
        return None
    # Lines as Python counts them: a form feed, for one, ends none.
    lines = list(io.StringIO(source, newline=""))
    places = _PythonPlaces(lines)
    spans = PythonSpans()
    _add_tokens(spans, tokens, places)
    _add_indents(spans, tokens, places)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            defined = places.of_byte(node.lineno, node.col_offset)
            for one in _parameters(node.args):
                start = places.of_byte(one.lineno, one.col_offset)
                spans.arguments.append((start, start + len(one.arg), defined))
    return spans


def _parameters(given: ast.arguments) -> list[ast.arg]:
    starred = [one for one in (given.vararg, given.kwarg) if one is not None]
    return [*given.posonlyargs, *given.args, *given.kwonlyargs, *starred]


class _PythonPlaces:
    """Characters of a source by line and column."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._starts = [0]
        for line in lines:
            self._starts.append(self._starts[-1] + len(line))

    def of(self, place: tuple[int, int]) -> int:
        """Of a 1-based line and a column of characters."""
        line, column = place
        return self._starts[min(line, len(self._lines) + 1) - 1] + column

    def indents_but_of(self, lines: Collection[int]) -> Iterator[tuple[int, int]]:
        """The white space that begins each line but those, 1-based."""
        for number, line in enumerate(self._lines, start=1):
            n = len(line) - len(line.lstrip(" \t\f"))
            if n and number not in lines:
                yield self._starts[number - 1], self._starts[number - 1] + n

    def of_byte(self, line: int, column: int) -> int:
        """Of a 1-based line and a column of bytes, as the parser counts."""
        before = self._lines[line - 1].encode()[:column]
        return self._starts[line - 1] + len(before.decode(errors="ignore"))


def _add_tokens(
    spans: PythonSpans, tokens: Sequence[tokenize.TokenInfo], places: _PythonPlaces
) -> None:
    opened, last = list[int](), ("", 0)
    for token in tokens:
        start, end = places.of(token.start), places.of(token.end)
        _add_kind(spans, token, (start, end), last)
        is_operator = token.type == tokenize.OP
        if is_operator and token.string in _CLOSING:
            opened.pop()
        if opened and end > start and token.type not in {tokenize.NL, tokenize.COMMENT}:
            if len(opened) >= _DEEP:
                spans.deep_brackets.append((start, end, opened[-_DEEP]))
            else:
                spans.shallow_brackets.append((start, end))
        if is_operator and token.string in _OPENING:
            opened.append(start)
        if token.type not in {tokenize.INDENT, tokenize.DEDENT}:
            last = (token.string, start)


def _add_indents(
    spans: PythonSpans, tokens: Sequence[tokenize.TokenInfo], places: _PythonPlaces
) -> None:
    level, is_first, lines = 0, True, set[int]()
    for token in tokens:
        level += (token.type == tokenize.INDENT) - (token.type == tokenize.DEDENT)
        if token.type == tokenize.NEWLINE:
            is_first = True
        elif is_first and token.type not in _NO_STATEMENT:
            is_first = False
            lines.add(token.start[0])
            if level:
                own = spans.deep_indents if level >= _DEEP else spans.shallow_indents
                own.append((places.of((token.start[0], 0)), places.of(token.start)))
    spans.other_indents.extend(places.indents_but_of(lines))


def _add_kind(
    spans: PythonSpans, token: tokenize.TokenInfo, span: tuple[int, int], last: tuple[str, int]
) -> None:
    if token.type == tokenize.COMMENT:
        spans.comments.append(span)
    elif token.type in _STRINGS:
        spans.strings.append(span)
    elif token.type == tokenize.NAME:
        _add_name(spans, span, token.string, last)


def _add_name(spans: PythonSpans, span: tuple[int, int], name: str, last: tuple[str, int]) -> None:
    word, place = last
    if keyword.iskeyword(name):
        spans.keywords.append(span)
    elif word in {"def", "class"}:
        spans.defined.append((*span, place))
    else:
        spans.names.append(span)

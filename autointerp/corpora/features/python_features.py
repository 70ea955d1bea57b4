"""Features of Python's sources, told by Python's own tokenizer and parser."""

from __future__ import annotations

import ast
import io
import keyword
import tokenize
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from autointerp.corpora.features.feature import Feature
from autointerp.corpora.features.token_labels import TokenLabels, labels_of_spans
from autointerp.corpora.features.tokenized_text import TokenizedText

_DEEP = 3
"""Levels of indentation or of brackets from which on they are called deep."""
_WIDTH = 4
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
_STRINGS = {tokenize.STRING} | {
    getattr(tokenize, name) for name in ("FSTRING_MIDDLE",) if hasattr(tokenize, name)
}


@dataclass(frozen=True, slots=True)
class PythonSpans:
    """Ranges of characters of one source, by what they are."""

    comments: list[tuple[int, int]] = field(default_factory=list)
    strings: list[tuple[int, int]] = field(default_factory=list)
    """Literals with their quotes, docstrings too; of f-strings what is no expression."""
    names: list[tuple[int, int]] = field(default_factory=list)
    keywords: list[tuple[int, int]] = field(default_factory=list)
    arguments: list[tuple[int, int]] = field(default_factory=list)
    """Names of parameters where a function is defined."""
    defined: list[tuple[int, int]] = field(default_factory=list)
    """Names of functions and classes where they are defined."""
    shallow_indents: list[tuple[int, int]] = field(default_factory=list)
    """White space before the first word of a line, one or two levels."""
    deep_indents: list[tuple[int, int]] = field(default_factory=list)
    shallow_brackets: list[tuple[int, int]] = field(default_factory=list)
    """Words and signs inside one pair of brackets or two."""
    deep_brackets: list[tuple[int, int]] = field(default_factory=list)


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
            f"the blanks before a line that is indented {_DEEP} levels or more",
            lambda s: s.deep_indents,
            "the blanks before a line that is indented less",
            lambda s: s.shallow_indents,
        ),
        _of(
            "bracket-depth",
            f"words and signs inside {_DEEP} pairs of brackets or more",
            lambda s: s.deep_brackets,
            "words and signs inside fewer",
            lambda s: s.shallow_brackets,
        ),
    )


_Kind = Callable[[PythonSpans], Sequence[tuple[int, int]]]


def _of(name: str, marks: str, kind: _Kind, hard: str, hard_kind: _Kind) -> Feature:
    def label(text: TokenizedText) -> TokenLabels | None:
        spans = python_spans(text.text)
        if spans is None:
            return None
        return labels_of_spans(text, positive=kind(spans), hard=hard_kind(spans))

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
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            start = places.of_byte(node.lineno, node.col_offset)
            spans.arguments.append((start, start + len(node.arg)))
    return spans


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

    def of_byte(self, line: int, column: int) -> int:
        """Of a 1-based line and a column of bytes, as the parser counts."""
        before = self._lines[line - 1].encode()[:column]
        return self._starts[line - 1] + len(before.decode(errors="ignore"))


def _add_tokens(
    spans: PythonSpans, tokens: Sequence[tokenize.TokenInfo], places: _PythonPlaces
) -> None:
    depth, last, is_first = 0, "", True
    for token in tokens:
        span = (places.of(token.start), places.of(token.end))
        _add_kind(spans, token, span, last)
        depth -= token.type == tokenize.OP and token.string in _CLOSING
        if depth and span[1] > span[0] and token.type not in {tokenize.NL, tokenize.COMMENT}:
            (spans.deep_brackets if depth >= _DEEP else spans.shallow_brackets).append(span)
        depth += token.type == tokenize.OP and token.string in _OPENING
        if token.type in {tokenize.INDENT, tokenize.DEDENT}:
            continue
        if is_first and not depth and token.type != tokenize.NL and token.start[1]:
            _add_indent(spans, (span[0] - token.start[1], span[0]), token.start[1])
        is_first = token.type in {tokenize.NEWLINE, tokenize.NL}
        last = token.string


def _add_kind(
    spans: PythonSpans, token: tokenize.TokenInfo, span: tuple[int, int], last: str
) -> None:
    if token.type == tokenize.COMMENT:
        spans.comments.append(span)
    elif token.type in _STRINGS:
        spans.strings.append(span)
    elif token.type == tokenize.NAME:
        _add_name(spans, span, token.string, last)


def _add_name(spans: PythonSpans, span: tuple[int, int], name: str, last: str) -> None:
    if keyword.iskeyword(name):
        spans.keywords.append(span)
    else:
        (spans.defined if last in {"def", "class"} else spans.names).append(span)


def _add_indent(spans: PythonSpans, span: tuple[int, int], width: int) -> None:
    deep = width >= _DEEP * _WIDTH
    (spans.deep_indents if deep else spans.shallow_indents).append(span)

"""A description without what a model wraps around the whole of it."""

from __future__ import annotations

import re

from autointerp.llm.plain_form import plain_entities

_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "„": "“”", "「": "」", "『": "』"}
_QUOTES |= {"‹": "›", "《": "》", "＂": "＂", "”": "”", "»": "«", "〈": "〉", "〝": "〞〟"}
_SHARED = re.compile(r"([*_`]{1,3})(?=[^\s*_`])([^*_`]*[^\s*_`])\1")
_ELEMENT = re.compile(
    r"<([A-Za-z][\w:.-]*)(?: [^<>]*)?>([^<>]*|\s*<!\[CDATA\[[^<>]*\]\]>\s*)</\1\s*>"
)
_DATA = re.compile(r"<!\[CDATA\[(.*)\]\]>")
_COMMAND = re.compile(r"[$\\\[( ]*\\(?:text|math|emph|mbox|boxed|fbox)\w*\{([^{}]*)\}[$\\\]) ]*")
_TRIPLE = re.compile(r"\"{3}([^\"]+)\"{3}|'{3}([^']+)'{3}")
_BEFORE = re.compile(r"(?:[-*•>|]|#{1,6})[ \t]+(?=\S)|[|(\[](?=[^()\[\]|]*[|)\]]$)")
_CITED = re.compile(r"[ ]*【[^【】]*†[^【】]*】[ .]*$")
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff \t"
_MOST = 8


def unwrapped(text: str) -> str:
    """The text without quotes of any script, emphasis, an element or a command around all of it."""
    for _ in range(_MOST):
        inner = _inner(text.strip(_INVISIBLE))
        if inner == text:
            break
        text = inner
    return text


def unwrapped_line(line: str) -> str:
    """The same of a line of Markdown, which may be that of a list, a quotation or a heading."""
    line = plain_entities(line.strip())
    mark = _BEFORE.match(line)
    if mark is None:
        return unwrapped(line)
    rest = line[mark.end() :]
    return unwrapped(rest.rstrip("|)] \t") if mark[0] in "|([" or mark[0][0] == "|" else rest)


def _inner(text: str) -> str:
    for form in (_DATA, _ELEMENT, _COMMAND, _TRIPLE):
        whole = form.fullmatch(text)
        if whole:
            return whole[whole.lastindex or 0]
    emphasis = _SHARED.fullmatch(text)
    if emphasis:
        return emphasis[2]
    text = _CITED.sub("", text)
    behind = _QUOTES.get(text[:1], "")
    within = text[1:-1]
    is_quoted = len(text) > 1 and text[-1] in behind if behind else False
    if is_quoted and text[0] not in within and text[-1] not in within:
        return within
    return text

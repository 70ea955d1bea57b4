"""A reply's text without what only dresses it, of the same length, so that places in it stay."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_ENTITIES = {"lt": "<", "gt": ">", "quot": '"', "apos": "'", "amp": "&", "nbsp": " "}
_ENTITY = re.compile(rf"&({'|'.join(_ENTITIES)}|#\d+);")
_CDATA = re.compile(r"<!\[CDATA\[|\]\]>")
_COMMAND = re.compile(r"\\(?!boxed|fbox)[A-Za-z]+(?=\{)|\\(?:left|right|displaystyle)\b")
_FRACTION = re.compile(r"\\[dtc]?frac\{([^{}]*)\}\{([^{}]*)\}")
# A box that is not ticked, and what is struck out, say what the answer is not.
_LEFT_OUT = re.compile(
    r"(?:\[ \](?= \w)|[☐□⬜])[^\n\[☐☑☒□■⬜✅✓✔]*|~~[^\n~]*~~|<(del|strike)>[^<]*</\1>"
    r"|\[[xX]\](?= \w)"
)
_FORMATTING = re.compile(
    r"</?(?:[biua]|em|strong|code|span|mark|p|div|font|small|big|su[bp]|br|hr|[uo]l|li)"
    r"(?: [^<>\n]*)?/?>",
    re.IGNORECASE,
)
_CITED = re.compile(r"【[^【】\n]*†[^【】\n]*】|(?<=\d) ?\[\^?\d{1,2}\](?!\()")
_RUN = re.compile(r"([^\w\s\[\](){}]|_)\1{39,}")
_SHOWN = 3
_PLAIN_FORMS = {"<wide>", "<narrow>", "<font>", "<circle>"}


def plain_form(text: str) -> str:
    """The text with wide, bold and circled letters and digits as plain ones, and less markup.

    Blanked are the marks of character data and of HTML's formatting, the names of LaTeX's commands
    but for boxes, what is struck out or not ticked, and marks of citations; entities are what they
    stand for.
    """
    text = plain_characters(text)
    text = _ENTITY.sub(_meant, text)
    text = _FRACTION.sub(_fraction, text)
    for left_out in (_CDATA, _COMMAND, _LEFT_OUT, _FORMATTING, _CITED):
        text = left_out.sub(lambda match: re.sub(r"\S", " ", match[0]), text)
    return text


def without_runs(text: str) -> str:
    """The text with a sign that stands forty times or more in a row three times, and blanks.

    Some models write one sign until they are stopped, which patterns would look at again from each.
    """
    return _RUN.sub(lambda run: run[0][:_SHOWN].ljust(len(run[0])), text)


def plain_entities(text: str) -> str:
    """The text with entities as the characters that they stand for."""
    return _ENTITY.sub(lambda entity: _meant(entity).strip(" ") or " ", text)


def plain_characters(text: str) -> str:
    """The text with wide, bold and circled letters and digits of any script as plain ones."""
    return text if text.isascii() else "".join(map(_plain, text))


@lru_cache(maxsize=4_096)
def _plain(character: str) -> str:
    if unicodedata.decomposition(character).partition(" ")[0] in _PLAIN_FORMS:
        plain = unicodedata.normalize("NFKC", character)
        return plain if len(plain) == 1 else character
    digit = unicodedata.decimal(character, None)
    return character if digit is None else str(digit)


def _meant(entity: re.Match[str]) -> str:
    """The character that an entity stands for, beside what it may mark."""
    name = entity[1]
    character = _ENTITIES.get(name) or chr(min(int(name[1:]), 0x10FFFF))
    return character.ljust(len(entity[0])) if name == "gt" else character.rjust(len(entity[0]))


def _fraction(fraction: re.Match[str]) -> str:
    over, below = fraction[1], fraction[2]
    return f"{over}/{below}".rjust(len(fraction[0]))

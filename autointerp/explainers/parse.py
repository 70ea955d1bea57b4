"""Reading an LLM's explanation: what counts as one, and why something does not."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from contextlib import suppress

from autointerp.explainers.labelled_text import labelled_text
from autointerp.explainers.unwrapped import unwrapped, unwrapped_line
from autointerp.llm.answers import ONLY_REASONING, NoAnswerError, find_object
from autointerp.llm.json_in_text import json_objects
from autointerp.llm.plain_form import without_runs
from autointerp.llm.thoughts import without_thoughts

NO_PATTERN = "no single pattern"
_CHARS_A_WORD = 40
"""Far more than words have, so that a text without blanks is limited too."""


class TooManyWordsError(NoAnswerError):
    """A description is longer than asked for."""

    def __init__(self, n_words: int, max_words: int) -> None:
        super().__init__(f"the explanation {words_said(n_words, max_words)}")
        self.n_words = n_words


_REFUSAL = re.compile(
    r"^(?:i(?:['’]?m| am) (?:very |so )?(?:sorry|not able|unable)|sorry, (?:but )?i"
    r"|i (?:can(?:not|['’]t)|won['’]t|will not)|as an ai|unfortunately,? i"
    r"|(?:my )?apologies,? (?:but )?i)\b",
    re.IGNORECASE,
)
# A rule, or two dashes, in a line for itself.
_SIGNATURE = re.compile(r"(?<=\S)[ \t]*\n\s*(?:--|-{3,}|_{3,}|\*{3,})[ \t]*\n")
_UNQUOTED = re.compile(
    r"\{\s*[\"']?explanation[\"']?\s*:\s*+([^\"'{}\[\]\n]*[^\"'{}\[\]\s,])[\s,]*+\}", re.I
)
_FENCE = re.compile(r"[ \t]*(?:`{3,}|~{3,})[ \t]*\w*[ \t]*")
# A line that ends in a colon, or one or two words of greeting.
_INTRODUCTION = re.compile(
    r".*[:：][ \t*_]*|\W*\w+(?: \w+)?[!！]\W*|[ \t]*-{3,}[ \t]*"
    r"|\W*(?i:ok(?:ay)?|sure|certainly|of course|alright|understood)\W*"
)
_PREAMBLE = re.compile(
    r"^(?:the|this) (?:neuron|feature|unit) "
    r"(?:(?:is )?(?:active|activates?|fires?|responds?|looks?)(?: strongly)?"
    r" (?:on|for|to|at|when|in)|detects)\s+",
    re.IGNORECASE,
)

# As in "`a` and `b`", of which no mark at an end may go.
_PARTLY_MARKED = re.compile(r"^([`*]+)[^`*]+\1(?=.)|(?<=.)([`*]+)[^`*]+\2$")
# An apostrophe within or behind a word opens nothing.
_QUOTATION = re.compile(r"""(?<!\w)(["'`])[^"'`]*\1(?!\w)|“[^”]*”|„[^“”]*[“”]|‘[^’]*’|«[^»]*»""")


def parse_explanation(reply: str, *, as_json: bool, max_words: int) -> str:
    """The explanation in a reply, as one line without quotes or introduction.

    Raises:
        NoAnswerError: it is empty, a refusal, reasoning without an answer, not of the
            form asked for, or over-long.
    """
    text = answer_text(reply)
    return parse_phrase(_json_field(text) if as_json else _line(text), max_words=max_words)


def parse_phrase(text: str, *, max_words: int) -> str:
    """A description as one line without quotes or introduction.

    Raises:
        NoAnswerError: it holds no words, too many, or a refusal.
    """
    line = _one_line(_SIGNATURE.split(text.strip(), maxsplit=1)[0])
    refuse_refusal(line)
    line = _PREAMBLE.sub("", line).strip(" .")
    line = line if _PARTLY_MARKED.search(line) else line.strip(" .`*")
    line = unwrapped(line).strip()
    if not re.search(r"\w", line):
        raise NoAnswerError("the reply held no words")
    if len(line) > _CHARS_A_WORD * max_words:
        most = _CHARS_A_WORD * max_words
        msg = f"the explanation has {len(line)} characters, at most {most} are allowed"
        raise NoAnswerError(msg)
    n_words = count_words(line)
    if n_words > max_words:
        raise TooManyWordsError(n_words, max_words)
    return line


def count_words(text: str) -> int:
    """What stands between blanks; those at the edges of a quotation, as in ``" of"``, make none."""

    def closed_up(quotation: re.Match[str]) -> str:
        text = quotation[0]
        return text[0] + text[1:-1].strip() + text[-1]

    return len(_QUOTATION.sub(closed_up, text).split())


def words_said(n_words: int, max_words: int) -> str:
    """How many words something has, how many it may have, and what a word is."""
    counted = "words are what stands between blanks"
    return f"has {n_words} words, at most {max_words} are allowed ({counted})"


def over_long(n_words: Mapping[int, int], max_words: int) -> str:
    """Which of several descriptions are too long, by their number from 1 on, and by how much."""
    *others, (last, n) = n_words.items()
    lengths = [f"description {number} has {n} words" for number, n in others]
    return ", ".join([*lengths, f"description {last} {words_said(n, max_words)}"])


def answer_text(reply: str) -> str:
    """The reply without its thoughts.

    Raises:
        NoAnswerError: nothing else is in it.
    """
    text = without_runs(without_thoughts(reply)).strip()
    if not text:
        raise NoAnswerError(ONLY_REASONING if reply.strip() else "the reply held nothing")
    return text


def refuse_refusal(text: str) -> None:
    """Raises `NoAnswerError` where a text is a refusal."""
    if _REFUSAL.match(text):
        raise NoAnswerError(f"the reply is a refusal: {text[:60]!r}")


def _one_line(text: str) -> str:
    """The words, without control characters and without halves of characters."""
    known = (" " if unicodedata.category(c) in {"Cc", "Cs"} else c for c in text)
    return " ".join("".join(known).split())


def _line(text: str) -> str:
    """The line that gives the explanation: marked as it, or the first that is no introduction."""
    refuse_refusal(text)
    if _is_object(text):
        return _json_field(text)
    if "explanation" in text.lower() and re.search("[{｛]", text):
        with suppress(NoAnswerError):
            return _json_field(text)
    marked = labelled_text(text, any_name=False)
    if marked is not None:
        return unwrapped_line(marked)
    lines = [line for line in text.split("\n") if line.strip() and not _FENCE.fullmatch(line)]
    begins = next((i for i, line in enumerate(lines) if not _INTRODUCTION.fullmatch(line)), 0)
    return unwrapped_line(lines[begins]) if lines else ""


def _is_object(text: str) -> bool:
    """Whether nothing else is in it than a JSON object, which is no explanation itself."""
    found = json_objects(text)
    return len(found) == 1 and not (text[: found[0].start] + text[found[0].end :]).strip()


def _json_field(text: str) -> str:
    what = 'a text under "explanation"'
    try:
        field = find_object(text, "explanation", what=what, kind=str).value["explanation"]
    except NoAnswerError:
        refuse_refusal(text)
        unquoted = _UNQUOTED.search(text)
        line = unquoted[1] if unquoted else labelled_text(text, any_name=True)
        if line is None:
            raise
        return unwrapped_line(line)
    if isinstance(field, list | dict) and len(field) == 1:
        [field] = field.values() if isinstance(field, dict) else field
    if not isinstance(field, str):
        raise NoAnswerError(f"the reply is not JSON with {what}: {field!r:.40}")
    return field

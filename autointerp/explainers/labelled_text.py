"""Where an explanation stands in a reply that is not in the form asked for: behind what marks it.

A mark is a box, an element, a heading or a label with a colon, whatever its language. Of several
the last counts whose name is that of an explanation in one of many languages, else the last of all
that is not known to be another's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_NAMES = re.compile(
    r"(?:the |short |final |my |\W)*(?:expl[ai]|answer|final|descri|interpret|summar|conclusi|label"
    r"|verklar|uitleg|beschr|erkl[äa]r|antwort|r[ée]pons|respuesta|resposta|risposta|spiegaz|svar"
    r"|f[öo]rklar|wyja[śs]n|odpowied|a[çc]ıklama|объясн|поясн|ответ|解[释釋説]|说明|說明|説明|答|回答"
    r"|结论|結論|설명|답|정답|결론|شرح|توضیح|تفسیر|व्याख्या"
    r"|giải thích|penjelasan|vysv[ěe]tl|magyar[áa]z)",
    re.IGNORECASE,
)
_OTHERS = re.compile(
    r"error|warn|note|reason|think|thought|analy|confiden|certain|score|rating|example|evidence"
    r"|input|text|token|question|prompt|neuron|step|https?$|sorry|fehler|erreur|ошибка|错误|エラー"
    r"|오류|分析|思考|理由|置信|信心|begründung|sicherheit|confian|raison|\d",
    re.IGNORECASE,
)
_HEADING = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]*(?P<hashes>[^\n#]+?)[ \t#]*"
    r"|(?P<bold>\*\*|__)(?P<name>[^\n*]+?)(?P=bold))[ \t]*[:：]?[ \t]*$",
    re.MULTILINE,
)
_LABEL = re.compile(
    r"^[ \t]*(?:[-*•>#]+[ \t]+)?[*_\"'`]*(?P<name>[^\W\d_][^\n:：=→<>{}\[\]|]{0,30}?)"
    r"[ \t]*[*_\"'`]*[ \t]*(?P<sign>[:：]|=>?|→|->)[*_]*[ \t]*(?P<rest>[^\n]*)$",
    re.MULTILINE,
)
_ELEMENT = re.compile(
    r"^[ \t]*(?:<[^<>\n]+>[ \t]*)*<(?P<name>[A-Za-z][\w:.-]*)[^<>\n]*>(?P<text>[^<>]+)</(?P=name)>",
    re.MULTILINE,
)
_BOX = re.compile(
    r"(?:\A|\n|[:：$]|\bis)[ \t$*\\\[(]*\\(?:boxed|fbox)\{((?:[^{}]|\{[^{}]*\})*)\}[\W_]*\Z"
)
_COMMAND = re.compile(r"\\(?:text\w*|math\w*|mbox)\{([^{}]*)\}")
_MOST_WORDS, _FEW_WORDS = 4, 2


@dataclass(frozen=True, slots=True)
class _Marked:
    """A text that something marks."""

    start: int
    name: str
    text: str


def labelled_text(text: str, *, any_name: bool) -> str | None:
    """The line that a reply marks as its explanation; None where nothing does.

    Where any name may mark it, the last that is not known to be another's does; else a name must be
    known, and be written as names are, since an explanation may hold a colon.
    """
    box = _BOX.search(text)
    if box is not None:
        return _COMMAND.sub(r"\1", box[1]).strip() or None
    if re.search(r"[{[]\s*[\"']", text):
        # Broken or other JSON.
        return None
    marked = sorted((*_elements(text), *_titled(text), *_labelled(text)), key=lambda one: one.start)
    known = [one for one in marked if _NAMES.match(one.name) and (any_name or _is_written(one))]
    if not known and any_name:
        known = [one for one in marked if not _OTHERS.search(one.name)]
    return known[-1].text if known else _last_heading(text)


def _elements(text: str) -> Iterator[_Marked]:
    for one in _ELEMENT.finditer(text):
        if re.search(r"\w", one["text"]):
            yield _Marked(one.start(), one["name"], one["text"].strip())


def _titled(text: str) -> Iterator[_Marked]:
    """What stands below a heading, or a label alone in its line."""
    alone = (one for one in _LABEL.finditer(text) if not one["rest"] and one["sign"] in ":：")
    for one in (*_HEADING.finditer(text), *alone):
        name = one.groupdict().get("hashes") or one["name"]
        below = next((line for line in text[one.end() :].splitlines() if line.strip()), "")
        if below and _is_name(name) and not (_HEADING.match(below) or _LABEL.match(below)):
            yield _Marked(one.start(), name, below.strip())


def _labelled(text: str) -> Iterator[_Marked]:
    """What stands behind a label in its line."""
    for one in _LABEL.finditer(text):
        # Other signs than colons stand in formulas and lists too.
        is_label = one["sign"] in ":：" or _NAMES.match(one["name"])
        if one["rest"] and is_label and _is_name(one["name"]):
            yield _Marked(one.start(), one["name"], one["rest"].strip())


def _is_name(text: str) -> bool:
    return len(text.split()) <= _MOST_WORDS


def _is_written(one: _Marked) -> bool:
    """Whether a name is short, and begins with a capital, or as it does where there are none."""
    letter = next(filter(str.isalpha, one.name), "a")
    is_known_field = one.name.strip().lower() in {"explanation", "answer"}
    return is_known_field or (len(one.name.split()) <= _FEW_WORDS and not letter.islower())


def _last_heading(text: str) -> str | None:
    """The heading of hashes that ends a reply, as some put a short answer."""
    heading = _HEADING.fullmatch(text.rstrip().rpartition("\n")[2])
    return heading["hashes"].strip() if heading and heading["hashes"] else None

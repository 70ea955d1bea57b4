"""Where an explanation stands in a reply that is not in the form asked for: behind what marks it.

A mark is a box, an element, a heading or a label with a colon, whatever its language. Of several
the last counts whose name is that of an explanation in one of many languages, else the last of all
that is not known to be another's.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from autointerp.llm.plain_form import plain_entities

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
    r"^[ \t]*(?:#{1,6}[ \t]*+(?P<hashes>[^\n# \t](?:[^\n#]*?[^\n# \t])??)[ \t#]*+"
    r"|\\(?:sub)*section\*?\{(?P<section>[^{}\n]+)\}"
    r"|(?P<above>[^\W\d_][^\n:]{0,40}?)[ \t]*\n(?:={3,}|-{3,})"
    r"|(?P<bold>\*\*|__)(?P<name>[^\n*]+?)(?P=bold))[ \t]*+[:：]?[ \t]*+$",
    re.MULTILINE,
)
_LABEL = re.compile(
    r"^[ \t]*(?:(?:[-*•>#]+|\d{1,2}[.)])[ \t]+)?(?:\\\w+\{)?[*_\"'`\[(]*"
    r"(?P<name>[^\W\d_][^\n:：=→<>{}\[\]|\t]{0,30}?)"
    r"(?:[ \t]*+[*_\"'`\])]+)?[ \t]*(?P<sign>[:：\t]|=>?|→|->|—|[ ][-–](?=[ ]))[*_}]*"
    r"[ \t]*(?P<rest>[^\n]*)$",
    re.MULTILINE,
)
_ELEMENT = re.compile(
    r"^[ \t]*(?:<[^<>\n]+>[ \t]*)*<(?P<name>[A-Za-z][\w:.-]*)[^<>\n]*>"
    r"(?P<text>(?:[^<>]|<!\[CDATA\[|\]\]>|</?(?:b|i|em|strong|code)>)+)</(?P=name)>",
    re.MULTILINE,
)
_TAG = re.compile(r"<[A-Za-z][^<>]*>[^<>]*</[^<>]*>|<[^<>]*>")
_INNER = re.compile(r"<!\[CDATA\[|\]\]>|</?(?:b|i|em|strong|code)>")
_ROW = re.compile(r"^[ \t]*\|(?P<cells>[^\n]*)\|[ \t]*$", re.MULTILINE)
_QUOTED = r"\"[^\"\n]+\"|“[^”\n]+”|„[^“”\n]+[“”]|«[^»\n]+»|「[^」\n]+」|『[^』\n]+』"
_SAYS = re.compile(
    rf"^(?P<article>[^\W\d_]{{1,3}}[ ’']|[^A-Za-z\n\"“„«「『:]{{0,20}}?(?=[^\x00-\u02ff]))?"
    rf"(?P<name>(?:{_NAMES.pattern})[^\s:：\"“„«「『]{{0,15}})\s*(?P<verb>[^\W\d_]{{1,20}}\s*)?[:：]?\s*"
    rf"(?P<text>{_QUOTED})(?P<behind>[^\n\"“„«「『]*)$",
    re.MULTILINE | re.IGNORECASE,
)
# Longer ones say more than what the explanation is.
_SHORT_LINE = re.compile(r"^(?=[^\n]*[\"“„«「『])[^\n]{3,200}$", re.MULTILINE)
_LINE_WITH_TEXT = re.compile(r"^[^\S\n]*\S[^\n]*", re.MULTILINE)
_BLOCK = re.compile(r"[|>][+-]?\d?")
_LAST_BOLD = re.compile(r"[ \t]*(\*\*|__)(?P<text>[^\n*:：!?]+)\1[. \t]*")
_BOX = re.compile(
    r"(?:\A|\n|[:：$]|\bis)[ \t$*\\\[(]*\\(?:boxed|fbox)\{((?:[^{}]|\{[^{}]*\})*)\}[\W_]*\Z"
)
_WHOLE = re.compile(r"[$\\\[(\s]*\\(?:text|math)\w*\{([^{}]*)\}[$\\\])\s.]*")
_COMMAND = re.compile(r"\\(?:text\w*|math\w*|mbox)\{([^{}]*)\}")
_MOST_WORDS, _FEW_WORDS = 4, 2
_PAIR, _FEW_BEHIND = 2, 3


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
    text = plain_entities(text)
    whole = _WHOLE.fullmatch(text)
    if whole is not None:
        return whole[1].strip()
    if re.search(r"[{[]\s*[\"'“]", text):
        # Broken or other JSON.
        return None
    found = (*_elements(text), *_titled(text), *_labelled(text), *_cells(text), *_sentences(text))
    marked = sorted(found, key=lambda one: one.start)
    known = [one for one in marked if _NAMES.match(one.name) and (any_name or _is_written(one))]
    if not known and any_name:
        known = [one for one in marked if not _OTHERS.search(one.name)]
    return known[-1].text if known else _last_heading(text) or _last_bold(text)


def _elements(text: str) -> Iterator[_Marked]:
    for one in _ELEMENT.finditer(text):
        # One of any name in a sentence is spoken of, or marks a word.
        line = text.find("\n", one.end())
        behind = _TAG.sub("", text[one.end() : None if line < 0 else line])
        is_alone = _NAMES.match(one["name"]) or not re.search(r"\w", behind)
        if is_alone and re.search(r"\w", one["text"]):
            yield _Marked(one.start(), one["name"], _INNER.sub("", one["text"]).strip())


def _cells(text: str) -> Iterator[_Marked]:
    """Cells of a table beside a first cell with a name, and below a head."""
    head: list[str] = []
    for row in _ROW.finditer(text):
        cells = [cell.strip(" \t*_`") for cell in row["cells"].split("|")]
        if not re.search(r"\w", row["cells"]):
            continue
        if len(cells) == _PAIR and _NAMES.match(cells[0]) and not _NAMES.match(cells[1]):
            yield _Marked(row.start(), cells[0], cells[1])
        is_head = all(_NAMES.match(name) or _OTHERS.search(name) for name in head)
        for name, cell in zip(head if is_head else (), cells, strict=False):
            if _NAMES.match(name) and cell:
                yield _Marked(row.start(), name, cell)
        head = head or cells


def _sentences(text: str) -> Iterator[_Marked]:
    """Quotations in sentences that say what the explanation is, and little else.

    Without an article the name is as in ``labels like "a"``, which may be an explanation itself.
    """
    for line in _SHORT_LINE.finditer(text):
        one = _SAYS.match(text, *line.span())
        if one is None:
            continue
        name = one["name"].capitalize() if one["article"] is not None else one["name"].lower()
        if len(re.findall(r"\w", one["behind"])) <= _FEW_BEHIND:
            yield _Marked(one.start(), name, one["text"])


def _titled(text: str) -> Iterator[_Marked]:
    """What stands below a heading, or a label alone in its line."""
    alone = (one for one in _LABEL.finditer(text) if not one["rest"] and one["sign"] in ":：")
    for one in (*_HEADING.finditer(text), *alone):
        parts = one.groupdict()
        name = parts.get("hashes") or parts.get("section") or parts.get("above") or one["name"]
        found = _LINE_WITH_TEXT.search(text, one.end())
        below = found[0] if found else ""
        if below and _is_name(name) and not (_HEADING.match(below) or _LABEL.match(below)):
            yield _Marked(one.start(), name, below.strip())


def _labelled(text: str) -> Iterator[_Marked]:
    """What stands behind a label in its line."""
    for one in _LABEL.finditer(text):
        # Other signs than colons stand in formulas and lists too.
        is_label = one["sign"] in ":：" or _NAMES.match(one["name"])
        if _BLOCK.fullmatch(one["rest"].strip()):
            below = itertools.takewhile(str.strip, text[one.end() + 1 :].split("\n"))
            lines = itertools.takewhile(lambda line: line[0] in " \t", below)
            yield _Marked(one.start(), one["name"], " ".join(map(str.strip, lines)))
        elif one["rest"] and is_label and _is_name(one["name"]) and not _is_quoted(one):
            yield _Marked(one.start(), one["name"], one["rest"].strip())


def _is_quoted(label: re.Match[str]) -> bool:
    """Whether a quotation ends right behind it, as in ``"Answer:" before an answer``."""
    mark = label["rest"][0]
    return mark in "\"'`" and label[0][: label.start("sign") - label.start()].count(mark) % 2 == 1


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


def _last_bold(text: str) -> str | None:
    """The bold last line that ends a reply, unless it names something else."""
    bold = _LAST_BOLD.fullmatch(text.rstrip().rpartition("\n")[2])
    return None if bold is None or _OTHERS.search(bold["text"]) else bold["text"].strip()

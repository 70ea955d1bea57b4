"""Values of replies that stand under a name: in an element, a table, an object or behind a label.

Of several with other values those count whose name is that of an answer; where that does not tell
them apart, none does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from autointerp.llm.json_in_text import json_objects
from autointerp.llm.rival_answers import SeveralValuesError, refuse_rivals

ANSWER_NAMES = re.compile(
    r"(?<![^\W\d_])(?:(?:answer|result|rating|rate|score|verdict|final|respon|reply|output|decision"
    r"|judg|conclu|grade|antwort|ergebnis|bewertung|r[ée]pons|respuesta|resposta|risposta|svar"
    r"|odpowied|odpov|cevap|vastaus|jawaban|trả lời|ответ|оцен|απάντηση|उत्तर))"
    r"|答|评分|評分|評価|结论|結論|スコア|답|점수|평가|جواب|إجابة|תשוב|คำตอบ",
    re.IGNORECASE,
)
"""What a name holds that is an answer's, where several values stand under names."""
_OTHERS = re.compile(
    r"confid|certain|probab|reason|thought|thinking|analys|explan|sicherheit|begründung|confian"
    r"|置信|信心|理由|思考|уверен|причин",
    re.IGNORECASE,
)
_SURE = (
    r"(?:[A-Za-z]+[ _-])?(?:confiden|certain|probab|sicherheit|confian|置信|信心|確信|уверен)\w*"
)
_ASIDE = re.compile(
    rf"<({_SURE})>[^<>]*</\1>"
    rf"|^[^\w\n]*{_SURE}[^\w\n:=：]*[:=：] *[^\s\"{{]\S*(?: \S+){{0,2}}[ \t]*$",
    re.MULTILINE | re.IGNORECASE,
)
_ELEMENT = re.compile(r"<(?P<name>[A-Za-z][\w:.-]*)(?: [^<>\n]*)?>(?P<value>[^<>]*)</(?P=name)\s*>")
_TAG = re.compile(r"<([A-Za-z][\w:.-]*)[^<>]*>[^<>]*</\1>|</?[A-Za-z][^<>]*>")
_EMPTY = re.compile(r"<(?P<name>[A-Za-z][\w:.-]*)(?P<attributes>\s[^<>]*)/>")
_ATTRIBUTE = re.compile(r"""(?P<name>[\w:.-]+)\s*=\s*["']?(?P<value>[^"'=<>]*)["']?""")
_BOX = re.compile(r"(?P<name>\\(?:boxed|fbox))\{(?P<value>(?:[^{}]|\{[^{}]*\})*)\}")
_ROW = re.compile(r"^[ \t]*\|(?P<cells>[^\n]*)\|[ \t]*$", re.MULTILINE)
_RULE = re.compile(r"[\s:|+-]*-[\s:|+-]*")
_FIELD = re.compile(
    r'"(?P<name>[^"\n]{1,60})"\s*:\s*(?P<value>"[^"\n]*"|[^\s"\[\]{},]+)\s*(?=[,}])'
)
_LINE = re.compile(
    r"^[ \t>*•-]*(?P<name>[^\W\d_][^\n:：=|\t{}]{0,40}?)[ \t*_`\"]*(?:[:：\t]|=>?|→)"
    r"(?P<value>[^\n]*(?:\n[ \t]+[^\n]*)?)$",
    re.MULTILINE,
)
_HEADING = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]*+(?P<hashes>[^\n# \t](?:[^\n#]*?[^\n# \t])??)[ \t#]*+"
    r"|(?:\*\*|__)(?P<bold>[^\n*_]+?)(?:\*\*|__))[ \t:：]*\n\s*(?P<value>[^\n]+)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class _Named:
    """A part of a text that stands under a name."""

    name: str
    start: int
    end: int


def named_value(text: str, pattern: str) -> re.Match[str] | None:
    """What fits the pattern, as group 1, and is all that stands under a name; None for nothing.

    Boxes go before elements, those before tables, those before objects, those before lines with a
    label and lines below a heading, whose name must be that of an answer.

    Raises:
        SeveralValuesError: several that differ do so in an element, a table or an object.
    """
    alone = re.compile(rf"[\W_]*?({pattern})[\W_]*", re.IGNORECASE)
    # Where a label stands, a sentence may follow.
    begins = re.compile(
        rf"[\W_]*?({pattern})(?:[*_\"'`\]]*\s*(?:[,;.(—–]|\s-\s)(?![^\n]*{pattern}\s*\(|\s*{pattern})[^\n]*|[\W_]*)",
        re.IGNORECASE,
    )
    boxes = [one for part in _boxes(text) if (one := alone.fullmatch(text, part.start, part.end))]
    if boxes:
        return _last_of_line(text, boxes)
    for kind in (_elements, _cells, _fields):
        found = _picked(text, list(kind(text)), alone)
        if found is not None:
            return found
    lines = [part for part in (*_lines(text), *_headings(text)) if ANSWER_NAMES.search(part.name)]
    differing = _differing(text, begins)
    if differing and not any(_without_number(part.name) not in differing for part in lines):
        raise SeveralValuesError
    found = _last_of_one(text, [part for part in lines if _is_short(part.name)], begins)
    if found is None:
        return None
    end = text.find("\n", found.end(1))
    _refuse_correction(text, found, pattern)
    return refuse_rivals(text, found, pattern, len(text) if end < 0 else end)


def _refuse_correction(text: str, found: re.Match[str], pattern: str) -> None:
    """Raises where the last line gives another value under the name of an answer."""
    last = text.rstrip().rfind("\n", found.end(1)) + 1
    form = re.compile(rf"[^\n]*[:=：][\W_]*({pattern})[\W_]*", re.IGNORECASE)
    other = form.fullmatch(text, last) if last else None
    is_named = other and ANSWER_NAMES.search(text, last, other.start(1))
    if is_named and other and other[1].lower() != found[1].lower():
        raise SeveralValuesError


def _last_of_line(text: str, boxes: list[re.Match[str]]) -> re.Match[str]:
    """The last box, unless another stands in its line."""
    last = boxes[-1]
    line = text.rfind("\n", 0, last.start())
    if any(one.start() > line and one[1].lower() != last[1].lower() for one in boxes):
        raise SeveralValuesError
    return last


def _picked(text: str, parts: list[_Named], alone: re.Pattern[str]) -> re.Match[str] | None:
    """The one value of the parts whose name is no other's, or of those with an answer's name."""
    known = [part for part in parts if not _OTHERS.search(part.name)]
    found = [(p.name, one) for p in known if (one := alone.fullmatch(text, p.start, p.end))]
    if len({one[1].lower() for _, one in found}) > 1:
        found = [(name, one) for name, one in found if ANSWER_NAMES.search(name)]
        # The same name again corrects what was said before, if something is said between.
        if len({name.lower() for name, _ in found}) != 1 or _is_beside(text, found[-1][1]):
            raise SeveralValuesError
    return found[-1][1] if found else None


def _is_beside(text: str, last: re.Match[str]) -> bool:
    """Whether an element with another value ends right before the last one, in its line."""
    before = re.search(r"<([\w:.-]+)>\W*([^<>\n]+?)\W*</\1>\s*<\1>\W*\Z", text[: last.start(1)])
    return before is not None and before[2].lower() != last[1].lower()


def _last_of_one(text: str, parts: list[_Named], form: re.Pattern[str]) -> re.Match[str] | None:
    found = [one for p in parts if (one := form.fullmatch(text, p.start, p.end))]
    return max(found, key=lambda one: one.start(1)) if found else None


def _differing(text: str, form: re.Pattern[str]) -> set[str]:
    """Labels without their numbers, of those that differ in these alone and have other values."""
    values: dict[str, set[str]] = {}
    for part in _lines(text):
        name = _without_number(part.name)
        if name != part.name and (one := form.fullmatch(text, part.start, part.end)):
            values.setdefault(name, set()).add(one[1].lower())
    return {name for name, found in values.items() if len(found) > 1}


def _without_number(name: str) -> str:
    return re.sub(r"\d+", "#", name)


def without_asides(text: str) -> str:
    """The text with what it says of its certainty blanked."""
    return _ASIDE.sub(lambda match: re.sub(r"\S", " ", match[0]), text)


def _is_short(name: str) -> bool:
    return len(name.split()) <= 5


def _boxes(text: str) -> Iterator[_Named]:
    yield from (_Named(one["name"], *one.span("value")) for one in _BOX.finditer(text))


def _elements(text: str) -> Iterator[_Named]:
    """Elements and their attributes; one of any name within a sentence is spoken of."""
    for one in _ELEMENT.finditer(text):
        before = text[text.rfind("\n", 0, one.start()) + 1 : one.start()]
        if ANSWER_NAMES.search(one["name"]) or not re.search(r"\w", _TAG.sub("", before)):
            yield _Named(one["name"], *one.span("value"))
    for one in _EMPTY.finditer(text):
        for part in _ATTRIBUTE.finditer(text, *one.span("attributes")):
            name = one["name"] if part["name"].lower() in {"value", "text"} else part["name"]
            yield _Named(name, *part.span("value"))


def _cells(text: str) -> Iterator[_Named]:
    """Cells of a table under the name in the first row; of two in a row, under the first too."""
    head: list[str] = []
    for row in _ROW.finditer(text):
        if _RULE.fullmatch(row["cells"]):
            continue
        start, cells = row.start("cells"), row["cells"].split("|")
        for i, cell in enumerate(cells):
            above = head[i] if i < len(head) else ""
            name = f"{above} {cells[0] if len(cells) == 2 and i else ''}"
            yield _Named(name.strip(), start, start + len(cell))
            start += len(cell) + 1
        head = head or cells


def _fields(text: str) -> Iterator[_Named]:
    """Fields of the last object."""
    for last in json_objects(text)[-1:]:
        for one in _FIELD.finditer(text, last.start, last.end):
            yield _Named(one["name"], *one.span("value"))


def _lines(text: str) -> Iterator[_Named]:
    yield from (_Named(one["name"], *one.span("value")) for one in _LINE.finditer(text))


def _headings(text: str) -> Iterator[_Named]:
    for one in _HEADING.finditer(text):
        yield _Named(one["hashes"] or one["bold"], *one.span("value"))

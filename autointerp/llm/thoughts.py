"""What in a reply's text is marked as thoughts, in whatever dress.

There is no list of tags: a mark is anything in brackets that looks like a tag or a special token,
and it marks thoughts where its name speaks of thinking. An element of any other name in front of
all else counts as thoughts too, as nothing else is put there, whatever signs stand around its name:
``(musing) ... (/musing)``. A tag that an answer speaks of stands within a line, and is left as it
is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from autointerp.llm.json_in_text import json_objects

_MOST_NESTED = 20
MARK = re.compile(
    r"<<[/|]?[A-Za-z][^<>\n]{0,60}>>"
    r"|<[/|｜\\]{0,2}[A-Za-z][^<>\n]{0,60}>"
    r"|[({%|*]{1,2}[/\\](?:think|thought|reason|reflect|analy)\w*[)}%|*]{1,2}"
    r"|\[/?[A-Za-z][A-Za-z_ ]{2,30}\]"
    r"|[◁⟨〈«‹「『【]/?[A-Za-z][\w ]{0,30}[▷⟩〉»›」』】]"
    # What is left of a channel's marks where a server strips special tokens.
    r"|assistantfinal"
)
"""Anything that looks like a tag or a special token."""
_THINKING = re.compile(
    r"think|thought|reason|analy[sz]|reflect|scratch|ponder|deliberat|monolog|contempl|rumina"
    r"|brainstorm|meditat|cogitat|consider|\bcot\b|chain.of|comment|draft|\bplan\b|internal|inner"
)
_PAIRS = {**dict(zip("\"'`/*", "\"'`/*", strict=True)), "“": "”", "‘": "’", "«": "»", "(": ")"}
_QUOTED = re.compile(
    r"<[^<>\n]{1,40}>(?: (?:and|or|to|until) |, |/)</[^<>\n]{1,40}>"
    + "".join(
        rf"|(?:(?<!\w)|(?<=final)){q}(?:[<\[][^{q}\n]{{1,80}}|[^{q}\n]{{1,80}}[>\]]){q}(?!\w)"
        for q in "\"'`"
    )
)
"""A few quoted words with a mark at an end, or a pair of marks that nothing stands between."""
_CHANNELS = re.compile(r"\s*(?:assistant)?(?:analysis|commentary)(?=[^\sa-z.,;:]|\n)")
_END = re.compile(r"end(?:$|[^a-z]|think|thought|reason)|.*[^a-z]end$|.*suffix$")
_BEGINS_ANSWER = re.compile(r"(?:final|answer|response|output)$")
_CHANNEL = re.compile(r"(?:start.?)?(?:channel|header.?id|role)|start|im.?start")
_HEADER = re.compile(
    r"[ \t]*(?:[A-Za-z]*(?: to=[\w.]+)?(?:[ \t]*<\|constrain\|>\w+)?(?=[ \t]*(?:\n|<))|)"
)
_ANSWER = re.compile(
    r"<((?:final[-_]?)?answer|final|response|output|result)>(?:(?!</?\1>).)*</\1>\s*\Z",
    re.DOTALL | re.IGNORECASE,
)
"""An element that holds the answer and ends a text, whose thoughts are never ended."""
_WHOLE_ANSWER = re.compile(
    r"\s*(<(?:(?:final[-_]?)?answer|final|response)>)[^<>]+(</(?:(?:final[-_]?)?answer|final|response)>)\s*",
    re.IGNORECASE,
)
_FIRST_TAG = re.compile(r"\s*<([A-Za-z][\w:.-]*)[^<>\n]*>")
_NO_THOUGHTS = re.compile(
    r".*(?:answer|final|respon|output|result|solution|reply|verdict|conclu|json|explan).*"
    r"|b|i|em|strong|code|pre|p|span|div|html|body|u|s|q|su[bp]|tt|h\d|[ou]l|li|table|t[rdh]",
    re.IGNORECASE,
)


_THINKS = r"[\w ]{0,20}(?:think|thought|reason|reflect|analy[sz])\w*(?: \w+)?"
_SIGNS = re.compile(
    r"\s*((?:&lt;|<!--|[^\w\s]){1,4})\s?(?:(?:start|begin)\W?)?([^\W\d_](?:[\w -]{0,29}\w)?)"
)
_ANSWERS = r"(?:final|answer|response|output|result|verdict|conclusion)[ \w]*"
_FRONT = re.compile(
    # Not a blank is given back: what is blanked already would be tried at each of them.
    r"\s*+(?:<!--.*?-->(?=[ \t]*(?:\n|\Z))"
    rf"|\\begin\{{({_THINKS})\}}.*?\\end\{{\1\}}"
    rf"|(`{{3,}}|~{{3,}}|:{{3,}}){_THINKS}[^\n]*\n.*?\n\2[ \t]*(?=\n\s*\S)"
    rf"|[(\[<*_]{{1,2}}{_THINKS}:[^\n]*?[)\]}}>*_]{{1,2}}[ \t]*(?=\n\s*\S)"
    rf"|[#>*_=\[ \t]{{0,8}}{_THINKS}[#:*_=\] \t]*\n.*\n[#>*_=\[ \t]{{0,8}}{_ANSWERS}[#:*_=\] \t]*\n"
    rf"|[*_]*{_THINKS}[*_]*:[*_]*[ \t]*\n.*\n[ \t]*(?:-{{3,}}|\*{{3,}}|_{{3,}})[ \t]*\n"
    rf"|[*_]*{_THINKS}[ \w]{{0,20}}[*_]*:.*\n[*_]*{_ANSWERS}[*_]*:[*_]*"
    r"|thinking\.\.\..*?\.\.\.done thinking\.)",
    re.DOTALL | re.IGNORECASE,
)
"""Thoughts in front of all else: a comment, a block, a line, or what a heading or label begins."""
_LAST_HEADING = re.compile(r"\n[ \t]*\[\[ ?#+ ?\w+ ?#+ ?\]\]\s*\Z")
"""A heading that nothing stands behind, with which some templates end."""
_MIRROR = str.maketrans(
    "()[]{}<>«»‹›“”（）［］｛｝＜＞【】〔〕〖〗《》「」┌┐",
    ")(][}{><»«›‹”“）（］［｝｛＞＜】【〕〔〗〖》《」「┐┌",
)


def without_thoughts(text: str) -> str:
    """The text with its thoughts and their marks blanked, of the same length: places in it stay."""
    for _ in range(_MOST_NESTED):
        end = _end_in_front(text)
        if not end:
            break
        text = _blank(text[:end]) + text[end:]
    text = _LAST_HEADING.sub(lambda last: _blank(last[0]), _without_marked(text))
    whole = _WHOLE_ANSWER.fullmatch(text)
    return text if whole is None else _filled(text, [whole.span(1), whole.span(2)], _blank)


def _end_in_front(text: str) -> int:
    """Where thoughts in front of all else end that are in other dress than tags; 0 for none."""
    front = _FRONT.match(text)
    if front is not None:
        return front.end()
    signs = _SIGNS.match(text)
    is_tag = text.lstrip().startswith("<") and MARK.match(text.lstrip())
    if signs is None or is_tag or _NO_THOUGHTS.fullmatch(name := signs[2].strip()):
        return 0
    before = signs[1]
    behind = {"&lt;": "&gt;", "<!--": "-->"}.get(before, before[::-1].translate(_MIRROR))
    if not re.match(rf"\s?{re.escape(behind)}", text[signs.end() :]):
        return 0
    closing = (
        rf"{re.escape(before)}\s?(?:[/\\]|(?:end|stop)[ _-]?(?:of[ _-])?)\s?{re.escape(name)}"
        rf"\s?{re.escape(behind)}"
    )
    ends = re.compile(closing, re.IGNORECASE).search(text, signs.end())
    if ends is None:
        return 0
    # An answer may speak of a mark and its end.
    between = text[signs.end() + len(behind) : ends.start()]
    is_long = len(between.split()) > 1 or "\n" in between
    is_all = not text[ends.end() :].strip()
    return ends.end() if (_THINKING.search(name.lower()) if is_all else is_long) else 0


def _without_marked(text: str) -> str:
    if not MARK.search(text):
        return text
    # What stands in an object is what it says, whatever it looks like.
    objects = [(one.start, one.end) for one in json_objects(text)]
    masked = _filled(text, objects, lambda part: "\0" * len(part))
    spans = _merged(_Thoughts(masked).spans())
    result = _filled(text, spans, _blank)
    end = _end_of_first_element(_filled(masked, spans, _blank))
    return _blank(result[:end]) + result[end:]


def _blank(text: str) -> str:
    return re.sub(r"\S", " ", text)


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same places, each once, in order."""
    result: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if result and start < result[-1][1]:
            first, last = result.pop()
            result.append((first, max(last, end)))
        else:
            result.append((start, end))
    return result


def _filled(text: str, spans: Sequence[tuple[int, int]], fill: Callable[[str], str]) -> str:
    """The text with something else of the same length at these places, which are in order."""
    parts, at = [], 0
    for start, end in spans:
        parts += [text[at:start], fill(text[start:end])]
        at = end
    return "".join([*parts, text[at:]])


def _end_of_first_element(text: str) -> int:
    """Where an element ends that begins the text, is not an answer and has one behind it."""
    tag = _FIRST_TAG.match(text)
    if tag is None or _NO_THOUGHTS.fullmatch(tag[1]):
        return 0
    close = f"</{tag[1]}>"
    at = text.find(close, tag.end())
    end = at + len(close)
    words = text[tag.end() : at]
    # A sentence that begins with an element goes on in its line.
    if at < 0 or len(words.split()) < 2 or ("\n" not in words and text[end : end + 1] == " "):
        return 0
    return end if text[end:].strip() else 0


class _Thoughts:
    """One walk over the marks of a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._open: list[tuple[str, int]] = []
        """Name and start of what is being thought in, outermost first."""
        self._spans: list[tuple[int, int]] = []
        self._begins, self._closed, self._last_opened = 0, 0, 0
        """Where what is said behind the last thoughts begins, and the last closing mark ends."""
        self._in_prose = False
        """Whether words stand in front of the mark, in its line."""
        self._mentioned: set[str] = set()
        self._quoted = [match.span() for match in _QUOTED.finditer(text)]

    def spans(self) -> list[tuple[int, int]]:
        """Start and end of every thought and mark, in order."""
        at = 0
        for mark in MARK.finditer(self._text):
            between, at = self._text[at : mark.start()], mark.end()
            _, end_of_line, line = between.rpartition("\n")
            self._in_prose = bool(re.search(r"\w|^\s*[-*•] ", line)) or (
                self._in_prose and not end_of_line
            )
            if not self._is_quoted(mark):
                self._read(mark)
        if len(self._open) > 1 and not self._closed and len({*self._names}) == 1:
            # A mark that should have been a closing one.
            self._closed = self._last_opened
        if self._open:
            # Thoughts may speak of the mark that begins them.
            start, behind = self._open[0][1], self._text[self._closed :]
            ends = self._closed > start and bool(behind.strip())
            answer = None if ends else _ANSWER.search(self._text, start)
            end = answer.start() if answer else self._closed if ends else len(self._text)
            self._spans.append((start, end))
        return self._spans

    def _is_quoted(self, mark: re.Match[str]) -> bool:
        start, end = mark.span()
        before, behind = self._text[max(0, start - 1) : start], self._text[end : end + 1]
        if mark[0].startswith("assistant"):
            is_glued = bool(re.match(r"[\w\0{\[<]", behind))
            is_end = not self._closed and _CHANNELS.match(self._text)
            return not (is_glued or is_end)
        if _PAIRS.get(before) == behind != "":
            return True
        return any(first <= start and end <= last for first, last in self._quoted)

    def _read(self, mark: re.Match[str]) -> None:
        name = re.sub(r"[^a-z:=]+", " ", mark[0].lower()).strip()
        special = mark[0][:2] in {"<|", "<｜"} or mark[0].endswith("|>")
        closing = "/" in mark[0][1:3] or "\\" in mark[0][1:3] or _END.match(name) is not None
        if mark[0].startswith("assistant"):
            self._close("channel", mark)
        elif special and _CHANNEL.fullmatch(name):
            self._enter_channel(mark)
        elif _THINKING.search(name) or (closing and name in self._names):
            if mark[0].endswith("/>") and not self._in_prose:
                self._spans.append(mark.span())
            elif not self._open and self._is_mentioned(mark, name, closing=closing):
                self._mentioned.add(name)
            elif closing:
                self._close(name, mark)
            elif mark[0][0] != "[" or not self._text[: mark.start()].strip():
                self._open.append((name.split()[0], mark.start()))
                self._last_opened = mark.end()
        elif special:
            self._read_special(mark, name, closing=closing)

    def _read_special(self, mark: re.Match[str], name: str, *, closing: bool) -> None:
        if closing and self._in_channel:
            self._close("channel", mark)
        elif self._open and _BEGINS_ANSWER.search(name):
            self._close(name, mark)
        elif self._open or not re.match(r" \w", self._text[mark.end() : mark.end() + 2]):
            self._spans.append(mark.span())

    def _is_mentioned(self, mark: re.Match[str], name: str, *, closing: bool) -> bool:
        """Whether an answer speaks of the mark: in the midst of its only line."""
        if not (closing and self._in_prose):
            return self._in_prose
        behind = self._text[mark.end() : mark.end() + 1]
        is_word = self._text[mark.start() - 1] == behind == " "
        is_pair = name in self._mentioned and not (behind == "\n" or behind.isalnum())
        before = self._text[self._begins : mark.start()].lstrip()
        return (is_word or is_pair) and "\n" not in before

    @property
    def _names(self) -> list[str]:
        return [name for name, _ in self._open[-_MOST_NESTED:]]

    @property
    def _in_channel(self) -> bool:
        return bool(self._open) and self._open[-1][0] == "channel"

    def _enter_channel(self, mark: re.Match[str]) -> None:
        """What follows belongs to the channel whose name stands behind the mark."""
        if self._in_channel:
            self._close("channel", mark)
        if mark[0].startswith("<|"):
            header = _HEADER.match(self._text, mark.end())
            name, end = (header[0], header.end()) if header else ("", mark.end())
            if _THINKING.search(name.lower()):
                self._open.append(("channel", mark.start()))
            elif name.strip() or not re.match(r" \w", self._text[mark.end() : mark.end() + 2]):
                self._spans.append((mark.start(), end))

    def _close(self, name: str, mark: re.Match[str]) -> None:
        """Ends the thoughts of that name, or the innermost; where none is open, all so far."""
        names = self._names
        back = next((n for n, one in enumerate(reversed(names), 1) if name.endswith(one)), 1)
        start = self._open[-back][1] if names else 0
        del self._open[-back:]
        self._closed = mark.end()
        if not self._open:
            self._spans.append((start, mark.end()))
            self._begins, self._in_prose = mark.end(), False

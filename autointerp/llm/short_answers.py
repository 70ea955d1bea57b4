"""Where a short answer, one word or number, stands in a text that is free of thoughts."""

from __future__ import annotations

import re
from collections.abc import Iterable

from autointerp.llm.json_in_text import json_objects
from autointerp.llm.named_values import ANSWER_NAMES
from autointerp.llm.rival_answers import refuse_listed, refuse_rivals
from autointerp.llm.thoughts import MARK

# Before one that ends a sentence.
_SAYING = (
    r"(?:[:：=.!?;>{()\]—]|\s[-–]\s|\b(?:is|say|be|answer|choose|think|therefore|so)\b)"
    # Not from each of many signs to the end of them.
    r"(?:[^\w\n\s-]|[^\S\n]++){0,40}"
)
# A few words and a colon, which are not the answer.
_LABEL = r"[\W_]*(?:\w+[^\w\n:=：]+){0,2}\w+[^\w\n:=：]*[:=：]"
_SENTENCE = re.compile(r"[^\n.!?;,。！？；，、،؛।]+")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
# What turns a sentence round, in scripts in which it stands right beside what it turns.
_NOT = re.compile(r"[不非没無未]\w?\W*$|(?:^|\s)(?:не|нет|ليس|ليست|لا|לא|δεν|μη|ไม่)\W*$")
_BEHIND_NOT = re.compile(r"아니|아님|않|ない|ません|नहीं|नही")
_ANSWER_LAST = re.compile(
    rf"(?:{ANSWER_NAMES.pattern})\w*(?:\s+[^\W\d_]+)?\s*[^\w\s]?$", re.IGNORECASE
)
_BOUND = r"\b"
_DENIED = re.compile(
    r"(?:not|never|n['’]t|\bsecond(?:[ -]best)?(?: \w+)?|runner-up)\s*\Z", re.IGNORECASE
)
# As in "not phrase 3", of which the number stands alone in a text.
_DENIED_ALONE = re.compile(
    r"(?:(?:\bnot|n['’]t)(?:\s+\w+)?|\bnever|\bnone of(?: the)?)\s+\Z", re.IGNORECASE
)
_RANKED = re.compile(r"\d\s*\Z")
# Behind a word with which a sentence only begins.
_ONLY_BEGINS = re.compile(
    r"\s*\?|\s+(?:doubt|problem|question|worries|if|unless|would)\b", re.IGNORECASE
)
_TAKES_BACK = (
    r"\b(?:wait|actually|second thought|correction|scratch that)\b"
    r"[^\w\n]*(?:\w+[^\w\n]+){0,10}?"
)
_MOST_BEHIND, _MOST_BEFORE, _MOST_PARTS = 3, 40, 100
_WRONG = r"(?:wrong|incorrect|false)(?: that \w+)?|(?<!\bno )(?<!\bwithout )(?<!\bwithout a )doubt"
# What takes back what a few words behind it say.
_HEDGED = re.compile(
    r"\b(?:not|never|cannot|\w+n['’]t|unable|hard|might|may|could|than|least|most|refuse"
    rf"|{_WRONG})(?:\s+[^\W\d_]+){{0,3}}\W*\Z",
    re.IGNORECASE,
)
_CALLED_WRONG = re.compile(rf"\b(?:{_WRONG})(?:\s+[^\W\d_]+){{0,3}}\W*\Z", re.IGNORECASE)
_CONDITION = re.compile(r"\W*(?:if|unless|whether)\b", re.IGNORECASE)


def short_answer(text: str, pattern: str) -> re.Match[str] | None:
    """What fits, where nothing else stands on the last line, or the first, but a label.

    Raises:
        SeveralValuesError: nothing but answers that differ stands in all lines, or another one
            ends what begins with one.
    """
    # A label such as "Answer:" or "**Final rating** =" may stand before it.
    label = rf"(?:(?![\W_]*{pattern})[^\n:=：]{{0,40}}[:=：])?"
    line = re.compile(rf"{label}[\W_]*?({pattern})[\W_]*", re.IGNORECASE)
    _, whole, last = last_lines(text)
    refuse_listed(text[slice(*whole)], pattern)
    match = _unless_broken(text, line.fullmatch(text, *last))
    first = _first_line(text)
    if match or text.count("{", *first) > text.count("}", *first):
        return match if match is None else refuse_rivals(text, match, pattern, last[1])
    match = line.fullmatch(text, *first)
    if match is None or is_taken_back(text, match, pattern):
        return match
    return refuse_rivals(text, match, pattern, whole[1])


def word_in_sentence(text: str, word: str, *, cut_off: bool) -> re.Match[str] | None:
    """The word that begins the answer, else ends it, else is a clause of it or behind a label.

    Raises:
        SeveralValuesError: another stands beside it, or is the last clause.
    """
    match = _said_word(text, word, cut_off=cut_off)
    if match is None or _CONDITION.match(_sentence_before(text, match.start(1))):
        return None
    if is_taken_back(text, match, word):
        return match
    return refuse_rivals(text, match, word, parts(text)[-1][1])


def _said_word(text: str, word: str, *, cut_off: bool) -> re.Match[str] | None:
    begins = re.compile(rf"[\W_]*?({word})", re.IGNORECASE)
    found = (begins.match(text, *part) for part in _beginnings(text))
    match = next((m for m in found if m and not _goes_on(text, m, word)), None)
    match = match or ending(text, word, cut_off=cut_off) or _labelled(text, word)
    if match or cut_off:
        return match
    return _own_line(text, word) or _clause(text, word) or _in_another_language(text, word)


def number_in_sentence(text: str, number: str, *, scale: str) -> re.Match[str] | None:
    """The number that begins the answer, alone or behind a label, and its scale or a stop behind.

    Else the one that has a line for itself, else that of a sentence in another script.
    """
    start, end = parts(text)[-1]
    # Others in the same form make a list.
    stop = rf"[*_\"'`\]]*\s*(?:[,;.(—–]|\s-\s)(?![^\n]*{number}\s*\(|\s*{number})"
    label = re.compile(rf"{_LABEL}[\W_]*?({number})(?:{scale}|{stop})", re.IGNORECASE)
    stop = r"[*_`]{1,2}\s*[,;.:(—–]|\s*[—–]"
    alone = re.compile(rf"[\W_]*?({number})(?:{scale}|{stop})", re.IGNORECASE)
    match = alone.match(text, start, end) or label.match(text, start, end)
    return match or _own_line(text, number) or _in_another_language(text, number, named=True)


def ending(text: str, pattern: str, *, cut_off: bool) -> re.Match[str] | None:
    """What fits, at the end of the last sentence of a reply that was not cut off."""
    start, end = parts(text)[-1]
    match = re.compile(rf"{_SAYING}({pattern})[\W_]*\Z", re.IGNORECASE).search(text, start, end)
    # The last of several values of an object is not what was asked for.
    in_object = match and any(one.end > match.start(1) for one in json_objects(text))
    is_denied = match and _is_hedged(text, start, match)
    # Of several in an order the last is the worst.
    is_ranked = match and match[0][0] == ">" and _RANKED.search(text, start, match.start())
    is_other = in_object or is_denied or is_ranked
    return None if is_other or cut_off else _unless_broken(text, match)


def is_taken_back(text: str, match: re.Match[str], word: str) -> bool:
    """Whether another of the words follows with a word such as "wait", and a stop behind it."""
    corrected = re.compile(rf"{_TAKES_BACK}({word})(?=[\W_]*\Z|\s*[,.;:!?\n—–])", re.IGNORECASE)
    found = corrected.finditer(text, match.end(1))
    return any(one[1].lower() != match[1].lower() for one in found)


def is_denied(text: str, number: str) -> bool:
    """Whether a number, wherever it stands in the text, is said not to be the answer."""
    places = re.finditer(rf"(?<!\d){re.escape(number)}(?!\d)", text)
    starts = (one.start() for one in places)
    return all(_DENIED_ALONE.search(text, max(0, at - _MOST_BEFORE), at) for at in starts)


def are_names(text: str, word: str) -> bool:
    """Whether words are names in an object, or several have a number: "yes: 20 %, no: 80 %"."""
    names = (str(name) for one in json_objects(text) for name in one.value)
    if any(re.fullmatch(word, name, re.IGNORECASE) for name in names):
        return True
    shares = re.finditer(rf"\b({word})[^\w\n]{{0,4}}\d", text, re.IGNORECASE)
    return len({one[1].lower() for one in shares}) > 1


def _is_hedged(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether the sentence denies what ends it, but for what a colon or stop stands before."""
    said = text[start : match.start(1)]
    is_told = re.search(r"[:：=.!?;>—][^\w:：=.!?;>—]*\Z", said)
    is_denied = _DENIED.search(text, start, match.start()) is not None
    return is_denied or (not is_told and bool(_HEDGED.search(_sentence_before(said, len(said)))))


def _sentence_before(text: str, place: int) -> str:
    return re.split(r"[.!?;\n]", text[:place])[-1]


def last_lines(text: str) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Start and end of the whole answer, of what follows its last mark, and of its last line."""
    start, end = parts(text)[-1]
    line = text.rfind("\n", start, start + len(text[start:end].rstrip())) + 1
    return (0, len(text)), (start, end), (line or start, end)


def parts(text: str) -> list[tuple[int, int]]:
    """Start and end of what lies between marks, but for white space; all of it where nothing is."""
    cuts = [(0, 0), *(mark.span() for mark in MARK.finditer(text)), (len(text), len(text))]
    found = [(one[1], other[0]) for one, other in zip(cuts, cuts[1:], strict=False)]
    return [part for part in found if text[slice(*part)].strip()] or [(0, len(text))]


def _beginnings(text: str) -> list[tuple[int, int]]:
    """Parts that may begin with the answer, the last first: none that a sentence speaks of."""
    *others, last = parts(text)[-_MOST_PARTS:]
    lines = {part: text[text.rfind("\n", 0, part[0]) + 1 : part[0]] for part in others}
    own = [part for part, line in lines.items() if not re.search(r"\w", MARK.sub("", line))]
    return [last, *reversed(own), (0, len(text))]


def _first_line(text: str) -> tuple[int, int]:
    """Start and end of the first line with words of what follows the last mark."""
    start, end = parts(text)[-1]
    start += len(text[start:end]) - len(text[start:end].lstrip())
    line = text.find("\n", start, end)
    return start, end if line < 0 else line


def _unless_broken(text: str, match: re.Match[str] | None) -> re.Match[str] | None:
    """What was found, but for a value in an object that never ends."""
    line = text[slice(*last_lines(text)[2])]
    return None if line.count("{") > line.count("}") else match


def _goes_on(text: str, match: re.Match[str], word: str) -> bool:
    """Whether another of the words stands behind it, as in "yes or no", or it is no answer."""
    other = rf"\s*(?:(?:[/|]|or\s)\s*({word})|\w{{1,4}}\s+({word})(?!\s*\w))"
    after = re.compile(other, re.IGNORECASE).match(text, match.end(1))
    is_other = after is not None and (after[1] or after[2]).lower() != match[1].lower()
    return is_other or _ONLY_BEGINS.match(text, match.end(1)) is not None


def _labelled(text: str, word: str) -> re.Match[str] | None:
    """The word behind a label that begins the answer, or behind "the answer is"."""
    start, end = parts(text)[-1]
    begins = re.compile(rf"{_LABEL}[\W_]*?({word})[*_\"'`]*\s*[,.;(—–]", re.IGNORECASE)
    says = re.compile(rf"\b(?:answer|verdict) is[^\w\n]*({word})", re.IGNORECASE)
    said = [
        one
        for one in says.finditer(text, start, end)
        if not _CALLED_WRONG.search(_sentence_before(text, one.start()))
    ]
    return begins.match(text, start, end) or _same(said)


def _own_line(text: str, pattern: str) -> re.Match[str] | None:
    """What fits and has a line for itself, if all that have are the same."""
    line = re.compile(rf"^(?:[^\w\n]|_|\([A-Za-z]\))*?({pattern})[^\w\n]*$", re.I | re.MULTILINE)
    return _same(line.finditer(text))


def _clause(text: str, word: str) -> re.Match[str] | None:
    """The word that stands between two stops, outside of quotations."""
    outside = re.sub(r"\"[^\"\n]*\"|“[^”]*”|«[^»]*»|「[^」]*」", lambda q: " " * len(q[0]), text)
    clause = re.compile(
        rf"(?:[.!?:;,—–]\s|\s-\s)[*_`\s]*({word})[*_`]*\s*(?=[.!?:;,—–]|-\s|\n|\Z)", re.IGNORECASE
    )
    return _same(clause.finditer(outside))


def _in_another_language(text: str, pattern: str, *, named: bool = False) -> re.Match[str] | None:
    """What fits in a sentence of another script, near its end; see `_says`.

    No other value may stand in the text, or where the sentence must name an answer, in it.
    """
    form = re.compile(rf"(?<![A-Za-z0-9_])({pattern.replace(_BOUND, '')})(?![A-Za-z0-9_])", re.I)
    are_same = named or _same(form.finditer(text)) is not None
    for sentence in _SENTENCE.finditer(text):
        found = list(form.finditer(text, *sentence.span()))
        if not found:
            continue
        if not are_same or _same(found) is None:
            return None
        before, behind = (
            text[sentence.start() : found[0].start()],
            text[found[-1].end() : sentence.end()],
        )
        if (not named or ANSWER_NAMES.search(before)) and _says(before, behind):
            return found[-1]
    return None


def _says(before: str, behind: str) -> bool:
    """Whether a sentence with these words around a value gives it as the answer.

    In Latin letters as "Die Antwort lautet yes" does, with one word behind the name of an answer.
    """
    if _LATIN.search(before + behind):
        is_last = _ANSWER_LAST.search(before) is not None and not re.search(r"\w", behind)
        return is_last and not _HEDGED.search(before)
    if _NOT.search(before) or _BEHIND_NOT.search(behind) or not re.search(r"\w", before):
        return False
    n_behind = sum(character.isalpha() for character in behind)
    return n_behind <= _MOST_BEHIND and not re.search(r"[\u4e00-\u9fff]\w", behind)


def _same(matches: Iterable[re.Match[str]]) -> re.Match[str] | None:
    """The last of some matches, if all are of the same word."""
    found = list(matches)
    return found[-1] if len({one[1].lower() for one in found}) == 1 else None

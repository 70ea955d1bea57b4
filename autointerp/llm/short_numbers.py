"""Which number a text that is free of thoughts gives as its answer."""

from __future__ import annotations

import re

from autointerp.llm.named_values import ANSWER_NAMES, named_value
from autointerp.llm.plain_form import plain_characters
from autointerp.llm.short_answers import (
    ending,
    is_denied,
    is_taken_back,
    number_in_sentence,
    parts,
    short_answer,
)
from autointerp.llm.ticked_options import ticked

# Part of a word, a range, a power or a bound is no number, nor is what is off by half.
NUMBER = (
    r"(?<![A-Za-z\d.,−-])(?<!\d[–—])(?<![±<≤≥≠])(?<![±<≤≥≠] )(?<!\A>)(?<![\s:]>)-?\d+(?:[.,]\d+)*"
    r"(?![A-Za-z\d+]|-[A-Za-z]|[.,]\d|\.\.\.?\d|\s?[-–—]\d|\s?[½⅓⅔¼¾⅛])"
)
_WHOLE = r"(-?\d+)(?:[.,]0{1,2})?"
_OF = r"(?:/|\(?(?:out of|of|von|sur|de|su|van|av|af|из)\b)"
_DIGITS = {
    word: str(number)
    for number, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    )
}
_WORD = re.compile(rf"(?<![\w-])(?:{'|'.join(_DIGITS)})(?![\w-])", re.IGNORECASE)
_BOUND = re.compile(
    r"\b(?:not|never|cannot|\w+n['’]t|unable|than|least|most|below|above|under|over|minus)"
    r"(?:\s+[^\W\d_]+){0,3}[\s*_`\"'(]*\Z",
    re.IGNORECASE,
)
_BETWEEN_SENTENCES = re.compile(r"[.!?;。！？；](?!\d)|\n")
_STOP = re.compile(r"[*_`\"')\]]*(?:\s*[,:;.(—–]|\s-\s|\s*\Z)")
_UNIT = re.compile(
    r"\W*(?:points?|punkte?|puntos?|punti|pontos?|pkt|pts?|stars?|балл\w*|очк\w*|分|点|點|점)\b",
    re.IGNORECASE,
)
_LABEL_LAST = re.compile(r"[:=：→]\W*\Z")
_MOST_PLACES = 10
_MARKED = r"(?:\*\*|__|`)\s*{}\s*(?:\*\*|__|`)"


def number_of(answer: str, text: str, allowed: range, *, cut_off: bool) -> int | None:
    """The number of a plain text; the answer before it was made plain may have ticks.

    Where there is no digit, what is written in words counts if no word stands behind it.

    Raises:
        SeveralValuesError: several are given that differ.
    """
    digits = plain_characters(answer)
    if re.search(r"\d", text) or not _WORD.search(text):
        return _NumberReader(text, allowed, NUMBER, cut_off=cut_off).read(digits)
    digits, text = (_WORD.sub(_in_digits, one) for one in (digits, text))
    alone = rf"{NUMBER}(?!\s*[*_`\"')]*[ \t]+[^\W\d_])"
    return _NumberReader(text, allowed, alone, cut_off=cut_off).read(digits)


def _in_digits(word: re.Match[str]) -> str:
    return _DIGITS[word[0].lower()].ljust(len(word[0]))


class _NumberReader:
    """One look at a text."""

    def __init__(self, text: str, allowed: range, number: str, *, cut_off: bool) -> None:
        self._text, self._allowed, self._number, self._cut_off = text, allowed, number, cut_off
        self._plain, self._scale = _without_scales(text, allowed)
        self._is_words = number != NUMBER

    def read(self, ticks: str) -> int | None:
        """The number; None for none, or another."""
        found = ticked(ticks, self._number) or named_value(self._plain, self._number)
        found = found or short_answer(self._plain, self._number)
        if found and is_taken_back(self._plain, found, self._number):
            return None
        return self._whole({found[1]}) if found else self._in_sentences()

    def _in_sentences(self) -> int | None:
        start, end = parts(self._plain)[-1]
        found = None
        if len(set(re.findall(self._number, self._plain[start:end]))) > 1:
            found = ending(self._plain, self._number, cut_off=self._cut_off) or number_in_sentence(
                self._text, self._number, scale=self._scale
            )
        if found:
            return self._whole({found[1]})
        counted = self._without_counts(self._plain)
        form = re.compile(_MARKED.format(f"({self._number})"))
        marked = [one.span(1) for one in form.finditer(counted, start, end)]
        number = re.compile(self._number)
        given = marked or [one.span() for one in number.finditer(counted, start, end)]
        values = {counted[slice(*place)] for place in given}
        looked_at = given[:_MOST_PLACES] if len(values) == 1 else []
        if not all(self._is_given(counted, *place, is_marked=bool(marked)) for place in looked_at):
            return None
        return self._whole(values)

    def _whole(self, given: set[str]) -> int | None:
        whole = {int(n[1]) for one in given if (n := re.fullmatch(_WHOLE, one, re.ASCII))}
        return whole.pop() if len(given) == len(whole) == 1 and whole <= {*self._allowed} else None

    def _without_counts(self, text: str) -> str:
        """The text without what tells how many of others, such as 3 of 4."""
        count = re.compile(rf"{NUMBER}[*_`]*\s*{_OF}\s*(?:[^\W\d_]{{1,4}}\s+)?[*_`]*(\d+)")
        most = self._allowed[-1] if len(self._allowed) < 4 else 0
        return count.sub(lambda one: " " * len(one[0]) if int(one[1]) > most else one[0], text)

    def _is_given(self, text: str, start: int, end: int, *, is_marked: bool) -> bool:
        """Whether what is said around a number gives it as the answer.

        One of several options is named by its number alone; a rating begins or ends its sentence,
        or stands in one that names it or the scale.
        """
        first, last = _sentence(text, start)
        before, behind = text[first:start], text[end:last]
        if (
            is_denied(text, text[start:end])
            or _BOUND.search(before)
            or re.match(r"\W*[?？]", text[end:])
        ):
            return False
        if (self._allowed[0] and not self._is_words) or ANSWER_NAMES.search(before):
            return True
        if _UNIT.match(behind) or (_LABEL_LAST.search(before) and _STOP.match(behind)):
            return True
        n_behind = len(re.findall(r"[^\W\d_]+", behind))
        if not re.search(r"\w", before) and (is_marked or n_behind < 2 or _STOP.match(behind)):
            return True
        return not self._is_words and (n_behind == 0 or self._names_scale(first, end, last))

    def _names_scale(self, first: int, end: int, last: int) -> bool:
        """Whether a sentence names the scale, or the number that ends there stands over it."""
        over = re.compile(rf"\s*/\s*{self._allowed[-1]}(?!\d)").match(self._text, end)
        between = _between(self._allowed[0], self._allowed[-1])
        return over is not None or between.search(self._text, first, last) is not None


def _sentence(text: str, place: int) -> tuple[int, int]:
    """Start and end of the sentence around a place."""
    stops = [0, *(one.end() for one in _BETWEEN_SENTENCES.finditer(text)), len(text)]
    before = max(stop for stop in stops if stop <= place)
    return before, min(stop for stop in stops if stop > place)


def _between(low: int, high: int) -> re.Pattern[str]:
    return re.compile(
        rf"(?<![\d.,-]){low}\s*(?:[-–—~～…]|\.\.\.?|[^\W\d]{{1,3}})\s*{high}(?![\d.,]*\d)"
    )


def _without_scales(text: str, allowed: range) -> tuple[str, str]:
    """The text without the scale that it names or shares of a hundred, and the scale's pattern."""
    low, high = allowed[0], allowed[-1]
    scale = rf"(?<=\d)\s*{_OF}\s*{high}(?![\d.,]*\d)\)?"
    if len(allowed) < 4:
        # 1/2 may be one of two just as well.
        scale = r"(?!)"
    share = r"(?<![\d.,-])\d+(?:[.,]\d+)?\s?[%％]"
    between = f"|{_between(low, high).pattern}" if len(allowed) > 3 else ""
    named = re.compile(f"{scale}|{share}{between}")
    return named.sub(lambda match: " " * len(match[0]), text), scale

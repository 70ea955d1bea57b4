"""Answers that another one contradicts, so that none of them is the answer."""

from __future__ import annotations

import re

_STOP = r"[.!?;,—–…。！？；，、]"


class SeveralValuesError(ValueError):
    """Values that differ are given, and nothing tells which of them is meant."""


def refuse_rivals(text: str, match: re.Match[str], pattern: str, end: int) -> re.Match[str]:
    """What was found, as group 1.

    Raises:
        SeveralValuesError: before the end another value stands beside it or is the last clause, or
            one stands between a label and it, or it is a question.
    """
    own, start = match[1].lower(), match.end(1)
    escaped = re.escape(own)
    # A scale may stand two words behind a number.
    n_between = 1 if re.fullmatch(pattern, "1") else 2
    beside = re.compile(
        rf"(?:[^\w\n]|{escaped}\b|(?<=\W)(?!{escaped}\b)(?:\d+(?![\w.])|\d+\.\d+))*"
        rf"(?:(?!not\b|never\b)[^\W\d_]{{1,4}}\s+){{0,{n_between}}}({pattern})(?!\s*[^\W_])",
        re.IGNORECASE,
    )
    last = re.compile(
        rf"({_STOP}|[:：])\s*[*_`\"'“(]*({pattern})[*_`\"'”).!。\s]*\Z", re.IGNORECASE
    )
    rival = beside.match(text, start, end)
    if rival is not None and rival[1].lower() != own:
        raise SeveralValuesError
    before = text[text.rfind("\n", 0, match.start(1)) + 1 : match.start(1)]
    is_labelled = re.search(r"[:=：][^\w\n:=：]*\Z", before) is not None
    clause = last.search(text, start, end)
    if clause is not None and clause[2].lower() != own:
        # Behind a colon in its own sentence stands what it speaks of, if it is a clause itself.
        between = text[start : clause.start()]
        is_new = clause[1] not in ":：" or re.search(r"[.!?\n]|\A[*_]*[ \t]+\w", between)
        if is_new or is_labelled:
            raise SeveralValuesError
    more = rf"|({pattern})[*_`\"']*[,;][^.!?\n]*" if is_labelled else ""
    named = re.search(rf"[:=：][^\w:=：]*(?:({pattern})[^\w:=：]*{more})\Z", before, re.IGNORECASE)
    if named is not None and (named[1] or named[2]).lower() != own:
        raise SeveralValuesError
    if re.compile(r"[^\w\n]*[?？]").match(text, start, end):
        raise SeveralValuesError
    return match


def refuse_listed(text: str, pattern: str) -> None:
    """Raises where nothing else than several answers that differ stands in the lines of a text.

    The last is the answer where it alone has no label.

    Raises:
        SeveralValuesError: they do.
    """
    # What each of the options is given.
    behind = r"[\W_]*" if re.fullmatch(pattern, "1") else r"[\d.,\W_]*"
    form = re.compile(
        rf"(?P<label>(?!{pattern})[^\n:=：]{{0,60}}?[:=：]|\W*\d{{1,3}}[.)](?=[ \t])|)"
        rf"[\W_]*?({pattern}){behind}",
        re.IGNORECASE,
    )
    lines = [line for line in text.split("\n") if re.search(r"\w", line)]
    found = [form.fullmatch(line) for line in lines]
    given = [one for one in found if one is not None]
    if len(given) < len(lines) or len({one[2].lower() for one in given}) < 2:
        return
    labelled = [re.search(r"\w", one["label"]) is not None for one in given]
    if labelled[-1] or not all(labelled[:-1]):
        raise SeveralValuesError

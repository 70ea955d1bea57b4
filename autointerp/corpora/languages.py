"""The languages of texts at a glance: by script, and by stop words where the script is Latin."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import cache

METHOD = (
    "by script, and among Latin texts by the stop words of eight languages, from the first 2,000 "
    "characters of each document"
)
_LOOKED_AT = 2_000
_LEAST_SHARE = 0.08
"""Of the words of a text that are stop words of its language, at least."""
_WORDS = re.compile(r"[^\W\d_]+")
_STOP_WORDS = {
    "English": "the of and to in is that it was for on with as are be this by from at not",
    "German": "der die und das ist nicht ein eine zu den mit von auf für sich dem im auch",
    "French": "le la les et des est dans une du pour que qui pas sur au avec sont ce il",
    "Spanish": "el los las y es en que una por con para del se no lo como más su al",
    "Portuguese": "os as e em que uma um para com não do da dos das no na por mais ao",
    "Italian": "il gli e di che una è per con non del della sono nel alla dei le si più",
    "Dutch": "de het een en van is dat op te niet zijn met voor er aan ook bij naar",
    "Polish": "i w na z się nie do to jest że jak od przez po dla są być ale",
}
_LANGUAGES = {name: frozenset(words.split()) for name, words in _STOP_WORDS.items()}
_SCRIPTS = {
    "CJK": "Chinese",
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "HANGUL": "Korean",
    "THAI": "Thai",
}
"""Languages by the first word of the names of their characters; other scripts keep their name."""


def language_of(text: str) -> str:
    """The language or script that most of a text's beginning is in; ``none`` without letters."""
    begins = text[:_LOOKED_AT]
    scripts = Counter(filter(None, map(_script, begins)))
    if not scripts:
        return "none"
    # Japanese has more Chinese characters than ones of its own.
    if scripts["Japanese"] * 10 > scripts.total():
        return "Japanese"
    script = scripts.most_common(1)[0][0]
    return _by_stop_words(begins) if script == "Latin" else script


def _by_stop_words(text: str) -> str:
    words = Counter(_WORDS.findall(text.lower()))
    found = {
        name: sum(words[word] for word in stop_words) for name, stop_words in _LANGUAGES.items()
    }
    best = max(found, key=found.__getitem__)
    return best if found[best] >= _LEAST_SHARE * words.total() else "other Latin"


@cache
def _script(character: str) -> str | None:
    if not character.isalpha():
        return None
    first = unicodedata.name(character, "UNKNOWN").split(" ")[0].split("-")[0]
    return _SCRIPTS.get(first, f"{first.capitalize()} script" if first != "LATIN" else "Latin")

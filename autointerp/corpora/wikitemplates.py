"""The few MediaWiki templates that stand for words in the middle of a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_UNITS = {
    "acre": "acres", "C": "°C", "F": "°F", "ft": "feet", "ha": "hectares", "in": "inches",
    "km2": "km²", "lb": "pounds", "mi": "miles", "mi2": "square miles", "sqft": "square feet",
    "sqkm": "km²", "sqmi": "square miles", "yd": "yards",
}  # fmt: skip
_RANGES = {"-": "–", "and": " and ", "by": " by ", "or": " or ", "to": " to ", "x": " × ", "–": "–"}


def template_text(template: Any, shown: Callable[[Any], str]) -> str:
    """The words that a template puts into a sentence; nothing for every other template.

    Args:
        template: a template node of the parser.
        shown: renders the value of an argument.
    """
    name = str(template.name).strip().lower()
    render = _TEMPLATES.get(name)
    if render is None and name.startswith("lang-"):
        render = _first
    if render is None:
        return ""
    return render([shown(p.value).strip() for p in template.params if not p.showkey])


def _first(arguments: list[str]) -> str:
    return arguments[0] if arguments else ""


def _second(arguments: list[str]) -> str:
    return arguments[1] if len(arguments) > 1 else ""


def _paragraph(arguments: list[str]) -> str:
    return f"\n\n{_first(arguments)}\n\n"


def _measure(arguments: list[str]) -> str:
    """``5|to|10|km|mi`` is *5 to 10 km*: the conversion itself is not repeated."""
    if len(arguments) >= 4 and arguments[1] in _RANGES:
        number, unit = arguments[0] + _RANGES[arguments[1]] + arguments[2], arguments[3]
    elif len(arguments) >= 2:
        number, unit = arguments[0], arguments[1]
    else:
        return _first(arguments)
    return f"{number} {_UNITS.get(unit, unit)}"


def _fraction(arguments: list[str]) -> str:
    return " ".join(arguments[:-2] + ["/".join(arguments[-2:])])


def _as_of(arguments: list[str]) -> str:
    return " ".join(["As of", *reversed(arguments)])


_TEMPLATES: dict[str, Callable[[list[str]], str]] = {
    "'s": lambda _: "'s",
    "as of": _as_of,
    "chem": "".join,
    "convert": _measure,
    "cvt": _measure,
    "flag": _first,
    "frac": _fraction,
    "ipa": _first,
    "lang": _second,
    "mdashb": lambda _: "—",
    "nbsp": lambda _: " ",
    "nihongo": _first,
    "nowrap": _first,
    "quote": _paragraph,
    "sc": _first,
    "smaller": _first,
    "snd": lambda _: " – ",
    "thinsp": lambda _: " ",
    "transl": lambda arguments: arguments[-1] if arguments else "",
    "val": _first,
    "vanchor": _first,
    "vr": _first,
}

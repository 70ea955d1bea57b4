"""Articles of English Wikipedia (the excerpt that the wheel of gensim carries) as plain prose."""

from __future__ import annotations

import bz2
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import mwparserfromhell
import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse
from mwparserfromhell.nodes import ExternalLink, Heading, HTMLEntity, Tag, Template, Text, Wikilink

from autointerp.core.errors import InputError
from autointerp.core.files import WIKI_EXCERPT
from autointerp.core.text import Document

_NO_PROSE = re.compile(
    r"see also|references?|external links?|further reading|notes|footnotes|citations|sources|"
    r"bibliography|selected bibliography|works cited|notes and references|"
    r"references and notes|references and further reading|gallery|image gallery|other reading",
    re.IGNORECASE,
)
# References are half of the markup: parsing without them takes half the time.
_REFERENCE = re.compile(
    r"<!--.*?-->|<ref\b[^<>]*/>|<ref\b[^<>]*>.*?</ref\s*>", re.DOTALL | re.IGNORECASE
)
_HEADING = re.compile(r"^(={2,6})[ \t]*(.+?)[ \t]*\1[ \t]*$", re.MULTILINE)
_PREFIX = re.compile(r"\s*:?\s*([\w-]+)\s*:\s*\S")
_TEX = re.compile(r"[\\{}]")
_LANGUAGE = re.compile(r"[a-z]{2,3}|[a-z]{2,8}(-[a-z]{1,8})+|simple")
_NAMESPACES = {
    "category", "commons", "file", "help", "image", "media", "portal", "q", "s", "special",
    "talk", "template", "user", "v", "voy", "wikipedia", "wikiquote", "wikisource",
}  # fmt: skip
_SHOWN_PREFIXES = {"w", "wikt", "wiktionary"}
_NO_TEXT_TAGS = {
    "chem", "gallery", "graph", "hiero", "imagemap", "inputbox", "ref", "references", "score",
 "syntaxhighlight", "source", "table", "td", "th", "timeline", "tr",
}  # fmt: skip
_LINE_TAGS = {"blockquote", "br", "div", "hr", "p"}
_MENDS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.MULTILINE), replacement)
    for pattern, replacement in (
        (r"<[^<>\n]*>|__[A-Z]+__|'{2,}|\[\[|\]\]|\{\{|\}\}", ""),
        (r"^[ \t]*(\{\||\|\}|\||!).*$|(?<=\s)\|", ""),
        (r"^[ \t]*[*#:;]+[ \t]*", ""),
        (r"[ \t\u00a0\u2009]+", " "),
        (r"([(\[]) ?(?:[,;:/] ?)+", r"\1"),
        (r"(?: ?[,;:])+ ?([)\]])", r"\1"),
        (r"([(\[]) ", r"\1"),
        (r" ([)\]])", r"\1"),
        (r" ?(?:\(\)|\[\])", ""),
        (r" +([,.;:!?])(?=\s|$)", r"\1"),
        (r"([,;])(?: ?[,;])+", r"\1"),
        (r"[,;:]\.(?=\s|$)", "."),
        (r"^ +| +$", ""),
        (r"^[^\w\n]+$", ""),
        (r"\n{3,}", "\n\n"),
    )
)


def article_prose(markup: str) -> str:
    """An article's prose: headings, paragraphs and list items, a line each.

    Templates, tables, references, images, categories, formulas and the sections that only
    list other works or links are left out, and so are headings with nothing below them.
    """
    stored: list[tuple[int, str]] = []
    for level, title, body in reversed(list(_sections(_REFERENCE.sub("", markup)))):
        text = _mend(_render(body))
        if text or (stored and stored[-1][0] > level):
            stored.append(
                (level, "\n\n".join(part for part in (_mend(_render(title)), text) if part))
            )
    return "\n\n".join(text for _, text in reversed(stored))


def _sections(markup: str) -> Iterator[tuple[int, str, str]]:
    """(level, title, body) of each section with prose; the lead has level 1 and no title."""
    parts = _HEADING.split(markup)
    yield 1, "", parts[0]
    skipped = 7
    for marks, title, body in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        level = len(marks)
        if level > skipped:
            continue
        skipped = level if _NO_PROSE.fullmatch(title.strip()) else 7
        if skipped == 7:
            yield level, title, body


def _mend(text: str) -> str:
    for pattern, replacement in _MENDS:
        text = pattern.sub(replacement, text)
    return text.strip()


def _render(markup: str) -> str:
    return _shown(mwparserfromhell.parse(markup)) if markup else ""


def _shown(code: Any) -> str:
    return "".join(_node_text(node) for node in code.nodes)


def _node_text(node: object) -> str:
    for kind, render in _RENDERERS:
        if isinstance(node, kind):
            return render(node)
    return ""


def _link_text(node: Any) -> str:
    prefix = _PREFIX.match(str(node.title))
    name = prefix[1].lower() if prefix else ""
    if name in _NAMESPACES or _LANGUAGE.fullmatch(name):
        return ""
    if node.text is not None:
        return _shown(node.text)
    title = _shown(node.title).lstrip(":")
    return title.partition(":")[2] if name in _SHOWN_PREFIXES else title


def _tag_text(node: Any) -> str:
    name = str(node.tag).strip().lower()
    if name in _NO_TEXT_TAGS:
        return ""
    if name == "math":
        formula = str(node.contents)
        return "" if _TEX.search(formula) else formula
    text = _shown(node.contents) if node.contents is not None and not node.self_closing else ""
    if name not in _LINE_TAGS:
        return text
    return f"\n{text}\n" if text else "\n"


# Templates that stand for words in the middle of a sentence.
_UNITS = {
    "acre": "acres", "C": "°C", "F": "°F", "ft": "feet", "ha": "hectares", "in": "inches",
    "km2": "km²", "lb": "pounds", "mi": "miles", "mi2": "square miles", "sqft": "square feet",
    "sqkm": "km²", "sqmi": "square miles", "yd": "yards",
}  # fmt: skip
_RANGES = {"-": "–", "and": " and ", "by": " by ", "or": " or ", "to": " to ", "x": " × ", "–": "–"}


def _template_text(template: Any) -> str:
    """The words that a template puts into a sentence; nothing for every other template."""
    name = str(template.name).strip().lower()
    render = _TEMPLATES.get(name, _first if name.startswith("lang-") else None)
    if render is None:
        return ""
    return render([_shown(p.value).strip() for p in template.params if not p.showkey])


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


_ARTICLES = "0"

_RENDERERS: tuple[tuple[type[Any], Callable[[Any], str]], ...] = (
    (Text, lambda node: str(node.value)),
    (Wikilink, _link_text),
    (Tag, _tag_text),
    (Template, _template_text),
    (ExternalLink, lambda node: _shown(node.title) if node.title is not None else ""),
    (HTMLEntity, lambda node: str(node.normalize())),
    (Heading, lambda node: f"\n{_shown(node.title)}\n"),
)


class WikiSource:
    """The articles of a MediaWiki dump; redirects, disambiguation and other pages are left out."""

    name = "wiki"

    def __init__(self, path: Path | None = None) -> None:
        """Finds the dump: a bz2-compressed MediaWiki XML export, the excerpt where None.

        Raises:
            InputError: the package that carries the excerpt is not installed.
        """
        self._path = path or WIKI_EXCERPT.locate()

    def documents(self, rng: np.random.Generator, /) -> Iterator[Document]:
        """The articles as prose, shuffled; each is cleaned when its turn comes."""
        articles = list(self._articles())
        for i in rng.permutation(len(articles)):
            title, markup = articles[i]
            yield Document(article_prose(markup), title)

    def _articles(self) -> Iterator[tuple[str, str]]:
        try:
            with bz2.open(self._path) as stream:
                for _, element in iterparse(stream):
                    if _local(element.tag) == "page":
                        yield from _article(element)
                        element.clear()
        except (OSError, EOFError, ParseError, DefusedXmlException) as error:
            raise InputError(
                f"cannot read articles from {self._path}: {error}; if the file is damaged, run "
                f"`{WIKI_EXCERPT.install_command} --force-reinstall`"
            ) from error


def _article(page: Element) -> Iterator[tuple[str, str]]:
    fields = {_local(e.tag): e.text or "" for e in page.iter()}
    title = fields.get("title", "")
    if fields.get("ns") != _ARTICLES or "redirect" in fields or title.endswith("(disambiguation)"):
        return
    yield title, fields.get("text", "")


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]

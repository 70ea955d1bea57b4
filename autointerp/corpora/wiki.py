"""Articles of English Wikipedia: the excerpt that the wheel of gensim carries."""

from __future__ import annotations

import bz2
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from autointerp.core.errors import InputError
from autointerp.core.package_data import WIKI_EXCERPT
from autointerp.core.text import Document
from autointerp.corpora.wikitext import plain_text

_ARTICLES = "0"


class WikiSource:
    """The articles of a MediaWiki dump; redirects, disambiguation and other pages are left out."""

    name = "wiki"

    def __init__(self, path: Path | None = None) -> None:
        """Finds the dump.

        Args:
            path: a bz2-compressed MediaWiki XML export; None takes the excerpt.

        Raises:
            InputError: the package that carries the excerpt is not installed.
        """
        self._path = path or WIKI_EXCERPT.locate()

    def documents(self, rng: np.random.Generator, /) -> Iterator[Document]:
        """The articles as prose, shuffled; each is cleaned when its turn comes."""
        articles = list(self._articles())
        for i in rng.permutation(len(articles)):
            title, markup = articles[i]
            yield Document(plain_text(markup), title)

    def _articles(self) -> Iterator[tuple[str, str]]:
        try:
            with bz2.open(self._path) as stream:
                for _, element in iterparse(stream):
                    if _local(element.tag) == "page":
                        yield from _article(element)
                        element.clear()
        except (OSError, EOFError, ParseError, DefusedXmlException) as error:
            msg = (
                f"cannot read articles from {self._path}: {error}; if the file is damaged, run "
                f"`{WIKI_EXCERPT.install_command} --force-reinstall`"
            )
            raise InputError(msg) from error


def _article(page: Element) -> Iterator[tuple[str, str]]:
    fields = {_local(e.tag): e.text or "" for e in page.iter()}
    title = fields.get("title", "")
    if fields.get("ns") != _ARTICLES or "redirect" in fields or title.endswith("(disambiguation)"):
        return
    yield title, fields.get("text", "")


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]

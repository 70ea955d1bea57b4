from __future__ import annotations

import bz2
import re
from pathlib import Path

import numpy as np
import pytest

from autointerp.core.errors import InputError
from autointerp.core.text import Document
from autointerp.corpora.wiki import WikiSource, article_prose


def page(title: str, text: str, *, ns: int = 0, extra: str = "") -> str:
    return (
        f"<page><title>{title}</title><ns>{ns}</ns>{extra}"
        f"<revision><text>{text}</text></revision></page>"
    )


def write_dump(path: Path, *pages: str) -> Path:
    xml = (
        f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/">{"".join(pages)}</mediawiki>'
    )
    path.write_bytes(bz2.compress(xml.encode()))
    return path


@pytest.fixture(scope="module")
def articles() -> list[Document]:
    return list(WikiSource().documents(np.random.default_rng(0)))


@pytest.mark.parametrize(
    ("markup", "prose"),
    [
        ("'''Bold''' and ''italic''.", "Bold and italic."),
        ("A [[cat]], a [[dog|hound]], [[house]]s.", "A cat, a hound, houses."),
        ("[[File:a.jpg|thumb|200px|A [[cat]].]]Text[[Category:Cats]] [[fr:Chat]]", "Text"),
        ("See [[:Category:Cats]] in [[Star Trek: Voyager]].", "See in Star Trek: Voyager."),
        ("A [[wikt:cat|cat]] or [[wikt:dog]].", "A cat or dog."),
        ('Fact.<ref name="a">{{cite web|url=x}}</ref> More.<ref name=b />', "Fact. More."),
        ("Seen<!-- not seen -->.", "Seen."),
        ("Before.\n{| class=x\n|-\n! a\n| b || c\n|}\nAfter.", "Before.\n\nAfter."),
        ("Cat ({{IPAc-en|k}}; {{lang-fr|chat}}) is", "Cat (chat) is"),
        ("Cat ({{IPAc-en|k}}) is, {{x}}, here", "Cat is, here"),
        ("It is {{convert|5|km|mi}} long.", "It is 5 km long."),
        ("It is {{convert|5|to|7|sqmi|km2|abbr=on}}.", "It is 5 to 7 square miles."),
        ("{{Infobox|name=x}}\nH<sub>2</sub>O &amp; {{nowrap|a b}}", "H2O & a b"),
        ("[http://a.org The site] and [http://b.org]", "The site and"),
        ("* one\n* two\n:# three", "one\ntwo\nthree"),
        ("a<br />b", "a\nb"),
        ("Where <math>x_1</math> is <math>\\frac{1}{2}</math>.", "Where x_1 is."),
        ("__NOTOC__ broken [[link and {{template and ''' end", "broken link and template and end"),
    ],
)
def test_markup_becomes_prose(markup: str, prose: str) -> None:
    assert article_prose(markup) == prose


def test_sections_that_only_list_other_works_are_left_out_with_all_below_them() -> None:
    markup = (
        "Lead.\n== See also ==\n* [[x]]\n=== More ===\ny\n== History ==\nOld.\n"
        "=== Rome ===\nOlder.\n== External links ==\n* [http://x X]"
    )
    assert article_prose(markup) == "Lead.\n\nHistory\n\nOld.\n\nRome\n\nOlder."


def test_a_heading_with_nothing_below_it_is_left_out() -> None:
    markup = "Lead.\n== Table ==\n{|\n| x\n|}\n== Parts ==\n=== Part ===\nText."
    assert article_prose(markup) == "Lead.\n\nParts\n\nPart\n\nText."


def test_only_articles_are_read(tmp_path: Path) -> None:
    path = write_dump(
        tmp_path / "dump.bz2",
        page("Cat", "A ''cat''."),
        page("Talk:Cat", "Hello.", ns=1),
        page("Kitty", "#REDIRECT [[Cat]]", extra='<redirect title="Cat" />'),
        page("Cat (disambiguation)", "* [[Cat]]"),
    )
    assert list(WikiSource(path).documents(np.random.default_rng(0))) == [Document("A cat.", "Cat")]


@pytest.mark.parametrize("damage", ["not bz2", "cut", "not xml", "missing"])
def test_a_damaged_dump_says_how_to_get_it_again(tmp_path: Path, damage: str) -> None:
    path = write_dump(tmp_path / "dump.bz2", page("Cat", "x" * 1000))
    contents = {
        "not bz2": b"hello",
        "cut": path.read_bytes()[:-20],
        "not xml": bz2.compress(b"<mediawiki><page>"),
    }
    path.unlink()
    if damage in contents:
        path.write_bytes(contents[damage])
    with pytest.raises(InputError, match=r"cannot read articles from .*pip install .*gensim"):
        list(WikiSource(path).documents(np.random.default_rng(0)))


def test_a_dump_that_defines_entities_is_refused(tmp_path: Path) -> None:
    bomb = (
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><mediawiki><page><title>&a;</title></page></mediawiki>'
    )
    path = tmp_path / "dump.bz2"
    path.write_bytes(bz2.compress(bomb))
    with pytest.raises(InputError, match="cannot read articles"):
        list(WikiSource(path).documents(np.random.default_rng(0)))


def test_the_excerpt_holds_a_hundred_articles(articles: list[Document]) -> None:
    assert 95 <= len(articles) <= 110
    assert {"Anarchism", "Albert Einstein", "Algorithm"} <= {d.source for d in articles}
    assert 2_500_000 < sum(len(d.text) for d in articles) < 3_500_000


@pytest.mark.parametrize(
    "dirt",
    [r"\[\[|\]\]|\{\{|\}\}|\{\|", r"\|thumb|thumb\|", r"\(\s*[,;]?\s*\)", r"https?://", r"</?\w+>"]
    + [
        r"''",
        r"&\w+;",
        r"  ",
        r" ,",
        r"\n\n\n",
        r"^[|!*#:;]",
        r"^=+",
        r"__[A-Z]+__",
        r"\bcite web\b",
    ],
)
def test_the_articles_read_as_prose(articles: list[Document], dirt: str) -> None:
    found = [
        (d.source, d.text[max(0, m.start() - 30) : m.end() + 30])
        for d in articles
        for m in re.finditer(dirt, d.text, re.MULTILINE)
    ]
    assert not found


def test_most_of_the_articles_is_sentences(articles: list[Document]) -> None:
    text = "\n".join(d.text for d in articles)
    paragraphs = [line for line in text.split("\n") if len(line) > 100]
    assert sum(map(len, paragraphs)) > 0.85 * len(text)
    ends = sum(line.rstrip("\"')]”").endswith((".", "!", "?", ":")) for line in paragraphs)
    assert ends > 0.9 * len(paragraphs)

"""Pages of a dictionary as files: complete, escaped, and linked among each other."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from causal_replies import kept_evidence

from autointerp.core.causal_evidence import EvidenceKind
from autointerp.core.causal_request import CausalRequest
from autointerp.core.ids import UnitId
from autointerp.dictionary.read import open_dictionary, open_example
from autointerp.store.labels import FolderLabelStore
from autointerp.web.static_pages import export_pages


class Page(HTMLParser):
    """What a page links to, and what in it a strict policy would refuse."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"href", "src"} and value is not None:
                self.links.append(value)
            if name == "id" and value is not None:
                self.ids.append(value)
            if name == "style" or name.startswith("on") or tag == "style":
                self.inline.append(f"{tag} {name}")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_pages(open_example(), tmp_path_factory.mktemp("html") / "pages")


def test_every_label_of_the_example_has_a_page_of_at_most_150_kb(pages: Path) -> None:
    units = list(pages.glob("models/smollm2-135m/units/*/*.html"))
    assert len(units) == 40
    assert max(path.stat().st_size for path in units) <= 150_000


def test_every_link_leads_to_a_file_and_nothing_stands_inline(pages: Path) -> None:
    files = list(pages.rglob("*.html"))
    assert len(files) == 42
    for path in files:
        page = Page(path.read_text("utf-8"))
        assert page.inline == []
        assert len(set(page.ids)) == len(page.ids)
        for link in page.links:
            assert not re.match(r"[a-z]+:|//|/", link), (path, link)
            target, _, anchor = unquote(link).partition("#")
            assert (path.parent / target).is_file() if target else anchor in page.ids, (path, link)


def test_what_needs_the_model_is_left_out_and_said(pages: Path) -> None:
    unit = (pages / "models/smollm2-135m/units/blocks.15.mlp.hook_post/1493.html").read_text()
    model = (pages / "models/smollm2-135m/index.html").read_text()
    for page in (unit, model):
        assert "autointerp serve --embedded" in page
        assert not re.search(r"<textarea|module|trying.css", page)
    assert "a server has an editor here" in unit
    assert "a server scores an explanation of yours here" in unit


def test_causal_evidence_that_is_kept_stands_on_the_page_of_its_unit(tmp_path: Path) -> None:
    folder = shutil.copytree(open_example().folder, tmp_path / "example")
    unit = UnitId("smollm2-135m", "blocks.15.mlp.hook_post", 1493)
    kept = kept_evidence(unit, CausalRequest(EvidenceKind.ABLATION))
    FolderLabelStore(folder).put_evidence(kept)
    dictionary = open_dictionary(folder)
    assert dictionary.evidence(unit) == (kept,)
    units = export_pages(dictionary, tmp_path / "pages") / "models/smollm2-135m/units"
    with_it = [
        path for path in units.glob("*/*.html") if '<section class="found">' in path.read_text()
    ]
    assert with_it == [units / "blocks.15.mlp.hook_post" / "1493.html"]


def test_only_what_the_pages_ask_for_is_copied(pages: Path) -> None:
    copied = {path.name for path in (pages / "assets").iterdir()}
    assert copied == {"style.css", "icon.svg", "page.js"}


def test_a_page_says_what_the_label_and_its_scores_are(pages: Path) -> None:
    (label,) = open_example().find("15:1493")
    text = (pages / "models/smollm2-135m/units/blocks.15.mlp.hook_post/1493.html").read_text()
    score = label.headline
    assert f"predicts {score.value:.2f} (95 %: {score.low:.2f} to {score.high:.2f}) of how" in text
    assert f"table of every token&#39;s mean predicts {label.score('lookup').value:.2f}" in text
    assert label.llm is not None
    for sense in label.llm.explanation.senses[:2]:
        assert sense.description.replace('"', "&#34;").replace("'", "&#39;") in text


def test_the_page_of_the_model_lists_units_best_first(pages: Path) -> None:
    text = (pages / "models/smollm2-135m/index.html").read_text("utf-8")
    listed = text.partition('id="list"')[2]
    scores = [float(found) for found in re.findall(r'<b class="number">(-?[0-9.]+)</b>', listed)]
    assert len(scores) == 40
    assert scores == sorted(scores, reverse=True)

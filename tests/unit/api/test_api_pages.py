"""Pages for browsers: what they show, what they refuse, and that tokens stay text."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import urljoin

import pytest
from api_service import HEADERS, Service, make_service, put_labels
from factories import make_label, make_record, make_sets, make_unit
from starlette.testclient import TestClient

from autointerp.core.explanations import Explanation
from autointerp.dictionary import row_json
from autointerp.store.labels.folder_stores import FolderLabelStores

UNIT = "/models/tiny/units/blocks.5.mlp.hook_post/131"
EVIL = (
    "<img src=x onerror=alert(1)>",
    "\x1b[31m",
    "\u202eabc",
    "שלום",
    "\\xf0\\x9f",
    "\\x98\\x80",
    "\ud800",
    "{{ 7 * 7 }}",
)


def test_a_unit_is_shown_with_its_label_exemplars_and_predictions(client: TestClient) -> None:
    client.get("/models/tiny")  # Its neighbours are known when the labels have been read.
    answer = client.get(UNIT)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    for part in ("names of rivers", "Where it is active", "real above predicted", "every score"):
        assert part in answer.text
    assert 'rel="next" href="/models/tiny/units/blocks.5.mlp.hook_post/132"' in answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]


def test_the_start_leads_to_models_and_jobs(client: TestClient) -> None:
    client.get("/models/tiny")
    text = client.get("/").text
    assert '<a href="/models/tiny">tiny</a> 3 labels' in text


def test_the_example_can_be_looked_through_and_leads_back(client: TestClient) -> None:
    seen = set[str]()
    example = re.search(r'href="(/example/[^"]+)"', client.get("/").text)
    assert example is not None
    waiting = [example[1]]
    while waiting:
        path = waiting.pop()
        answer = client.get(path)
        assert answer.status_code == 200, path
        seen.add(path)
        if path.endswith(".html"):
            links = re.findall(r'(?:href|src)="([^"#]+)', answer.text)
            found = {urljoin(path, html.unescape(link)) for link in links}
            waiting += [one for one in found - seen if one.startswith("/") and one not in waiting]
    units = [path for path in seen if "/units/" in path]
    assert len(units) == 40
    assert "/" in seen
    assert client.get("/example/models/none").status_code == 404


def test_a_model_is_shown_by_layers_and_its_units_by_score_words_and_layer(
    client: TestClient,
) -> None:
    text = client.get("/models/tiny").text
    assert text.index("names of seas") < text.index("names of rivers")
    assert "1 never active" in text
    worst = client.get("/models/tiny", params={"sort": "score"}).text
    assert worst.index("names of rivers") < worst.index("names of seas")
    found = client.get("/models/tiny", params={"q": "seas"}).text
    assert "names of seas" in found
    assert "names of rivers" not in found
    assert "No label fits" in client.get("/models/tiny", params={"layer": "9"}).text


def test_a_model_page_leads_to_each_form_of_its_dictionary(client: TestClient) -> None:
    links = re.findall(r'href="(/v1/models/tiny/dictionary[^"]+)"', client.get("/models/tiny").text)
    found = {client.get(link).headers["content-type"].partition(";")[0] for link in links}
    assert len(links) == len(found) == 4
    assert "application/zip" in found


def test_many_units_are_shown_a_page_at_a_time(tmp_path: Path) -> None:
    service = make_service(tmp_path, fill=False)
    labels = [make_label(make_unit(i), text=f"thing {i:03}", score=i / 200) for i in range(120)]
    put_labels(service.stores, labels)
    with TestClient(service.app, client=("127.0.0.1", 5), base_url="http://localhost") as client:
        seen, path = [], "/models/tiny"
        while path:
            page = client.get(path).text
            seen += re.findall(r"thing [0-9]{3}", page.partition('id="list"')[2])
            more = re.search(r'rel="next" href="([^"]+)"', page)
            # Whatever name and scheme a proxy in front of the server has.
            assert more is None or more[1].startswith("?")
            path = urljoin("/models/tiny", html.unescape(more[1])) if more else ""
    assert seen == [f"thing {i:03}" for i in reversed(range(120))]


@pytest.mark.parametrize(
    "path",
    [
        "/models/none",
        "/models/tiny/units/blocks.5.mlp.hook_post/99",
        "/models/tiny/units/%3Cb%3E/1",
        "/models/%2e%2e/units/blocks.5.mlp.hook_post/1",
    ],
)
def test_what_is_not_there_is_told_on_a_page(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "<b>" not in answer.text
    assert "<h1>There is nothing here</h1>" in answer.text or "/problem+json" in str(answer.headers)


def test_a_wrong_cursor_is_told_on_a_page(client: TestClient) -> None:
    answer = client.get("/models/tiny", params={"cursor": "zz"})
    assert answer.status_code == 422
    assert "<h1>This does not work</h1>" in answer.text


def test_tokens_and_texts_of_strangers_stay_text(tmp_path: Path) -> None:
    service = make_service(tmp_path, fill=False)
    sets = make_sets()
    evil = replace(
        make_record(0, (3.0, *[0.0] * (len(EVIL) - 1)), "top"), tokens=EVIL, document="<i>doc</i>"
    )
    made = replace(sets, explain=replace(sets.explain, records=(evil,)))
    label = make_label(
        text="<script>alert(1)</script> \x1b[2J \u202e", top_tokens=EVIL, promoted=EVIL
    )
    put_labels(service.stores, [label])
    service.stores.of("tiny").put_sets(made)
    text = page_of(service)
    for wrong in ("<img src=x", "<script>alert", "<i>doc", "\x1b", "\u202e", "49<"):
        assert wrong not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert "😀" in text
    assert "שלום" in text


def test_records_that_were_not_kept_are_told(tmp_path: Path) -> None:
    service = make_service(tmp_path, fill=False)
    put_labels(service.stores, [make_label()])
    assert "were not kept" in page_of(service)


def page_of(service: Service) -> str:
    with TestClient(service.app, client=("127.0.0.1", 5), base_url="http://localhost") as client:
        answer = client.get(UNIT)
    assert answer.status_code == 200
    return answer.content.decode("utf-8")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("style.css", "text/css"),
        ("page.js", "text/javascript"),
        ("requests.js", "text/javascript"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_what_pages_need_is_there_and_nothing_else(
    client: TestClient, name: str, kind: str
) -> None:
    answer = client.get(f"/assets/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    assert client.get("/assets/..%2f__init__.py").status_code == 404
    assert client.get("/assets/none.js").status_code == 404


def test_what_people_said_and_kept_stands_on_the_page_of_the_unit(tmp_path: Path) -> None:
    stores = FolderLabelStores(tmp_path / "labels", row_json)
    service = make_service(tmp_path, stores=stores)
    said = Explanation("big <rivers>", "person:ada", None, None, None, 0)
    for one in (make_label(explanation=said), make_label()):
        stores.of("tiny").put_sets(make_sets())
        stores.of("tiny").put_label(one)
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        page = client.get(UNIT).text
    assert "Kept explanations" in page
    assert "big &lt;rivers&gt; <small>person:ada</small>" in page
    assert "names of rivers" in page


def test_the_questions_behind_scores_are_a_page_and_json(client: TestClient) -> None:
    page = client.get(f"{UNIT}/trials")
    assert page.status_code == 200
    assert "the reply was empty" in page.text
    found = client.get(f"/v1{UNIT}/trials").json()
    names = [one["scorer"] for one in found["scorers"]]
    assert "simulation" in names
    assert "lookup" not in names
    failures = [trial["failure"] for trial in found["scorers"][0]["trials"]]
    assert "the reply was empty" in failures
    assert client.get("/models/tiny/units/blocks.5.mlp.hook_post/99999/trials").status_code == 404


def test_labels_of_other_explainers_stand_beside_the_newest(tmp_path: Path) -> None:
    stores = FolderLabelStores(tmp_path / "labels", row_json)
    service = make_service(tmp_path, stores=stores)
    other = Explanation("big <rivers>", "contrastive", None, None, None, 0)
    for one in (make_label(explanation=other, score=0.2), make_label()):
        stores.of("tiny").put_sets(make_sets())
        stores.of("tiny").put_label(one)
    asked = {"model": "tiny", "hook": "blocks.5.mlp.hook_post", "index": 131}
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        page = client.get("/compare", params=asked).text
        missing = client.get("/compare", params={**asked, "index": 99_999})
    assert page.index("names of rivers") < page.index("big &lt;rivers&gt;")
    assert "explainer" in page.partition("Other than the first")[2]
    assert missing.status_code == 404

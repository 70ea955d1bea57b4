"""A server shows folders of rescored labels, and leads to them from a model and a unit."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_service import HEADERS, make_service
from fastapi.testclient import TestClient
from rescored_folder import DISTRUSTED, rescored_folder

from autointerp.api.server import config_of
from autointerp.core.errors import InputError
from autointerp.settings import Settings
from autointerp.web.rescored_site import unit_path

SITE = "/rescored/mine-on-python"
UNIT = "/models/tiny/units/blocks.5.mlp.hook_post/131"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    folder = rescored_folder(tmp_path / "mine-on-python")
    service = make_service(tmp_path / "api", rescored=(folder,))
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        yield client


def test_the_pages_are_those_of_the_folder(client: TestClient) -> None:
    assert "To distrust on python" in client.get(f"{SITE}/index.html").text
    shown = client.get(f"{SITE}/{unit_path(DISTRUSTED)}")
    assert "Do not trust it on python" in shown.text
    assert 'href="/"' in shown.text
    assert client.get(f"{SITE}/assets/rescored.css").status_code == 200
    for path in (f"{SITE}/models/none.html", "/rescored/other/index.html"):
        assert client.get(path).status_code == 404


def test_the_start_a_model_and_a_unit_lead_to_them(client: TestClient) -> None:
    for path in ("/", "/models/tiny"):
        assert f'href="{SITE}/index.html"' in client.get(path).text
    shown = client.get(UNIT).text
    assert f'href="{SITE}/{unit_path(DISTRUSTED)}#positive"' in shown
    assert "Do not trust it on python" in shown


def test_a_unit_whose_label_is_another_one_now_leads_nowhere(client: TestClient) -> None:
    shown = client.get("/models/tiny/units/blocks.5.mlp.hook_post/132").text
    assert "Unit 5:132" in shown
    assert SITE not in shown


def test_a_folder_that_was_written_anew_is_read_anew(client: TestClient, tmp_path: Path) -> None:
    assert "names of rivers" in client.get(f"{SITE}/index.html").text
    lines = tmp_path / "mine-on-python" / "labels.jsonl"
    lines.write_text(lines.read_text().replace("names of rivers", "names of lakes"))
    report = lines.with_name("report.json")
    report.write_text(report.read_text() + "\n")
    assert "names of lakes" in client.get(f"{SITE}/index.html").text


@pytest.mark.parametrize("damage", ["gone", "report", "labels"])
def test_pages_do_without_a_folder_that_cannot_be_read_any_more(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folders = [rescored_folder(tmp_path / name) for name in ("lost", "mine-on-python")]
    service = make_service(tmp_path / "api", rescored=tuple(folders))
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        assert "/rescored/lost/" in client.get("/").text
        if damage == "gone":
            shutil.rmtree(folders[0])
        else:
            (folders[0] / "labels.jsonl").write_text("{\n")
            report = "{" if damage == "report" else (folders[0] / "report.json").read_text() + "\n"
            (folders[0] / "report.json").write_text(report)
        for path in ("/", "/models/tiny", UNIT):
            shown = client.get(path)
            assert shown.status_code == 200
            assert f'href="{SITE}/' in shown.text
            assert "/rescored/lost/" not in shown.text
        assert client.get("/rescored/lost/index.html").status_code >= 400
    [warned] = [one.getMessage() for one in caplog.records if "do not link" in one.getMessage()]
    assert warned.startswith(f"pages do not link to the labels in {folders[0]}: ")


def test_a_folder_that_holds_something_else_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no report of rescored labels"):
        config_of(Settings(rescored=(tmp_path,)))
    first, second = (rescored_folder(_made(tmp_path / name) / "same") for name in "ab")
    with pytest.raises(InputError, match="two folders of rescored labels are named same"):
        config_of(Settings(rescored=(first, second)))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder

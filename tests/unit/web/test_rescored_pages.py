"""Pages of labels on two texts: the illusion as a number, and both texts side by side."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from factories import make_record, make_sets
from rescored_folder import DISTRUSTED, OTHER, rescored_folder

from autointerp.cli import run
from autointerp.core.errors import InputError
from autointerp.core.scores import Trial
from autointerp.dictionary.rescored_files import REPORT, RescoreFolder
from autointerp.dictionary.rescored_labels import Outcome
from autointerp.dictionary.rescored_windows import WINDOWS, shown_windows
from autointerp.dictionary.rescored_words import advice
from autointerp.web.rescored_site import REPORT_PAGE, RescoredSite, unit_path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return rescored_folder(tmp_path / "mine-on-python")


def page(folder: Path, path: str = unit_path(DISTRUSTED)) -> str:
    found = RescoredSite(folder).page(path)
    assert found is not None
    return " ".join(re.sub(r"<[^>]+>", " ", found).split())


def test_a_report_is_read_back_as_it_was_written(folder: Path) -> None:
    report = RescoreFolder(folder).report()
    assert (report.subject, report.corpus, report.other) == ("tiny", "wiki", OTHER)
    assert (report.n_tokens, report.n_dictionary, len(report.labels)) == (4_096, 9, 7)
    assert [label.unit.short for label in report.distrusted] == ["5:131", "12:7"]
    assert all(report.all.counts[outcome] for outcome in Outcome)


def test_the_page_of_all_has_the_share_of_each_layer_and_its_units_to_distrust(
    folder: Path,
) -> None:
    shown = page(folder, REPORT_PAGE)
    assert "2 of 4 labels (50%) learned on wiki say clearly less" in shown
    assert "Layer 5 1 of 3" in shown
    assert "Layer 12 1 of 1" in shown
    assert shown.index("5:131 +") < shown.index("12:7 +") < shown.index("All labels")
    assert "-0.50 names of rivers" in shown
    assert "unit silent there" in shown


def test_the_page_of_a_unit_has_both_scores_the_difference_and_both_texts(folder: Path) -> None:
    shown = page(folder).replace("\u00a0", " ")
    assert "Do not trust it on python" in shown
    assert "The unit follows something else there" in shown
    assert "0.60 (95 %: 0.50 to 0.70) 0.10 (95 %: 0.00 to 0.20)" in shown
    assert "python less wiki: -0.50 (95 %: -0.64 to -0.36) q 0.0004, beyond chance" in shown
    whole = RescoredSite(folder).page(unit_path(DISTRUSTED)) or ""
    own, other = (part.count('<b class="which">real</b>') for part in whole.split("<h3>")[1:])
    assert (own, other) == (2, 2)
    # The label predicts what it does on its own text, and nothing there.
    assert whole.split("<h3>")[1].count("predicted") > 0
    assert "a10" not in whole.split("<h3>")[2]


def test_every_outcome_has_a_sentence_of_its_own(folder: Path) -> None:
    report = RescoreFolder(folder).report()
    said = {label.outcome: advice(label, report) for label in report.labels}
    assert set(said) == set(Outcome)
    assert len(set(said.values())) == len(said)
    assert "a loss" not in said[Outcome.SAME]
    assert "the 4,096 tokens that were read" in said[Outcome.SILENT]
    assert "an LLM, and none was named" in said[Outcome.UNTESTED]


def test_labels_without_texts_have_a_page_that_says_so(folder: Path) -> None:
    (folder / WINDOWS).unlink()
    assert "The texts were not kept" in page(folder)


def test_the_windows_kept_are_the_strongest_and_then_those_predicted_most() -> None:
    records = tuple(make_record(n, (float(n), 0.123456), "top") for n in range(10))
    held_out = replace(make_sets().held_out, records=records)
    trials = [Trial(n, "top", 1.0, (float(n == 3), 0.0)) for n in range(10)]
    kept = shown_windows(held_out, trials)
    assert [record.window for record in kept] == [9, 8, 7, 6, 3]
    assert kept[0].activations == (9.0, 0.1235)
    assert shown_windows(held_out, trials[:2])[0].window == 1


def test_the_folder_is_exported_as_pages_without_a_server_and_as_nothing_else(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "pages"
    assert run(["export", str(folder), "--format", "html", "--out", str(out)]) == 0
    files = sorted(str(path.relative_to(out)) for path in out.rglob("*.html"))
    assert files == sorted(RescoredSite(folder).paths())
    for path in out.rglob("*.html"):
        for link in re.findall(r'(?:href|src)="([^"]+)"', path.read_text("utf-8")):
            target = link.partition("#")[0]
            assert not target or (path.parent / target).is_file(), (path, link)
    assert run(["export", str(folder), "--format", "parquet", "--out", str(tmp_path / "x")]) == 2
    assert "exported as html alone" in capsys.readouterr().err


def test_a_folder_without_a_report_says_how_there_would_be_one(
    folder: Path, tmp_path: Path
) -> None:
    (folder / REPORT).unlink()
    with pytest.raises(InputError, match="not finished: run it again with --resume"):
        RescoredSite(folder)
    with pytest.raises(InputError, match="`autointerp rescore DIR --out FOLDER` makes one"):
        RescoredSite(tmp_path)

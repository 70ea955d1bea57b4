"""What all studies print and leave in their folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console
from study_reports import study_report

from autointerp.cli.rendering.study_table import print_study
from autointerp.core.errors import InputError
from autointerp.core.study_report import StudyReport
from autointerp.wiring.study_folder import begin_study, finish_study


@pytest.mark.parametrize("width", [60, 160])
def test_a_report_is_printed_within_the_width_with_every_column(width: int) -> None:
    console = Console(width=width, record=True, no_color=True)
    print_study(study_report(), console)
    shown = console.export_text()
    assert max(map(len, shown.splitlines())) <= width
    assert "\x1b[31m" not in shown
    words = " ".join(shown.split())
    assert [words.count(f"{i * 100 / 9:.0f} %") > 0 for i in range(1, 9)] == [True] * 8
    assert "1.10 [1.00, 1.20]" in words
    assert "Nothing was left out." in words


def test_a_folder_holds_one_study_and_goes_on_only_where_it_is_asked_to(tmp_path: Path) -> None:
    folder, report = tmp_path / "study", study_report()
    begin_study(folder, "layers", {"dir": "a"})
    finish_study(folder, report)
    text = (folder / "study.json").read_text()
    assert StudyReport.from_json(text, where="study.json") == report
    assert "Scores rise with depth." in (folder / "report.html").read_text()
    with pytest.raises(InputError, match="add --resume to continue or choose another --out"):
        begin_study(folder, "layers", {"dir": "a"})
    begin_study(folder, "layers", {"dir": "a"}, resume=True)
    with pytest.raises(InputError, match="another study: study is 'layers' there and 'seeds' here"):
        begin_study(folder, "seeds", {"dir": "a"}, resume=True)


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"it has mine\.txt but no asked\.json"):
        begin_study(tmp_path, "layers", {})
    with pytest.raises(InputError, match="is a file, not a folder"):
        begin_study(tmp_path / "mine.txt", "layers", {})


def test_a_study_that_made_nothing_gives_way_to_another(tmp_path: Path) -> None:
    begin_study(tmp_path / "study", "solu", {"first": "typed wrongly"}, resume=True)
    begin_study(tmp_path / "study", "solu", {"first": "a"}, resume=True)
    finish_study(tmp_path / "study", study_report())
    with pytest.raises(InputError, match="first is 'a' there and 'b' here"):
        begin_study(tmp_path / "study", "solu", {"first": "b"}, resume=True)

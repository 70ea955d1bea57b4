"""The table in README.md is compared with what the demo prints."""

from __future__ import annotations

from pathlib import Path

import pytest
from _demo_table import differences, in_readme, main, printed
from factories import make_info, make_label, make_unit
from memory_store import MemoryLabelStore

from autointerp.cli.demo import DEMO
from autointerp.dictionary import write_dictionary

README = Path(__file__).resolve().parents[2] / "README.md"
LINE = "1:848 +   ok   the tokens   0.48 [0.01, 0.74]   0.66   0.05   54.58%\n"


def test_the_table_of_the_readme_has_a_row_for_each_unit_of_the_demo() -> None:
    rows = [line.split() for line in in_readme(README.read_text()).splitlines()]
    assert rows[0] == ["unit", "status", "explanation", "score", "lookup", "null", "density"]
    units = [row[0] for row in rows if len(row) > 1 and row[1] in "+-" and ":" in row[0]]
    assert units == DEMO.units.split(",")


@pytest.mark.parametrize("other", [LINE, LINE.replace("0.48", "0.50"), LINE.replace("8%", "9%")])
def test_numbers_may_differ_by_the_tolerance(other: str) -> None:
    assert differences(LINE, other) == []


@pytest.mark.parametrize(
    "other",
    [
        LINE.replace("0.48", "0.51"),
        LINE.replace("0.01", "-0.02"),
        LINE.replace("54.58", "57.58"),
        LINE.replace("tokens", "token"),
        LINE.replace("ok", "dead"),
    ],
)
def test_what_differs_by_more_is_told(other: str) -> None:
    [told] = differences(LINE, other)
    assert LINE.split(maxsplit=1)[0] in told


def test_a_table_of_another_length_is_told() -> None:
    assert differences(LINE, LINE * 2) == ["the table has 2 lines, that in README.md 1"]


def test_the_table_of_a_run_is_what_a_terminal_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = MemoryLabelStore()
    store.put_label(make_label())
    store.put_label(make_label(make_unit(7), text="names of seas", score=0.9))
    write_dictionary(tmp_path, store, make_info())
    lines = printed(tmp_path).splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["5:7", "5:131"]
    assert "0.42 [0.32, 0.52]" in lines[3]
    assert main(str(tmp_path)) == 0
    assert main(str(tmp_path), "--strict") == 1
    assert "differs from that of README.md" in capsys.readouterr().out

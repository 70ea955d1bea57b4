"""``autointerp search``: labels by words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Cli
from factories import make_label, make_unit

from autointerp.dictionary.label_search import search_rows
from autointerp.dictionary.rows import label_row


def rows(*texts: str) -> list[dict[str, object]]:
    labels = [
        make_label(make_unit(i), text=text, score=i / 10, top_tokens=())
        for i, text in enumerate(texts)
    ]
    return [dict(label_row(label)) for label in labels]


def test_rows_with_every_word_come_most_matches_first_and_then_the_best() -> None:
    found, n = search_rows(rows("a river", "river", "a sea", "river, river"), "RIVER", limit=2)
    assert [row["index"] for row in found] == [3, 1]
    assert n == 3
    assert search_rows(rows("a river", "a sea"), "river sea", limit=2) == ([], 0)
    assert search_rows(rows("a river"), "riv", limit=2)[1] == 1


def test_units_with_the_words_are_printed_with_their_scores(cli: Cli, a_dictionary: Path) -> None:
    ended = cli("search", "rivers", "--dir", str(a_dictionary))
    assert ended.code == 0
    assert "5:131" in ended.out
    assert "names of rivers" in ended.out
    found = json.loads(cli("search", "rivers", "--dir", str(a_dictionary), "--json").out)
    assert found[0]["description"] == "names of rivers"


def test_the_folder_stands_before_or_behind_the_words(cli: Cli, a_dictionary: Path) -> None:
    asked = [
        (str(a_dictionary), "names", "rivers"),
        ("names", "rivers", str(a_dictionary)),
        ("names rivers", "--dir", str(a_dictionary)),
    ]
    found = [cli("search", *words) for words in asked]
    assert found[0] == found[1] == found[2]
    assert "names of rivers" in found[0].out


def test_a_folder_without_words_and_a_path_that_is_none_are_told(
    cli: Cli, a_dictionary: Path
) -> None:
    assert "is a folder; name words too" in cli("search", str(a_dictionary)).err
    assert "nowhere is not a folder" in cli("search", "rivers", "./nowhere").err


def test_words_that_no_label_has_are_said_and_the_terminal_is_left_alone(
    cli: Cli, a_dictionary: Path
) -> None:
    ended = cli("search", "\x1b[31mzebra", "--dir", str(a_dictionary))
    assert ended.code == 0
    assert "no label has these words" in ended.err
    assert "\x1b[31m" not in ended.out + ended.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("search", "?!"), "1 to 32 words"),
        (("search", "river", "--meaning"), "name one with --server"),
        (("search", "river", "--model", "tiny"), "name one with --server"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_a_sentence(
    cli: Cli, a_dictionary: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    ended = cli(*arguments, "--dir", str(a_dictionary))
    assert ended.code == 2
    assert sentence in ended.err

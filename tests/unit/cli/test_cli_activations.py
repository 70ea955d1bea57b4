"""``autointerp activations``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Cli
from rich.console import Console
from tiny import tiny_subject

from autointerp.cli.rendering.text_activation_rows import print_strongest, print_text_units
from autointerp.cli.text_units import NamedUnits, TextUnit, local_strongest
from autointerp.core.errors import InputError
from autointerp.core.ids import Side, UnitId

UNIT = UnitId("tiny", "blocks.5.mlp.hook_post", 131)


def printed(
    tokens: tuple[str, ...], unit: TextUnit, capsys: pytest.CaptureFixture[str], width: int = 80
) -> str:
    print_text_units(tokens, [unit], Console(width=width, highlight=False, no_color=True))
    return capsys.readouterr().out


def test_values_stand_below_their_tokens_in_rows_that_fit(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tokens = tuple(f" word{i}" for i in range(30))
    values = tuple(i / 10 for i in range(30))
    unit = TextUnit(UNIT, Side.POSITIVE, values, 5.8, "names of rivers", 0.42)
    lines = printed(tokens, unit, capsys).splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[0] == "tiny/blocks.5.mlp.hook_post/131  positive side"
    assert lines[1] == "0.42  names of rivers"
    above, below = lines[2], lines[3]
    for i in range(9):
        place = above.index(f"word{i} ") - 1
        assert below[place : place + 4] == f"{i / 10:.2f}"
    assert lines[-1] == 'strongest 2.9 at " word29": 50% of 5.8, its peak in the explain text'


def test_nothing_of_a_text_controls_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    tokens = ("\x1b[31m", "\u202e", "\r\n", "\\xf0\\x9f", "\\x8e\\x89", " ")
    out = printed(tokens, TextUnit(UNIT, None, (0.5, 0.1, -2.0, 1, 0, 0), None, None, None), capsys)
    assert not {"\x1b", "\u202e", "\r"} & set(out)
    assert "🎉" in out
    assert "strongest -2 at " in out
    assert "no label here" in out


def test_a_silent_unit_has_a_scale_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert "0.00" in printed(("a",), TextUnit(UNIT, None, (0.0,), None, None, None), capsys)


def test_the_strongest_units_are_listed_with_what_they_are_ranked_by(
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = {"unit": str(UNIT), "side": "negative", "activation": 1.5, "position": 1}
    one |= {"relative": 0.5, "token": " Rhine", "score": 0.4, "description": "\x1b[2J" + "x" * 500}
    found = {"tokens": ["The", " Rhine"], "hooks": ["a"], "ranked_by": "relative", "units": [one]}
    print_strongest(found, Console(width=80, highlight=False, no_color=True))
    out = capsys.readouterr().out
    assert "by their activation as a share of their largest" in " ".join(out.split())
    assert "5:131 -" in out
    assert "50%" in out
    assert "Rhine (1)" in out
    assert "\x1b" not in out
    assert len(out) < 800


@pytest.mark.parametrize(
    ("given", "spec", "subject"),
    [
        (["5:131", "7/3"], "5:131,7:3", None),
        (["tiny/blocks.5.mlp.hook_post/131"], "blocks.5.mlp.hook_post:131", "tiny"),
        (["blocks.5.mlp.hook_pre:0-3", "random:5"], "blocks.5.mlp.hook_pre:0-3,random:5", None),
    ],
)
def test_units_are_named_as_elsewhere(given: list[str], spec: str, subject: str | None) -> None:
    assert NamedUnits.of(given, None) == NamedUnits(spec, subject)


def test_units_of_two_models_are_refused() -> None:
    with pytest.raises(InputError, match="one subject model are read at a time; found other, tiny"):
        NamedUnits.of(["tiny/blocks.5.mlp.hook_post/131"], "other")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["5:1"], "give --text or --token-ids; found neither"),
        (["5:1", "--text", "a", "--token-ids", "1"], "give --text or --token-ids; found both"),
        (["--text", "a"], "name units, or --strongest 20 for those of all; found neither"),
        (["5:1", "--strongest", "3", "--text", "a"], "found both"),
        (["5:1", "--token-ids", "1,x"], "--token-ids takes numbers, 504,2387; found '1,x'"),
        (["5:1", "--text", "a", "--layers", "5"], "--layers goes with --strongest"),
        (["--strongest", "3", "--text", "a", "--layers", "5-"], "--layers takes numbers"),
        (["--strongest", "3", "--text", "a", "--layers", "7-5"], "--layers names no layer"),
        (["5:1", "--text", "a", "--dir", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(
    cli: Cli, arguments: list[str], message: str
) -> None:
    ended = cli("activations", *arguments)
    assert ended.code == 2
    assert message in " ".join(ended.err.split())


def test_a_subject_other_than_the_dictionarys_is_refused(cli: Cli, a_dictionary: Path) -> None:
    asked = ("5:131", "--subject", "smollm2-135m", "--text", "a", "--dir", str(a_dictionary))
    ended = cli("activations", *asked)
    assert ended.code == 2
    assert "has labels of tiny and not of smollm2-135m" in " ".join(ended.err.split())


def test_characters_that_tokens_share_are_whole_in_the_text_of_token_ids() -> None:
    subject = tiny_subject()
    found = local_strongest(subject, None, subject.tokenizer.encode("é 🎉"), 3, None)
    assert (found["text"], found["tokenized"]) == ("é 🎉", False)


def test_activations_of_a_real_model_as_json(
    cli: Cli, smollm2_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOINTERP_CACHE_DIR", str(smollm2_cache))
    asked = ("5:131", "5/7", "--token-ids", "504,2387")
    found = json.loads(cli("activations", *asked, "--json").out)
    assert (found["token_ids"], found["tokenized"], found["labels"]) == ([504, 2387], False, [])
    assert [unit["unit"].rsplit("/", 1)[1] for unit in found["units"]] == ["7", "131"]
    assert all(len(unit["activations"]) == 2 for unit in found["units"])

"""What is said where an option or an argument is not understood."""

from __future__ import annotations

import pytest
from command_line import Cli


@pytest.mark.parametrize(
    ("typed", "advice"),
    [
        ("show 5:131 --dictionary runs", "No such option: --dictionary; did you mean --dir?"),
        ("search rivers --folder runs", "did you mean --dir?"),
        ("export --dir runs", "did you mean DIR without an option?"),
        ("label tiny --unit 5:0", "did you mean --units?"),
        ("label tiny --n_ctx 32", "did you mean --n-ctx?"),
        ("label --model tiny", "did you mean SUBJECT without an option or --llm-model?"),
        ("label tiny --output-dir made", "did you mean --out?"),
        ("label tiny --n-band 4", "did you mean --set select.n_band=...?"),
        ("label tiny -u 5:0", "No such option: -u; did you mean --units?"),
        ("label tiny --api-key k", "is read from AUTOINTERP_LLM_API_KEY"),
        ("collect tiny --budget-usd 5", "it is an option of label, rescore, submit"),
        ("--units 5:0 label tiny", "it is an option of collect, find, label"),
        ("store copy json:a --to json:b", "did you mean TO without an option?"),
        ("status --url http://h", "did you mean --server?"),
    ],
)
def test_an_option_that_does_not_exist_is_answered_with_what_may_be_meant(
    cli: Cli, typed: str, advice: str
) -> None:
    ended = cli(*typed.split())
    assert ended.code == 2
    assert advice in one_line(ended.err)


def test_an_option_that_resembles_nothing_is_refused_without_a_guess(cli: Cli) -> None:
    ended = cli("label", "tiny", "--zzz", "4")
    assert ended.code == 2
    assert "No such option: --zzz │" in one_line(ended.err)
    assert "Try 'autointerp label --help'" in ended.err


@pytest.mark.parametrize(
    ("typed", "advice"),
    [
        ("label tiny 5:0-3", "units are named with --units 5:0-3"),
        ("collect tiny sae:x:0-9", "units are named with --units sae:x:0-9"),
        ("label tiny runs/mine", "did you mean --out runs/mine?"),
        ("inspect a b", "Unexpected argument: b │"),
    ],
)
def test_an_argument_too_many_is_answered_with_its_option(
    cli: Cli, typed: str, advice: str
) -> None:
    ended = cli(*typed.split())
    assert ended.code == 2
    assert advice in one_line(ended.err)


@pytest.mark.parametrize(
    ("typed", "example"),
    [
        ("show", "autointerp show runs/mine 5:131"),
        ("diff runs/a", "autointerp diff runs/a runs/b"),
        ("export runs/a --format jsonl", "autointerp export runs/mine --format parquet --out"),
    ],
)
def test_what_is_missing_is_shown_by_an_example(cli: Cli, typed: str, example: str) -> None:
    ended = cli(*typed.split())
    assert ended.code == 2
    assert "Missing" in ended.err
    assert example in one_line(ended.err)


def test_a_value_of_a_wrong_type_is_told_as_before(cli: Cli) -> None:
    ended = cli("label", "tiny", "--units", "5:0", "--tokens", "five")
    assert ended.code == 2
    assert "Invalid value for '--tokens'" in ended.err


def one_line(text: str) -> str:
    """What stands in a frame, as one line."""
    return " ".join(text.replace("│\n│", " ").split())

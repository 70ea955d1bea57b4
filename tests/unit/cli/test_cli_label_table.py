"""The table of a job's labels: narrow, wide, long texts, and what else was said."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from factories import make_label, make_unit
from rich.console import Console
from sense_labels import make_rules, make_sense_label

from autointerp.cli.rendering.label_table import outcome_json
from autointerp.cli.rendering.result_tables import result_tables
from autointerp.core.explanations import Explanation, Label, LabelStatus
from autointerp.core.ids import UnitId
from autointerp.jobs import RunReport

LOOKUP = "the tokens " + ", ".join(f'" word{n}"' for n in range(40))


def by_lookup(text: str) -> Label:
    """A label made by token lookup alone."""
    chosen = Explanation(text, "token_lookup", None, None, None, 0)
    return replace(make_label(), explanation=chosen)


def printed(label: Label, width: int) -> str:
    return "\n".join(" ".join(line.split()) for line in lines_of([label], width))


def lines_of(labels: Sequence[Label], width: int) -> list[str]:
    console = Console(width=width)
    with console.capture() as capture:
        for part in result_tables(labels, width=width):
            console.print(part)
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= width
    return lines


def at_hook(label: Label, hook: str, index: int) -> Label:
    return replace(label, unit=UnitId("tiny", hook, index))


SAE = "blocks.29.hook_resid_post.sl_sae"


def test_a_hook_point_that_short_units_do_not_name_stands_once_above_its_rows() -> None:
    labels = [at_hook(make_label(), SAE, index) for index in (0, 12_345)]
    lines = lines_of([*labels, make_label()], 100)
    assert sum(SAE in line for line in lines) == 1
    assert lines.index(SAE) > next(i for i, line in enumerate(lines) if "5:131 +" in line)
    assert [line.split(" ")[0] for line in lines[-2:]] == ["sl_sae/0", "sl_sae/12345"]


@pytest.mark.parametrize("hook", [SAE, "blocks.29.hook_resid_post.an_sae_with_a_long_name"])
@pytest.mark.parametrize("width", [80, 81, 90, 100, 101, 120])
def test_explanations_keep_their_width_and_other_columns_go(hook: str, width: int) -> None:
    label = at_hook(by_lookup(LOOKUP), hook, 24_576)
    head = lines_of([label], width)[1]
    assert "explanation" in head
    room = head.index("score") - head.index("explanation")
    assert room >= 24
    assert len(lines_of([label], width)) <= 12


def test_columns_go_in_their_order() -> None:
    label = by_lookup(LOOKUP)
    heads = [lines_of([label], width)[0].split() for width in (100, 85, 75, 66, 55, 40)]
    assert heads == [
        ["unit", "status", "explanation", "score", "lookup", "null", "density"],
        ["unit", "status", "explanation", "score", "lookup", "null"],
        ["unit", "status", "explanation", "score", "lookup"],
        ["unit", "status", "explanation", "score"],
        ["unit", "status", "explanation", "score"],
        ["unit", "explanation", "score"],
    ]


@pytest.mark.parametrize("width", [40, 80, 160])
def test_a_long_list_of_tokens_is_cut_between_two_of_them(width: int) -> None:
    shown = printed(by_lookup(LOOKUP), width)
    assert "…" in shown
    assert "word0" in shown
    assert "word30" not in shown


def test_senses_stand_numbered_with_their_shares_and_below_them_what_they_are_worth() -> None:
    assert printed(make_sense_label(), 200).splitlines()[2:] == [
        '5:131 + ok 1. hyphen or "and" that joins two paired names (50%)'
        " 0.42 [0.32, 0.52] 0.30 0.01 5.00%",
        "2. the piece ' Austro' of a longer word (20%)",
        "3. texts about treaties between states (2%, doubtful)",
        "adds +0.06 [+0.02, +0.10] to the tokens; survived 17 of 20 [0.64, 0.95]; "
        "needs ' Anglo' before '-'",
        'rules: the token "-"; the token " and" 0.38 [0.30, 0.45]',
    ]


def test_the_llm_s_explanation_stands_with_its_score_below_rules_that_describe_the_unit() -> None:
    label = make_sense_label(explanation=make_rules(), preferred="rules")
    shown = printed(label, 160).splitlines()[2:]
    assert shown[0].startswith('5:131 + ok the token "-"; the token " and" 0.38 [0.30, 0.45]')
    assert shown[1].startswith("LLM: 1. hyphen or")
    assert shown[1].endswith(" 0.42 [0.32, 0.52]")


@pytest.mark.parametrize("width", [40, 64, 80, 160])
def test_both_explanations_are_there_at_any_width(width: int) -> None:
    shown = " ".join(printed(make_sense_label(), width).split())
    for word in ("Austro", "(20%)", "survived", "rules:", "0.42", "0.38"):
        assert word in shown


def test_explanations_stand_below_the_reason_of_a_unit_that_is_not_ok() -> None:
    label = make_sense_label(status=LabelStatus.FAILED, reason="detection: no answer")
    shown = printed(label, 160)
    assert shown.index("detection: no answer") < shown.index("LLM: 1. hyphen")


def test_a_unit_whose_llm_refused_is_shown_as_refused() -> None:
    label = make_label(status=LabelStatus.FAILED, reason="refused: all 4 trials failed")
    assert "refused: all 4" in " ".join(printed(label, 40).split())
    row = next(line for line in printed(label, 160).splitlines() if "131" in line)
    assert row.split()[:4] == ["5:131", "+", "refused", "all"]
    failed = make_label(status=LabelStatus.FAILED, reason="cut off")
    assert "failed" in printed(failed, 160)


def test_nothing_stands_below_a_label_of_before_both_were_kept() -> None:
    assert len(printed(make_label(), 160).splitlines()) == 3


class ReadAnew:
    """Labels in an order of their own, of which it counts how many are held at a time."""

    def __init__(self) -> None:
        self.most_held = 0

    def __iter__(self) -> Iterator[Label]:
        for index in (7, 30, 2, 11, 5):
            yield make_label(make_unit(index, subject="counted"))
            there = (x for x in gc.get_objects() if type(x) is Label)
            n_held = sum(label.unit.subject == "counted" for label in there)
            self.most_held = max(self.most_held, n_held)


def test_json_is_made_of_one_label_at_a_time_and_sorted() -> None:
    labels = ReadAnew()
    rows = outcome_json(RunReport(labels))["labels"]
    assert isinstance(rows, list)
    assert [row["unit"].rpartition("/")[2] for row in rows] == ["2", "5", "7", "11", "30"]
    assert labels.most_held == 1

"""What people print fits one line and says what it is."""

from __future__ import annotations

import re
from typing import Any

import pytest
from factories import make_label

import autointerp
from autointerp.core.one_line import numbers, quoted
from autointerp.core.scores import Score

LINE = 160


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (None, "-"),
        ("", '""'),
        ('says "no"\n\x1b[31m', '"says \\"no\\"\\n\\u001b[31m"'),
        ("\x7f\x9b31m \u202eevil\u2028", '"\\u007f\\u009b31m \\u202eevil\\u2028"'),
        ("a" * 48, f'"{"a" * 48}"'),
        ("a" * 49, f'"{"a" * 45}..."'),
    ],
)
def test_texts_are_cut_and_their_control_characters_told(text: str | None, shown: str) -> None:
    assert quoted(text) == shown


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((), "none"),
        ((7,), "7"),
        ((0, 1, 2, 3, 4, 5, 6), "0-6"),
        ((3, 8, 20), "3, 8, 20"),
        ((1, 3, 5, 7, 9, 11), "6 from 1 to 11"),
    ],
)
def test_numbers_are_told_by_their_ends(values: tuple[int, ...], shown: str) -> None:
    assert numbers(values) == shown


def test_a_label_says_its_unit_status_score_and_text() -> None:
    label = make_label()
    shown = repr(label)
    assert re.fullmatch(r"Label\(\d+:\d+ [+-], ok, -?\d\.\d\d( \[.*\])?, \".*\"\)", shown)
    assert len(shown) <= LINE
    assert all(len(repr(result)) <= LINE for result in label.results)
    assert repr(label.stats) == "NeuronStats(active on 5.00% of 4,096 tokens, from -2 to 4)"


def test_a_score_is_told_with_its_interval_or_why_there_is_none() -> None:
    assert Score("population", 0.781, 0.714, 0.8199, 20, None).brief == "0.78 [0.71, 0.82]"
    assert Score("population", 0.5, None, None, 20, None).brief == "0.50"
    assert Score.undefined("population", "too few windows").brief == "too few windows"


def test_a_job_says_what_is_not_as_usual_and_no_password() -> None:
    job = autointerp.JobSpec(
        subject="tiny",
        units="5:0-3",
        llm="http://me:secret@localhost/v1",
        corpus=autointerp.CorpusConfig(n_tokens=4096),
    )
    assert str(job) == f"{job}" == repr(job)
    assert "secret" not in repr(job)
    assert repr(job).startswith("JobSpec(subject='tiny', units='5:0-3', corpus={'n_tokens': 4096}")


@pytest.mark.parametrize(
    "value",
    [
        autointerp.HookUnits("blocks.5.mlp.hook_post", tuple(range(1536))),
        autointerp.OpenAICompatible("http://me:secret@localhost:9/v1", "judge"),
        autointerp.Client("http://localhost:9"),
        autointerp.ScriptedModel(lambda _: ""),
    ],
)
def test_a_value_is_one_line_that_begins_with_its_class(value: Any) -> None:
    shown = repr(value)
    assert shown.startswith(f"{type(value).__name__}(")
    assert len(shown) <= LINE
    assert "\n" not in shown
    assert "secret" not in shown

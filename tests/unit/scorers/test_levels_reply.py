"""Levels are read out of replies exactly, or the trial fails with a reason."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_logprobs import with_logprobs

from autointerp.llm import ChatReply, Usage
from autointerp.llm.answers import NoAnswerError
from autointerp.scorers.simulation.levels_reply import read_digits, read_rows


def reply(text: str) -> ChatReply:
    return ChatReply(text, "stop", None, Usage(), "m")


def test_plain_levels_are_taken_as_they_stand() -> None:
    read = read_rows(reply('{"rows": [[0, 10], [3]]}'), row_lengths=(2, 1), top=10)
    assert read.levels == (0.0, 10.0, 3.0)
    assert read.off_mass is None


def test_expected_levels_are_renormalized_over_exact_level_tokens() -> None:
    made = with_logprobs(
        '{"rows": [[3, 0]]}',
        [("3", {"3": 0.6, "5": 0.2, "3.5": 0.1, "x": 0.1}), ("0", {"0": 0.5, "10": 0.5})],
    )
    read = read_rows(made, row_lengths=(2,), top=10)
    assert read.levels == pytest.approx(((3 * 0.6 + 5 * 0.2) / 0.8, 5.0), abs=1e-9)
    assert read.off_mass == pytest.approx((0.2 + 0.0) / 2, abs=1e-9)


def test_no_mass_on_any_level_fails_the_trial() -> None:
    made = with_logprobs("70", [("7", {"7": 1e-9}), ("0", {"0": 1.0})])
    broken = made.tokens
    assert broken is not None
    none_left = type(broken[0])("7", math.log(1e-9), (("x", -0.1),))
    lost = ChatReply("70", "stop", (none_left, *broken[1:]), Usage(), "m")
    with pytest.raises(NoAnswerError, match="no probability on any level at '7'"):
        read_digits(lost, n_tokens=2)


def test_a_level_in_two_tokens_keeps_its_plain_value() -> None:
    made = with_logprobs(
        '{"rows": [[10, 2]]}', [("1", {"1": 0.9}), ("0", {"0": 0.9}), ("2", {"2": 1})]
    )
    assert read_rows(made, row_lengths=(2,), top=10).levels == (10.0, 2.0)


def test_tokens_that_spell_another_text_are_not_trusted() -> None:
    made = with_logprobs("93", [("9", {"9": 0.5, "0": 0.5})])
    other = ChatReply("39", "stop", made.tokens, Usage(), "m")
    assert read_digits(other, n_tokens=2).levels == (3.0, 9.0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("sorry", 'no.* list under "rows"|not JSON'),
        ('{"rows": [[1, 2]', "not JSON"),
        ('{"rows": 3}', 'list under "rows"'),
        ('{"rows": [[1, 2], [3]]}', r"asked for rows of \[2\] levels, found \[2, 1\]"),
        ('{"rows": [[1]]}', r"asked for rows of \[2\] levels, found \[1\]"),
        ('{"rows": [[1, "two"]]}', "'two' is not a whole level from 0 to 10"),
        ('{"rows": [[1, 11]]}', "11 is not a whole level"),
        ('{"rows": [[1, true]]}', "True is not a whole level"),
        ('{"rows": [[1, 2.5]]}', "2.5 is not a whole level"),
    ],
)
def test_other_replies_say_what_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(NoAnswerError, match=reason):
        read_rows(reply(text), row_lengths=(2,), top=10)


@pytest.mark.parametrize("text", ["09", "0900", "09x", "²³¹"])
def test_another_number_of_digits_is_told(text: str) -> None:
    with pytest.raises(NoAnswerError, match="asked for 3 digits"):
        read_digits(reply(text), n_tokens=3)


@given(
    st.lists(st.lists(st.floats(0.001, 1), min_size=11, max_size=12), min_size=1, max_size=20),
    st.data(),
)
def test_expected_levels_are_the_renormalized_mean_by_hand(
    weights: list[list[float]], data: st.DataObject
) -> None:
    levels = [data.draw(st.integers(0, 10)) for _ in weights]
    rows = [levels[first : first + 8] for first in range(0, len(levels), 8)]
    names = [*map(str, range(11)), "off"]
    shares = [[w / sum(row) for w in row] for row in weights]
    made = with_logprobs(
        json.dumps({"rows": rows}),
        [
            (str(k), dict(zip(names, row, strict=False)))
            for k, row in zip(levels, shares, strict=True)
        ],
    )
    read = read_rows(made, row_lengths=tuple(map(len, rows)), top=10)
    means = [sum(k * row[k] for k in range(11)) / sum(row[:11]) for row in shares]
    assert read.levels == pytest.approx(means, abs=1e-9)
    off = [1 - sum(row[:11]) for row in shares]
    assert read.off_mass == pytest.approx(sum(off) / len(off), abs=1e-9)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=64), st.integers(1, 7))
def test_digits_come_back_however_white_space_cuts_them(digits: list[int], step: int) -> None:
    text = "".join(map(str, digits))
    cut = " \n".join(text[i : i + step] for i in range(0, len(text), step))
    assert read_digits(reply(cut), n_tokens=len(digits)).levels == tuple(map(float, digits))


def test_a_level_with_its_blank_in_one_token_is_a_level() -> None:
    made = with_logprobs('{"rows": [[1, 2]]}', [("1", {"1": 1.0}), (" 2", {" 2": 0.5, " 4": 0.5})])
    assert read_rows(made, row_lengths=(2,), top=10).levels == (1.0, 3.0)


@pytest.mark.parametrize(
    "text",
    [
        '{"\\u0072ows": [[1, 2]]}',
        '{"\\u0072ows": [[1, 2]], "other": "rows", "x": [3]}',
        '{"rows": [[7]], "rows": [[1, 2]]}',
        'The "rows" [9] are:\n```json\n{"rows": [[1, 2]]}\n```',
    ],
)
def test_odd_json_with_log_probabilities_never_takes_a_level_from_elsewhere(text: str) -> None:
    made = with_logprobs(text, [("1", {"1": 1.0}), ("2", {"2": 1.0})])
    assert read_rows(made, row_lengths=(2,), top=10).levels == (1.0, 2.0)


@pytest.mark.parametrize("nonsense", ["9" * 5_000, "[" * 100_000, "NaN", "-1", "15e-1"])
def test_numbers_without_end_fail_the_trial(nonsense: str) -> None:
    with pytest.raises(NoAnswerError):
        read_rows(reply(f'{{"rows": [[{nonsense}]]}}'), row_lengths=(1,), top=10)


@pytest.mark.parametrize("between", [", ", " | ", " - ", " , "])
def test_digits_that_signs_part_are_counted_in_no_time(between: str) -> None:
    text = between.join("3" * 64)
    assert read_digits(reply(text), n_tokens=64).levels == (3.0,) * 64
    for other in (text[: -len(between) - 1], f"{text}{between}a", f"{text}{between}3"):
        with pytest.raises(NoAnswerError, match="asked for 64 digits"):
            read_digits(reply(other), n_tokens=64)

"""Levels are read out of replies exactly, or the trial fails with a reason."""

from __future__ import annotations

import math

import pytest

from autointerp.llm import ChatReply, Usage, with_logprobs
from autointerp.scorers.levels_reply import UnreadableLevelsError, read_digits, read_rows


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
    with pytest.raises(UnreadableLevelsError, match="no probability on any level at '7'"):
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
    with pytest.raises(UnreadableLevelsError, match=reason):
        read_rows(reply(text), row_lengths=(2,), top=10)


@pytest.mark.parametrize("text", ["09", "0900", "09x", "٠٩٠"])
def test_another_number_of_digits_is_told(text: str) -> None:
    with pytest.raises(UnreadableLevelsError, match="asked for 3 digits"):
        read_digits(reply(text), n_tokens=3)

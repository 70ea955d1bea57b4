"""Programs over tokens: what they mean, what is refused, and that none can take long."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autointerp.core.errors import InputError
from autointerp.programs.language import MAX_RULES, MOST_STEPS, parse_program, usable_rules
from autointerp.programs.safe_regex import compile_safely

TOKENS = (" In", " New", " York", " in", " May", ",", " York")


def levels(source: str, tokens: tuple[str, ...] = TOKENS) -> tuple[float, ...]:
    return parse_program(source).levels(tokens)


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        ('token = " York"', (0, 0, 1, 0, 0, 0, 1)),
        ('token = " york"', (0, 0, 0, 0, 0, 0, 0)),
        ('token = "\\u0020In"', (1, 0, 0, 0, 0, 0, 0)),
        ("token ~ /\\s?In/i", (1, 0, 0, 1, 0, 0, 0)),
        ("token ~ /Yor/", (0, 0, 0, 0, 0, 0, 0)),
        ('previous = " New"', (0, 0, 1, 0, 0, 0, 0)),
        ("before ~ /New York$/", (0, 0, 1, 0, 0, 0, 0)),
        ("before ~ /New/", (0, 1, 1, 1, 1, 1, 1)),
        ("after ~ /^,/", (0, 0, 0, 0, 1, 0, 0)),
        ("after ~ /York/", (1, 1, 1, 1, 1, 1, 0)),
        ("position < 2", (1, 1, 0, 0, 0, 0, 0)),
        ("position = 2", (0, 0, 1, 0, 0, 0, 0)),
        ("position > 5", (0, 0, 0, 0, 0, 0, 1)),
        ('token = " York" and not previous = " New"', (0, 0, 0, 0, 0, 0, 1)),
        ('not token = " York" and position > 4', (0, 0, 0, 0, 0, 1, 0)),
        ('position < 1 or position > 1 and token = " York"', (1, 0, 1, 0, 0, 0, 1)),
        ('(position < 1 or position > 2) and token = " York"', (0, 0, 0, 0, 0, 0, 1)),
        ('not (token ~ /[ ,].*/ and not token = ",")', (0, 0, 0, 0, 0, 1, 0)),
        ("token~/\\/|,/", (0, 0, 0, 0, 0, 1, 0)),
    ],
)
def test_a_predicate_holds_where_it_says(predicate: str, expected: tuple[int, ...]) -> None:
    assert levels(f"1: {predicate}") == expected


def test_the_highest_matching_rule_decides_and_comments_say_nothing() -> None:
    source = '# a city\n\n4: position > 0\r\n  10 : token = " York"  \n7: token = " York"'
    assert levels(source) == (0, 4, 10, 4, 4, 4, 10)
    program = parse_program(source)
    assert program.sentence == '4: position > 0; 10 : token = " York"; 7: token = " York"'
    assert parse_program(program.source) == program


def test_context_ends_after_64_tokens_and_256_characters() -> None:
    tokens = ("x", *["a"] * 64)
    assert levels("1: before ~ /x/", tokens) == (1,) * 64 + (0,)
    assert levels("1: after ~ /x/", tokens[::-1]) == (1,) * 64 + (0,)
    assert levels("1: before ~ /x/", ("x" + "a" * 255, "a")) == (1, 0)
    assert levels("1: token ~ /a+/", ("a" * 64, "a" * 65)) == (1, 0)


@pytest.mark.parametrize(
    "source", ['3: previous = " New"', "5: before ~ /é, New/", "2: after ~ /,/"]
)
def test_the_level_of_one_token_is_that_of_its_window(source: str) -> None:
    # The second and third token share a character.
    tokens = (" caf", "\\xc3", "\\xa9", *TOKENS[-2:], *TOKENS)
    program = parse_program(source)
    alone = tuple(program.level_at(tokens, place) for place in range(len(tokens)))
    assert alone == program.levels(tokens)
    with pytest.raises(IndexError):
        program.level_at(tokens, len(tokens))


def test_a_window_without_tokens_has_no_levels() -> None:
    assert levels('1: token = "a"', ()) == ()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("", "has no rule"),
        ("# nothing", "has no rule"),
        ('11: token = "a"', "line 1: a rule begins with a number from 0 to 10"),
        ('-1: token = "a"', "line 1: a rule begins"),
        ('²: token = "a"', "line 1: a rule begins"),
        ('1: token = "a"\n\nbanana', "line 3: a rule begins"),
        ("1:", "line 1: expected token = .* at the end of the line"),
        ("1: token = a", "line 1: expected token = .* at 'token'"),
        ('1: token = "a', "line 1: cannot read"),
        ('1: token = "\\q"', "is not a JSON string"),
        ('1: tokens = "a"', "at 'tokens'"),
        ('1: before = "a"', "at 'before'"),
        ("1: previous ~ /a/", "at 'previous'"),
        ('1: token = "a" token = "b"', "expected and, or, or the end of the line before 'token'"),
        ('1: (token = "a"', "expected a closing parenthesis before the end of the line"),
        ('1: token = "a" and', "at the end of the line"),
        ("1: " + "not " * 30 + 'token = "a"', "nested more than 20 deep"),
        ("1: " + "(" * 500 + 'token = "a"', "nested more than 20 deep"),
        ("1: token ~ /a/g", "takes no flag but i, found 'g'"),
        ("1: token ~ /(/", "is not a regular expression"),
        ("1: token ~ /" + "a" * 201 + "/", "201 characters, at most 200"),
        ("1: __import__('os')", "cannot read"),
        ('1: token = "a"\n' * (MAX_RULES + 1), f"line 33: .* at most {MAX_RULES} rules"),
        ("# " + "x" * 4_000, "4002 characters, at most 4000"),
    ],
)
def test_what_is_no_program_says_where_and_why(source: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse_program(source)


@pytest.mark.parametrize(
    "regex",
    [
        "(a+)+b",
        "(a*)*b",
        "(a|a)*b",
        "(a|aa)+$",
        "([a-zA-Z]+)*$",
        "^(\\d+)+$",
        "(x+x+)+y",
        "(.*a){20}",
        "(?:a?){30}a{30}",
        "a?" * 30 + "a" * 30,
        "(?:(?=a*b)a)*c",
        "(?>a+)+b|(a++)+b",
        ".*.*.*=",
        "\\s*\\s*\\s*$",
        "(a|b|ab)?" * 12 + "c",
        "(?P<q>a+)(?P=q)",
        "(a)?(?(1)b|c)",
        "(\\b)*a",
        "a{1,100}" * 4 + "b",
    ],
)
def test_regular_expressions_that_could_take_long_are_refused(regex: str) -> None:
    with pytest.raises(InputError, match=r"line 1: .*(too long|not allowed|empty)"):
        parse_program(f"1: before ~ /{regex}/")


def test_rules_that_cannot_be_used_cost_only_themselves() -> None:
    lines = ["3: token ~ /a/", "banana", "2: token ~ /(/", "12: token ~ /a/", "1: token ~ /b/"]
    program, problems = usable_rules(lines, most_steps=MOST_STEPS)
    assert program == parse_program("3: token ~ /a/\n1: token ~ /b/")
    assert [problem.partition(":")[0] for problem in problems] == [
        f"rule {n} cannot be used" for n in (2, 3, 4)
    ]
    assert usable_rules(["banana"], most_steps=MOST_STEPS)[0] is None
    assert usable_rules([], most_steps=MOST_STEPS) == (None, [])


def test_a_rule_beyond_a_limit_is_left_out_and_smaller_ones_behind_it_stay() -> None:
    long = "1: " + " or ".join(['token = "a"'] * 1_000)
    slow = "2: before ~ /.*.*b/"
    lines = [*[slow] * 3, long, *["1: token ~ /a/"] * MAX_RULES]
    program, problems = usable_rules(lines, most_steps=MOST_STEPS)
    assert program is not None
    assert program.n_steps <= MOST_STEPS
    assert [rule.level for rule in program.rules] == [2.0] + [1.0] * (MAX_RULES - 1)
    whys = ["could take too long", "could take too long", "at most 4000 are allowed"]
    assert all(why in problem for why, problem in zip(whys, problems, strict=False))
    assert problems[3:] == [f"rule {4 + MAX_RULES} cannot be used: a program has at most 32 rules"]


@pytest.mark.parametrize(
    "regex",
    [
        "\\b(New|Old) York$",
        "(?i)chapter \\w{1,12}$",
        "\\s*,\\s*$",
        "(?:\\d,){2,4}",
        "colou?r",
        "foo.*bar",
        "(?<!un)known",
        "[^\\W\\d_]+ing\\b",
    ],
)
def test_useful_regular_expressions_are_taken(regex: str) -> None:
    assert parse_program(f"1: before ~ /{regex}/").rules


def test_steps_are_an_upper_bound_of_all_choices() -> None:
    assert compile_safely("ab", n_chars=9).steps == 3
    assert compile_safely("a{0,4}b", n_chars=9).steps == 1 + (1 + 4 * 2) + 5 * 1
    assert compile_safely("(a|bc)d", n_chars=9).steps == 1 + (1 + 2 + 3) + 2 * 1


PIECES = st.sampled_from(
    ["a", "b", ".", "[ab]", "\\w", "(", ")", "(?:", "|", "*", "+", "?", "{2,9}", "{30}", "$", "\\b"]
)


@settings(deadline=None, max_examples=150)
@given(st.lists(PIECES, min_size=1, max_size=12).map("".join), st.sampled_from(["token", "before"]))
def test_no_program_that_is_accepted_takes_long(regex: str, what: str) -> None:
    try:
        program = parse_program(f"1: {what} ~ /{regex}/")
    except InputError:
        return
    started = time.process_time()
    program.levels(("a" * 64,) * 6)
    program.levels(("ab" * 32,) * 6)
    assert time.process_time() - started < 2.0


LEXEMES = st.sampled_from(
    ["1:", "10 :", "token", "previous", "before", "after", "position", "=", "~", "<", ">", '"a"']
    + [
        "/a+/",
        "/[/",
        "/a/i",
        "3",
        "²",
        "(",
        ")",
        "and",
        "or",
        "not",
        "\n",
        "#",
        '"\\ud83d"',
        "\x00",
    ]
)


@given(st.one_of(st.text(max_size=40), st.lists(LEXEMES, max_size=12).map(" ".join)))
def test_whatever_is_written_is_a_program_or_the_callers_error(source: str) -> None:
    try:
        program = parse_program(source)
    except InputError:
        return
    assert parse_program(program.source) == program
    assert all(0 <= level <= 10 for level in program.levels(("a", "\ud83d", "")))

"""The senses explainer: which excerpts it shows and how they are cut, and what replies become."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from explainer_cases import INPUTS, ask
from factories import make_record, make_sets

from autointerp.core.errors import RequestRefusedError
from autointerp.core.ids import Side
from autointerp.core.records import ActivationRecord, ExplainSet, TokenMeans
from autointerp.core.sense_types import Sense, SenseKind
from autointerp.explainers.excerpts import Extent
from autointerp.explainers.sense_inputs import (
    render_barred,
    render_listed,
    render_marked,
    render_silent_places,
    spread_exemplars,
)
from autointerp.explainers.sense_tables import (
    render_grouped_table,
    render_table,
    render_wide_table,
    token_kind,
)
from autointerp.explainers.senses import WordLimits, read_senses
from autointerp.llm import ChatRequest, ScriptedModel
from autointerp.llm.answers import NoAnswerError
from autointerp.programs.language import MOST_STEPS, parse_program

WORDS = WordLimits(asked=25, taken=25)
BRITISH = {"description": "the word British", "level": 9, "kind": "token"}


def read(*items: object, n_senses: int = 6) -> tuple[Sense, ...]:
    reply = json.dumps({"senses": items})
    return read_senses(reply, n_senses=n_senses, words=WORDS).senses


def record(*tokens: str, active: dict[int, float], offset: int = 0) -> ActivationRecord:
    values = tuple(active.get(i, 0.0) for i in range(len(tokens)))
    made = make_record(0, values, "top")
    return replace(made, tokens=tokens, offset=offset)


def excerpt(*tokens: str, active: dict[int, float], offset: int = 0, around: int = 2) -> str:
    shown = record(*tokens, active=active, offset=offset)
    return render_barred([shown], Side.POSITIVE, 10.0, Extent(1, around, around))


def explain_set(**peaks: tuple[float, ...]) -> ExplainSet:
    records = [
        make_record(i, (0.0, peak), name)
        for i, (name, peak) in enumerate((n, p) for n, ps in peaks.items() for p in ps)
    ]
    return replace(make_sets().explain, records=tuple(records), peak=10.0)


def shown_peaks(records: ExplainSet, n: int) -> list[float]:
    return [r.activations[1] for r in spread_exemplars(records, n)]


def test_an_answer_becomes_one_explanation_with_its_senses() -> None:
    other = {"description": '"Scot" before "tish"', "level": 4, "kind": "piece"}
    model = ScriptedModel(lambda _: json.dumps({"senses": [BRITISH, other]}))
    [found] = ask("senses", model).explanations
    assert found.text == '(1) the word British; (2) "Scot" before "tish"'
    assert found.senses == (
        Sense("the word British", 9.0, SenseKind.TOKEN),
        Sense('"Scot" before "tish"', 4.0, SenseKind.PIECE),
    )
    assert found.prompt is not None
    assert (found.explainer, found.prompt.name) == ("senses", "explain_senses")


def test_one_sense_is_an_answer() -> None:
    model = ScriptedModel(lambda _: json.dumps({"senses": [BRITISH]}))
    [found] = ask("senses", model).explanations
    assert found.text == "the word British"


@pytest.mark.parametrize(
    "reply",
    [
        '{"senses": []}',
        "No single pattern.",
        '{"senses": [{"description": "no single pattern", "level": 1, "kind": "other"}]}',
    ],
)
def test_no_sense_at_all_is_no_pattern_and_is_not_asked_again(reply: str) -> None:
    model = ScriptedModel(lambda _: reply)
    found = ask("senses", model)
    assert (found.explanations, found.failures, found.found_no_pattern) == ((), (), True)
    assert len(model.requests) == 1


@pytest.mark.parametrize(
    ("level", "taken"),
    [(0, 1), (11, 10), (7.6, 8), ("8", 8), ("8/10", 8), ("level 3", 3), ("9 out of 10", 9)],
)
def test_a_level_whose_meaning_is_clear_is_taken(level: object, taken: int) -> None:
    [sense] = read(BRITISH | {"level": level})
    assert sense.level == taken


@pytest.mark.parametrize("level", ["high", "3 to 8", 85, -3, None, True, [7], float("nan")])
def test_another_level_is_refused_and_asked_for_again(level: object) -> None:
    with pytest.raises(NoAnswerError, match="is not a whole level from 1 to 10"):
        read(BRITISH | {"level": level})
    replies = iter([BRITISH | {"level": level}, BRITISH])
    model = ScriptedModel(lambda _: json.dumps({"senses": [next(replies)]}))
    assert len(ask("senses", model).explanations) == 1
    assert "is not a whole level from 1 to 10" in model.requests[1].messages[-1].content


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("the word British", 'senses with a text under "description"'),
        ({"level": 3}, 'senses with a text under "description"'),
        (BRITISH | {"description": 3}, 'senses with a text under "description"'),
        (BRITISH | {"description": "word " * 26}, "26 words, at most 25"),
        (BRITISH | {"description": " "}, "held no words"),
        (BRITISH | {"description": "I'm sorry, I can't"}, "a refusal"),
        (BRITISH | {"level": "high"}, "'high' is not a whole level"),
    ],
)
def test_a_sense_that_says_nothing_usable_is_refused_and_the_others_stay(
    item: object, reason: str
) -> None:
    with pytest.raises(NoAnswerError, match=reason):
        read(item)
    reply = read_senses(json.dumps({"senses": [BRITISH, item]}), n_senses=6, words=WORDS)
    assert [sense.description for sense in reply.senses] == ["the word British"]
    assert "description 2" in str(reply.left_out)
    assert reason in str(reply.left_out)


@pytest.mark.parametrize(
    "second",
    [
        [BRITISH, BRITISH | {"description": "word " * 31}],
        [BRITISH | {"description": "word " * 31}],
        "I'm sorry, I can't.",
        RequestRefusedError("policy"),
    ],
)
def test_senses_that_fit_are_kept_where_asking_again_does_not_help(second: object) -> None:
    first = [BRITISH, BRITISH | {"description": "word " * 31}]
    replies = iter([first, second])

    def answer(_: ChatRequest) -> object:
        said = next(replies)
        return json.dumps({"senses": said}) if isinstance(said, list) else said

    model = ScriptedModel(answer)  # type: ignore[arg-type]
    found = ask("senses", model)
    assert [e.text for e in found.explanations] == ["the word British"]
    [note] = found.failures
    assert note.startswith("senses answer 0: left out of it: description 2 has ")
    assert len(model.requests) == 2


def test_a_reply_that_is_whole_when_asked_for_again_leaves_no_note() -> None:
    other = BRITISH | {"description": "the word Scot"}
    replies = iter([[BRITISH, BRITISH | {"level": "high"}], [BRITISH, other]])
    model = ScriptedModel(lambda _: json.dumps({"senses": next(replies)}))
    found = ask("senses", model)
    assert [len(e.senses) for e in found.explanations] == [2]
    assert found.failures == ()


def test_what_is_too_long_is_named_with_the_limit_that_was_asked_for_at_first() -> None:
    long = [BRITISH | {"description": "word " * n} for n in (31, 40)]
    replies = iter([[long[0], BRITISH, long[1]], [BRITISH]])
    model = ScriptedModel(lambda _: json.dumps({"senses": next(replies)}))
    assert len(ask("senses", model).explanations) == 1
    assert "at most 25 words" in model.requests[0].messages[0].content
    assert model.requests[1].messages[-1].content == (
        "That cannot be used: description 1 has 31 words, description 3 has 40 words, at most 25 "
        "are allowed (words are what stands between blanks). Answer again, as asked above."
    )


def test_a_few_words_more_than_were_asked_for_cost_no_second_question() -> None:
    model = ScriptedModel(
        lambda _: json.dumps({"senses": [BRITISH | {"description": "word " * 30}]})
    )
    assert len(ask("senses", model).explanations) == 1
    assert "at most 25 words" in model.requests[0].messages[0].content
    assert len(model.requests) == 1


def test_forty_senses_are_cut_to_those_asked_for_and_one_said_six_times_is_one() -> None:
    many = [BRITISH | {"description": f"the word number {i}"} for i in range(40)]
    assert [s.description[-1] for s in read(*many, n_senses=3)] == ["0", "1", "2"]
    again = BRITISH | {"description": "The word British."}
    assert len(read(*[BRITISH, again] * 3)) == 1


def test_a_sense_with_rules_has_the_greatest_level_of_its_rules_and_others_need_a_reader() -> None:
    rules = ["2.5: token ~ / (of|in)/", "0.75: token ~ / by/"]
    ruled, blank, silent = read(
        BRITISH | {"rules": rules},
        BRITISH | {"description": "ships", "rules": []},
        BRITISH | {"description": "boats", "rules": ["0: token ~ /a/"]},
    )
    assert (ruled.level, ruled.program) == (2.5, "\n".join(rules))
    assert (blank.level, blank.program) == (9.0, None)
    assert (silent.level, silent.program) == (9.0, None)


def test_what_is_said_of_a_sense_beside_its_rules_may_be_missing() -> None:
    rules = ["# strong first", "2.5: token ~ / of/"]
    [sense] = read({"description": "of", "rules": rules, "kind": "mixed"})
    assert (sense.level, sense.kind) == (2.5, SenseKind.OTHER)
    assert sense.rules == ("2.5: token ~ / of/",)
    [blank] = read(BRITISH | {"rules": ["# none"]})
    assert blank.program is None


def test_tokens_of_no_sense_are_no_part_of_the_text() -> None:
    reply = json.dumps({"senses": [BRITISH], "other": ["1: token ~ /a/"]})
    assert read_senses(reply, n_senses=6, words=WORDS).text == "the word British"


UNUSABLE = "description 1: rule 1 cannot be used: "


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        (["of: 3"], f"{UNUSABLE}a rule begins with a number from 0 to 10 and a colon"),
        (["11: token ~ /a/"], f"{UNUSABLE}a rule begins with a number from 0 to 10"),
        (["3: token ~ /(/"], f"{UNUSABLE}/(/ is not a regular expression"),
        (["3: before ~ /.*.*.*=/"], f"{UNUSABLE}the regular expressions could take too long"),
        ({"of": 3}, 'description 1: asked for a list under "rules"'),
        ([7], UNUSABLE),
    ],
)
def test_a_sense_none_of_whose_rules_can_be_used_is_asked_for_again_and_else_has_none(
    rules: object, reason: str
) -> None:
    reply = json.dumps({"senses": [BRITISH | {"rules": rules}]})
    alone = read_senses(reply, n_senses=6, words=WORDS)
    assert alone.senses == (Sense("the word British", 9.0, SenseKind.TOKEN),)
    assert str(alone.left_out).startswith(reason)
    replies = iter([BRITISH | {"rules": rules}, BRITISH | {"rules": ["3: token ~ / of/"]}])
    model = ScriptedModel(lambda _: json.dumps({"senses": [next(replies)]}))
    [found] = ask("senses", model, prompt="v4").explanations
    assert found.senses[0].program == "3: token ~ / of/"


@pytest.mark.parametrize(
    "bad",
    [
        "of: 3",
        "12: token ~ / of/",
        "3: token ~ /(/",
        "3: token ~ / a++++/",
        "3: token ~ / (a+)+/",
        "3: before ~ /.*.*.*=/",
        " or ".join(f'token = "{n}"' for n in range(1_000)),
        "3: " + " or ".join(f'token = "{n}"' for n in range(1_000)),
    ],
)
def test_a_rule_that_cannot_be_used_costs_only_itself_and_is_named(bad: str) -> None:
    rules = ["2.5: token ~ / of/", bad, "1: token ~ / by/"]
    reply = json.dumps({"senses": [BRITISH | {"rules": rules}], "other": [bad, rules[2]]})
    model = ScriptedModel(lambda _: reply)
    found = ask("senses", model, prompt="v7")
    [explanation] = found.explanations
    assert [sense.rules for sense in explanation.senses] == [(rules[0], rules[2]), (rules[2],)]
    [note] = found.failures
    assert note.startswith("senses answer 0: left out of it: description 1: rule 2 cannot be used")
    assert "; other: rule 1 cannot be used" in note
    assert len(model.requests) == 1


def test_more_rules_than_asked_for_are_left_out_with_their_number() -> None:
    rules = [f"3: token ~ /{letter}/" for letter in "abcdefghi"]
    reply = json.dumps({"senses": [BRITISH | {"rules": rules}]})
    found = read_senses(reply, n_senses=6, words=WORDS)
    assert found.senses[0].rules == tuple(rules[:8])
    assert (found.left_out, found.note) == (
        None,
        "description 1: there are 9 rules, at most 8 are allowed",
    )


def test_a_line_break_within_a_rule_is_a_part_of_it() -> None:
    senses = read(
        BRITISH | {"rules": ["3: token ~ /\n+/", '# two\n2: token = "\n"\n1: token ~ /a/']}
    )
    assert senses[0].rules == (r"3: token ~ /\n+/", r'2: token = "\n"', "1: token ~ /a/")


def test_the_steps_of_a_program_are_those_of_all_senses_together() -> None:
    slow = "3: before ~ /{}.*.*=/"
    items = [BRITISH | {"description": c, "rules": [slow.format(c)]} for c in "abcdef"]
    items.append(BRITISH | {"description": "g", "rules": ["3: token ~ / of/"]})
    found = read_senses(json.dumps({"senses": items}), n_senses=7, words=WORDS)
    programs = [parse_program(sense.program) for sense in found.senses if sense.program]
    assert sum(program.n_steps for program in programs) <= MOST_STEPS
    assert [bool(sense.program) for sense in found.senses] == [True, *[False] * 5, True]
    assert "description 2: rule 1 cannot be used: the regular expressions could" in str(
        found.left_out
    )


@pytest.mark.parametrize(
    "again",
    [
        "the word british",
        "THE WORD BRITISH",
        " The  word\nBritish. ",
        '"the word British"',
        'the word "British"',
        "the word British!",
        "the word: British",
        "**the word British**",
        "the word `British`",
    ],
)
def test_a_sense_said_again_in_other_letters_blanks_or_punctuation_is_one(again: str) -> None:
    one = BRITISH | {"rules": ["3: token ~ /a/"]}
    assert len(read(*[BRITISH, BRITISH | {"description": again}] * 3)) == 1
    [sense] = read(one, BRITISH | {"description": again, "rules": ["5: token ~ /b/"]}, BRITISH)
    assert (sense.level, sense.rules) == (5.0, ("3: token ~ /a/", "5: token ~ /b/"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('the sign "."', 'the sign ","'),
        ("a word before :", "a word before ,"),
        ("the word US", "the words US"),
    ],
)
def test_signs_that_are_what_a_sense_is_of_tell_it_from_others(one: str, other: str) -> None:
    assert len(read(BRITISH | {"description": one}, BRITISH | {"description": other})) == 2


def test_the_table_for_rules_draws_rare_tokens_to_the_mean_and_has_kinds_of_tokens() -> None:
    means = TokenMeans({0: 4.0, 1: 2.0, 2: 0.0}, {0: 1, 1: 20, 2: 20}, 1.0)
    inputs = replace(INPUTS, token_means=means)
    table = render_wide_table(inputs, INPUTS.records.activating, 1.0)
    assert table.splitlines() == [
        'Tokens, mean level (places): " the" 6.2 (1), " river" 4.9 (20)',
        "Kinds of tokens, mean level (share of all): words 2.68 (100%)",
    ]


def test_the_grouped_table_has_each_level_once_and_kinds_without_what_is_listed() -> None:
    means = TokenMeans({0: 4.0, 1: 3.9, 2: 0.3}, {0: 20, 1: 20, 2: 20}, 1.0)
    inputs = replace(INPUTS, token_means=means)
    table = render_grouped_table(inputs, INPUTS.records.activating, 1 / 60)
    assert table.splitlines() == [
        'Tokens by mean level, with places: 9.6: " the" 20',
        "Kinds of other tokens, mean level (share of all): words 5.25 (67%)",
    ]
    every = replace(means, means={0: 4.0, 1: 4.0}, counts={0: 20, 1: 20})
    both = render_grouped_table(
        replace(inputs, token_means=every), INPUTS.records.activating, 1.0
    ).splitlines()
    assert both[0].count(":") == 2
    assert both[-1].endswith(": none")


def test_an_excerpt_that_begins_its_text_is_marked_and_one_from_within_is_not() -> None:
    first = record(" the", " river", " runs", active={0: 9.0}, offset=64)
    later = record(*[" a"] * 5, " river", active={5: 4.0})
    shown = render_listed([first, later], Side.POSITIVE, 10.0, Extent(2, 2, 2))
    assert shown.splitlines() == [
        '1: ^" the river" -> " the" 9',
        '2: " a a river…" -> " river" 4',
    ]


def test_a_byte_is_named_in_a_rule_as_the_table_shows_it_and_the_prompt_says() -> None:
    program = parse_program(r"3: token ~ /\\x81/")
    assert program.levels((" a", r"\x81", " b")) == (0.0, 3.0, 0.0)
    model = ScriptedModel(lambda _: "")
    ask("senses", model)
    assert r'listed as "\\x81", is /\\x81/' in model.requests[0].messages[0].content


def test_rules_of_no_sense_are_a_sense_of_their_own_behind_the_others() -> None:
    other = ["1.4: token ~ / away/", "0.2: token ~ /[A-Z]/"]
    reply = json.dumps({"senses": [BRITISH], "other": other})
    found = read_senses(reply, n_senses=1, words=WORDS).senses
    assert found[1:] == (
        Sense("other tokens and kinds of tokens", 1.4, SenseKind.MIXED, program="\n".join(other)),
    )


def test_rules_of_no_sense_alone_are_no_pattern_and_unusable_ones_cost_no_sense() -> None:
    alone = json.dumps({"senses": [], "other": ["1: token ~ /a/"]})
    found = read_senses(alone, n_senses=6, words=WORDS)
    assert found.is_no_pattern
    assert found.left_out == "rules of tokens that belong to no sense, without any sense"
    broken = read_senses(
        json.dumps({"senses": [BRITISH], "other": ["of"]}), n_senses=6, words=WORDS
    )
    assert [sense.description for sense in broken.senses] == ["the word British"]
    assert str(broken.left_out).startswith("other: rule 1 cannot be used: a rule begins with")


def test_silent_places_are_of_tokens_on_which_excerpts_peak_two_of_each() -> None:
    silent = replace(record(" a", " the", " Br", "itish", " x", active={}), stratum="silent")
    shown = record(" the", " Br", "itish", active={2: 9.0})
    records = replace(
        INPUTS.records,
        records=tuple(
            replace(one, token_ids=tuple(len(token) for token in one.tokens))
            for one in (shown, silent, silent, silent)
        ),
        peak=10.0,
    )
    inputs = replace(INPUTS, records=records)
    shown_places = render_silent_places(inputs, records.activating)
    assert shown_places.splitlines() == ['"itish" in ^" a the Br|itish"'] * 2
    unmarked = render_silent_places(inputs, records.activating, beginnings=False)
    assert unmarked == shown_places.replace("^", "")
    alone = replace(inputs, records=replace(records, records=records.records[:1]))
    assert render_silent_places(alone, records.activating) == "none is known"


@pytest.mark.parametrize(
    ("piece", "kind"),
    [
        (" the", "words"),
        ("ing", "pieces without a blank before"),
        (" Paris", "capitalized words"),
        ("Br", "capitalized pieces without a blank before"),
        (" 12", "numbers"),
        (".", "signs"),
        ("\n\n", "blanks and line breaks"),
        (" été", "words"),
        ("川", "pieces without a blank before"),
        ("½", "numbers"),
        ("", "blanks and line breaks"),
    ],
)
def test_kinds_of_tokens(piece: str, kind: str) -> None:
    assert token_kind(piece) == kind


def test_an_unknown_kind_is_other() -> None:
    kinds = [read(BRITISH | {"kind": kind})[0].kind for kind in ("Topic", "semantic", None)]
    assert kinds == [SenseKind.TOPIC, SenseKind.OTHER, SenseKind.OTHER]


def test_every_other_exemplar_is_of_a_weaker_band_and_the_strongest_stands_first() -> None:
    records = explain_set(top=(10, 9, 8, 7), band1=(6, 5), band0=(2, 1.5))
    assert shown_peaks(records, 4) == [10, 9, 6, 2]
    assert shown_peaks(records, 6) == [10, 9, 8, 6, 5, 2]
    assert shown_peaks(records, 20) == [10, 9, 8, 7, 6, 5, 2, 1.5]


def test_exemplars_of_one_band_or_one_record_are_shown_and_those_below_a_level_are_not() -> None:
    assert shown_peaks(explain_set(top=(10,)), 8) == [10]
    assert shown_peaks(explain_set(band0=(10, 9)), 8) == [10, 9]
    assert shown_peaks(explain_set(top=(10,), band0=(0.5,)), 8) == [10]


def test_bars_show_the_tokens_within_words_and_nowhere_else() -> None:
    text = excerpt(
        " the", " Br", "itish", ",", " ", "1", "9", "|", " x", ".", active={2: 9}, around=9
    )
    assert text == '1: " the Br|itish, 19\\u007c x."\nActive: "itish" 9'


def test_an_excerpt_begins_and_ends_with_whole_words() -> None:
    tokens = (" one", " two", "fold", " a", " Br", "itish", " ship", "wr", "ecks", " sank")
    assert excerpt(*tokens, active={5: 9}) == '1: " a Br|itish"\nActive: "itish" 9'
    assert excerpt(*tokens, active={5: 9}, around=0) == '1: " Br|itish"\nActive: "itish" 9'
    assert excerpt(*tokens, active={2: 9}, around=0) == '1: " two|fold"\nActive: "fold" 9'


def test_a_word_that_the_window_may_have_cut_is_left_out_or_marked() -> None:
    tokens = ("ersus", " the", " cr", "own")
    assert excerpt(*tokens, active={1: 9}, offset=7) == '1: " the"\nActive: " the" 9'
    assert excerpt(*tokens, active={0: 9}, offset=7, around=1).startswith('1: "…ersus the"')
    assert excerpt(*tokens, active={0: 9}, offset=0, around=1).startswith('1: "ersus the"')
    assert excerpt(*tokens, active={3: 9}, offset=7, around=1).startswith('1: " cr|own…"')


def test_the_table_holds_telling_tokens_and_peaks_with_means_and_counts() -> None:
    table = render_table(INPUTS, INPUTS.records.activating, 1.0)
    assert table == 'Tokens, mean level (places): " river" 10.0 (3), " runs" 2.5 (6)'
    common = TokenMeans({0: 4.0, 1: 0.01}, {0: 5, 1: 900}, 0.02)
    table = render_table(replace(INPUTS, token_means=common), INPUTS.records.activating, 1.0)
    assert table.splitlines()[0].endswith('" the" 10.0 (5), " river" below 0.1 (900)')


def test_pairs_stand_on_a_line_of_their_own() -> None:
    pair = replace(make_record(0, (0.0, 4.0, 0.0, 4.0), "top"), token_ids=(0, 1, 0, 1))
    pair = replace(pair, tokens=(" the", " river") * 2)
    means = TokenMeans({0: 0.0, 1: 1.0, 2: 3.0}, {0: 9, 1: 9, 2: 9}, 0.5)
    records = replace(INPUTS.records, records=(pair,))
    inputs = replace(INPUTS, records=records, token_means=means)
    assert render_table(inputs, records.activating, 1.0).splitlines() == [
        'Tokens, mean level (places): " runs" 7.5 (9), " river" 2.5 (9)',
        'Pairs of tokens, mean level on the second: " the river" 10.0',
    ]


def test_a_negative_side_is_shown_by_its_own_levels() -> None:
    records = make_sets(side=Side.NEGATIVE).explain
    model = ScriptedModel(lambda _: json.dumps({"senses": [BRITISH]}))
    assert ask("senses", model, inputs=replace(INPUTS, records=records)).explanations
    assert '-> " river" 10\n' in model.requests[0].messages[-1].content


def test_active_tokens_are_marked_and_level_1_only_where_nothing_is_high() -> None:
    tokens = (" the", " Br", "itish", " ship", " a", ".")
    high, low = record(*tokens, active={2: 7.0, 3: 1.0}), record(*tokens, active={2: 1.5, 4: 1.0})
    shown = render_marked([high, low], Side.POSITIVE, 10.0, Extent(2, 4, 4))
    assert shown == '1: " the Br«itish:7» ship a."\n2: " the Br«itish:1» ship «a:1»."'


def test_rules_of_a_repeated_sense_that_are_too_many_are_named() -> None:
    items = [
        BRITISH | {"rules": [f"{n % 9 + 1}: token ~ / word{n}/" for n in range(start, start + 6)]}
        for start in (0, 6)
    ]
    reply = read_senses(json.dumps({"senses": items}), n_senses=6, words=WORDS)
    [sense] = reply.senses
    assert len(sense.rules) == 8
    assert "12 rules, at most 8 are allowed" in str(reply.note)

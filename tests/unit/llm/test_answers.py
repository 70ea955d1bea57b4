"""The answer in a reply is found whatever stands around it, or the reason is told."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reply_dresses import DRESSES, NO_ANSWERS, Dress
from scripted_logprobs import with_logprobs

from autointerp.explainers.parse import parse_explanation
from autointerp.llm import ChatReply, Usage
from autointerp.llm.answers import (
    NoAnswerError,
    answer_of,
    find_number,
    find_object,
    find_word,
    placed_tokens,
)
from autointerp.llm.json_in_text import json_objects, strict_json
from autointerp.llm.thoughts import without_thoughts


def reply(text: str, *, finish: str = "stop", thoughts: str = "") -> ChatReply:
    return ChatReply(text, finish, None, Usage(), "m", thoughts=thoughts)


def found(text: str, *keys: str) -> dict[str, object]:
    return find_object(answer_of(reply(text)), *keys, what="something").value


@pytest.mark.parametrize(
    "text",
    [
        '{"a": {"b": 1}}',
        'Here it is: {"a": {"b": 1}}. Anything else?',
        '```json\n{"a": {"b": 1}}\n```',
        '{"not": "this"}\n```\n{"a": {"b": 1}}\n```\n{"nor": "this"}',
        '{"a": 1} or rather {"a": {"b": 1}}',
        'Of {braces} and {"a": 3}: [{"result": {"a": {"b": 1}}}]',
        "{'a': {'b': 1}}",
        '{"a": {"b": 1,},}',
        '{"a": {"b": 1} // as said\n}',
        "{a: {/* why */ b: 1}}",
        "{“a”: {“b”: 1}} # done",
        '<json>{"a": {"b": 1}}</json>',
        '<payload>\n{"a": {"b": 1}}\n</payload>\nDone.',
        "<artifact type=\"application/json\">\n{'a': {'b': 1,},}\n</artifact>",
        '<?xml version="1.0"?>\n<result><![CDATA[{"a": {"b": 1}}]]></result>',
        '<tool_call>\n{"name": "f", "arguments": {"a": {"b": 1}}}\n</tool_call>',
        r'$\boxed{{"a": {"b": 1}}}$',
        '解释：在这里\n#### {"a": {"b": 1}}',
    ],
)
def test_the_last_object_with_the_key_is_found_whatever_stands_around_it(text: str) -> None:
    assert found(text, "a")["a"] == {"b": 1}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", r"the reply held nothing \(stop\)"),
        ("cats", "the reply is not JSON with something: 'cats'"),
        ("[1, 2]", "the reply is not JSON with something"),
        ('{"b": 1}', "the reply is not JSON with something"),
        ('{"a": 1', "the reply is not JSON: Expecting value"),
        ("}{", "the reply is not JSON: Expecting value"),
        ('{"a": ' + "[" * 100_000 + "}", "the reply is not JSON: .*decoding a JSON array"),
        ('{"a": ' + "9" * 5_000 + "}", "the reply is not JSON: .*4300 digits"),
    ],
)
def test_a_reply_without_the_object_says_why(text: str, reason: str) -> None:
    with pytest.raises(NoAnswerError, match=f"^{reason}"):
        found(text, "a")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{'a': True, 'b': [None, False]}", True),
        ("{'a': 'it's so'}", "it's so"),
        (r"{'a': 'it\'s {so}'}", "it's {so}"),
        ('{"a": "the word "river", or "sea""}', 'the word "river", or "sea"'),
        (r'{"a": "costs \$5"}', "costs $5"),
        ('{"a": "# no comment", "b": "http://x",}', "# no comment"),
        ("{'a': \"<think> tokens\"}", "<think> tokens"),
        ("<think>or {'a': 1}</think>\n{'a': 'closing </think> tags',}", "closing </think> tags"),
        ('<think>so {"a": "</think>{"a": "b"}', "b"),
        ("<think>so {'a': 'c'... </think>{'a': 'b'}", "b"),
    ],
)
def test_json_in_a_common_form_is_read(text: str, value: object) -> None:
    assert found(text, "a")["a"] == value


@pytest.mark.parametrize(
    "text",
    [
        "{'a': 'cats",
        "{'a': 'cats'",
        "{'a': 'cats', 'b': 'do}",
        "{'a': [1, 2, }",
        '{"a": "cats, "b": 1}',
        "{a: 1",
        "{'a': 1 /* }",
        "{'a': }",
    ],
)
def test_half_an_object_is_none_in_any_form(text: str) -> None:
    with pytest.raises(NoAnswerError, match="^the reply is not JSON"):
        found(text, "a")


@given(st.text(st.sampled_from("{}[]'\"“”:,/*#a1 \\\nTrue"), max_size=60))
def test_places_stay_where_json_is_put_in_strict_form(text: str) -> None:
    strict = strict_json(text)
    assert len(strict) == len(text)
    assert strict_json(strict) == strict
    for one in json_objects(text):
        inner = json.loads(strict[one.start : one.end], strict=False)
        assert repr(inner).replace('"', "'") == repr(one.value).replace('"', "'")


WORDS = st.text(st.characters(categories=["L", "P", "Zs"], exclude_characters="\\\\")).filter(
    lambda text: repr(text)[1:-1] == text
)


@given(st.dictionaries(WORDS, st.booleans() | st.none() | st.integers() | WORDS))
def test_every_object_comes_back_from_how_python_writes_it(value: dict[str, object]) -> None:
    [one] = json_objects(f"So: {value!r}.")
    assert one.value == value


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none(), min_size=1))
def test_every_object_comes_back_from_its_own_json(value: dict[str, object]) -> None:
    assert found(f"So it is:\n{json.dumps(value)}\nand no more.", *value) == value


@pytest.mark.parametrize("dress", DRESSES, ids=lambda dress: dress.name)
@pytest.mark.parametrize("answer", ["yes", "No.", "**Yes**"])
def test_a_word_is_read_behind_thoughts_in_every_dress(dress: Dress, answer: str) -> None:
    other = "no" if "yes" in answer.lower() else "yes"
    text = dress.text(answer, decoy=f"maybe {other}, or 1")
    match = find_word(reply(text), "yes", "no")
    assert match[1].lower() == answer.strip("*.").lower()
    assert match.start(1) >= text.rindex(answer)


@pytest.mark.parametrize("dress", DRESSES, ids=lambda dress: dress.name)
@pytest.mark.parametrize("answer", ["2", "Rating: 2", '{"rating": 2}'])
def test_a_number_is_read_behind_thoughts_in_every_dress(dress: Dress, answer: str) -> None:
    assert find_number(reply(dress.text(answer, decoy="maybe 0 or 1")), range(3)) == 2


@pytest.mark.parametrize("text", NO_ANSWERS)
def test_thoughts_alone_are_no_answer(text: str) -> None:
    with pytest.raises(NoAnswerError, match="only reasoning and no answer"):
        find_word(reply(text), "yes", "no")


def test_thoughts_that_came_apart_are_no_answer() -> None:
    with pytest.raises(NoAnswerError, match=r"only reasoning and no answer \(stop\)"):
        answer_of(reply("", thoughts="yes"))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Yes, the text says: no", "Yes"),
        ("No. Nothing in it is a river, so yes would be wrong", "No"),
        ("It names a month, so the answer is yes.", "yes"),
        (r"\boxed{no}", "no"),
        ("yes</s>", "yes"),
        ("Hm, no.\nAnswer: yes", "yes"),
        ("Answer: Yes\nExplanation: there is no doubt.", "Yes"),
        ("**Answer:** no\n\n**Reason:** nothing says yes there", "no"),
        ('{"answer": "no", "reason": "nothing in it says yes"}', "no"),
        ('The answer is "no", as nothing is there', "no"),
        ("Verdict: yes (the text has a river)", "yes"),
        ("Antwort: No, es ist keiner da", "No"),
        ("Answer - yes", "yes"),
    ],
)
def test_a_word_is_read_where_it_answers(text: str, word: str) -> None:
    assert find_word(reply(text), "yes", "no")[1] == word


@pytest.mark.parametrize(
    "text", ["perhaps", "There is no sign", "I don't know", "say yes or no", "yesterday", "nothing"]
)
def test_a_word_in_passing_is_no_answer(text: str) -> None:
    with pytest.raises(NoAnswerError, match="^neither yes nor no: "):
        find_word(reply(text), "yes", "no")


def test_the_last_word_before_a_cut_is_no_answer() -> None:
    with pytest.raises(NoAnswerError, match="neither yes nor no"):
        find_word(reply("The text is long. Is there a river? No", finish="length"), "yes", "no")


@pytest.mark.parametrize(
    "text",
    [
        "8/10",
        "8 out of 10",
        "**Rating:** 8/10",
        "Bewertung: 8 von 10",
        "8 (out of 10)",
        "8.0",
        "Rating: 8\nReason: 3 of 4 texts name a river.",
        "Rating: 8/10 because 2 of 3 match",
        "评分:8分",
        '{"rating": "8", "reason": "it is so"}',
    ],
)
def test_a_number_is_read_with_its_scale_and_its_reason(text: str) -> None:
    assert find_number(reply(text), range(11)) == 8


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("two", 2),
        ("Set 2 fits best", 2),
        ("The second, set 2, fits best", 2),
        ("Set #2", 2),
        ("[ ] 1 [x] 2", 2),
        ("**2** as 1 of 3 fits", 2),
    ],
)
def test_one_of_a_few_options_is_read_by_its_number_alone(text: str, number: int) -> None:
    assert find_number(reply(text), range(1, 4)) == number


def test_one_of_several_numbers_in_an_object_is_no_answer() -> None:
    with pytest.raises(NoAnswerError, match="asked for one number"):
        find_number(reply('{"clarity": 8, "relevance": 10}'), range(11))


def test_an_object_whose_value_is_of_the_kind_asked_for_goes_first() -> None:
    text = '{"active": [true]} since {"active": "means"} that it fires'
    assert find_object(text, "active", what="a list", kind=list).value == {"active": [True]}


@pytest.mark.parametrize(
    "text",
    [
        "the token <comment> in XML",
        "opening <think> and closing </think> tags",
        "closing </think> tags of models",
        "a draft such as <draft>its text</draft> in XML",
        "the generic List<Thought>",
        "#include <thinking.h>",
        "<title>Page names</title> in HTML",
        "<|endoftext|> tokens",
        "words behind <|im_start|> tokens",
        "“<think>” tokens",
        "'<think> tags' of chat logs",
        '"<think> and </think>" tokens',
        '"</think>", "<think>" and what is between',
        "`<think>`, `</think>` tokens",
        "(<think>) tokens",
        "<think> and </think> tokens",
        "**<think>** tokens",
        "- <think> tokens",
        "the word assistantfinal",
        "the assistantfinal mark, as in logs",
        "assistantfinal in leaked transcripts",
        "'assistantfinal'",
        "(thinking) and (/thinking) in logs",
        "*think* and */think* marks",
        "{{reason}} as in {{#each}} and {{/each}}",
        "<!-- and --> in HTML",
        "(thinking: or not)",
    ],
)
@pytest.mark.parametrize(
    "before", ["", "<think>\nhm\n</think>\n\n", "analysisHm.\nSo?assistantfinal"]
)
def test_a_tag_that_an_answer_speaks_of_stays(before: str, text: str) -> None:
    assert without_thoughts(before + text).strip() == text


@pytest.mark.parametrize(
    "dress",
    # Nothing tells what is an answer in words there.
    [one for one in DRESSES if one.name not in {"code", "in_html", "quoted"}],
    ids=lambda dress: dress.name,
)
def test_words_are_read_behind_thoughts_in_every_other_dress(dress: Dress) -> None:
    text = without_thoughts(dress.text("names of towns", decoy="well perhaps Paris"))
    assert parse_explanation(text, as_json=False, max_words=9) == "names of towns"


@pytest.mark.parametrize(
    "text",
    [
        "it is false that the answer is yes",
        "It would be wrong to say yes",
        "To me it looks incorrect to answer yes.",
        "I doubt it is yes",
        "I refuse to say yes",
    ],
)
def test_what_a_sentence_calls_wrong_or_doubts_is_no_answer(text: str) -> None:
    with pytest.raises(NoAnswerError):
        find_word(reply(text), "yes", "no")


@pytest.mark.parametrize("text", ["Without doubt it is yes", "There is no doubt it is yes"])
def test_what_nobody_doubts_is_an_answer(text: str) -> None:
    assert find_word(reply(text), "yes", "no")[1] == "yes"


def test_an_object_with_names_in_no_quotes_is_an_answer() -> None:
    text = '{reasoning: "so", explanation: "towns"}\nHope this helps!'
    assert without_thoughts(text) == text


def test_thoughts_may_speak_of_the_mark_that_begins_them() -> None:
    assert without_thoughts("<think>\nhm, <think> or\n</think>\nyes").strip() == "yes"


@pytest.mark.parametrize(
    "text", ["1 or 2", "2 of 10", "-2", "2.5", "3", "three", "12", "one or two"]
)
def test_several_numbers_or_another_one_is_no_answer(text: str) -> None:
    with pytest.raises(NoAnswerError, match="^asked for one number from 0 to 2, found "):
        find_number(reply(text), range(3))


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "such as <think> and </div>"}',
        '{"a": "</thinking>"}',
        '{"a": ["[/THINK]", "<a> b c"]}',
    ],
)
def test_what_stands_in_an_answers_strings_is_no_mark(text: str) -> None:
    assert without_thoughts(text) == text
    assert found(f"<think>hm {{</think>{text}", "a") == json.loads(text)


@given(st.text(st.sampled_from('<>/|[]{}"think channelfinal\n'), max_size=80))
def test_places_stay_where_thoughts_are_blanked(text: str) -> None:
    shown = without_thoughts(text)
    assert len(shown) == len(text)
    assert all(a == b or a == " " for a, b in zip(shown, text, strict=True))


@pytest.mark.parametrize(
    "unit", ['{"a":', "{", "<think>", "</think>", "<a>", "[THINK]", "<|channel|>analysis", '{"x']
)
def test_a_hostile_reply_is_read_in_no_time(unit: str) -> None:
    started = time.monotonic()
    with pytest.raises(NoAnswerError):
        found(unit * (100_000 // len(unit)), "b")
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    "text",
    ["# a" + " " * 20_000 + "}", "so: " + "] " * 10_000 + "'", "<a " + "x=1  " * 60, "# a" * 9_000],
)
def test_a_reply_that_goes_on_for_long_is_read_in_no_time(text: str) -> None:
    started = time.process_time()
    for read in (
        lambda: find_word(reply(text), "yes", "no"),
        lambda: find_number(reply(text), range(11)),
    ):
        with pytest.raises(NoAnswerError):
            read()
    assert time.process_time() - started < 20


def test_tokens_of_thoughts_may_stand_before_the_text() -> None:
    made = with_logprobs("hm, no. yes", [("yes", {"yes": 0.5, "no": 0.5})])
    apart = ChatReply("yes", "stop", made.tokens, Usage(), "m", thoughts="hm, no. ")
    placed = placed_tokens(apart)
    assert placed is not None
    assert placed[0].token == "yes"
    assert placed_tokens(ChatReply("no!", "stop", made.tokens, Usage(), "m")) is None

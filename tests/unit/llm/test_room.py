"""Room for replies and prompts, where it is stated, learnt, or silently missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from endpoint_cases import (
    CUT_REASONS,
    FILTERING,
    STARVING,
    TOO_LONG,
    TOO_LONG_IN_ANY_WORDS,
    WHOLE_REASONS,
    Failing,
)
from endpoint_client import HELLO, Clockwork, client, run
from fake_endpoint import FakeEndpoint, Fault, completion, is_probe, json_body, status

from autointerp.core.errors import RequestRefusedError, UpstreamError
from autointerp.llm import Features, FittingModel, Message, PromptTooLongError, Usage
from autointerp.llm.answers import NoAnswerError, answer_of
from autointerp.llm.capabilities import PromptsRead, StatedRoom, stated_room

LONG = replace(HELLO, messages=(Message("user", "some words " * 250),), max_tokens=400)


def starved(**message: object) -> Fault:
    choice = {"message": {"content": "", **message}, "finish_reason": "length"}
    usage = {"prompt_tokens": 685, "completion_tokens": 400}
    return json_body({"choices": [choice], "usage": usage})


@pytest.mark.parametrize(
    ("text", "limit", "n_bytes", "room"),
    [
        (
            "The maximum context length is 4096 tokens, but you asked for 5181 (685 in the "
            "messages, 4496 to complete).",
            4496,
            2700,
            StatedRoom(3411, 4096),
        ),
        ("超过最大长度 8192:请求 9596,其中输出 8496", 8496, 4000, StatedRoom(7092, 8192)),
        (
            "Kontext 4 zu klein: 32,768 Token, angefragt 35,000",
            4496,
            99_000,
            StatedRoom(2264, 32768),
        ),
        (
            "max_tokens 4496 is too large: at most 4096 completion tokens",
            4496,
            900,
            StatedRoom(4096, None),
        ),
        ("4496 > 4000", 4496, 900, StatedRoom(4000, None)),
        ("context 8192, your messages have 9000 tokens", 400, 30_000, StatedRoom(-408, 8192)),
        ("error code 1210", 4496, 900, None),
        ("request 500 of 1210 was refused", 16, 900, None),
    ],
)
def test_room_is_read_from_the_numbers_alone(
    text: str, limit: int, n_bytes: int, room: StatedRoom | None
) -> None:
    assert stated_room(text, limit=limit, n_bytes=n_bytes) == room


@pytest.mark.parametrize(
    "message", [{"reasoning_content": "let me think"}, {"content": "<think>so, first"}, {}]
)
@pytest.mark.parametrize(
    ("most", "said"),
    [
        (3411, "maximum context length is 4096, you asked for 5181 (685 in, 4496 to complete)"),
        (4096, "max_tokens 4496 is too large: at most 4096 completion tokens are supported."),
        (4000, "最大输出长度为 4000,实际为 4496"),
        (9999, ""),
    ],
)
def test_a_starved_reply_gets_the_room_that_there_is(
    endpoint: FakeEndpoint, world: Clockwork, message: dict[str, object], most: int, said: str
) -> None:
    def dress(body: dict[str, Any]) -> Fault | None:
        limit = body.get("max_tokens")
        if limit is None or limit <= 20:
            return None
        return starved(**message) if limit < 2000 else status(400, said) if limit > most else None

    endpoint.dress = dress
    model = client(endpoint.base_url, world)
    assert run(model, LONG).text == "3, 0"
    limits = [body["max_tokens"] for body in endpoint.bodies]
    assert limits == [400, 4496, most][: 3 if said else 2]


TOO_LITTLE = [
    status(400, "The message was not finished: max_tokens or the output limit was reached"),
    status(400, "Could not finish the message", code="length"),
    status(422, "出力トークンが足りません"),
    status(500, "the reasoning budget must leave room for an answer", type="max_tokens"),
    json_body({"error": {"message": "thinking was cut", "code": "output_tokens_exhausted"}}, 400),
]


def below(least: int, fault: Fault) -> Callable[[dict[str, Any]], Fault | None]:
    return lambda body: fault if 20 < body.get("max_tokens", 20) < least else None


@pytest.mark.parametrize("fault", TOO_LITTLE)
def test_a_refusal_for_too_little_room_without_a_number_gets_more(
    endpoint: FakeEndpoint, world: Clockwork, fault: Fault
) -> None:
    endpoint.dress = below(2_000, fault)
    model = client(endpoint.base_url, world, attempts=1)
    assert run(model, LONG).text == "3, 0"
    assert [body["max_tokens"] for body in endpoint.bodies] == [400, 4496]
    assert endpoint.probes == []
    assert model.features.hidden_tokens == 4096


@pytest.mark.parametrize("fault", TOO_LITTLE)
def test_more_room_is_bounded_and_then_the_question_fails_alone(
    endpoint: FakeEndpoint, world: Clockwork, fault: Fault
) -> None:
    endpoint.dress = lambda body: None if is_probe(body) else fault
    model = client(endpoint.base_url, world, attempts=1)
    with pytest.raises(UpstreamError) as caught:
        run(model, LONG)
    assert isinstance(caught.value, RequestRefusedError) == (fault.status != 500)
    limits = [body.get("max_tokens") for body in endpoint.bodies]
    assert limits[:3] == [400, 4496, 16784]
    assert len(endpoint.bodies) <= 4
    assert model.features.hidden_tokens == 0


def test_more_room_is_what_the_endpoint_then_states(
    endpoint: FakeEndpoint, world: Clockwork
) -> None:
    little = below(2_000, TOO_LITTLE[0])
    said = "max_tokens is too large: at most 3000"
    endpoint.dress = lambda b: status(400, said) if b.get("max_tokens", 20) > 3_000 else little(b)
    assert run(client(endpoint.base_url, world), LONG).text == "3, 0"
    assert [body["max_tokens"] for body in endpoint.bodies] == [400, 4496, 3_000]


def test_what_was_cut_off_is_asked_again_with_more_room(
    endpoint: FakeEndpoint, world: Clockwork
) -> None:
    endpoint.faults.append(completion({"content": "The"}, finish_reason="length"))
    assert run(client(endpoint.base_url, world), HELLO).text == "3, 0"
    assert [body["max_tokens"] for body in endpoint.bodies] == [16, 256]


def test_a_reply_that_stops_at_its_limit_was_cut_off(
    endpoint: FakeEndpoint, world: Clockwork
) -> None:
    choice = {"message": {"content": '{"explanation": "names of'}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 685, "completion_tokens": 400}
    endpoint.faults.append(json_body({"choices": [choice], "usage": usage}))
    assert run(client(endpoint.base_url, world), LONG).text == "3, 0"
    assert [body["max_tokens"] for body in endpoint.bodies] == [400, 1_600]


def test_a_weak_model_is_not_given_more_room_to_go_on_and_on(
    endpoint: FakeEndpoint, world: Clockwork
) -> None:
    endpoint.faults.append(completion({"content": "a a a"}, finish_reason="length"))
    weak = client(endpoint.base_url, world, features=Features(small=True))
    assert run(weak, HELLO).finish_reason == "length"
    assert len(endpoint.bodies) == 1


@pytest.mark.parametrize("said", ["context 4096, messages 5000 tokens", "上限 4096,消息 5000"])
def test_a_prompt_that_does_not_fit_says_so_and_the_context_is_known(
    endpoint: FakeEndpoint, world: Clockwork, said: str
) -> None:
    endpoint.faults.append(status(400, said))
    model = client(endpoint.base_url, world)
    longer = replace(LONG, messages=(Message("user", "some words " * 2_000),))
    with pytest.raises(PromptTooLongError, match="does not fit"):
        run(model, longer)
    assert model.features.n_ctx == 4096
    assert len(endpoint.bodies) == 1


def test_a_cut_prompt_is_noticed_and_its_replies_are_not_scored(
    endpoint: FakeEndpoint, world: Clockwork
) -> None:
    usage = {"prompt_tokens": 40, "completion_tokens": 9}
    choice = {"message": {"content": "yes"}, "finish_reason": "stop"}
    endpoint.faults.extend([json_body({"choices": [choice], "usage": usage})] * 2)
    model = client(endpoint.base_url, world)
    assert not model.features.notes
    with pytest.raises(RequestRefusedError, match="read only 40 tokens"):
        run(FittingModel(model, judges=True), LONG)  # type: ignore[arg-type]
    assert "num_ctx" in " ".join(model.features.notes)


def test_the_same_round_number_for_other_prompts_is_a_cut() -> None:
    read = PromptsRead()
    counts = [
        (2_048, 8_000),
        (2_048, 8_100),
        (2_048, 16_000),
        (2_051, 8_100),
        (0, 9_000),
        (10, 9_000),
    ]
    found = [read.is_cut(Usage(tokens), n_bytes) for tokens, n_bytes in counts]
    assert found == [False, False, True, False, False, False]


@pytest.mark.parametrize("case", FILTERING, ids=lambda case: case.name)
def test_a_filter_in_any_shape_refuses_one_question_with_one_request(
    endpoint: FakeEndpoint, world: Clockwork, case: Failing
) -> None:
    endpoint.disturb = lambda _body, _good: case.fault
    model = client(endpoint.base_url, world)
    with pytest.raises(RequestRefusedError, match=case.said):
        run(model, HELLO)
    assert (len(endpoint.bodies), len(endpoint.probes), world.slept) == (1, 0, [])


@pytest.mark.parametrize(
    "fault",
    [
        status(400, "Content Exists Risk"),
        json_body({"code": 10013, "message": "输入内容审核不通过"}),
        status(422, "nein"),
    ],
)
def test_what_only_words_refuse_is_refused_alone_after_one_tiny_question(
    endpoint: FakeEndpoint, world: Clockwork, fault: Fault
) -> None:
    endpoint.disturb = lambda _body, _good: fault
    with pytest.raises(RequestRefusedError):
        run(client(endpoint.base_url, world), HELLO)
    assert (len(endpoint.bodies), len(endpoint.probes)) == (1, 1)


@pytest.mark.parametrize("name", STARVING)
def test_what_leaves_no_room_for_an_answer_gets_more_however_it_is_told(
    endpoint: FakeEndpoint, world: Clockwork, name: str
) -> None:
    endpoint.dress = below(2_000, STARVING[name])
    assert run(client(endpoint.base_url, world), LONG).text == "3, 0"
    assert [body["max_tokens"] for body in endpoint.bodies] == [400, 4496]


@pytest.mark.parametrize("reason", CUT_REASONS)
def test_a_reply_was_cut_off_by_any_name(
    endpoint: FakeEndpoint, world: Clockwork, reason: str
) -> None:
    endpoint.faults.append(completion({"content": "The"}, finish_reason=reason))
    assert run(client(endpoint.base_url, world), HELLO).text == "3, 0"
    assert [body["max_tokens"] for body in endpoint.bodies] == [16, 256]


@pytest.mark.parametrize("name", TOO_LONG)
def test_a_prompt_that_is_too_long_is_told_as_such_however_it_is_told(
    endpoint: FakeEndpoint, world: Clockwork, name: str
) -> None:
    fault, stated = TOO_LONG[name]
    endpoint.dress = lambda body: fault if len(str(body["messages"])) > 12_000 else None
    model = client(endpoint.base_url, world)
    longer = replace(LONG, messages=(Message("user", "some words " * 1_200),))
    with pytest.raises(PromptTooLongError, match="does not fit"):
        run(model, longer)
    n_ctx = model.features.n_ctx
    assert n_ctx == stated or (stated is None and n_ctx is not None and n_ctx < 4_400)
    # Where only the words tell of it, a tiny question is answered first.
    is_guess = name.startswith(("the_status", "no_number_")) and not name.endswith("500")
    assert (len(endpoint.bodies), len(endpoint.probes), world.slept) == (1, int(is_guess), [])


@pytest.mark.parametrize("name", TOO_LONG_IN_ANY_WORDS)
def test_a_prompt_is_too_long_where_as_long_a_question_of_other_words_is_refused(
    endpoint: FakeEndpoint, world: Clockwork, name: str
) -> None:
    longer = replace(LONG, messages=(Message("user", "some words " * 1_200),))
    fault = TOO_LONG_IN_ANY_WORDS[name]
    endpoint.dress = lambda body: fault if len(str(body["messages"])) > 12_000 else None
    model = client(endpoint.base_url, world, negotiates=True, attempts=1)
    with pytest.raises(PromptTooLongError, match="does not fit"):
        run(model, longer)
    # It, and one in its plain form; tiny ones, and a long one.
    assert len(endpoint.bodies) == 2
    *tiny, last = [len(str(one)) > 12_000 for one in endpoint.probes[2:]]
    assert last
    assert not any(tiny)
    assert len(tiny) <= 1 + 8
    assert run(client(endpoint.base_url, world), HELLO).text == "3, 0"


def test_a_long_question_that_is_refused_for_its_words_is_not_too_long(
    endpoint: FakeEndpoint, world: Clockwork
) -> None:
    endpoint.dress = lambda body: status(400, "ei käy") if "some words" in str(body) else None
    with pytest.raises(RequestRefusedError) as caught:
        run(client(endpoint.base_url, world, negotiates=True), LONG)
    assert not isinstance(caught.value, PromptTooLongError)
    # The last is as long as the question.
    assert (len(endpoint.bodies), len(endpoint.probes)) == (2, 2 + 9 + 1)


@pytest.mark.parametrize("said", ["Höchstens 300 Ausgabetoken, verlangt 400", "max_tokens: 300"])
def test_a_reply_that_may_be_shorter_only_is_asked_for_within_that(
    endpoint: FakeEndpoint, world: Clockwork, said: str
) -> None:
    endpoint.dress = lambda b: status(422, said) if b.get("max_tokens", 0) > 300 else None
    assert run(client(endpoint.base_url, world), LONG, LONG).text == "3, 0"
    assert [body["max_tokens"] for body in endpoint.bodies][-1] == 300


@pytest.mark.parametrize("reason", ["stop", None, "length"])
def test_nothing_beside_hidden_tokens_is_asked_again_with_more_room(
    endpoint: FakeEndpoint, world: Clockwork, reason: str | None
) -> None:
    def dress(body: dict[str, Any]) -> Fault | None:
        details = {"completion_tokens_details": {"reasoning_tokens": 400}}
        choice = {"message": {"content": None}, "finish_reason": reason}
        silent = json_body({"choices": [choice], "usage": {"completion_tokens": 400, **details}})
        return silent if body["max_tokens"] < 2000 else None

    endpoint.dress = dress
    assert run(client(endpoint.base_url, world), LONG).text == "3, 0"
    assert len(endpoint.bodies) == 2


@pytest.mark.parametrize("reason", WHOLE_REASONS)
def test_a_reply_is_whole_by_any_other_name(
    endpoint: FakeEndpoint, world: Clockwork, reason: Any
) -> None:
    endpoint.faults.append(completion({"content": "The"}, finish_reason=reason))
    assert run(client(endpoint.base_url, world), HELLO).text == "The"
    assert len(endpoint.bodies) == 1


@pytest.mark.parametrize("reason", ["eos", "end_turn", "", "length"])
@pytest.mark.parametrize("name", ["reasoning", "reasoning_content", "thinking_blocks"])
def test_an_answer_only_in_the_thoughts_is_none_and_gets_more_room_where_it_was_starved(
    endpoint: FakeEndpoint, world: Clockwork, name: str, reason: str
) -> None:
    message = {"content": None, name: [{"text": "3, 0"}]}
    thought = completion(message, finish_reason=reason)
    endpoint.faults.append(thought)
    reply = run(client(endpoint.base_url, world), HELLO)
    if reason == "length":
        assert reply.text == "3, 0"
        assert len(endpoint.bodies) == 2
    else:
        with pytest.raises(NoAnswerError, match="held only reasoning"):
            answer_of(reply)
        assert len(endpoint.bodies) == 1


@pytest.mark.parametrize("reason", ["eos", "end_turn", "", None])
def test_hidden_tokens_leave_no_room_whatever_the_reason_is_called(
    endpoint: FakeEndpoint, world: Clockwork, reason: str | None
) -> None:
    usage = {"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 9}}
    choice = {"message": {"content": None, "reasoning": "so"}, "finish_reason": reason}
    endpoint.faults.append(json_body({"choices": [choice], "usage": usage}))
    assert run(client(endpoint.base_url, world), HELLO).text == "3, 0"
    assert [body["max_tokens"] for body in endpoint.bodies] == [16, 16 + 4096]

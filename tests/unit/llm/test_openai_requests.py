"""What an endpoint is sent, what is read of its answers, and what it does not accept."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from endpoint_client import HELLO, KEY, LEVELS, Ask, Clockwork, client, run
from fake_endpoint import FakeEndpoint, Fault, completion, json_body, status

from autointerp.llm import ChatRequest, Features, JsonSchema, Message


def test_a_request_travels_whole(endpoint: FakeEndpoint, ask: Ask) -> None:
    schema = JsonSchema("levels", '{"type": "array"}')
    turns = (Message("system", "be brief"), Message("user", "rate"))
    ask(ChatRequest(turns, 9, 0.7, 5, ("\n\n",), schema, "root ::= x", 4))
    assert endpoint.bodies == [
        {
            "model": "fake",
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": "rate"},
            ],
            "max_tokens": 9,
            "temperature": 0.7,
            "seed": 5,
            "stop": ["\n\n"],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "levels", "schema": {"type": "array"}, "strict": True},
            },
            "logprobs": True,
            "top_logprobs": 4,
        }
    ]
    assert endpoint.headers[0]["authorization"] == f"Bearer {KEY}"


def test_a_grammar_takes_the_place_of_the_schema(endpoint: FakeEndpoint, ask: Ask) -> None:
    request = replace(HELLO, schema=JsonSchema("a", "{}"), grammar="root ::= [0-9]")
    ask(request, features=Features(grammar=True))
    assert endpoint.bodies[0]["grammar"] == "root ::= [0-9]"
    assert "response_format" not in endpoint.bodies[0]


def test_a_lone_surrogate_does_not_stop_a_request(endpoint: FakeEndpoint, ask: Ask) -> None:
    ask(replace(HELLO, messages=(Message("user", "a\ud83db"),)))
    assert endpoint.bodies[0]["messages"][0]["content"] == "a?b"


def test_log_probabilities_come_ranked_with_their_tokens(ask: Ask) -> None:
    reply = ask(replace(HELLO, top_logprobs=3))
    assert reply.text == "3, 0"
    assert reply.tokens == LEVELS.tokens
    assert reply.tokens is not None
    assert [name for name, _ in reply.tokens[0].alternatives] == ["3", "2", "5"]


@pytest.mark.parametrize(
    "others",
    [
        [{"token": "no", "logprob": -0.1}, {"token": "gone", "logprob": None}],
        {"no": -0.1, "gone": None},
    ],
)
def test_a_token_forced_by_a_grammar_is_put_among_its_alternatives(
    endpoint: FakeEndpoint, ask: Ask, others: object
) -> None:
    token = {"token": "[", "logprob": -8.5, "top_logprobs": others}
    endpoint.faults.append(completion({"content": "["}, logprobs={"content": [token]}))
    reply = ask()
    assert reply.tokens is not None
    assert reply.tokens[0].alternatives == (("no", -0.1), ("[", -8.5))


@pytest.mark.parametrize("logprobs", [None, {"content": None}, {}])
def test_missing_log_probabilities_are_none(
    endpoint: FakeEndpoint, ask: Ask, logprobs: object
) -> None:
    endpoint.faults.append(completion({"content": "x"}, logprobs=logprobs))
    assert ask(replace(HELLO, top_logprobs=2)).tokens is None


def test_null_alternatives_leave_the_token_itself(endpoint: FakeEndpoint, ask: Ask) -> None:
    token = {"token": "x", "logprob": None, "top_logprobs": None}
    endpoint.faults.append(completion({"content": "x"}, logprobs={"content": [token]}))
    reply = ask()
    assert reply.tokens is not None
    assert reply.tokens[0].alternatives == (("x", -9999.0),)


@pytest.mark.parametrize(
    ("fault", "text", "reason"),
    [
        (completion({"content": None}), "", "stop"),
        (completion({"content": None}, finish_reason=None), "", "error"),
        (completion({"content": "whole"}, finish_reason=None), "whole", "unknown"),
        (completion({"content": [{"type": "text", "text": "part"}]}), "part", "stop"),
        (json_body({"choices": []}), "", "error"),
        (json_body({"choices": None}), "", "error"),
    ],
)
def test_a_reply_comes_as_it_is(
    endpoint: FakeEndpoint, ask: Ask, fault: Fault, text: str, reason: str
) -> None:
    endpoint.faults.append(fault)
    reply = ask()
    assert (reply.text, reply.finish_reason) == (text, reason)
    assert len(endpoint.bodies) == 1


def test_cached_prompt_tokens_are_counted(endpoint: FakeEndpoint, world: Clockwork) -> None:
    details = {"cached_tokens": 30, "audio_tokens": None}
    usage = {"prompt_tokens": 40, "completion_tokens": 2, "prompt_tokens_details": details}
    choice = {"message": {"content": "x"}, "finish_reason": "stop"}
    endpoint.faults.extend([status(503), json_body({"choices": [choice], "usage": usage})])
    model = client(endpoint.base_url, world)
    assert run(model, HELLO).usage.cached_tokens == 30
    total = model.total_usage
    assert (total.requests, total.retries) == (2, 1)
    assert (total.prompt_tokens, total.completion_tokens, total.cached_tokens) == (40, 2, 30)


REJECTIONS = [
    ("logprobs", status(400, "This model does not support logprobs", param="logprobs")),
    (
        "logprobs",
        json_body({"detail": [{"loc": ["body", "logprobs"], "msg": "Extra inputs"}]}, 422),
    ),
    ("response_format", status(400, "This response_format type is unavailable now")),
    ("grammar", status(400, "Unrecognized request argument supplied: grammar")),
    (
        "temperature",
        status(400, "Unsupported value", param="temperature", code="unsupported_value"),
    ),
    ("seed", json_body({"message": "seed: Extra inputs are not permitted"}, 422)),
    ("stop", status(400, "Unsupported parameter: 'stop' is not supported with this model.")),
]


@pytest.mark.parametrize(("parameter", "fault"), REJECTIONS)
def test_a_parameter_that_is_rejected_is_dropped_for_good(
    endpoint: FakeEndpoint, world: Clockwork, parameter: str, fault: Fault
) -> None:
    endpoint.rejected[parameter] = fault
    schema = JsonSchema("a", "{}")
    grammar = "root ::= x" if parameter == "grammar" else None
    request = ChatRequest(HELLO.messages, 5, 0.0, 1, ("x",), schema, grammar, 5)
    model = client(endpoint.base_url, world, features=Features(grammar=True))

    async def twice() -> None:
        await model.reply(request)
        await model.reply(replace(request, seed=2))
        await model.close()

    asyncio.run(twice())
    assert [parameter in body for body in endpoint.bodies] == [True, False, False]
    assert world.slept == []


def test_a_grammar_that_does_not_parse_is_left_out_once_and_grammars_stay(
    endpoint: FakeEndpoint, world: Clockwork
) -> None:
    said = "Failed to initialize samplers: failed to parse grammar"
    endpoint.faults.append(status(400, said))
    model = client(endpoint.base_url, world, features=Features(grammar=True))
    assert run(model, replace(HELLO, grammar="root ::= [")).text == "3, 0"
    assert ["grammar" in body for body in endpoint.bodies] == [True, False]
    assert model.features.grammar

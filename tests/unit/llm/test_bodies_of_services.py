"""Whatever shape a body has, a good answer is read and paid once, and an error says its words."""

from __future__ import annotations

import re

import pytest
from endpoint_cases import ANSWERING, FAILING, Answering, Failing
from endpoint_client import HELLO, Ask, Clockwork, client, failure, run
from fake_endpoint import FakeEndpoint, Fault, completion, json_body, status

from autointerp.core.errors import RequestRefusedError
from autointerp.llm.answers import answer_of

BODIES = tuple(case for case in ANSWERING if not case.name.startswith("dress_"))
PASSING = tuple(case for case in FAILING if case.passes)
FINAL = tuple(case for case in FAILING if not case.passes)


@pytest.mark.parametrize("case", BODIES, ids=lambda case: case.name)
def test_a_good_answer_is_read_in_every_body_and_paid_once(
    endpoint: FakeEndpoint, world: Clockwork, case: Answering
) -> None:
    case.dress(endpoint)
    reply = run(client(endpoint.base_url, world), HELLO)
    assert answer_of(reply) == "3, 0"
    assert reply.finish_reason in {"stop", "unknown"}
    assert reply.usage.prompt_tokens >= 0
    assert len(endpoint.bodies) == 1
    assert world.slept == []


def test_tokens_that_are_no_whole_number_are_rounded_up(
    endpoint: FakeEndpoint, world: Clockwork
) -> None:
    next(case for case in ANSWERING if case.name == "usage_fraction").dress(endpoint)
    usage = run(client(endpoint.base_url, world), HELLO).usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (11, 3)


@pytest.mark.parametrize("case", PASSING, ids=lambda case: case.name)
def test_an_error_that_may_pass_is_asked_again_after_the_wait_that_it_states(
    endpoint: FakeEndpoint, ask: Ask, world: Clockwork, case: Failing
) -> None:
    endpoint.faults.extend([case.fault] * 4)
    assert ask().text == "3, 0"
    assert len(endpoint.bodies) == 5
    if case.waits_s is not None:
        assert case.waits_s <= world.slept[0] <= case.waits_s + 1


@pytest.mark.parametrize("case", PASSING, ids=lambda case: case.name)
def test_an_error_that_stays_says_its_words(
    endpoint: FakeEndpoint, ask: Ask, case: Failing
) -> None:
    endpoint.disturb = lambda _body, _good: case.fault
    error = failure(ask, attempts=3)
    assert case.said in str(error)
    assert error.retryable
    # Tiny questions are answered, so that some more attempts make sense.
    assert len(endpoint.bodies) <= 20


@pytest.mark.parametrize("case", FINAL, ids=lambda case: case.name)
def test_an_error_that_does_not_pass_is_final_and_says_its_words(
    endpoint: FakeEndpoint, world: Clockwork, case: Failing
) -> None:
    endpoint.disturbs_probes = True
    endpoint.disturb = lambda _body, _good: case.fault
    error = failure(lambda: run(client(endpoint.base_url, world), HELLO))
    assert case.said in str(error)
    assert not error.retryable
    assert world.slept == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (json_body({"choices": [], "promptFeedback": {"blockReason": "SAFETY"}}), "SAFETY"),
        (
            json_body({"choices": [], "prompt_filter_results": [{"hate": {"filtered": True}}]}),
            "filter",
        ),
        (completion({"content": [{"type": "refusal", "refusal": "I will not"}]}), "I will not"),
        (status(403, "内容包含敏感词", code="data_inspection_failed"), r"request \(403\).*敏感词"),
    ],
)
def test_a_prompt_that_a_filter_stops_is_refused_with_the_reason(
    endpoint: FakeEndpoint, ask: Ask, fault: Fault, said: str
) -> None:
    endpoint.faults.append(fault)
    error = failure(ask)
    assert isinstance(error, RequestRefusedError)
    assert re.search(said, str(error))
    assert len(endpoint.bodies) == 1


def test_a_wrong_address_is_told_with_what_it_usually_ends_in(
    endpoint: FakeEndpoint, ask: Ask
) -> None:
    case = next(case for case in FAILING if case.name == "string_error_in_200")
    endpoint.faults.append(case.fault)
    assert "usually ends in /v1" in str(failure(ask))
    assert len(endpoint.bodies) == 1


@pytest.mark.parametrize("key", ["sk-very-secret", "sk-v***cret", "sk-very-*****"])
def test_no_message_shows_a_key_or_a_part_of_it(endpoint: FakeEndpoint, ask: Ask, key: str) -> None:
    endpoint.faults.append(status(401, f"Incorrect API key provided: {key}. Find yours at x."))
    assert "(it says: Incorrect API key provided: ***. Find yours at x.)" in str(failure(ask))

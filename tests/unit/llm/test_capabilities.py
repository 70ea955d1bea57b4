"""What an endpoint can do: found out once, kept for the next process."""

from __future__ import annotations

import asyncio
import math
import resource
from dataclasses import replace
from pathlib import Path

import pytest
from endpoint_cases import more_alternatives
from endpoint_client import HELLO, Clockwork, TurningClock, client, run
from fake_endpoint import FakeEndpoint, Fault, json_body, status

from autointerp.core.errors import RequestRefusedError, UpstreamError
from autointerp.llm import OpenAICompatible, TokenChoice
from autointerp.llm.capabilities import fewer_alternatives
from autointerp.llm.chat_model import EchoUnsupportedError


def completion(text: str | None, reason: str, **more: object) -> Fault:
    usage = {"prompt_tokens": 7, "completion_tokens": 16, **more}
    choice = {"message": {"content": text}, "finish_reason": reason}
    return json_body({"choices": [choice], "usage": usage})


STARVED = completion(None, "length", completion_tokens_details={"reasoning_tokens": 16})


def test_hidden_reasoning_raises_the_limit_once_for_good(
    endpoint: FakeEndpoint, tmp_path: Path, world: Clockwork
) -> None:
    endpoint.faults.extend([STARVED, completion("yes", "stop")])
    first = client(endpoint.base_url, world, capabilities=tmp_path)
    reply = run(first, HELLO)
    assert reply.text == "yes"
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (14, 32)
    second = client(endpoint.base_url, world, capabilities=tmp_path)
    endpoint.faults.append(STARVED)
    assert run(second, HELLO).finish_reason == "length"
    assert [body["max_tokens"] for body in endpoint.bodies] == [16, 16 + 4096, 16 + 4096]
    assert second.features.hidden_tokens == 4096


@pytest.mark.parametrize(
    ("sent", "said", "fewer"),
    [
        (20, "Requested sample logprobs of 20, which is greater than max allowed: 8", 8),
        (20, "Invalid value 20: must be between 0 and 5", 5),
        (20, "top_logprobs is out of range", 5),
        (15, "Expected a value <= 11 but got 15", 11),
        (5, "must be 0", 0),
        (20, "request 123456 of 20 refused", 5),
    ],
)
def test_the_most_alternatives_are_read_from_the_message(sent: int, said: str, fewer: int) -> None:
    assert fewer_alternatives(sent, said) == fewer


def test_the_next_process_does_not_ask_again(
    endpoint: FakeEndpoint, tmp_path: Path, world: Clockwork
) -> None:
    endpoint.rejected["max_tokens"] = status(422)
    tops = more_alternatives(8)
    endpoint.dress = lambda body: status(400, "at most 8 are allowed") if tops(body) else None
    asked = replace(HELLO, top_logprobs=20)
    run(client(endpoint.base_url, world, capabilities=tmp_path), asked)
    n_before = len(endpoint.bodies)
    run(client(endpoint.base_url, world, capabilities=tmp_path), asked)
    assert len(endpoint.bodies) == n_before + 1
    assert endpoint.bodies[-1]["top_logprobs"] == 8
    assert endpoint.bodies[-1]["max_completion_tokens"] == 16


@pytest.mark.parametrize("damage", [b"", b"{", b'{"version": 9}', b"\xff\x00"])
def test_a_damaged_memory_is_no_memory(
    endpoint: FakeEndpoint, tmp_path: Path, world: Clockwork, damage: bytes
) -> None:
    endpoint.rejected["seed"] = status(400, "seed is not supported", param="seed")
    asked = replace(HELLO, seed=1)
    run(client(endpoint.base_url, world, capabilities=tmp_path), asked)
    [kept] = tmp_path.iterdir()
    kept.write_bytes(damage)
    run(client(endpoint.base_url, world, capabilities=tmp_path), asked)
    assert ["seed" in body for body in endpoint.bodies] == [True, False, True, False]


def test_what_is_known_is_forgotten_after_a_week(endpoint: FakeEndpoint, tmp_path: Path) -> None:
    endpoint.rejected["seed"] = status(400, "seed is not supported", param="seed")
    asked = replace(HELLO, seed=1)
    world = TurningClock()
    for days in (0, 6, 8):
        later = TurningClock()
        later.now = world.now + days * 86_400
        run(client(endpoint.base_url, later, capabilities=tmp_path), asked)
    assert ["seed" in body for body in endpoint.bodies] == [True, False, False, True, False]


def test_a_folder_that_cannot_be_written_stops_nothing(
    endpoint: FakeEndpoint, tmp_path: Path, world: Clockwork
) -> None:
    (tmp_path / "file").touch()
    endpoint.faults.append(status(400, "seed is not supported", param="seed"))
    model = client(endpoint.base_url, world, capabilities=tmp_path / "file")
    assert run(model, replace(HELLO, seed=1)).text


def test_a_full_disk_while_it_is_found_out_what_is_taken_stops_nothing(
    endpoint: FakeEndpoint, tmp_path: Path, world: Clockwork
) -> None:
    endpoint.rejected["seed"] = status(400, "nein")
    model = client(endpoint.base_url, world, capabilities=tmp_path, negotiates=True)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The disk refuses as a full one does.
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        assert run(model, replace(HELLO, seed=1)).text
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert model.features.asked_without == ("seed",)
    assert list(tmp_path.iterdir()) == []


def echoed(prompt: str, rest: str = " b") -> Fault:
    tops: list[dict[str, float] | None] = [None, {"c": -0.5, "d": -1.0}, {rest: -0.1}]
    logprobs = {
        "tokens": [prompt[:1], prompt[1:], rest],
        "token_logprobs": [None, -2.0, -0.1],
        "top_logprobs": tops,
    }
    choice = {"text": prompt + rest, "logprobs": logprobs}
    usage = {"prompt_tokens": 2, "completion_tokens": 1}
    return json_body({"choices": [choice], "usage": usage})


def echo(model: OpenAICompatible, *texts: str) -> list[tuple[TokenChoice, ...]]:
    async def each() -> list[tuple[TokenChoice, ...]]:
        try:
            return [await model.prompt_logprobs(text) for text in texts]
        finally:
            await model.close()

    return asyncio.run(each())


def test_a_prompt_is_echoed_with_its_log_probabilities(
    endpoint: FakeEndpoint, world: Clockwork
) -> None:
    endpoint.completions.extend([status(503), echoed("ab")])
    model = client(endpoint.base_url, world)
    assert model.features.echo is None
    [(first, second)] = echo(model, "ab")
    assert (first.token, first.alternatives) == ("a", ())
    assert math.isnan(first.logprob)
    assert second == TokenChoice("b", -2.0, (("c", -0.5), ("d", -1.0), ("b", -2.0)))
    sent = {"prompt": "ab", "max_tokens": 1, "echo": True, "logprobs": 20}
    assert sent.items() <= endpoint.prompts[-1].items()
    assert model.features.echo
    assert model.total_usage.prompt_tokens == 2


@pytest.mark.parametrize(
    "fault",
    [
        status(404),
        status(400, "echo is not supported with this model"),
        json_body({"choices": [{"text": " b", "logprobs": None}]}),
        json_body({"choices": [{"text": " b", "logprobs": {"content": []}}]}),
        json_body({"content": "b"}),
    ],
)
def test_an_endpoint_without_echo_is_asked_once_and_never_again(
    endpoint: FakeEndpoint, tmp_path: Path, world: Clockwork, fault: Fault
) -> None:
    endpoint.completions.append(fault)
    for _ in range(2):
        model = client(endpoint.base_url, world, capabilities=tmp_path)
        with pytest.raises(EchoUnsupportedError, match="gives no log-probabilities of a prompt"):
            echo(model, "ab")
        assert model.features.echo is False
    assert len(endpoint.prompts) == 1


def test_fewer_alternatives_are_echoed_where_so_many_are_too_many(
    endpoint: FakeEndpoint, tmp_path: Path, world: Clockwork
) -> None:
    endpoint.completions.extend(
        [status(400, "logprobs must be at most 5", param="logprobs"), echoed("ab"), echoed("ab")]
    )
    for _ in range(2):
        echo(client(endpoint.base_url, world, capabilities=tmp_path), "ab")
    assert [body["logprobs"] for body in endpoint.prompts] == [20, 5, 5]


def test_one_text_that_is_refused_does_not_end_echoing(
    endpoint: FakeEndpoint, world: Clockwork
) -> None:
    endpoint.completions.extend([echoed("ab"), status(400, "too long for logprobs")])
    model = client(endpoint.base_url, world)
    with pytest.raises(RequestRefusedError):
        echo(model, "ab", "abc")
    assert model.features.echo


def test_a_refused_key_is_not_a_missing_ability(endpoint: FakeEndpoint, world: Clockwork) -> None:
    endpoint.completions.append(status(401, "echo"))
    model = client(endpoint.base_url, world)
    with pytest.raises(UpstreamError, match="does not accept the API key"):
        echo(model, "ab")
    assert model.features.echo is None

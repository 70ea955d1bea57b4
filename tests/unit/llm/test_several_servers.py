"""Several servers or models behind one address, of which one refuses everything."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from endpoint_cases import IN_DRESS, LASTING, USED_UP, Body
from endpoint_client import HELLO, KEY, TurningClock, client
from fake_endpoint import FakeEndpoint, Fault, html, is_probe, json_body, status

from autointerp.core.errors import UpstreamError
from autointerp.llm import (
    ChatReply,
    ChatRequest,
    ClientDependencies,
    ClientOptions,
    Message,
    OpenAICompatible,
)

FAULTS = {
    "401": status(401, "Incorrect API key provided"),
    "403": status(403, "no access"),
    "404": status(404, "model 'fake' not found"),
    "401_anthropic": IN_DRESS["anthropic"](401, "invalid x-api-key", "authentication_error"),
    "403_gemini": IN_DRESS["gemini"](403, "Permission denied", "PERMISSION_DENIED"),
    "404_responses": IN_DRESS["responses"](404, "no such route", "not_found_error"),
    "400_by_its_code": status(400, "nein", code="invalid_api_key"),
    "401_in_a_200": IN_DRESS["chat"](200, "nein", "authentication_error"),
    "405": Fault(405),
    "407": Fault(407),
    "text_in_a_200": json_body({"error": "nein"}),
    "404_page": html(404),
}
OF_ANY = {
    "400": status(400, "nein"),
    "422_of_details": json_body({"detail": [{"loc": ["body"], "msg": "nein"}]}, 422),
    "418_without_words": Fault(418),
    "400_about_the_key": status(400, "API key not valid. Please pass a valid API key."),
    "413": status(413, "Request Entity Too Large"),
}
ALL = FAULTS | OF_ANY


def in_turns(n_bad: int, of: int) -> Callable[[], bool]:
    turns = iter(range(10**9))
    return lambda: next(turns) % of < n_bad


def at_random(seed: int, share: float) -> Callable[[], bool]:
    rng = random.Random(seed)
    return lambda: rng.random() < share


POOLS = {
    "one_of_two": lambda: in_turns(1, 2),
    "two_of_three": lambda: in_turns(2, 3),
    "three_of_four": lambda: in_turns(3, 4),
    # Never more than four refusals and nine answers in a row: ten refusals are taken for all, six
    # in words that tell of a key, and about ten answers for a refusal of the question.
    "one_of_two_at_random": lambda: at_random(3087, 0.5),
    "one_of_three_at_random": lambda: at_random(9, 0.33),
}


def ask_in_the_midst(
    endpoint: FakeEndpoint,
    fault: Fault,
    is_bad: Callable[[], bool],
    *,
    n: int,
    max_in_flight: int,
    is_bad_to_probes: Callable[[], bool] | None = None,
) -> list[ChatReply | BaseException]:
    """Tiny questions have draws of their own where they are given: else threads would mix them."""
    model = client(endpoint.base_url, TurningClock(), negotiates=True, max_in_flight=max_in_flight)

    async def ask() -> list[ChatReply | BaseException]:
        await model.reply(HELLO)
        to_probes = is_bad_to_probes or is_bad
        endpoint.dress = lambda body: fault if (to_probes if is_probe(body) else is_bad)() else None
        asked = (model.reply(replace(HELLO, seed=seed)) for seed in range(n))
        found = await asyncio.gather(*asked, return_exceptions=True)
        await model.close()
        return found

    return asyncio.run(ask())


@pytest.mark.parametrize("max_in_flight", [1, 4])
@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("name", ALL)
def test_no_question_is_lost_where_some_servers_refuse_everything(
    endpoint: FakeEndpoint, name: str, pool: str, max_in_flight: int
) -> None:
    found = ask_in_the_midst(
        endpoint,
        ALL[name],
        POOLS[pool](),
        n=30,
        max_in_flight=max_in_flight,
        is_bad_to_probes=POOLS[pool]() if pool.endswith("random") else None,
    )
    assert {getattr(one, "text", one) for one in found} == {"3, 0"}
    # Where it is not known that a status is one of servers, more is found out.
    assert len(endpoint.probes) <= 2 + (30 if name in FAULTS else 40)
    assert len(endpoint.bodies) <= 1 + 30 * 5


@pytest.mark.parametrize("name", FAULTS)
def test_what_all_refuse_stops_a_run_after_ten_tiny_questions(
    endpoint: FakeEndpoint, name: str
) -> None:
    found = ask_in_the_midst(endpoint, FAULTS[name], lambda: True, n=20, max_in_flight=4)
    assert {type(one) for one in found} == {UpstreamError}
    assert not any(one.retryable for one in found if isinstance(one, UpstreamError))
    # Those in flight, and the tiny ones.
    assert len(endpoint.bodies) <= 1 + 4
    assert len(endpoint.probes) == 2 + 10


@pytest.mark.parametrize("name", OF_ANY)
def test_what_all_refuse_with_any_other_status_stops_a_run_too(
    endpoint: FakeEndpoint, name: str
) -> None:
    found = ask_in_the_midst(endpoint, OF_ANY[name], lambda: True, n=20, max_in_flight=4)
    assert {type(one) for one in found} == {UpstreamError}
    assert not any(one.retryable for one in found if isinstance(one, UpstreamError))
    # Each once, and some for a form that may be taken yet.
    assert len(endpoint.bodies) <= 1 + 20
    assert len(endpoint.probes) <= 2 + 3 + 10


@pytest.mark.parametrize("name", ALL)
def test_a_key_that_is_revoked_after_servers_differed_stops_a_run_too(
    endpoint: FakeEndpoint, name: str
) -> None:
    is_bad = in_turns(1, 2)
    n_sent = iter(range(10**9))
    found = ask_in_the_midst(
        endpoint,
        ALL[name],
        lambda: next(n_sent) > 20 or is_bad(),
        n=40,
        max_in_flight=2,
    )
    assert {type(one) for one in found} == {ChatReply, UpstreamError}
    n_in_between = 0 if name in FAULTS else 20
    assert len(endpoint.bodies) + len(endpoint.probes) <= 3 + 20 + 10 + 10 + 2 + n_in_between


@pytest.mark.parametrize("code", [400, 403, 404, 405, 406, 413, 415, 418, 422, 426, 431, 451])
def test_a_prompt_that_is_refused_is_asked_once_and_plainly_once_for_its_words(
    endpoint: FakeEndpoint, code: int
) -> None:
    model = client(endpoint.base_url, TurningClock(), negotiates=True)

    async def ask() -> list[tuple[int, int]]:
        await model.reply(HELLO)
        fault = status(code, "tämä ei käy")
        endpoint.dress = lambda body: fault if "bad" in str(body) else None
        sent = []
        for n in range(4):
            before = len(endpoint.bodies), len(endpoint.probes)
            bad = replace(HELLO, messages=(Message("user", f"bad {n}"),))
            with pytest.raises(UpstreamError, match="tämä ei käy"):
                await model.reply(bad)
            sent.append((len(endpoint.bodies) - before[0], len(endpoint.probes) - before[1]))
            assert (await model.reply(replace(HELLO, seed=n))).text == "3, 0"
        await model.close()
        return sent

    first, *others = asyncio.run(ask())
    assert first[0] <= 2
    assert first[1] <= 12
    assert others == [(1, 0)] * 3


def test_a_connection_that_stays_with_one_server_is_left() -> None:
    """A balancer that gives each connection one server, every other of which refuses."""
    n_connections = iter(range(10**9))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = next(n_connections)
        n_asked = 0
        while head := await reader.readuntil(b"\r\n\r\n"):
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split()[0]))
            n_asked += 1
            # The first turns against its callers in the midst of a run.
            is_bad = number % 2 == 0 and not (number == 0 and n_asked == 1)
            body = b'{"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]}'
            body = b'{"error": {"message": "no such key"}}' if is_bad else body
            line = b"401 Unauthorized" if is_bad else b"200 OK"
            writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (line, len(body), body))
            await writer.drain()
            if b"connection: close" in head.lower():
                break
        writer.close()

    async def ask() -> list[str]:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            model = client(f"http://127.0.0.1:{port}/v1", TurningClock())
            texts = [(await model.reply(replace(HELLO, seed=seed))).text for seed in range(6)]
            await model.close()
            return texts

    assert asyncio.run(ask()) == ["x"] * 6


@pytest.mark.parametrize(
    "fault",
    [
        USED_UP["finnish"][1](USED_UP["finnish"][0]),
        status(429, LASTING["quota"]),
        status(500, LASTING["account"]),
        status(401, "no"),
        status(402, "pay"),
        status(404, "no such model"),
    ],
)
def test_what_lasts_of_one_model_says_nothing_of_another_at_the_same_address(
    endpoint: FakeEndpoint, fault: Fault
) -> None:
    world = TurningClock()
    dependencies = ClientDependencies(sleep=world.sleep, clock=world.clock)

    def made(name: str) -> OpenAICompatible:
        options = ClientOptions(negotiates=False)
        return OpenAICompatible(
            endpoint.base_url, name, api_key=KEY, options=options, dependencies=dependencies
        )

    def is_of_a(body: Body) -> bool:
        return bool(body["model"] == "a")

    async def ask(model: OpenAICompatible, request: ChatRequest) -> ChatReply | BaseException:
        [found] = await asyncio.gather(model.reply(request), return_exceptions=True)
        return found

    async def both() -> tuple[list[object], list[object]]:
        a, b = made("a"), made("b")
        await asyncio.gather(a.reply(HELLO), b.reply(HELLO))
        endpoint.dress = lambda body: fault if is_of_a(body) else None
        asked = [replace(HELLO, seed=seed) for seed in range(8)]
        of_a, of_b = await asyncio.gather(
            asyncio.gather(*(ask(a, one) for one in asked)),
            asyncio.gather(*(ask(b, one) for one in asked)),
        )
        await a.close()
        await b.close()
        return list(of_a), list(of_b)

    of_a, of_b = asyncio.run(both())
    assert {type(one) for one in of_a} == {UpstreamError}
    assert {type(one) for one in of_b} == {ChatReply}
    assert all(is_of_a(body) for body in endpoint.probes)

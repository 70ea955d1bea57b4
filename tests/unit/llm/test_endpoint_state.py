"""An endpoint that goes down and comes back: who probes, who waits, who gives up."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest
from endpoint_client import HELLO, Clockwork, TurningClock, client
from fake_endpoint import FakeEndpoint, Fault, cut, hang_up, html, status

from autointerp.core.backoff import Backoff
from autointerp.core.errors import UpstreamError
from autointerp.llm import ChatReply, ClientOptions, OpenAICompatible
from autointerp.llm.endpoint_state import Circuit


async def first_one_then(model: OpenAICompatible, n: int) -> list[ChatReply | BaseException]:
    """One call that reaches the endpoint, then so many at once."""
    await model.reply(HELLO)
    asked = (model.reply(replace(HELLO, seed=seed)) for seed in range(n))
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    await model.close()
    return outcomes


@pytest.mark.parametrize("fault", [hang_up(), cut(), html(502), status(503), status(529)])
def test_an_outage_costs_no_call(endpoint: FakeEndpoint, fault: Fault) -> None:
    world = TurningClock()
    model = client(endpoint.base_url, world, max_in_flight=8)

    async def outage() -> list[ChatReply | BaseException]:
        await model.reply(HELLO)
        endpoint.faults.extend([fault] * 30)
        return await first_one_then(model, 20)

    endpoint.faults_for_probes = True
    outcomes = asyncio.run(outage())
    assert all(isinstance(outcome, ChatReply) for outcome in outcomes)
    # One tiny question after another looks whether the endpoint is back, and the last one is.
    assert len(endpoint.bodies) + len(endpoint.probes) == 1 + 30 + 21 + 1
    assert len(endpoint.answered) == 1 + 21


def test_one_call_probes_while_the_others_wait() -> None:
    """200 calls in flight fail at once; the endpoint is back after five seconds."""
    world = TurningClock()
    back = world.now + 5

    async def outage() -> list[float]:
        circuit = Circuit(
            sleep=world.sleep, clock=world.clock, opens_after=5, backoff=Backoff(1, 30)
        )
        circuit.succeeded()
        tries = []

        async def call() -> None:
            for _ in range(100):
                async with circuit.attempt():
                    tries.append(world.now)
                    await asyncio.sleep(0)
                    if world.now >= back:
                        return circuit.succeeded()
                    circuit.failed()
            raise AssertionError

        async with asyncio.TaskGroup() as group:
            for _ in range(200):
                group.create_task(call())
        return tries

    tries = asyncio.run(outage())
    assert world.slept == [1.0, 2.0, 4.0]
    # The four that failed before it opened tried again at once.
    assert len(tries) == 200 + 4 + 2 + 200


def test_an_endpoint_that_stays_away_is_waited_for_until_the_deadline(
    endpoint: FakeEndpoint,
) -> None:
    world, waits = Clockwork(), {"first_wait_s": 0.01, "longest_wait_s": 0.05}
    patient = client(endpoint.base_url, world, **waits)
    model = client(endpoint.base_url, world, deadline_s=2, **waits)

    endpoint.faults_for_probes = True

    async def away() -> None:
        await patient.reply(HELLO)
        endpoint.faults.extend([hang_up()] * 100_000)
        with pytest.raises(UpstreamError) as caught:
            await model.reply(HELLO)
        endpoint.faults.clear()
        said = "cut the connection and did not come back within 2 s; start it again"
        assert str(caught.value) == f"{endpoint.base_url} {said}"
        assert caught.value.retryable
        await patient.reply(HELLO)
        await model.close()
        await patient.close()

    asyncio.run(away())


def test_a_request_that_always_breaks_the_server_is_given_up(endpoint: FakeEndpoint) -> None:
    model = client(endpoint.base_url, TurningClock())

    async def poison() -> None:
        await model.reply(HELLO)
        endpoint.faults.extend([status(500)] * 100)
        with pytest.raises(UpstreamError, match="answered 500, 5 times"):
            await model.reply(HELLO)
        endpoint.faults.clear()
        await model.reply(HELLO)
        await model.close()

    asyncio.run(poison())
    assert len(endpoint.bodies) == 7


def test_too_many_requests_open_no_circuit(endpoint: FakeEndpoint, world: Clockwork) -> None:
    model = client(endpoint.base_url, world)

    async def busy() -> None:
        await model.reply(HELLO)
        endpoint.faults.extend([status(429)] * 100)
        with pytest.raises(UpstreamError, match=r"answered 429, \d+ times"):
            await model.reply(HELLO)
        endpoint.faults.clear()
        assert (await model.reply(HELLO)).text == "3, 0"
        await model.close()

    asyncio.run(busy())


def test_a_server_that_was_never_there_is_not_tried_by_every_call() -> None:
    world = TurningClock()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        model = client(f"http://127.0.0.1:{free.getsockname()[1]}/v1", world)

        async def thrice() -> list[str]:
            said = []
            for _ in range(3):
                with pytest.raises(UpstreamError) as caught:
                    await model.reply(HELLO)
                said.append(str(caught.value))
            n_slept = len(world.slept)
            assert n_slept == 4
            world.now += 60
            with pytest.raises(UpstreamError):
                await model.reply(HELLO)
            assert len(world.slept) == 8
            await model.close()
            return said

        said = asyncio.run(thrice())
    assert len(set(said)) == 1
    assert "could not reach" in said[0]
    assert model.total_usage.requests == 10


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One completion on a connection of its own."""
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split()[0]))
    body = b'{"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]}'
    length = b"Content-Length: %d\r\n" % len(body)
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + length + b"\r\n" + body)
    await writer.drain()
    writer.close()


def test_a_server_that_is_started_again_is_found_again() -> None:
    async def restarted() -> list[ChatReply | BaseException]:
        server = await asyncio.start_server(answer, "127.0.0.1", port, reuse_port=True)
        options = ClientOptions(first_wait_s=0.01, longest_wait_s=0.05)
        model = OpenAICompatible(f"http://127.0.0.1:{port}/v1", "fake", options=options)
        await model.reply(HELLO)
        server.close()
        await server.wait_closed()
        calls = asyncio.create_task(first_one_then(model, 8))
        await asyncio.sleep(0.5)
        assert not calls.done()
        async with await asyncio.start_server(answer, "127.0.0.1", port, reuse_port=True):
            return await calls

    # Kept throughout, so that nobody else is given the port while no server listens on it.
    with socket.socket() as place:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
        outcomes = asyncio.run(restarted())
    assert all(isinstance(outcome, ChatReply) for outcome in outcomes)

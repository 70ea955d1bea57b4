"""Blocking calls of many requests, made by few threads."""

from __future__ import annotations

import asyncio
import threading
import time
from functools import partial
from types import SimpleNamespace

import pytest

from autointerp.api.store_reads import BatchedReads


def test_every_call_is_answered_with_its_own_result_or_error() -> None:
    async def ask(batches: BatchedReads, number: int) -> int:
        return await batches.run(lambda: 60 // number)

    async def main() -> list[int | BaseException]:
        batches = BatchedReads()
        for _ in range(20):  # One after another too: each must find somebody at work.
            await ask(batches, 1)
        asked = (ask(batches, number) for number in range(200))
        return await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 300)

    found = asyncio.run(main())
    assert isinstance(found[0], ZeroDivisionError)
    assert found[1:] == [60 // number for number in range(1, 200)]


def test_one_thread_is_enough_for_calls_that_are_quick() -> None:
    async def main() -> set[int]:
        batches = BatchedReads()
        return set(await asyncio.gather(*(batches.run(threading.get_ident) for _ in range(50))))

    # Where the machine stands still for a moment a second thread helps; not every time.
    rounds = [asyncio.run(main()) for _ in range(5)]
    assert min(len(threads) for threads in rounds) == 1
    assert all(threading.get_ident() not in threads for threads in rounds)


def test_others_help_while_a_thread_waits() -> None:
    let_go = threading.Event()

    async def main() -> bool:
        batches = BatchedReads()
        slow = asyncio.create_task(batches.run(lambda: let_go.wait(300)))
        await asyncio.sleep(0.1)
        assert await asyncio.wait_for(batches.run(lambda: 1), 200) == 1
        let_go.set()
        return await slow

    assert asyncio.run(main())


def test_near_calls_need_no_thread_until_one_was_slow() -> None:
    async def main() -> list[int]:
        batches = BatchedReads()
        first = await batches.run(threading.get_ident, near=True)
        await batches.run(lambda: time.sleep(0.05), near=True)
        return [first, await batches.run(threading.get_ident, near=True)]

    first, later = asyncio.run(main())
    assert first == threading.get_ident() != later


def test_threads_make_near_calls_for_longer_the_more_of_them_are_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1.0
    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr("autointerp.api.store_reads.time", clock)
    batches = BatchedReads()

    def taking(seconds: float) -> int:
        nonlocal now
        now += seconds
        return threading.get_ident()

    async def is_here(seconds: float) -> bool:
        return await batches.run(partial(taking, seconds), near=True) == threading.get_ident()

    async def main() -> None:
        nonlocal now
        for pause_s in (0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0):
            assert await is_here(0.1)
            now += 0.9 * pause_s
            assert not await is_here(0.0)
            now += 0.2 * pause_s
        # One that was quick: a busy machine made those slow, and not the disk.
        assert await is_here(0.01)
        assert await is_here(0.1)
        now += 0.3
        assert await is_here(0.0)

    asyncio.run(main())


def test_a_caller_that_leaves_takes_nobodys_answer() -> None:
    began, has_left = threading.Event(), threading.Event()

    def linger() -> bool:
        began.set()
        return has_left.wait(300)

    async def main() -> int:
        batches = BatchedReads()
        gone = asyncio.create_task(batches.run(linger))
        stays = asyncio.create_task(batches.run(lambda: 2))
        await asyncio.to_thread(began.wait, 300)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        has_left.set()
        return await asyncio.wait_for(stays, 300)

    assert asyncio.run(main()) == 2

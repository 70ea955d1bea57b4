"""Coroutines, several at a time."""

from __future__ import annotations

import asyncio

import pytest

from autointerp.core.asynchrony import for_each, run_coroutine


def test_no_more_run_at_once_than_are_allowed_and_all_are_run() -> None:
    running, most = 0, 0

    async def task(item: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        return item * item

    found = asyncio.run(for_each(range(9), task, at_once=3))
    assert found == {item: item * item for item in range(9)}
    assert most == 3


def test_the_first_error_stops_the_others_and_is_raised() -> None:
    ended: list[int] = []

    async def task(item: int) -> None:
        if item == 0:
            raise ValueError("broken")
        await asyncio.sleep(5)
        ended.append(item)

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(for_each(range(4), task, at_once=4))
    assert ended == []


def test_a_coroutine_runs_to_the_end_with_and_without_a_loop_around() -> None:
    seen: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0)
        seen.append("done")

    async def notebook() -> None:
        run_coroutine(work())

    run_coroutine(work())
    asyncio.run(notebook())
    assert seen == ["done", "done"]


def test_an_error_reaches_the_thread_that_called() -> None:
    async def work() -> None:
        raise ValueError("broken")

    async def notebook() -> None:
        run_coroutine(work())

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(notebook())

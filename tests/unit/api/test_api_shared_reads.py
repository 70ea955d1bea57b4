"""What many requests want, read at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from autointerp.api.store_reads import BatchedReads, CombinedReads
from autointerp.core.errors import UpstreamError


@dataclass(eq=False)
class Squares:
    """Notes what was asked for at once; the first call waits until it is let go."""

    asked: list[list[int]] = field(default_factory=list)
    began: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def __call__(self, wanted: Sequence[int]) -> list[int]:
        self.asked.append(list(wanted))
        if len(self.asked) == 1:
            self.began.set()
            assert self.go_on.wait(300)
        if -1 in wanted:
            raise UpstreamError("Redis cannot be reached", retryable=True)
        return [number**2 for number in wanted]


def let_go() -> Squares:
    reading = Squares()
    reading.go_on.set()
    return reading


def test_requests_of_one_moment_are_read_at_once_and_each_has_its_own() -> None:
    async def main(reading: Squares) -> list[int]:
        reads = CombinedReads(BatchedReads())
        for _ in range(5):  # One after another too: each must find somebody at work.
            assert await reads.read(reading, 1) == 1
        return await asyncio.gather(*(reads.read(reading, number) for number in range(200)))

    reading = let_go()
    assert asyncio.run(main(reading)) == [number**2 for number in range(200)]
    assert reading.asked == [[1]] * 5 + [list(range(200))]


def test_what_the_store_refuses_is_told_to_all_who_wait_and_to_nobody_else() -> None:
    async def main(reading: Squares) -> list[int | BaseException]:
        reads = CombinedReads(BatchedReads())
        bad, good = [7, -1, 8], [1, 2]
        asked = [reads.read(reading, n) for n in bad] + [reads.read(let_go(), n) for n in good]
        found = await asyncio.gather(*asked, return_exceptions=True)
        return [*found, await reads.read(reading, 9)]

    found = asyncio.run(main(let_go()))
    assert [type(each) for each in found[:3]] == [UpstreamError] * 3
    assert found[3:] == [1, 4, 81]


def test_a_read_that_takes_long_holds_nobody_up() -> None:
    async def main(reading: Squares) -> list[int]:
        reads = CombinedReads(BatchedReads())
        slow = asyncio.create_task(reads.read(reading, 2))
        await asyncio.to_thread(reading.began.wait, 300)
        await asyncio.sleep(0.1)
        later = [await asyncio.wait_for(reads.read(reading, 3), 200) for _ in range(3)]
        reading.go_on.set()
        return [*later, await slow, await reads.read(reading, 4)]

    assert asyncio.run(main(Squares())) == [9, 9, 9, 4, 16]


def test_who_comes_while_a_read_is_on_its_way_goes_with_the_next() -> None:
    async def main(reading: Squares) -> list[int]:
        reads = CombinedReads(BatchedReads())
        first = asyncio.create_task(reads.read(reading, 1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        rest = [asyncio.create_task(reads.read(reading, number)) for number in (2, 3)]
        await asyncio.sleep(0)
        reading.go_on.set()
        return [await first, *[await each for each in rest]]

    reading = Squares()
    assert asyncio.run(main(reading)) == [1, 4, 9]
    assert reading.asked == [[1], [2, 3]]


def test_a_caller_that_leaves_takes_nobodys_answer() -> None:
    async def main(reading: Squares) -> int:
        reads = CombinedReads(BatchedReads())
        gone = asyncio.create_task(reads.read(reading, 2))
        stays = asyncio.create_task(reads.read(reading, 3))
        await asyncio.to_thread(reading.began.wait, 300)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        reading.go_on.set()
        return await asyncio.wait_for(stays, 300)

    assert asyncio.run(main(Squares())) == 9

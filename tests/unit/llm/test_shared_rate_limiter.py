"""A limiter whose limits somebody else keeps: what it reports, and what it does without them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from autointerp.core.errors import InputError
from autointerp.core.limits import EndpointLimits, LimitGrant, LimitReport
from autointerp.llm.shared_rate_limiter import SharedLimits, SharedRateLimiter

Answer = Callable[[LimitReport], LimitGrant]


class ScriptedLimitStore:
    """Remembers what was reported, and answers by a function."""

    def __init__(self, answer: Answer) -> None:
        self.answer, self.reports = answer, list[LimitReport]()

    def exchange(self, endpoint: str, limits: EndpointLimits, report: LimitReport) -> LimitGrant:
        self.reports.append(report)
        return self.answer(report)


def all_of_them(report: LimitReport) -> LimitGrant:
    return LimitGrant(len(report.wanted), 3, 0.0, 1)


def limiter(store: ScriptedLimitStore, **more: object) -> SharedRateLimiter:
    limits = more.pop("limits", EndpointLimits(8, 600, 60_000))
    return SharedRateLimiter(SharedLimits(store, "e", limits, **more))  # type: ignore[arg-type]


async def ask(one: SharedRateLimiter, n: int) -> None:
    async def go() -> None:
        async with one.acquire(10) as permit:
            await asyncio.sleep(0.01)
            one.correct(permit, 7)
            one.succeeded()

    await asyncio.gather(*(go() for _ in range(n)))
    await one.close()


def test_what_happens_at_once_is_reported_at_once_and_the_end_is_told() -> None:
    store = ScriptedLimitStore(all_of_them)
    asyncio.run(ask(limiter(store), 20))
    first, *others = store.reports
    assert (first.used, first.wanted) == (0, (10,) * 20)
    assert len(others) < 20
    assert (others[-1].used, others[-1].wanted) == (0, ())
    assert sum(report.n_succeeded for report in others) == 20
    assert sum(report.tokens for report in others) == -60


def test_refusals_and_pauses_are_reported_with_the_round_they_belong_to() -> None:
    store = ScriptedLimitStore(all_of_them)

    async def refused() -> None:
        one = limiter(store)
        async with one.acquire(1) as permit:
            one.throttled(permit)
        one.pause(2.5)
        await one.close()

    asyncio.run(refused())
    assert [r.refused_round for r in store.reports if r.refused_round is not None] == [3]
    assert sum(report.pause_s for report in store.reports) == 2.5


def test_one_that_is_told_to_wait_waits_so_long_before_it_asks_again() -> None:
    answers = iter([LimitGrant(0, 0, 0.3, 2), LimitGrant(0, 0, 0.3, 2)])
    store = ScriptedLimitStore(lambda report: next(answers, all_of_them(report)))

    async def timed() -> float:
        began = asyncio.get_running_loop().time()
        await ask(limiter(store), 1)
        return asyncio.get_running_loop().time() - began

    assert asyncio.run(timed()) >= 0.6
    assert len(store.reports) == 4


def test_a_holder_with_long_calls_says_that_it_lives() -> None:
    store = ScriptedLimitStore(all_of_them)

    async def long() -> None:
        one = limiter(store, lease_s=0.15)
        async with one.acquire(1):
            await asyncio.sleep(0.4)
        await one.close()

    asyncio.run(long())
    assert [report.used for report in store.reports[1:-1]].count(1) >= 3


def test_limits_that_cannot_be_kept_elsewhere_are_divided() -> None:
    def refuse(_: LimitReport) -> LimitGrant:
        raise InputError("written by a newer autointerp")

    inside = most = 0

    async def scene() -> None:
        one = limiter(ScriptedLimitStore(refuse), limits=EndpointLimits(9), n_sharing=3)

        async def go() -> None:
            nonlocal inside, most
            async with one.acquire(1) as permit:
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0.01)
                if permit.round:
                    one.succeeded()
                inside -= 1

        await asyncio.gather(*(go() for _ in range(12)))
        await one.close()

    asyncio.run(scene())
    assert most == 3


def test_a_bug_of_whoever_keeps_the_limits_is_not_waited_for() -> None:
    def broken(_: LimitReport) -> LimitGrant:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        asyncio.run(ask(limiter(ScriptedLimitStore(broken)), 1))

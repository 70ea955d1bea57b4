"""A process that asks an endpoint as often as shared limits let it, for a while.

``python limited_caller.py REDIS BASE_URL LIMIT SECONDS [LEASE]``; prints what was answered in
the time, and the seconds of CPU that this took.
"""

from __future__ import annotations

import asyncio
import sys
import time

from autointerp.core.limits import EndpointLimits
from autointerp.llm import (
    ChatRequest,
    ClientDependencies,
    ClientOptions,
    Message,
    OpenAICompatible,
    SharedLimits,
)
from autointerp.store.redis_limits import RedisLimitStore


async def ask(limits: SharedLimits | None, base_url: str, n: int, seconds: float) -> int:
    """How many requests were answered; twice as many as the limit are always wanted."""
    world, options = ClientDependencies(limits=limits), ClientOptions(max_in_flight=n, timeout_s=30)
    model = OpenAICompatible(base_url, "fake", options=options, dependencies=world)
    until, n_answered = time.monotonic() + seconds, 0

    async def again(number: int) -> None:
        nonlocal n_answered
        while time.monotonic() < until:
            await model.reply(ChatRequest((Message("user", f"say {number}"),), 16))
            n_answered += time.monotonic() < until

    await asyncio.gather(*(again(number) for number in range(2 * n)))
    await model.close()
    return n_answered


def main(redis: str, base_url: str, limit: str, seconds: str, lease_s: str = "10") -> None:
    """Asks, and prints."""
    common = None
    if redis != "none":
        common = SharedLimits(
            RedisLimitStore(redis), base_url, EndpointLimits(int(limit)), 2, lease_s=float(lease_s)
        )
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    began = time.process_time()
    n = asyncio.run(ask(common, base_url, int(limit), float(seconds)))
    sys.stdout.write(f"{n} {time.process_time() - began:.3f}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

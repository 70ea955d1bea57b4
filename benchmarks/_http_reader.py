"""Readers of the API in a process of their own: bare sockets, so that they cost little.

Run as a program it reads one JSON object from stdin, asks, and prints what it saw as JSON.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from store_reads import MODEL, N_WORDS, WIDTH, draw_words, make_words

LABELS = f"/v1/models/{MODEL}/labels"


@dataclass(frozen=True, slots=True)
class Asked:
    """What readers do."""

    port: int
    keys: Sequence[str]
    """API keys, which requests take in turn."""
    what: str
    n_labels: int
    readers: int
    seconds: float
    rate: float | None
    """Requests a second of all readers together; None: each asks as soon as it was answered."""
    think_s: float = 0.0
    """How long each waits on average before it asks again, where there is no rate."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of it."""

    n: int
    errors: int
    p50: float
    """Milliseconds; where there is a rate, from the moment at which the request was due."""
    p95: float
    p99: float
    slowest: float
    per_s: float
    began: float
    """`time.perf_counter` at the first question."""
    slow: Sequence[tuple[float, float]]
    """The slowest hundredth: when each began (`time.perf_counter`), and its milliseconds."""


def read(asked: Asked) -> Seen:
    """Lets a process of readers ask."""
    done = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps(asdict(asked)),
        capture_output=True,
        text=True,
        check=True,
    )
    return Seen(**json.loads(done.stdout))


def _path(what: str, n: int, draw: random.Random, words: list[str]) -> str:
    number = draw.randrange(n)
    layer, index = number // WIDTH, number % WIDTH
    if what == "one label":
        return f"/v1/models/{MODEL}/units/blocks.{layer}.mlp.hook_post/{index}"
    if what == "with records":
        return f"/v1/models/{MODEL}/units/blocks.0.mlp.hook_post/{draw.randrange(100)}"
    if what == "page of 50":
        return f"{LABELS}?layer={layer}&score_min=0.3&sort={draw.choice(('unit', '-score'))}"
    if what == "words":
        return f"{LABELS}?q={'+'.join(draw_words(draw, words, draw.randint(1, 3)))}"
    mixed = ("one label", "page of 50", "words", *(("with records",) if what == "all" else ()))
    return _path(draw.choice(mixed), n, draw, words)


async def _read(asked: Asked) -> Seen:
    words = make_words(N_WORDS)
    times, all_, errors = list[float](), list[tuple[float, float]](), 0
    began = time.perf_counter() + 0.2
    until = began + asked.seconds

    async def reader(number: int) -> None:
        nonlocal errors
        draw = random.Random(number)
        stream, sink = await asyncio.open_connection("127.0.0.1", asked.port)
        turn = 0
        await asyncio.sleep(began - time.perf_counter())
        while True:
            start = time.perf_counter()
            if asked.rate is not None:
                start = began + (turn * asked.readers + number) / asked.rate
                await asyncio.sleep(max(0.0, start - time.perf_counter()))
            elif asked.think_s:
                await asyncio.sleep(draw.uniform(0, 2 * asked.think_s))
                start = time.perf_counter()
            if start >= until:
                break
            key = asked.keys[(number + turn) % len(asked.keys)]
            turn += 1
            path = _path(asked.what, asked.n_labels, draw, words)
            errors += await _get(stream, sink, path, key) != 200
            times.append(1000 * (time.perf_counter() - start))
            all_.append((start, times[-1]))
        sink.close()

    await asyncio.gather(*map(reader, range(asked.readers)))
    took = time.perf_counter() - began
    times.sort()
    n = len(times)
    slow = sorted(all_, key=lambda each: each[1])[int(0.99 * n) :]
    p50, p95, p99 = times[n // 2], times[int(0.95 * n)], times[int(0.99 * n)]
    return Seen(n, errors, p50, p95, p99, times[-1], n / took, began, slow)


async def _get(
    stream: asyncio.StreamReader, sink: asyncio.StreamWriter, path: str, key: str
) -> int:
    sink.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nx-api-key: {key}\r\n\r\n".encode())
    head = (await stream.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
    await stream.readexactly(int(length))
    return int(head[9:12])


def main() -> None:
    """Asks, and prints what was seen."""
    print(json.dumps(asdict(asyncio.run(_read(Asked(**json.load(sys.stdin)))))))


if __name__ == "__main__":
    main()

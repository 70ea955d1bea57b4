"""The script that keeps shared limits, against the same in plain Python, to the last digit."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import astuple
from typing import Any

import pytest
import redis
from limit_model import Holder, LimitModel

from autointerp.core.limits import EndpointLimits, LimitReport
from autointerp.store.redis_limits import RedisLimitStore

NAMES = ("ann", "ben", "cleo", "dan")
LIMITS = (
    EndpointLimits(4),
    EndpointLimits(7),
    EndpointLimits(5, requests=30),
    EndpointLimits(20, requests=240),
    EndpointLimits(5, tokens=6000),
    EndpointLimits(30, requests=600, tokens=20_000),
    EndpointLimits(3, requests=1, tokens=1),
)


class Server:
    """The server's own state, read and made older."""

    def __init__(self, url: str) -> None:
        self.store = RedisLimitStore(url)
        self.client: Any = redis.Redis.from_url(url, decode_responses=True)

    @property
    def key(self) -> str:
        [key] = (k for k in self.client.keys("autointerp:1:limits:*") if not k.endswith("holders"))
        return str(key)

    def now(self) -> float:
        """Milliseconds of the server's clock."""
        seconds, micros = self.client.time()
        return float(seconds * 1000 + micros / 1000)

    def state(self) -> dict[str, float]:
        return {name: float(value) for name, value in self.client.hgetall(self.key).items()}

    def holders(self) -> dict[str, Holder]:
        texts = self.client.hgetall(f"{self.key}:holders")
        return {name: Holder(*map(float, text.split())) for name, text in texts.items()}  # type: ignore[arg-type]

    def take(self, model: LimitModel) -> None:
        """Makes the server's state that of the model."""
        self.client.hset(self.key, mapping={k: f"{v:.17g}" for k, v in model.state.items()})
        for name, h in model.holders.items():
            moments = f"{h.lease_ends:.3f} {h.waiting:.0f} {h.since:.3f} {h.gives_up:.3f}"
            self.client.hset(f"{self.key}:holders", name, f"{h.used:.0f} {moments}")


@pytest.fixture
def server(redis_url: str) -> Iterator[Server]:
    server = Server(redis_url)
    yield server
    server.store.close()
    server.client.close()


def report_of(
    chance: random.Random, name: str, model: LimitModel, *, is_quick: bool
) -> LimitReport:
    """What a holder may say: it has given some of its slots back, and wants others."""
    had = model.holders.get(name)
    round_ = int(model.state.get("round", 0))
    return LimitReport(
        name,
        chance.randint(0, int(had.used)) if had and chance.random() < 0.8 else 0,
        tuple(
            chance.choice((1, 40, 300, 700, 5000)) for _ in range(chance.choice((0, 1, 2, 3, 9)))
        ),
        lease_s=chance.choice((1, 10, 10, 10, 700)),
        n_succeeded=chance.choice((0, 0, 1, 5)),
        refused_round=chance.choice((None, None, None, None, round_, round_ - 1, -1)),
        tokens=chance.choice((0, 0, -30, 90)),
        pause_s=chance.choice((0,) * 12 + (0.001, 0.25, 3, 5000)),
        held_s=chance.choice((0.0002, 0.004) if is_quick else (None, None, 0.3, 8.0)),
    )


@pytest.mark.parametrize("seed", range(10))
def test_every_step_is_that_of_the_model(server: Server, seed: int) -> None:
    chance, model, limits = random.Random(seed), LimitModel(), LIMITS[seed % len(LIMITS)]
    for _ in range(80):
        if chance.random() < 0.03:
            limits = chance.choice(LIMITS)
        if chance.random() < 0.04:
            server.client.flushall()
            model = LimitModel()
        report = report_of(chance, chance.choice(NAMES), model, is_quick=seed % 3 == 0)
        earliest = server.now()
        grant = server.store.exchange("e", limits, report)
        latest = server.now()
        found, holders = server.state(), server.holders()
        expected = model.exchange(found["at"], limits, report)
        assert earliest <= found["at"] + 0.001 <= latest + 0.002
        assert astuple(grant) == pytest.approx(astuple(expected), abs=0.0011)
        assert found == pytest.approx(model.state, rel=1e-12, abs=1e-6)
        assert holders.keys() == model.holders.keys()
        for name, holder in holders.items():
            assert astuple(holder) == pytest.approx(astuple(model.holders[name]), rel=0, abs=0.002)
        for key in (server.key, f"{server.key}:holders") if holders else ():
            assert 3_500_000 < server.client.pttl(key) <= 3_600_000
        if chance.random() < 0.1:
            # Almost enough for one more, at a moment that is still to come.
            model.state |= {"requests": 0.9999, "tokens": 39.999, "at": found["at"] + 20_000}
        model.older(chance.choice((0, 0, 0, 5, 80, 700, 3000, 12_000, 700_000, -400)))
        server.take(model)


def test_a_holder_below_its_share_has_a_free_slot_though_another_waits_longer(
    server: Server,
) -> None:
    def ask(name: str, used: int, n_wanted: int) -> int:
        report = LimitReport(name, used, (1,) * n_wanted)
        return server.store.exchange("e", EndpointLimits(3), report).n

    assert [ask("ann", 0, 3), ask("ben", 0, 1), ask("cleo", 0, 1)] == [3, 0, 0]
    assert ask("ann", 2, 1) == 0, "beyond its share, it leaves the slot to those who wait"
    assert ask("cleo", 0, 1) == 1
    assert ask("ben", 0, 1) == 0

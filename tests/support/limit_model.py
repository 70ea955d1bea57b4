"""What an exchange of limits does, in plain Python, to hold the script of the server against.

All times are milliseconds of the server's clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from autointerp.core.limits import EndpointLimits, LimitGrant, LimitReport

HOUR, TEN_MINUTES = 3_600_000, 600_000


@dataclass(frozen=True)
class Holder:
    """What is known of one holder of slots."""

    used: int
    lease_ends: float
    waiting: int
    """Slots that it waits for."""
    since: float
    """When it began to wait."""
    gives_up: float
    """It waits no longer than until then, unless it comes again."""


@dataclass
class LimitModel:
    """The limits of one endpoint: `state` by field of the server's hash."""

    state: dict[str, float] = field(default_factory=dict)
    holders: dict[str, Holder] = field(default_factory=dict)

    def older(self, ms: float) -> None:
        """Lets time pass."""
        for name in {"at", "paused"} & set(self.state):
            self.state[name] -= ms
        for name, h in self.holders.items():
            moments = (h.lease_ends - ms, h.since - ms, h.gives_up - ms)
            self.holders[name] = Holder(h.used, moments[0], h.waiting, *moments[1:])

    def exchange(self, now: float, limits: EndpointLimits, report: LimitReport) -> LimitGrant:
        """One step of the server, at that moment."""
        others, before, since = self._others(now, report)
        allowed, round_ = self._allowed(limits, report, before + sum(h.used for h in others))
        paused, hold = self._pause(now, report)
        requests, rate = self._requests(now, limits)
        tokens, flow, deep, largest = self._tokens(now, limits, report)
        n_sharing = 1 + sum(1 for h in others if h.used or h.waiting)

        slots = max(1, math.floor(min(allowed, limits.in_flight) + 1e-6))
        share = slots / n_sharing
        reserved = sum(
            min(h.waiting, max(0, math.ceil(share) - h.used))
            for h in others
            if h.waiting and h.since < since
        )
        in_use, n, wait, for_slot = sum(h.used for h in others) + report.used, 0, 0.0, False
        for cost in report.wanted:
            used, free = report.used + n, slots - in_use - n
            if paused > now:
                wait = paused - now
            elif free < 1 or (used + 1 > share and free <= reserved):
                for_slot = True
                wait = 1000 if used else min(1000, max(5, hold / 2))
            elif limits.requests and requests < 1 - 1e-6:
                wait = 1000 * (1 - requests) / rate
            elif limits.tokens and tokens < min(cost, deep) - 1e-6:
                wait = 1000 * (min(cost, deep) - tokens) / flow
            if wait:
                break
            n, requests, tokens = n + 1, requests - 1, tokens - cost

        # One who may use less leaves alone what others have found.
        kept = allowed if self.state.get("allowed", 0) > limits.in_flight else None
        if allowed < limits.in_flight:
            kept = allowed
        self.state = {"round": round_, "paused": paused, "hold": hold, "requests": requests,
                      "tokens": tokens, "at": now, "largest": largest}  # fmt: skip
        if kept is not None:
            self.state["allowed"] = kept
        me = Holder(
            report.used + n,
            now + 1000 * report.lease_s,
            len(report.wanted) - n if for_slot else 0,
            now if n else since,
            now + wait + 1000,
        )
        if me.used or me.waiting:
            self.holders[report.holder] = me
        return LimitGrant(n, round_, math.ceil(wait) / 1000, n_sharing)

    def _others(self, now: float, report: LimitReport) -> tuple[list[Holder], int, float]:
        """The other holders that live, the most slots that this one had, when it began to wait."""
        me = self.holders.pop(report.holder, None)
        self.holders = {
            name: h for name, h in self.holders.items() if now <= h.lease_ends <= now + TEN_MINUTES
        }
        others = [h if now <= h.gives_up else replace(h, waiting=0) for h in self.holders.values()]
        if me is None:
            return others, report.used, now
        since = me.since if me.waiting else now
        return others, max(me.used, report.used), min(since, now)

    def _allowed(self, limits: EndpointLimits, report: LimitReport, used: int) -> tuple[float, int]:
        """Slots that the endpoint stands, and how often they were cut."""
        allowed = self.state.get("allowed", limits.in_flight)
        round_ = int(self.state.get("round", 0))
        if report.n_succeeded and allowed < limits.in_flight:
            allowed = min(limits.in_flight, allowed + report.n_succeeded / allowed)
        if report.refused_round == round_:
            return max(1, min(allowed, used) / 2), round_ + 1
        return allowed, round_

    def _pause(self, now: float, report: LimitReport) -> tuple[float, float]:
        """Until when nobody may ask, and how long a slot is held."""
        paused, hold = self.state.get("paused", 0.0), self.state.get("hold", 100.0)
        if paused > now + HOUR:
            paused = 0
        if report.pause_s:
            paused = max(paused, now + 1000 * report.pause_s)
        if report.held_s is not None:
            hold = 0.7 * hold + 0.3 * max(1, int(1000 * report.held_s))
        return paused, hold

    def _elapsed_s(self, now: float) -> float:
        return max(0.0, now - self.state.get("at", now)) / 1000

    def _requests(self, now: float, limits: EndpointLimits) -> tuple[float, float]:
        """Requests in the bucket, and how many a second come into it."""
        if not limits.requests:
            return 0, 0
        burst = max(1, limits.requests // 20)
        rate = (limits.requests - burst + 1) / 60
        return min(burst, self.state.get("requests", burst) + rate * self._elapsed_s(now)), rate

    def _tokens(
        self, now: float, limits: EndpointLimits, report: LimitReport
    ) -> tuple[float, float, float, float]:
        """Tokens in the bucket, how many a second come into it, its size, the largest request."""
        if not limits.tokens:
            return 0, 0, 0, 0
        faded = self.state.get("largest", 0) * 0.5 ** (self._elapsed_s(now) / 600)
        largest = max((faded, *report.wanted))
        deep = min(max(limits.tokens / 20, largest), limits.tokens / 2)
        flow = (limits.tokens - deep) / 60
        came = self.state.get("tokens", deep) + flow * self._elapsed_s(now)
        return min(deep, came - report.tokens), flow, deep, largest

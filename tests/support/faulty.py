"""An endpoint that is faulty in every way it can be, the same way each time for the same seed."""

from __future__ import annotations

import hashlib
import json
import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from fake_endpoint import FakeEndpoint, Fault, cut, hang_up, html, is_probe, status
from planted_llm import noise

from autointerp.llm import ChatRequest

PASSING: Mapping[str, Callable[[], Fault]] = {
    "408": lambda: status(408),
    "409": lambda: status(409),
    "429": lambda: status(429),
    "429 with Retry-After": lambda: status(429, headers={"Retry-After": "0.02"}),
    "500": lambda: status(500),
    "502": lambda: html(502),
    "503": lambda: status(503),
    "529": lambda: status(529, "overloaded"),
    "cut before the body": hang_up,
    "cut in the body": cut,
    "a page with 200": html,
    "not JSON": lambda: Fault(body=b'{"choices": [}'),
    "an empty body": Fault,
}
"""What another attempt may mend."""


def _first_number(text: str, new: str) -> str:
    return re.sub(r"\d+", new, text, count=1)


SPOILT: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "empty": lambda _: {"content": ""},
    "refusal": lambda _: {"content": None, "refusal": "I cannot help with that."},
    "refusal in words": lambda _: {"content": "I'm sorry, but I can't help with that."},
    "reasoning only": lambda _: {"content": None, "reasoning_content": "Let me see."},
    "reasoning in the text": lambda _: {"content": "<think>Let me see."},
    "cut off at the limit": lambda text: {"content": text[: len(text) // 2]},
    "wrong schema": lambda text: {"content": json.dumps({"answer": [text]})},
    "too few levels": lambda text: {"content": re.sub(r"\d+, ", "", text, count=1)},
    "too many levels": lambda text: {"content": _first_number(text, "0, 0")},
    "words for levels": lambda text: {"content": _first_number(text, '"high"')},
}
"""Messages that came whole and say nothing that can be used; some only where levels are asked."""


def fail_at_first(endpoint: FakeEndpoint, fault: Fault, *, times: int) -> None:
    """Has the endpoint fail so many times on the first question, and on no other."""

    def dress(body: dict[str, Any]) -> Fault | None:
        is_first = not is_probe(body) and body == endpoint.bodies[0]
        return fault if is_first and endpoint.bodies.count(body) <= times else None

    endpoint.dress = dress


def answering(seed: int) -> Callable[[ChatRequest], str]:
    """An LLM that answers every kind of question, by the question alone."""
    levels = noise(seed)

    def handler(request: ChatRequest) -> str:
        question = request.messages[-1].content
        if "yes or no" in question:
            return random.Random(f"{seed}{question}").choice(("yes", "no"))
        if "Neuron:" in question:
            return str(levels(request))
        digest = hashlib.sha256(f"{request.seed}{question}".encode()).hexdigest()[:6]
        return json.dumps({"explanation": f"words such as {digest}"})

    return handler


class Disturbance:
    """Decides by a body and how often it came whether its answer is a fault.

    So neither the order of requests nor their number decides what becomes of one of them. A
    spoilt message belongs to the body, because an LLM's replies are kept, and a passing fault to
    the attempt.
    """

    def __init__(self, seed: int, *, share: float, only: str | None = None) -> None:
        """So great a share of faults, of every kind or of one."""
        self._seed = seed
        self._passing = [only] if only in PASSING else [] if only else sorted(PASSING)
        self._spoilt = [only] if only in SPOILT else [] if only else sorted(SPOILT)
        half = share if only else share / 2
        self._shares = (half, half if only else half / (1 - half))
        self._came: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.injected: Counter[str] = Counter()

    def __call__(self, body: dict[str, Any], good: Fault) -> Fault:
        asked = json.dumps([body["messages"], body.get("seed")])
        with self._lock:
            self._came[asked] += 1
            rng = random.Random(f"{self._seed}{asked}")
            again = random.Random(f"{self._seed}{asked}{self._came[asked]}")
            if self._passing and again.random() < self._shares[0]:
                kind = again.choice(self._passing)
                self.injected[kind] += 1
                return PASSING[kind]()
            if self._spoilt and rng.random() < self._shares[1]:
                kind = rng.choice(self._spoilt)
                self.injected[kind] += 1
                return _spoilt(good, kind)
        return good


def _spoilt(good: Fault, kind: str) -> Fault:
    made = json.loads(good.body)
    choice = made["choices"][0]
    text = choice["message"]["content"]
    choice["message"] = {"role": "assistant", **SPOILT[kind](text)}
    if kind in {"cut off at the limit", "reasoning only"}:
        choice["finish_reason"] = "length"
    return Fault(body=json.dumps(made).encode(), headers=good.headers)

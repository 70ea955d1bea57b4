"""Jobs of a service that ask an endpoint, and what the endpoint was asked."""

from __future__ import annotations

import json
import time
from collections import Counter

from fake_endpoint import FakeEndpoint
from planted_llm import noise
from service import Service

from autointerp.core.explanations import LabelStatus
from autointerp.llm import ChatReply, ChatRequest


def paid_twice(llm: FakeEndpoint) -> int:
    counts = Counter(json.dumps(body, sort_keys=True) for body in llm.answered)
    return sum(n - 1 for n in counts.values())


def slowly(llm: FakeEndpoint, seconds: float) -> None:
    guess = noise(0)

    def answer(request: ChatRequest) -> str | ChatReply | Exception:
        time.sleep(seconds)
        return guess(request)

    llm.handler = answer


SEVERAL_CHUNKS = "0:0-23,1:0-23,2:0-17"
"""66 units of the tiny model."""


def has_labels(service: Service, job_id: str) -> bool:
    found = service.backend.jobs.committed(job_id)
    return any(state is LabelStatus.OK for state in found.values())

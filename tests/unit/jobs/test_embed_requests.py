"""Vectors of texts, as a worker replies with them."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from memory_jobs import MemoryJobs

from autointerp.core.files import MINILM
from autointerp.jobs.worker.requests import RequestHandler
from autointerp.store.jobs import WorkerRequest


def answered(payload: dict[str, object]) -> Any:
    backend = MemoryJobs().backend
    request = WorkerRequest("q", json.dumps(["embed", json.dumps(payload)]), 60.0)
    RequestHandler(SimpleNamespace(backend=backend), None).handle(request)  # type: ignore[arg-type]
    return json.loads(backend.mailbox.await_reply("q", wait_s=1) or "null")


def test_texts_come_back_as_vectors_or_with_how_to_get_the_model() -> None:
    reply = answered({"texts": ["names of rivers", "the Rhine and the Danube", "football teams"]})
    if MINILM.find() is None:
        assert (reply["code"], MINILM.install_command in reply["error"]) == ("input", True)
        return
    plain = np.frombuffer(base64.b64decode(reply["vectors"]), "<f2").astype(np.float32)
    first, second, third = plain.reshape(3, reply["width"])
    assert first @ first == pytest.approx(1, abs=0.01)
    assert first @ second > first @ third


@pytest.mark.parametrize("texts", [[], ["x"] * 513, [1], "x"])
def test_texts_that_are_none_are_refused(texts: object) -> None:
    assert answered({"texts": texts})["code"] == "input"

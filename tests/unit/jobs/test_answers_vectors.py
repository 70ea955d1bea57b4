"""Vectors of texts, as a worker answers them."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from memory_jobs import MemoryJobs

from autointerp.activations.sentence_encoder import MINILM
from autointerp.jobs.workshop.answers import Answers


def answered(payload: dict[str, object]) -> Any:
    backend = MemoryJobs().backend
    Answers(SimpleNamespace(backend=backend), None).answer("q", "embed", json.dumps(payload))  # type: ignore[arg-type]
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

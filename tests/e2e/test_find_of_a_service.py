"""A feature looked for through real Celery workers and a real Valkey."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from service import Service
from tiny import tiny_texts

from autointerp.api.schemas.find_schemas import FindRequest, FoundFeature


@pytest.fixture(scope="module")
def service(
    model_folder: Path, texts: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    settings = {"models": f"tiny={model_folder}", "folders": texts.parent}
    with Service(tmp_path_factory.mktemp("service"), settings) as running:
        yield running


def payload(**asked: Any) -> dict[str, Any]:
    body = FindRequest.model_validate({"n_ctx": 16, "n": 3, "k": [2, 1], **asked})
    return body.model_dump(mode="json", exclude_none=True) | {"model": "tiny"}


def test_a_worker_finds_what_marks_the_spans_that_are_sent(service: Service) -> None:
    rows = [
        {"text": text, "spans": [[text.index("river"), text.index("river") + 5]]}
        for text in tiny_texts(80, n_words=40)
        if "river" in text
    ]
    reply = service.job_service.call_worker("find", payload(examples=rows), wait_s=120)
    assert reply is not None
    found = FoundFeature.model_validate(reply)
    best, chance = found.units[0], found.tested.n_positive / found.tested.n_negative
    assert best.tested is not None
    assert best.tested > 2 * chance
    assert found.probes is not None
    assert [line.k for line in found.probes.lines] == [2, 1]


def test_a_request_that_nobody_answered_is_answered_when_it_is_sent_again(
    service: Service, texts: Path
) -> None:
    sought = payload(regex="river|stones", corpus=str(texts), tokens=2000, k=[])
    service.kill("activations")
    assert service.job_service.call_worker("find", sought, wait_s=2) is None
    service.start("activations")
    reply = service.job_service.call_worker("find", sought, wait_s=120)
    assert reply is not None
    assert len(FoundFeature.model_validate(reply).units) == 3

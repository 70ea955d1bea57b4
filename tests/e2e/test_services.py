"""One labelling job against fakes that behave like the services that there are."""

from __future__ import annotations

import json

import pytest
from endpoint_cases import SERVICES, Service
from endpoint_client import KEY
from fake_endpoint import FakeEndpoint
from graded_llm import GradedLLM
from labelling import Labelling

from autointerp.llm import ChatRequest

JOB = ("--units", "0:0-9,1:0-9", "--heldout", "4", "--samples", "1", "--explainer", "contrastive")
SAID = "words of three letters"
JUDGE = GradedLLM({SAID: lambda tokens: [10 * (len(token.strip()) == 3) for token in tokens]})


def by_the_question(request: ChatRequest) -> str:
    """The same however the question is sent: with a system role or without, with a seed or not."""
    if any('{"explanation"' in message.content for message in request.messages):
        return json.dumps({"explanation": SAID})
    made = JUDGE(request)
    # Not all services give log-probabilities.
    return made if isinstance(made, str) else made.text


def tables(labelling: Labelling, service: Service, out: str) -> list[bytes]:
    with FakeEndpoint(by_the_question) as endpoint:
        url = service.dress(endpoint)
        ended = labelling(labelling.arguments(out, *JOB, llm=url))
        assert ended.code == 0, ended.err
        assert len(endpoint.probes) <= 10
        assert len(labelling.labels(out)) == 20
        for word in service.without:
            assert word in ended.err
    return labelling.tables(out)


def test_the_labels_are_the_same_whatever_a_service_takes(
    labelling: Labelling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOINTERP_LLM_API_KEY", KEY)
    found = {}
    for number, service in enumerate(SERVICES[:9]):
        monkeypatch.setenv("AUTOINTERP_LLM_HEADERS", service.headers)
        found[service.name] = tables(labelling, service, str(number))
    first = found["OpenAI"]
    assert [name for name, one in found.items() if one != first] == []

"""One labelling job against fakes that behave like the services that there are."""

from __future__ import annotations

import itertools
import json

import pytest
from endpoint_cases import SERVICES, Service
from endpoint_client import KEY
from fake_endpoint import FakeEndpoint, status
from graded_llm import GradedLLM
from labelling import Labelling

from autointerp.llm import ChatRequest

JOB = ("--units", "0:0-9,1:0-9", "--heldout", "4", "--samples", "1", "--explainer", "contrastive")
SAID = "words of three letters"
PLAIN: list[list[bytes]] = []
JUDGE = GradedLLM({SAID: lambda tokens: [10 * (len(token.strip()) == 3) for token in tokens]})


def by_the_question(request: ChatRequest) -> str:
    """The same however the question is sent: with a system role or without, with a seed or not."""
    if any('{"explanation"' in message.content for message in request.messages):
        return json.dumps({"explanation": SAID})
    made = JUDGE(request)
    # Not all services give log-probabilities.
    return made if isinstance(made, str) else made.text


def tables(labelling: Labelling, service: Service, out: str, *, is_other: bool) -> list[bytes]:
    """The tables of a run; behind the service may stand another server that refuses options."""
    with FakeEndpoint(by_the_question) as endpoint:
        url = service.dress(endpoint)
        if is_other:
            turns = itertools.count()
            endpoint.dress = lambda body: (
                status(400, "nein") if next(turns) % 2 and "temperature" in body else None
            )
        ended = labelling(labelling.arguments(out, *JOB, llm=url))
        assert ended.code == 0, ended.err
        assert len(endpoint.probes) <= (30 if is_other else 10)
        assert len(labelling.labels(out)) == 20
        for word in service.without:
            assert word in ended.err
    return labelling.tables(out)


def plain(labelling: Labelling) -> list[bytes]:
    if not PLAIN:
        PLAIN.append(tables(labelling, SERVICES[0], "plain", is_other=False))
    return PLAIN[0]


@pytest.mark.parametrize("service", SERVICES[1:], ids=lambda service: service.name)
def test_the_labels_are_the_same_whatever_a_service_takes(
    labelling: Labelling, monkeypatch: pytest.MonkeyPatch, service: Service
) -> None:
    monkeypatch.setenv("AUTOINTERP_LLM_API_KEY", KEY)
    expected = plain(labelling)
    monkeypatch.setenv("AUTOINTERP_LLM_HEADERS", service.headers)
    assert tables(labelling, service, "dressed", is_other=False) == expected


def test_the_labels_are_the_same_where_two_servers_behind_one_address_differ(
    labelling: Labelling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOINTERP_LLM_API_KEY", KEY)
    expected = plain(labelling)
    assert tables(labelling, SERVICES[0], "two", is_other=True) == expected

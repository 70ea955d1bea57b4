"""What people type for the services that there are leads to them."""

from __future__ import annotations

from pathlib import Path

import pytest
from endpoint_cases import SERVICES, TYPED, Service
from endpoint_client import HELLO, KEY, Clockwork, client, run
from fake_endpoint import FakeEndpoint, Fault, html, json_body, status

from autointerp.core.errors import InputError, UpstreamError
from autointerp.llm import ChatRequest, JsonSchema, Message
from autointerp.llm.endpoint import headers_of

TURNS = (Message("system", "be brief; write JSON"), Message("user", "rate"))
WHOLE = ChatRequest(TURNS, 9, 0.7, 5, (), JsonSchema("levels", '{"type": "array"}'), None, 20)
PAGE = Path(__file__).parents[3] / "docs" / "labelling.md"


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_a_service_is_reached_as_its_users_type_it(
    endpoint: FakeEndpoint, world: Clockwork, service: Service
) -> None:
    url = service.dress(endpoint)
    model = client(url, world, headers=service.headers, negotiates=True)
    assert run(model, WHOLE).text == "3, 0"
    assert model.features.asked_without == service.without
    assert set(endpoint.paths[-2:]) == {service.chat_path}
    assert world.slept == []


def test_the_page_says_what_to_type_for_each() -> None:
    page = PAGE.read_text()
    assert [s.name for s in SERVICES if s.name.split(",")[0] not in page] == []


@pytest.mark.parametrize(
    "around", [" {} ", "{}/", "{}/chat/completions", "{}/chat/completions/\n", "\t{}//"]
)
def test_what_was_pasted_around_an_address_does_not_matter(
    endpoint: FakeEndpoint, world: Clockwork, around: str
) -> None:
    assert run(client(around.format(endpoint.base_url), world), HELLO).text == "3, 0"
    assert endpoint.paths == ["/v1/chat/completions"]


@pytest.mark.parametrize("typed", TYPED)
def test_what_is_pasted_for_an_address_leads_to_it(
    endpoint: FakeEndpoint, world: Clockwork, typed: str
) -> None:
    assert run(client(typed.format(endpoint.base_url), world), HELLO).text == "3, 0"
    assert endpoint.paths == ["/v1/chat/completions"]


@pytest.mark.parametrize("name", ["chat", "models"])
def test_a_name_that_is_that_of_a_method_stays(
    endpoint: FakeEndpoint, world: Clockwork, name: str
) -> None:
    endpoint.chat_path = f"/deployments/{name}/chat/completions"
    url = endpoint.base_url.replace("/v1", f"/deployments/{name}")
    assert run(client(url, world), HELLO).text == "3, 0"


@pytest.mark.parametrize(
    "elsewhere",
    [
        status(404),
        status(405, "Method Not Allowed"),
        html(),
        json_body({"error": "Unexpected endpoint or method. (POST /chat/completions)"}),
        Fault(200, b"Ollama is running"),
    ],
)
def test_a_version_that_was_left_out_is_added_said_and_remembered(
    endpoint: FakeEndpoint, world: Clockwork, tmp_path: Path, elsewhere: Fault
) -> None:
    endpoint.elsewhere = elsewhere
    url = endpoint.base_url.removesuffix("/v1")
    for _ in range(2):
        model = client(url, world, negotiates=True, capabilities=tmp_path)
        assert run(model, HELLO).text == "3, 0"
        assert "/v1" in " ".join(model.features.notes)
    assert endpoint.paths.count("/chat/completions") == 1
    assert world.slept == []


def test_where_no_version_helps_the_first_answer_is_told(
    endpoint: FakeEndpoint, world: Clockwork
) -> None:
    endpoint.chat_path = "/nowhere"
    url = endpoint.base_url.removesuffix("/v1")
    with pytest.raises(UpstreamError, match="answered 404.*Resource not found"):
        run(client(url, world, negotiates=True), HELLO)
    assert endpoint.paths == ["/chat/completions", "/v1/chat/completions"]


def test_a_key_in_another_header_is_pointed_at(endpoint: FakeEndpoint, world: Clockwork) -> None:
    endpoint.key_header = ("api-key", KEY)
    with pytest.raises(UpstreamError, match=r"AUTOINTERP_LLM_HEADERS.*api-key header is missing"):
        run(client(endpoint.base_url, world), HELLO)
    found = client(endpoint.base_url, world, headers="api-key: {key}; X-Team: a")
    assert run(found, HELLO).text == "3, 0"
    assert endpoint.headers[-1]["x-team"] == "a"
    assert "authorization" not in endpoint.headers[-1]


@pytest.mark.parametrize("lines", ["api-key", "a b: c", "x: ü", "x: \x01{key}"])
def test_headers_that_are_none_are_refused_without_showing_them(lines: str) -> None:
    with pytest.raises(InputError, match="must be 'Name: value'") as caught:
        headers_of(lines, KEY)
    assert KEY not in str(caught.value)

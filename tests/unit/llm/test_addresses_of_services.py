"""What people type for the services that there are leads to them."""

from __future__ import annotations

from pathlib import Path

import pytest
from endpoint_cases import SERVICES, TYPED, Service
from endpoint_client import HELLO, KEY, Clockwork, client, run
from fake_endpoint import FakeEndpoint, Fault, html, json_body, status

from autointerp.core.addresses import with_scheme
from autointerp.core.errors import InputError, UpstreamError
from autointerp.llm import ChatRequest, JsonSchema, Message, OpenAICompatible
from autointerp.llm.answers import answer_of
from autointerp.llm.service_addresses import headers_of
from autointerp.settings import Settings

TURNS = (Message("system", "be brief; write JSON"), Message("user", "rate"))
WHOLE = ChatRequest(TURNS, 9, 0.7, 5, (), JsonSchema("levels", '{"type": "array"}'), None, 20)
PAGE = Path(__file__).parents[3] / "docs" / "labelling.md"


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_a_service_is_reached_as_its_users_type_it(
    endpoint: FakeEndpoint, world: Clockwork, service: Service
) -> None:
    url = service.dress(endpoint)
    model = client(url, world, headers=service.headers, negotiates=True)
    assert answer_of(run(model, WHOLE)).strip() == "3, 0"
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


@pytest.mark.parametrize(
    ("typed", "taken"),
    [
        ("localhost:8000/v1", "http://localhost:8000/v1"),
        ("127.0.0.1:11434", "http://127.0.0.1:11434"),
        ("[::1]:8080/v1", "http://[::1]:8080/v1"),
        ("192.168.1.5:1234/v1", "http://192.168.1.5:1234/v1"),
        ("vllm:8000/v1", "http://vllm:8000/v1"),
        ("box.local:8000", "http://box.local:8000"),
        ("api.openai.com/v1", "https://api.openai.com/v1"),
        ("8.8.8.8:8000/v1", "https://8.8.8.8:8000/v1"),
    ],
)
def test_an_address_without_scheme_gets_one(typed: str, taken: str) -> None:
    model = OpenAICompatible(typed, "m")
    note = f"the LLM's address lacks http:// or https://, and is taken for {taken}"
    assert model.features.notes == (note,)


@pytest.mark.parametrize(
    "name", ["nowhere", "gpt-4.1", "llama3:8b", "org/model", "a.gguf", "u:pw@host:80/v1", "./x/y"]
)
def test_what_is_no_address_gets_no_scheme(name: str) -> None:
    assert with_scheme(name) == name


def test_an_address_without_scheme_is_asked(endpoint: FakeEndpoint, world: Clockwork) -> None:
    model = client(endpoint.base_url.removeprefix("http://"), world, negotiates=True)
    assert run(model, HELLO).text == "3, 0"
    assert len(model.features.notes) == 1


def test_the_settings_take_an_address_without_scheme() -> None:
    assert Settings(llm_base_url="localhost:8000/v1/").llm_base_url == "localhost:8000/v1"


@pytest.mark.parametrize(
    ("code", "location"),
    [
        (307, "/v1/chat/completions"),
        (308, "/v1/chat/completions"),
        (301, "{}/chat/completions"),
        (308, "../../chat/completions"),
    ],
)
def test_a_redirect_within_the_host_is_followed_with_the_key(
    endpoint: FakeEndpoint, world: Clockwork, code: int, location: str
) -> None:
    there = location.format(endpoint.base_url)
    endpoint.elsewhere = Fault(code, headers={"Location": there})
    endpoint.chat_path = "/v1/chat/completions"
    model = client(endpoint.base_url + "/old", world)
    assert run(model, HELLO, HELLO).text == "3, 0"
    assert endpoint.paths.count("/v1/chat/completions") == 2
    assert {one["authorization"] for one in endpoint.headers} == {f"Bearer {KEY}"}


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location", ["{other}/chat/completions", "//evil.example/v1", "http://[x", "{host}:1/v1"]
)
def test_a_redirect_elsewhere_is_refused_and_nothing_is_sent_there(
    endpoint: FakeEndpoint, world: Clockwork, code: int, location: str
) -> None:
    with FakeEndpoint(lambda _: "yes") as other:
        host = endpoint.base_url.rpartition(":")[0]
        there = location.format(other=other.base_url, host=host)
        endpoint.faults.append(Fault(code, headers={"Location": there}))
        with pytest.raises(UpstreamError, match=f"answered {code}, a redirect, which is not"):
            run(client(endpoint.base_url, world), HELLO)
        assert other.paths == []
    assert len(endpoint.bodies) == 1


def test_redirects_that_never_end_are_given_up(endpoint: FakeEndpoint, world: Clockwork) -> None:
    endpoint.faults.extend([Fault(307, headers={"Location": "/v1/chat/completions"})] * 9)
    with pytest.raises(UpstreamError, match="answered 307, a redirect"):
        run(client(endpoint.base_url, world), HELLO)
    assert len(endpoint.bodies) == 4

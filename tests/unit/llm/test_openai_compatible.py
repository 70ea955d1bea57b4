from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from fake_endpoint import (
    FakeEndpoint,
    Fault,
    completion,
    cut,
    hang_up,
    html,
    json_body,
    slow,
    status,
)

from autointerp.core.errors import AutointerpError, InputError, RequestRefusedError, UpstreamError
from autointerp.llm import (
    ChatReply,
    ChatRequest,
    ClientOptions,
    Features,
    JsonSchema,
    Message,
    OpenAICompatible,
    Surroundings,
    with_logprobs,
)

KEY = "sk-very-secret"
HELLO = ChatRequest((Message("user", "say hello"),), 16)
LEVELS = with_logprobs("3, 0", [("3", {"3": 0.6, "2": 0.3, "5": 0.1}), ("0", {"0": 0.9})])


class Clockwork:
    """A sleep that returns at once and remembers; a clock that stands still."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def clock(self) -> float:
        return 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
    with FakeEndpoint(lambda _: LEVELS) as running:
        yield running


@pytest.fixture
def world() -> Clockwork:
    return Clockwork()


Ask = Callable[..., ChatReply]


@pytest.fixture
def ask(endpoint: FakeEndpoint, world: Clockwork) -> Ask:
    def _ask(request: ChatRequest = HELLO, **options: object) -> ChatReply:
        return run(client(endpoint.base_url, world, **options), request)

    return _ask


def client(base_url: str, world: Clockwork, **more: object) -> OpenAICompatible:
    features = more.pop("features", Features())
    assert isinstance(features, Features)
    return OpenAICompatible(
        base_url,
        "fake",
        api_key=KEY,
        features=features,
        options=ClientOptions(**more),  # type: ignore[arg-type]
        surroundings=Surroundings(sleep=world.sleep, clock=world.clock),
    )


def run(model: OpenAICompatible, *requests: ChatRequest) -> ChatReply:
    async def _run() -> ChatReply:
        try:
            replies = await asyncio.gather(*(model.reply(request) for request in requests))
        finally:
            await model.close()
        return replies[-1]

    return asyncio.run(_run())


def failure(ask: Ask, **options: object) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        ask(**options)
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


def test_a_request_travels_whole(endpoint: FakeEndpoint, ask: Ask) -> None:
    schema = JsonSchema("levels", '{"type": "array"}')
    turns = (Message("system", "be brief"), Message("user", "rate"))
    ask(ChatRequest(turns, 9, 0.7, 5, ("\n\n",), schema, "root ::= x", 4))
    assert endpoint.bodies == [
        {
            "model": "fake",
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": "rate"},
            ],
            "max_tokens": 9,
            "temperature": 0.7,
            "seed": 5,
            "stop": ["\n\n"],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "levels", "schema": {"type": "array"}, "strict": True},
            },
            "logprobs": True,
            "top_logprobs": 4,
        }
    ]
    assert endpoint.headers[0]["authorization"] == f"Bearer {KEY}"


def test_a_grammar_takes_the_place_of_the_schema(endpoint: FakeEndpoint, ask: Ask) -> None:
    request = replace(HELLO, schema=JsonSchema("a", "{}"), grammar="root ::= [0-9]")
    ask(request, features=Features(grammar=True))
    assert endpoint.bodies[0]["grammar"] == "root ::= [0-9]"
    assert "response_format" not in endpoint.bodies[0]


def test_log_probabilities_come_ranked_with_their_tokens(ask: Ask) -> None:
    reply = ask(replace(HELLO, top_logprobs=3))
    assert reply.text == "3, 0"
    assert reply.tokens == LEVELS.tokens
    assert reply.tokens is not None
    assert [name for name, _ in reply.tokens[0].alternatives] == ["3", "2", "5"]


def test_a_token_forced_by_a_grammar_is_put_among_its_alternatives(
    endpoint: FakeEndpoint, ask: Ask
) -> None:
    others = [{"token": "no", "logprob": -0.1}, {"token": "gone", "logprob": None}]
    token = {"token": "[", "logprob": -8.5, "top_logprobs": others}
    endpoint.faults.append(completion({"content": "["}, logprobs={"content": [token]}))
    reply = ask()
    assert reply.tokens is not None
    assert reply.tokens[0].alternatives == (("no", -0.1), ("[", -8.5))


@pytest.mark.parametrize("logprobs", [None, {"content": None}, {}])
def test_missing_log_probabilities_are_none(
    endpoint: FakeEndpoint, ask: Ask, logprobs: object
) -> None:
    endpoint.faults.append(completion({"content": "x"}, logprobs=logprobs))
    assert ask(replace(HELLO, top_logprobs=2)).tokens is None


def test_null_alternatives_leave_the_token_itself(endpoint: FakeEndpoint, ask: Ask) -> None:
    token = {"token": "x", "logprob": None, "top_logprobs": None}
    endpoint.faults.append(completion({"content": "x"}, logprobs={"content": [token]}))
    reply = ask()
    assert reply.tokens is not None
    assert reply.tokens[0].alternatives == (("x", -9999.0),)


@pytest.mark.parametrize(
    ("fault", "text", "reason"),
    [
        (completion({"content": None, "refusal": "I will not"}), "", "refusal"),
        (completion({"content": None}), "", "stop"),
        (completion({"content": "half"}, finish_reason="length"), "half", "length"),
        (completion({"content": None}, finish_reason="content_filter"), "", "content_filter"),
        (completion({"content": None}, finish_reason=None), "", "error"),
        (completion({"content": "whole"}, finish_reason=None), "whole", "unknown"),
        (completion({"content": [{"type": "text", "text": "part"}]}), "part", "stop"),
        (json_body({"choices": []}), "", "error"),
        (json_body({"choices": None}), "", "error"),
    ],
)
def test_a_reply_comes_as_it_is(
    endpoint: FakeEndpoint, ask: Ask, fault: Fault, text: str, reason: str
) -> None:
    endpoint.faults.append(fault)
    reply = ask()
    assert (reply.text, reply.finish_reason) == (text, reason)
    assert len(endpoint.bodies) == 1


def test_cached_prompt_tokens_are_counted(endpoint: FakeEndpoint, world: Clockwork) -> None:
    details = {"cached_tokens": 30, "audio_tokens": None}
    usage = {"prompt_tokens": 40, "completion_tokens": 2, "prompt_tokens_details": details}
    choice = {"message": {"content": "x"}, "finish_reason": "stop"}
    endpoint.faults.extend([status(503), json_body({"choices": [choice], "usage": usage})])
    model = client(endpoint.base_url, world)
    assert run(model, HELLO).usage.cached_tokens == 30
    total = model.total_usage
    assert (total.requests, total.retries) == (2, 1)
    assert (total.prompt_tokens, total.completion_tokens, total.cached_tokens) == (40, 2, 30)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (status(401, f"Incorrect key {KEY}"), "answered 401: it does not accept the API key; set "),
        (status(402, "pay"), "answered 402: the account has no credit left"),
        (status(403, f"no {KEY}"), "403: the API key may not use model 'fake'"),
        (status(413), "answered 413: the request is larger than it takes"),
        (status(422, "bad body"), "answered 422: it does not understand the request"),
        (status(429, "pay", code="insufficient_quota"), "429: the account has no credit left"),
        (status(418), "answered 418: check AUTOINTERP_LLM_BASE_URL"),
        (Fault(302, headers={"Location": "http://other/v1"}), "answered 302, a redirect"),
    ],
)
def test_what_no_repetition_mends_is_asked_once(
    endpoint: FakeEndpoint, ask: Ask, fault: Fault, said: str
) -> None:
    endpoint.faults.append(fault)
    error = failure(ask)
    assert f"{endpoint.base_url} answered" in str(error)
    assert said in str(error)
    assert not error.retryable
    assert len(endpoint.bodies) == 1


def test_an_unknown_model_is_answered_with_those_that_exist(
    endpoint: FakeEndpoint, ask: Ask
) -> None:
    endpoint.models = ("llama", "gemma")
    endpoint.faults.append(status(404, "model not found"))
    said = "404 for model 'fake': it has gemma, llama; set AUTOINTERP_LLM_MODEL"
    assert said in str(failure(ask))


def test_a_wrong_path_points_at_the_base_url(endpoint: FakeEndpoint, world: Clockwork) -> None:
    url = endpoint.base_url.removesuffix("/v1") + "/nowhere"
    with pytest.raises(UpstreamError) as caught:
        run(client(url, world), HELLO)
    said = f"{url} answered 404 for model 'fake': check AUTOINTERP_LLM_BASE_URL (it usually ends"
    assert str(caught.value).startswith(said)


def test_a_refused_request_is_not_an_unusable_endpoint(endpoint: FakeEndpoint, ask: Ask) -> None:
    endpoint.faults.append(status(400, f"this prompt is\n not allowed {KEY}"))
    error = failure(ask)
    assert isinstance(error, RequestRefusedError)
    assert "refused the request (400) (it says: this prompt is not allowed ***)" in str(error)
    assert ask().text == "3, 0"


@pytest.mark.parametrize("code", [408, 409, 429, 500, 502, 503, 529])
def test_a_passing_failure_is_asked_again(
    endpoint: FakeEndpoint, ask: Ask, world: Clockwork, code: int
) -> None:
    endpoint.faults.extend([status(code), html(502), cut(), hang_up()])
    assert ask().text == "3, 0"
    assert len(endpoint.bodies) == 5
    assert len(world.slept) == 4


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (status(429), "answered 429, 3 times: lower AUTOINTERP_LLM_MAX_IN_FLIGHT"),
        (status(503), "answered 503, 3 times: try again later"),
        (html(), "not JSON (beginning '<html><body>Bad gateway</body></html>'), 3 times"),
        (Fault(), "not JSON (an empty body), 3 times: check AUTOINTERP_LLM_BASE_URL"),
        (cut(), "cut the connection, 3 times"),
        (hang_up(), "cut the connection, 3 times"),
        (json_body({"error": {"message": "upstream", "code": 502}}), "answered 502, 3 times"),
    ],
)
def test_a_failure_that_does_not_pass_is_given_up(
    endpoint: FakeEndpoint, ask: Ask, fault: Fault, said: str
) -> None:
    endpoint.faults.extend([fault] * 3)
    error = failure(ask, attempts=3)
    assert said in str(error)
    assert error.retryable
    assert len(endpoint.bodies) == 3


@pytest.mark.parametrize(
    "value", [[], "text", {}, {"detail": "x"}, {"choices": "x"}, {"choices": [{}]}, 3]
)
def test_json_of_another_shape_is_not_a_chat_endpoint(
    endpoint: FakeEndpoint, ask: Ask, value: object
) -> None:
    endpoint.faults.append(json_body(value))
    error = failure(ask)
    assert "answered with JSON that is not a chat completion (" in str(error)
    assert not error.retryable


def test_an_error_inside_a_good_status_is_an_error(endpoint: FakeEndpoint, ask: Ask) -> None:
    endpoint.faults.append(json_body({"error": {"message": "no credit", "code": 402}}))
    assert "answered 402: the account has no credit left" in str(failure(ask))


def test_a_body_that_drips_times_out(endpoint: FakeEndpoint, ask: Ask) -> None:
    endpoint.faults.extend([slow(), slow()])
    started = time.monotonic()
    error = failure(ask, timeout_s=0.15, attempts=2)
    assert "gave no answer within 0.15 s, 2 times: use a faster model" in str(error)
    assert error.retryable
    assert time.monotonic() - started < 5


def test_all_attempts_together_have_a_deadline(endpoint: FakeEndpoint, ask: Ask) -> None:
    endpoint.faults.extend([slow()] * 5)
    error = failure(ask, timeout_s=0.2, deadline_s=0.3)
    assert "gave no answer within 0.3 s, all attempts together" in str(error)
    assert len(endpoint.bodies) == 2


def test_a_server_that_is_not_there_is_named(world: Clockwork) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        with pytest.raises(UpstreamError) as caught:
            run(client(url, world), HELLO)
    said = f"could not reach {url}: is the server running? (tried 5 times)"
    assert str(caught.value) == said
    assert caught.value.retryable
    assert len(world.slept) == 4


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "Sun, 06 Nov 1994 08:49:49 GMT"}, 12.0),
        ({"Retry-After": "Sun, 06 Nov 1994 08:00:00 GMT"}, 0.0),
        ({"retry-after-ms": "1500", "Retry-After": "9"}, 1.5),
    ],
)
def test_an_endpoint_says_how_long_to_wait(
    endpoint: FakeEndpoint, ask: Ask, world: Clockwork, headers: dict[str, str], wait: float
) -> None:
    endpoint.faults.append(status(429, headers=headers))
    ask()
    assert wait <= world.slept[0] <= wait + 0.5


def test_no_wait_is_longer_than_the_cap(endpoint: FakeEndpoint, ask: Ask, world: Clockwork) -> None:
    endpoint.faults.append(status(429, headers={"Retry-After": "3600"}))
    ask(longest_wait_s=20.0)
    assert world.slept == [20.0]


REJECTIONS = [
    ("logprobs", status(400, "This model does not support logprobs", param="logprobs")),
    (
        "logprobs",
        json_body({"detail": [{"loc": ["body", "logprobs"], "msg": "Extra inputs"}]}, 422),
    ),
    ("response_format", status(400, "This response_format type is unavailable now")),
    ("grammar", status(400, "Unrecognized request argument supplied: grammar")),
    (
        "temperature",
        status(400, "Unsupported value", param="temperature", code="unsupported_value"),
    ),
    ("seed", json_body({"message": "seed: Extra inputs are not permitted"}, 422)),
    ("stop", status(400, "Unsupported parameter: 'stop' is not supported with this model.")),
]


@pytest.mark.parametrize(("parameter", "fault"), REJECTIONS)
def test_a_parameter_that_is_rejected_is_dropped_for_good(
    endpoint: FakeEndpoint, world: Clockwork, parameter: str, fault: Fault
) -> None:
    endpoint.rejected[parameter] = fault
    schema = JsonSchema("a", "{}")
    grammar = "root ::= x" if parameter == "grammar" else None
    request = ChatRequest(HELLO.messages, 5, 0.0, 1, ("x",), schema, grammar, 5)
    model = client(endpoint.base_url, world, features=Features(grammar=True))

    async def twice() -> None:
        await model.reply(request)
        await model.reply(replace(request, seed=2))
        await model.close()

    asyncio.run(twice())
    assert [parameter in body for body in endpoint.bodies] == [True, False, False]
    assert world.slept == []


def test_the_newer_name_of_the_token_limit_is_used_where_asked_for(
    endpoint: FakeEndpoint, world: Clockwork
) -> None:
    said = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    endpoint.rejected["max_tokens"] = status(400, said, param="max_tokens")
    model = client(endpoint.base_url, world)
    run(model, HELLO)
    assert endpoint.bodies[1]["max_completion_tokens"] == 16
    assert "max_tokens" not in endpoint.bodies[1]
    assert model.dropped_parameters == ("max_tokens",)


def test_a_limit_that_is_too_large_is_refused_and_not_renamed(
    endpoint: FakeEndpoint, ask: Ask
) -> None:
    said = "'max_tokens' or 'max_completion_tokens' is too large: 9999"
    endpoint.faults.append(status(400, said, param="max_tokens"))
    assert isinstance(failure(ask), RequestRefusedError)
    assert len(endpoint.bodies) == 1


def test_a_grammar_that_does_not_parse_is_refused_and_grammars_stay(
    endpoint: FakeEndpoint, world: Clockwork
) -> None:
    said = "Failed to initialize samplers: failed to parse grammar"
    endpoint.faults.append(status(400, said))
    model = client(endpoint.base_url, world, features=Features(grammar=True))
    with pytest.raises(RequestRefusedError, match="failed to parse grammar"):
        run(model, replace(HELLO, grammar="root ::= ["))
    assert model.features.grammar


def test_too_many_alternatives_are_lowered_before_they_are_dropped(
    endpoint: FakeEndpoint, world: Clockwork
) -> None:
    fault = status(400, "top_logprobs must be at most 5", param="top_logprobs")
    endpoint.faults.extend([fault, fault])
    model = client(endpoint.base_url, world, max_in_flight=1)
    run(model, replace(HELLO, top_logprobs=15))
    assert [body.get("top_logprobs") for body in endpoint.bodies] == [15, 5, None]
    assert not model.features.logprobs


def test_calls_in_flight_lower_the_alternatives_only_once(
    endpoint: FakeEndpoint, world: Clockwork
) -> None:
    fault = status(400, "top_logprobs must be at most 5", param="top_logprobs")
    endpoint.faults.extend([fault, fault, fault])
    model = client(endpoint.base_url, world)
    requests = [replace(HELLO, seed=seed, top_logprobs=15) for seed in range(3)]
    run(model, *requests)
    assert model.features.logprobs
    assert model.features.max_top_logprobs == 5


def test_no_more_requests_are_in_flight_than_allowed(world: Clockwork) -> None:
    def linger(_: ChatRequest) -> str:
        time.sleep(0.03)
        return "x"

    with FakeEndpoint(linger) as endpoint:
        model = client(endpoint.base_url, world, max_in_flight=3)
        run(model, *(replace(HELLO, seed=seed) for seed in range(12)))
    assert endpoint.most_in_flight == 3
    assert len(endpoint.bodies) == 12


def test_a_proxy_of_the_environment_is_not_used_for_loopback(
    monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert ask().text == "3, 0"


def test_a_proxy_of_the_environment_is_used_for_the_outside(
    monkeypatch: pytest.MonkeyPatch, endpoint: FakeEndpoint, world: Clockwork
) -> None:
    monkeypatch.setenv("HTTP_PROXY", endpoint.base_url.removesuffix("/v1"))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert run(client("http://llm.invalid/v1", world), HELLO).text == "3, 0"
    assert endpoint.headers[0]["host"] == "llm.invalid"


def test_the_environment_gives_no_key(
    monkeypatch: pytest.MonkeyPatch, endpoint: FakeEndpoint
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    run(OpenAICompatible(endpoint.base_url, "fake"), HELLO)
    assert KEY not in str(endpoint.headers)


@pytest.mark.parametrize(
    "url", ["", "localhost:8000/v1", "ftp://host/v1", "http:///v1", "http://u:pw@[bad/v1"]
)
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(InputError, match="must look like http://127.0.0.1:8000/v1") as caught:
        OpenAICompatible(url, "fake")
    assert "pw" not in str(caught.value)


def test_a_password_in_an_address_is_not_shown(endpoint: FakeEndpoint, world: Clockwork) -> None:
    endpoint.faults.append(status(401))
    url = endpoint.base_url.replace("//", "//user:hunter2@")
    with pytest.raises(UpstreamError) as caught:
        run(client(url, world), HELLO)
    assert "hunter2" not in str(caught.value)


def test_a_model_needs_a_name() -> None:
    with pytest.raises(InputError, match="no model was named for http://h/v1; set AUTOINTERP_LLM"):
        OpenAICompatible("http://h/v1", "")


@pytest.mark.parametrize("name", ["max_in_flight", "attempts", "timeout_s", "deadline_s"])
def test_a_limit_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} must be above 0, found 0"):
        ClientOptions(**{name: 0})


def test_a_lone_surrogate_does_not_stop_a_request(endpoint: FakeEndpoint, ask: Ask) -> None:
    ask(replace(HELLO, messages=(Message("user", "a\ud83db"),)))
    assert endpoint.bodies[0]["messages"][0]["content"] == "a?b"


def test_a_client_says_when_it_is_used_in_a_second_event_loop(
    endpoint: FakeEndpoint, world: Clockwork
) -> None:
    model = client(endpoint.base_url, world)
    run(model, HELLO)
    with pytest.raises(AutointerpError, match="reply and close within one asyncio.run"):
        asyncio.run(model.reply(HELLO))

"""What services really answer, one row a case: the next one that is met is one more row.

A row of `REFUSING` says what a service does not take and how it refuses. Everything else it
answers well. Rows of `ANSWERING` and `FAILING` say in what body good answers and errors come.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fake_endpoint import FakeEndpoint, Fault, hang_up, html, json_body, status
from reply_dresses import DRESSES

Body = dict[str, Any]
When = Callable[[Body], bool]


@dataclass(frozen=True)
class Refusing:
    """A service that refuses some requests for their form."""

    name: str
    when: When
    """Whether a request is refused."""
    fault: Fault
    without: tuple[str, ...]
    """What it is asked without in the end, as runs tell it."""

    def dress(self, endpoint: FakeEndpoint) -> None:
        """Makes the fake this service."""
        endpoint.dress = lambda body: self.fault if self.when(body) else None


def has(*names: str) -> When:
    """Whether the body has one of the keys."""
    return lambda body: any(name in body for name in names)


def either(*conditions: When) -> When:
    """Whether one of the conditions holds."""
    return lambda body: any(condition(body) for condition in conditions)


def has_system(body: Body) -> bool:
    return any(message["role"] == "system" for message in body["messages"])


def does_not_alternate(body: Body) -> bool:
    roles = [message["role"] for message in body["messages"]]
    return roles != ["user", "assistant"] * (len(roles) // 2) + ["user"] * (len(roles) % 2)


def has_schema(body: Body) -> bool:
    return str(body.get("response_format", {}).get("type")) == "json_schema"


def more_alternatives(most: int) -> When:
    return lambda body: body.get("top_logprobs", 0) > most


def limit_below(least: int) -> When:
    """Whether a limit is sent that leaves less room."""

    def _limit_below(body: Body) -> bool:
        limit = body.get("max_tokens") or body.get("max_completion_tokens")
        return limit is not None and limit < least

    return _limit_below


def lacks_limit(body: Body) -> bool:
    return not has("max_tokens", "max_completion_tokens")(body)


def lacks_the_word(body: Body) -> bool:
    """Whether JSON is asked for without being spoken of, which OpenAI refuses."""
    return has("response_format")(body) and "json" not in json.dumps(body["messages"]).lower()


def has_array_schema(body: Body) -> bool:
    return has_schema(body) and '"array"' in json.dumps(body["response_format"])


def _inner(message: str) -> str:
    return json.dumps({"type": "error", "error": {"type": "invalid", "message": message}})


_EXTRA = {"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs", "input": 1}
_NO_TEMPERATURE = ("temperature",)
_SAMPLING = has("temperature", "seed")

REFUSING = (
    # temperature
    Refusing(
        "temperature_deprecated",
        has("temperature"),
        json_body(
            {
                "type": "error",
                "error": {
                    "type": "invalid_request_error",
                    "message": "`temperature` is no longer taken by this model (deprecated).",
                },
            },
            400,
        ),
        _NO_TEMPERATURE,
    ),
    Refusing(
        "temperature_deprecated_nested",
        has("temperature"),
        status(400, f"proxy: upstream error - {_inner('`temperature` is deprecated')}", code="400"),
        _NO_TEMPERATURE,
    ),
    Refusing(
        "temperature_one_value",
        has("temperature"),
        status(400, "temperature is invalid: this model allows 1 only"),
        _NO_TEMPERATURE,
    ),
    Refusing(
        "temperature_in_chinese",
        has("temperature"),
        json_body({"error": {"code": "1210", "message": "API 调用参数有误,请检查文档。"}}, 400),
        _NO_TEMPERATURE,
    ),
    Refusing("temperature_without_words", has("temperature"), Fault(400), _NO_TEMPERATURE),
    Refusing("temperature_404_page", has("temperature"), html(404), _NO_TEMPERATURE),
    Refusing("temperature_500", has("temperature"), status(500, "TypeError"), _NO_TEMPERATURE),
    Refusing(
        "temperature_as_text_in_a_200",
        has("temperature"),
        json_body({"error": "温度参数无效"}),
        _NO_TEMPERATURE,
    ),
    Refusing(
        "temperature_in_a_200",
        has("temperature"),
        json_body({"error": {"message": "paramètre refusé", "code": 400}}),
        _NO_TEMPERATURE,
    ),
    *(
        Refusing(
            f"temperature_{code}", has("temperature"), status(code, "conflict"), _NO_TEMPERATURE
        )
        for code in (409, 425, 503, 504)
    ),
    # log-probabilities
    Refusing("logprobs_409", has("logprobs"), Fault(409), ("log-probabilities",)),
    Refusing(
        "logprobs_403",
        has("logprobs"),
        status(403, "Requesting logprobs from this model is not permitted"),
        ("log-probabilities",),
    ),
    Refusing(
        "logprobs_in_german",
        has("logprobs", "top_logprobs"),
        status(422, "Diese Funktion ist im gebuchten Tarif nicht enthalten."),
        ("log-probabilities",),
    ),
    Refusing("logprobs_500_page", has("logprobs"), html(500), ("log-probabilities",)),
    Refusing(
        "five_alternatives_at_most", more_alternatives(5), status(400, "¡Demasiadas opciones!"), ()
    ),
    Refusing("eleven_alternatives_at_most", more_alternatives(11), status(422, "20 > 11"), ()),
    # seed
    Refusing(
        "seed_422_message_object",
        has("seed"),
        json_body({"object": "error", "message": {"detail": [_EXTRA]}}, 422),
        ("seed",),
    ),
    Refusing(
        "seed_422_message_list",
        has("seed"),
        json_body({"object": "error", "message": [_EXTRA]}, 422),
        ("seed",),
    ),
    Refusing(
        "error_array_seed",
        has("seed"),
        json_body(
            [{"error": {"code": 400, "message": 'Unknown name "seed"', "status": "INVALID"}}], 400
        ),
        ("seed",),
    ),
    Refusing("seed_bare_text", has("seed"), Fault(400, b"Bad Request"), ("seed",)),
    Refusing("seed_in_japanese", has("seed"), status(403, "許可されていません"), ("seed",)),
    *(
        Refusing(f"{name}_{code}_of_a_plan", has(option), status(code, words), (without,))
        for code, words in (
            (401, "This feature is not enabled for your key"),
            (402, "Diese Option ist in Ihrem Tarif nicht enthalten"),
            (407, "ach"),
        )
        for name, option, without in (
            ("seed", "seed", "seed"),
            ("logprobs", "logprobs", "log-probabilities"),
            ("schema", "response_format", "JSON schema"),
        )
    ),
    Refusing("seed_401_without_words", has("seed"), Fault(401), ("seed",)),
    Refusing(
        "seed_by_a_code_of_payment",
        has("seed"),
        status(400, "ach", code="billing_plan_required"),
        ("seed",),
    ),
    # the system role
    Refusing(
        "no_system_role",
        has_system,
        json_body({"object": "error", "message": "The system role is not supported"}, 400),
        ("system role",),
    ),
    Refusing(
        "no_system_role_must_alternate",
        does_not_alternate,
        status(400, "Roles must alternate user/assistant, starting with user; no system role"),
        ("system role",),
    ),
    Refusing(
        "no_system_role_template_error",
        has_system,
        status(500, "jinja2.exceptions.TemplateError: raise_exception"),
        ("system role",),
    ),
    Refusing(
        "no_system_role_in_russian",
        does_not_alternate,
        json_body({"detail": "Недопустимая роль"}, 422),
        ("system role",),
    ),
    Refusing(
        "developer_in_place_of_system",
        lambda body: (
            {m["role"] for m in body["messages"]} - {"developer", "user", "assistant"} != set()
        ),
        status(400, "messages[0].role: expected one of 'developer', 'user', 'assistant'"),
        ("system role",),
    ),
    # the token limit
    Refusing(
        "newer_name_of_the_limit",
        has("max_tokens"),
        status(400, "Use 'max_completion_tokens' instead.", code="unsupported_parameter"),
        (),
    ),
    Refusing("newer_name_in_korean", has("max_tokens"), status(422, "지원되지 않습니다"), ()),
    Refusing(
        "no_limit_at_all",
        has("max_tokens", "max_completion_tokens"),
        status(400, "unexpected field"),
        ("token limit",),
    ),
    Refusing(
        "starved_told_as_400",
        limit_below(4000),
        status(400, "The message was not finished: max_tokens or the output limit was reached"),
        (),
    ),
    Refusing("starved_without_words", limit_below(3000), Fault(422), ()),
    *(
        Refusing(name, lacks_limit, fault, ())
        for name, fault in {
            "a_limit_is_required": status(400, "Ungültige Anfrage"),
            "a_limit_is_required_422": json_body({"detail": "必須項目がありません"}, 422),
            "a_limit_is_required_500": status(500, "Internal Server Error"),
            "a_limit_is_required_without_words": Fault(400),
            "a_limit_is_required_in_a_200": json_body({"error": {"message": "manque"}}),
        }.items()
    ),
    Refusing(
        "the_newer_limit_is_required",
        lambda body: "max_completion_tokens" not in body or "max_tokens" in body,
        status(400, "참고: 요청이 잘못되었습니다"),
        (),
    ),
    # the reply's form
    Refusing(
        "schema_feature_unsupported",
        has("response_format"),
        json_body(
            {
                "object": "error",
                "message": "This JSON schema uses features that the backend does not support.",
                "type": "BadRequestError",
                "param": None,
                "code": 400,
            },
            400,
        ),
        ("JSON schema",),
    ),
    Refusing("any_object_but_no_schema", has_schema, status(400, "no"), ("JSON schema",)),
    Refusing(
        "any_object_where_the_prompt_speaks_of_it",
        either(has_schema, lacks_the_word),
        status(400, "'messages' must contain the word 'json' in some form", param="messages"),
        ("JSON schema",),
    ),
    Refusing(
        "schema_404_in_french",
        has("response_format"),
        status(404, "Aucun point d'accès ne gère les paramètres demandés"),
        ("JSON schema",),
    ),
    # several at once
    Refusing(
        "reasoning_model",
        has("max_tokens", "temperature", "logprobs"),
        status(400, "Unsupported parameter"),
        ("log-probabilities", "temperature"),
    ),
    Refusing(
        "only_the_plainest",
        either(
            has("temperature", "seed", "logprobs", "response_format", "max_tokens"),
            has("max_completion_tokens"),
            has_system,
        ),
        status(422, "不支持"),
        (
            "JSON schema",
            "log-probabilities",
            "seed",
            "system role",
            "temperature",
            "token limit",
        ),
    ),
    *(
        Refusing(
            f"half_of_it_with_{code}",
            either(has("temperature", "max_tokens"), has_system, has_schema),
            status(code, "내부 오류: seed, logprobs"),
            ("JSON schema", "system role", "temperature"),
        )
        for code in (400, 403, 404, 422, 500)
    ),
    Refusing(
        "all_options_503",
        has("temperature", "seed", "logprobs", "response_format"),
        status(503, "no backend takes these"),
        ("JSON schema", "log-probabilities", "seed", "temperature"),
    ),
    Refusing(
        "no_schema_beside_logprobs",
        lambda body: has("response_format")(body) and has("logprobs")(body),
        status(400, "logprobs 与 JSON 模式不能同时使用"),
        ("log-probabilities",),
    ),
    Refusing("alternatives_alone", has("top_logprobs"), status(424, "x"), ("log-probabilities",)),
    Refusing("schema_413", has("response_format"), Fault(413, b"too large"), ("JSON schema",)),
    Refusing("seed_529", has("seed"), status(529, "overloaded"), ("seed",)),
    Refusing("logprobs_end_the_server", has("logprobs"), hang_up(), ("log-probabilities",)),
    Refusing("seed_is_redirected", has("seed"), Fault(302), ("seed",)),
    Refusing(
        "schema_leaves_no_choices",
        has("response_format"),
        json_body({"id": "c", "choices": [], "usage": {"prompt_tokens": 9}}),
        ("JSON schema",),
    ),
    Refusing("two_of_sampling", _SAMPLING, Fault(400, b"???"), ("seed", "temperature")),
    Refusing("temperature_leaves_nothing", has("temperature"), Fault(204), _NO_TEMPERATURE),
    Refusing(
        "seed_in_a_list_of_responses",
        has("seed"),
        json_body({"responses": [{"status": 422, "body": {"error": "seed"}}]}, 207),
        ("seed",),
    ),
    Refusing(
        "logprobs_end_a_reply",
        has("logprobs"),
        json_body({"choices": [{"message": {"content": "logprobs?"}, "finish_reason": "error"}]}),
        ("log-probabilities",),
    ),
    Refusing(
        "five_fields_at_most",
        lambda body: len(body) > 5,
        status(400, "too many"),
        ("log-probabilities", "seed"),
    ),
    Refusing("seed_in_bytes", has("seed"), Fault(422, b"\x81\xa5error\xa4seed"), ("seed",)),
    Refusing(
        "no_strict_schema",
        lambda body: '"strict"' in json.dumps(body),
        status(400, "unbekannt"),
        ("JSON schema",),
    ),
    Refusing(
        "seed_by_a_filter",
        has("seed"),
        status(400, "blocked", code="content_filter"),
        ("seed",),
    ),
)
"""By what it is that is refused."""


LIMITING = (
    Refusing(
        "logprobs_429",
        has("logprobs"),
        status(429, "Too many requests"),
        ("log-probabilities",),
    ),
    Refusing("seed_429_without_words", has("seed"), Fault(429), ("seed",)),
    Refusing(
        "schema_429_with_a_wait",
        has("response_format"),
        status(429, "troppe richieste", headers={"Retry-After": "7"}),
        ("JSON schema",),
    ),
    Refusing(
        "temperature_429_in_a_200",
        has("temperature"),
        json_body({"code": 429, "msg": "x"}),
        _NO_TEMPERATURE,
    ),
    Refusing("two_of_sampling_429", _SAMPLING, status(429, "slow"), ("seed", "temperature")),
)
"""What tells of a rate limit for ever where an option is what it does not take."""


@dataclass(frozen=True)
class Service:
    """What users of a service type, and how it behaves; addresses are put onto the fake's."""

    name: str
    typed: str
    """The address behind scheme and host, as its manual and the page on labelling give it."""
    chat_path: str
    headers: str = ""
    """What AUTOINTERP_LLM_HEADERS is set to."""
    key_header: tuple[str, str] = ("authorization", "Bearer sk-very-secret")
    refuses: When = lambda _: False
    fault: Fault = Fault(400)
    without: tuple[str, ...] = ()
    answers: str = ""
    """The row of `ANSWERING` whose bodies it sends; OpenAI's own form where it is empty."""

    def dress(self, endpoint: FakeEndpoint) -> str:
        """Makes the fake this service, and gives the address to type."""
        for case in ANSWERING:
            if case.name == self.answers:
                case.dress(endpoint)
        endpoint.chat_path, endpoint.key_header = self.chat_path, self.key_header
        endpoint.dress = lambda body: self.fault if self.refuses(body) else None
        return endpoint.base_url.removesuffix("/v1") + self.typed


_AZURE = "/openai/deployments/d/chat/completions?api-version=2024-10-21"
_GEMINI = [{"error": {"code": 400, "message": 'Unknown name "seed"', "status": "INVALID_ARGUMENT"}}]
_MISTRAL = {"object": "error", "message": {"detail": [_EXTRA]}, "type": "invalid_request_error"}
_KEYLESS = ("", "")

SERVICES = (
    Service("OpenAI", "/v1", "/v1/chat/completions"),
    Service(
        "OpenAI, a reasoning model",
        "/v1",
        "/v1/chat/completions",
        refuses=has("max_tokens", "temperature", "logprobs"),
        fault=status(400, "Unsupported parameter", code="unsupported_parameter"),
        without=("log-probabilities", "temperature"),
        answers="usage_float_and_text",
    ),
    Service(
        "Azure OpenAI",
        "/openai/deployments/d?api-version=2024-10-21",
        _AZURE,
        headers="api-key: {key}",
        key_header=("api-key", "sk-very-secret"),
    ),
    Service(
        "Anthropic",
        "/v1/",
        "/v1/chat/completions",
        refuses=has_schema,
        fault=status(400, "response_format: Extra inputs are not permitted"),
        without=("JSON schema",),
    ),
    Service(
        "Gemini",
        "/v1beta/openai/",
        "/v1beta/openai/chat/completions",
        refuses=has("seed", "logprobs"),
        fault=json_body(_GEMINI, 400),
        without=("log-probabilities", "seed"),
    ),
    Service(
        "Mistral",
        "/v1",
        "/v1/chat/completions",
        refuses=has("seed", "logprobs", "top_logprobs"),
        fault=json_body(_MISTRAL, 422),
        without=("log-probabilities", "seed"),
        answers="thinking_part_of_parts",
    ),
    Service(
        "DeepSeek",
        "",
        "/chat/completions",
        refuses=has_schema,
        fault=status(400, "This response_format type is unavailable now"),
        without=("JSON schema",),
        answers="reasoning_content",
    ),
    Service(
        "OpenRouter",
        "/api/v1",
        "/api/v1/chat/completions",
        headers="X-Title: autointerp",
        refuses=more_alternatives(5),
        fault=status(404, "No endpoints found that can handle the requested parameters."),
        answers="comments_before_json",
    ),
    Service(
        "vLLM, a template without a system role",
        "/v1",
        "/v1/chat/completions",
        key_header=_KEYLESS,
        refuses=does_not_alternate,
        fault=json_body({"object": "error", "message": "System role not supported"}, 400),
        without=("system role",),
    ),
    Service("Ollama", "/v1", "/v1/chat/completions", key_header=_KEYLESS, answers="reasoning"),
    Service(
        "LM Studio, without /v1",
        "",
        "/v1/chat/completions",
        key_header=_KEYLESS,
        refuses=has("logprobs"),
        fault=json_body({"error": "logprobs is not supported"}, 400),
        without=("log-probabilities",),
    ),
    Service(
        "llama.cpp",
        "/v1/chat/completions",
        "/v1/chat/completions",
        key_header=_KEYLESS,
        answers="dress_think",
    ),
)
"""What to type for each, which the page on labelling says too."""


@dataclass(frozen=True)
class Answering:
    """A service that answers everything well, in a body of its own shape."""

    name: str
    made: Callable[[str], Fault]
    """The body for the text of a good reply."""

    def dress(self, endpoint: FakeEndpoint) -> None:
        """Makes the fake this service."""
        endpoint.disturbs_probes = True
        endpoint.disturb = lambda _, good: self.made(text_of(good))


@dataclass(frozen=True)
class Failing:
    """A service that answers with an error, however it says so."""

    name: str
    fault: Fault
    said: str
    """What the user is told of it, among other things."""
    passes: bool = False
    """Whether it is asked again, and answers well in the end."""
    waits_s: float | None = None
    """How long it asks to wait."""


def text_of(good: Fault) -> str:
    """The text of a completion."""
    return str(json.loads(good.body)["choices"][0]["message"]["content"])


def _whole(text: str, **more: object) -> dict[str, object]:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
    }
    usage = {"prompt_tokens": 10, "completion_tokens": 2}
    return {"id": "c", "model": "m", "choices": [choice], "usage": usage, **more}


def _with(**more: object) -> Callable[[str], Fault]:
    return lambda text: json_body(_whole(text, **more))


def _message(made: Callable[[str], dict[str, object]], **choice: object) -> Callable[[str], Fault]:
    """A completion with this message."""
    return lambda text: json_body(
        _whole("", choices=[{"message": made(text), "finish_reason": "stop", **choice}])
    )


def _content(made: Callable[[str], object]) -> Callable[[str], Fault]:
    return _message(lambda text: {"role": "assistant", "content": made(text)})


def _raw(before: bytes, behind: bytes, encoding: str = "utf-8") -> Callable[[str], Fault]:
    """A completion with something around it."""
    return lambda text: Fault(
        body=before + json.dumps(_whole(text), ensure_ascii=False).encode(encoding) + behind
    )


def _streamed(*before: dict[str, object], prefix: str = "data: ") -> Callable[[str], Fault]:
    """The chunks of a stream, those given first."""

    def _made(text: str) -> Fault:
        half = len(text) // 2
        deltas = [*before, {"content": text[:half]}, {"content": text[half:]}]
        chunks: list[dict[str, object]] = [
            {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}]}
            for delta in deltas
        ]
        chunks.append({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
        lines = [prefix + json.dumps(chunk) for chunk in chunks]
        body = "\n\n".join([*lines, f"{prefix}[DONE]", ""])
        return Fault(body=body.encode(), headers={"Content-Type": "text/event-stream"})

    return _made


def _packed(label: str, pack: Callable[[bytes], bytes] = bytes) -> Callable[[str], Fault]:
    """A completion that is packed, or not, under a label."""
    return lambda text: Fault(
        body=pack(json.dumps(_whole(text)).encode()), headers={"Content-Encoding": label}
    )


def _deflated(body: bytes) -> bytes:
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packing.compress(body) + packing.flush()


def _in_events(made: Callable[[str, str], list[dict[str, object]]]) -> Callable[[str], Fault]:
    """Named events of a stream, made of two halves of a text."""

    def _made(text: str) -> Fault:
        events = made(text[:2], text[2:])
        lines = (f"event: {one.get('type')}\r\ndata: {json.dumps(one)}\r\n\r\n" for one in events)
        return Fault(body="".join(lines).encode())

    return _made


def _delta(text: str) -> dict[str, object]:
    return {"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}}


def _turn(text: str, **more: object) -> dict[str, object]:
    return {"message": {"role": "assistant", "content": text}, **more}


def _candidate(text: str, **more: object) -> dict[str, object]:
    return {"candidates": [{"content": {"parts": [{"text": text}]}, **more}]}


def _calling(text: str, **more: object) -> dict[str, object]:
    called = {"index": 0, "function": {"arguments": text}}
    return {"choices": [{"index": 0, "delta": {"tool_calls": [called]}, **more}]}


STREAMS: dict[str, Callable[[str], Fault]] = {
    "anthropic": _in_events(
        lambda first, second: [
            {"type": "message_start", "message": {"role": "assistant", "content": []}},
            {"type": "content_block_start", "content_block": {"type": "text", "text": ""}},
            {"type": "ping"},
            _delta(first),
            _delta(second),
            {"type": "message_delta", "delta": {"stop_reason": "stop"}},
            {"type": "message_stop"},
        ]
    ),
    "responses": _in_events(
        lambda first, second: [
            {"type": "response.created", "response": {"status": "in_progress", "output": []}},
            {"type": "response.output_text.delta", "delta": first},
            {"type": "response.output_text.delta", "delta": second},
            {"type": "response.completed", "response": FORMATS["responses"](first + second)},
        ]
    ),
    "ollama": lambda t: Fault(
        body=b"\n".join(
            json.dumps(one).encode()
            for one in (_turn(t[:2]), _turn(t[2:]), _turn("", done=True, done_reason="stop"))
        )
    ),
    "gemini": lambda t: json_body([_candidate(t[:2]), _candidate(t[2:], finishReason="STOP")]),
    "calls": _in_events(
        lambda first, second: [_calling(first), _calling(second, finish_reason="stop")]
    ),
    "one_line_a_time": lambda text: Fault(
        body=b"".join(
            b"data: %s\n" % line.encode() for line in json.dumps(_whole(text), indent=1).split("\n")
        )
    ),
    "crlf": lambda text: Fault(body=_streamed()(text).body.replace(b"\n", b"\r\n")),
    "cr": lambda text: Fault(body=_streamed()(text).body.replace(b"\n", b"\r")),
}
ENVELOPES: dict[str, Callable[[dict[str, object]], object]] = {
    "data": lambda whole: {"data": whole},
    "result": lambda whole: {"success": True, "errors": [], "result": whole},
    "response": lambda whole: {"response": whole, "created": 7},
    "code_and_data": lambda whole: {"code": 0, "msg": "success", "data": whole},
    "usage_outside": lambda whole: {
        "output": {"choices": whole["choices"]},
        "usage": whole["usage"],
        "request_id": "r",
    },
    "list_of_data": lambda whole: {"status": "ok", "data": [whole]},
    "nested": lambda whole: {"statusCode": 200, "body": {"result": whole}},
    "text": lambda whole: {"statusCode": 200, "headers": {}, "body": json.dumps(whole)},
    "whole_text": json.dumps,
}
_THOUGHT = 'It could be {"explanation": "Paris"} or no, {"active": [true]}, 1. '
FORMATS: dict[str, Callable[[str], dict[str, object]]] = {
    "ollama": lambda text: {
        "message": {"role": "assistant", "content": text, "thinking": _THOUGHT},
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 10,
        "eval_count": 2,
    },
    "anthropic": lambda text: {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": _THOUGHT}, {"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 10, "output_tokens": 2},
    },
    "responses": lambda text: {
        "object": "response",
        "status": "completed",
        "output": [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": _THOUGHT}]},
            {"type": "message", "content": [{"type": "output_text", "text": text}]},
        ],
        "usage": {"input_tokens": 10, "output_tokens": 2},
    },
    "cohere": lambda text: {
        "message": {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": _THOUGHT}, {"type": "text", "text": text}],
        },
        "finish_reason": "stop",
        "usage": {"tokens": {"input_tokens": 10, "output_tokens": 2}},
    },
    "bedrock": lambda text: {
        "output": {
            "message": {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": _THOUGHT}}},
                    {"text": text},
                ],
            }
        },
        "stopReason": "end_turn",
    },
    "call": lambda text: {
        "status": "completed",
        "output": [
            {"type": "reasoning", "summary": []},
            {"type": "function_call", "arguments": text},
        ],
    },
    "gemini": lambda text: {
        "candidates": [
            {
                "content": {"parts": [{"text": _THOUGHT, "thought": True}, {"text": text}]},
                "finishReason": "STOP",
            }
        ],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 2},
    },
}


def _call(text: str) -> dict[str, object]:
    return {"id": "1", "type": "function", "function": {"name": "json", "arguments": text}}


def _choice(text: str) -> dict[str, object]:
    return {"message": {"content": text}, "finish_reason": "stop"}


def _said(text: str) -> dict[str, object]:
    return {"role": "assistant", "content": text}


def _as_json(text: str) -> object:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, dict) else text


def _parsed(text: str) -> dict[str, object]:
    value = _as_json(text)
    return {"parsed": value} if isinstance(value, dict) else {"text": value}


def _as_part_of_a_tool(text: str) -> list[object]:
    value = _as_json(text)
    is_object = isinstance(value, dict)
    return [{"type": "tool_use", "input": value} if is_object else {"type": "text", "text": text}]


_ONE = {"token": "5", "logprob": -0.1}

ANSWERING = (
    Answering(
        "usage_float_and_text",
        _with(
            usage={
                "prompt_tokens": 10.0,
                "completion_tokens": "2",
                "completion_tokens_details": {"reasoning_tokens": 0.0},
            }
        ),
    ),
    Answering("usage_fraction", _with(usage={"prompt_tokens": 10.5, "completion_tokens": 2.25})),
    Answering("usage_nonsense", _with(usage={"prompt_tokens": "many", "completion_tokens": -3})),
    Answering("usage_list", _with(usage=[10, 2])),
    Answering("usage_null", _with(usage=None)),
    Answering("model_number", _with(model=7, id=None)),
    Answering("error_null", _with(error=None)),
    Answering("done_behind_json", _raw(b"", b"\n\ndata: [DONE]\n\n")),
    Answering("done_at_once_behind_json", _raw(b"", b"[DONE]")),
    Answering("data_before_json", _raw(b"data: ", b"\r\n\r\ndata: [DONE]\r\n\r\n")),
    Answering("comments_before_json", _raw(b": PROCESSING\n\n: PROCESSING\n\n", b"")),
    Answering("bom", _raw(b"\xef\xbb\xbf", b"")),
    *(
        Answering(name, _raw(b"", b"", name))
        for name in ("utf_16", "utf_16_le", "utf_16_be", "utf_32", "utf_8_sig")
    ),
    Answering("a_name_in_latin_1", _raw(b'{"by": "Andr\xe9", "data": ', b"}")),
    Answering("guarded_json", _raw(b")]}',\n", b"")),
    Answering("stream_not_asked", _streamed()),
    Answering("stream_of_bare_lines", _streamed(prefix="")),
    Answering("stream_with_thoughts", _streamed({"role": "assistant"}, {"reasoning": _THOUGHT})),
    *(
        Answering(f"envelope_{name}", lambda text, made=made: json_body(made(_whole(text))))
        for name, made in ENVELOPES.items()
    ),
    Answering("array_of_one", lambda text: json_body([_whole(text)])),
    Answering(
        "text_of_a_choice", lambda t: json_body({"choices": [{"text": t, "finish_reason": "stop"}]})
    ),
    Answering("content_list_of_strings", _content(lambda text: [text[:6], text[6:]])),
    Answering("content_parts", _content(lambda t: [{"type": "output_text", "text": t}])),
    Answering("content_object", _content(lambda text: {"type": "text", "text": {"value": text}})),
    Answering(
        "thinking_text_part",
        _content(lambda t: [{"type": "thinking", "text": _THOUGHT}, {"type": "text", "text": t}]),
    ),
    Answering(
        "thinking_part_of_parts",
        _content(
            lambda text: [
                {"type": "thinking", "thinking": [{"type": "text", "text": _THOUGHT}]},
                {"type": "text", "text": text},
            ]
        ),
    ),
    Answering(
        "thought_flag", _content(lambda t: [{"thought": True, "text": _THOUGHT}, {"text": t}])
    ),
    Answering(
        "reasoning_content", _message(lambda t: {"content": t, "reasoning_content": _THOUGHT})
    ),
    Answering("reasoning", _message(lambda t: {"content": t, "reasoning": _THOUGHT})),
    Answering(
        "reasoning_details",
        _message(lambda t: {"content": t, "reasoning_details": [{"text": _THOUGHT}]}),
    ),
    Answering("no_finish_reason", _message(lambda t: {"content": t}, finish_reason=None)),
    Answering("logprobs_list", _message(lambda t: {"content": t}, logprobs=[_ONE])),
    Answering("logprobs_text", _message(lambda t: {"content": t}, logprobs="none")),
    Answering(
        "logprobs_of_another_text",
        _message(lambda t: {"content": t}, logprobs={"content": [{**_ONE, "top_logprobs": {}}]}),
    ),
    *(
        Answering(
            name,
            _message(
                lambda t: {"content": t},
                logprobs={"content": [{**_ONE, "top_logprobs": alternatives}]},
            ),
        )
        for name, alternatives in (
            ("top_logprobs_mapping", {"5": -0.1}),
            ("top_logprobs_mapping_of_objects", {"5": {"logprob": -0.1}}),
            ("top_logprobs_pairs", [["5", -0.1]]),
        )
    ),
    Answering(
        "logprobs_without_numbers",
        _message(lambda t: {"content": t}, logprobs={"content": [{"token": 5}]}),
    ),
    *(
        Answering(f"format_of_{name}", lambda text, made=made: json_body(made(text)))
        for name, made in FORMATS.items()
    ),
    Answering(
        "arguments_of_a_tool", _message(lambda t: {"content": None, "tool_calls": [_call(t)]})
    ),
    Answering("arguments_of_a_function", _message(lambda t: {"function_call": {"arguments": t}})),
    Answering("choices_of_one", lambda t: json_body({"choices": {"message": {"content": t}}})),
    Answering("choices_by_number", lambda t: json_body(_whole(t, choices={"0": _choice(t)}))),
    *(Answering(f"stream_of_{name}", made) for name, made in STREAMS.items()),
    Answering("blank_lines_before", _raw(b"\n\n\r\n   \n", b"\r\n")),
    Answering("comments_of_crlf", _raw(b": OPENROUTER PROCESSING\r\n\r\n", b"\r\n")),
    *(
        Answering(f"packed_{label or 'nothing'}_{number}", _packed(label, pack))
        for number, (label, pack) in enumerate(
            (
                *((label, gzip.compress) for label in ("gzip", "x-gzip", "GZIP", "", "br")),
                *(("deflate", pack) for pack in (zlib.compress, _deflated, gzip.compress, bytes)),
                *((label, bytes) for label in ("gzip", "br", "zstd", "identity", "utf-8", "")),
                ("gzip, gzip", lambda body: gzip.compress(gzip.compress(body))),
                ("gzip", lambda body: gzip.compress(gzip.compress(body))),
            )
        )
    ),
    Answering("choices_after_none", lambda t: json_body(_whole(t, choices=[None, _choice(t)]))),
    Answering(
        "choices_after_silence", lambda t: json_body(_whole(t, choices=[_choice(""), _choice(t)]))
    ),
    Answering("choices_twice", lambda t: json_body(_whole(t, choices=[_choice(t), _choice(t)]))),
    Answering("choices_of_text", lambda t: json_body(_whole(t, choices=[t]))),
    Answering(
        "content_of_a_choice", lambda t: json_body({"choices": [{"content": t, "index": 0}]})
    ),
    Answering(
        "delta_of_a_whole",
        lambda t: json_body({"choices": [{"delta": {"content": t}, "finish_reason": "stop"}]}),
    ),
    *(
        Answering(f"transcript_{name}", made)
        for name, made in {
            "of_audio": _message(
                lambda t: {"content": None, "audio": {"id": "a", "transcript": t}}
            ),
            "beside_empty_text": _message(
                lambda t: {"content": "", "audio": {"data": "UklGRg==", "transcript": t}}
            ),
            "in_a_part": _content(lambda t: [{"type": "output_audio", "transcript": t}]),
            "within_a_part": _content(
                lambda t: [{"type": "audio", "audio": {"data": "UklGRg==", "transcript": t}}]
            ),
            "in_a_stream": _in_events(
                lambda first, second: [
                    {"choices": [{"index": 0, "delta": {"audio": {"transcript": first}}}]},
                    {"choices": [{"index": 0, "delta": {"audio": {"transcript": second}}}]},
                    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
                ]
            ),
        }.items()
    ),
    Answering("text_beside_null", _message(lambda t: {"content": None, "text": t})),
    Answering("parsed", _message(lambda t: {"content": None, **_parsed(t)})),
    Answering("part_of_a_tool", _content(_as_part_of_a_tool)),
    Answering("generated_text", lambda t: json_body([{"generated_text": t}])),
    *(
        Answering(name, lambda text, made=made: json_body(made(text)))
        for name, made in {
            "completion_by_name": lambda t: {"completion": t, "stop_reason": "stop"},
            "response_by_name": lambda t: {"response": t, "done": True, "eval_count": 2},
            "generation_by_name": lambda t: {"generation": t, "stop_reason": "stop"},
            "text_by_name": lambda t: {"text": t, "finish_reason": "COMPLETE"},
            "text_with_status": lambda t: {"text": t, "status": "completed"},
            "response_with_success": lambda t: {"response": t, "status": "Success"},
            "output_with_200": lambda t: {"output": t, "status": 200},
            "text_within_output": lambda t: {"output": {"text": t, "finish_reason": "stop"}},
            "outputs": lambda t: {"outputs": [{"text": t, "stop_reason": "stop"}]},
        }.items()
    ),
    Answering("nulls_before", _raw(b"\0\0", b"")),
    Answering(
        "a_stream_that_ends_with_usage",
        lambda text: Fault(
            body=b"".join(
                b"data: %s\n\n" % json.dumps(one).encode()
                for one in (
                    {"choices": [{"index": 0, "delta": {"content": text}}]},
                    {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
                )
            )
        ),
    ),
    *(
        Answering(name, lambda text, made=made: json_body(made(text)))
        for name, made in {
            "turns": lambda t: [{"generated_text": [{"role": "user", "content": "q"}, _said(t)]}],
            "messages": lambda t: {"messages": [{"role": "user", "content": "q"}, _said(t)]},
            "output_in_pieces": lambda t: {"output": [t[:2], t[2:]], "status": "succeeded"},
            "results_by_name": lambda t: {
                "results": [{"outputText": t, "completionReason": "FINISH"}]
            },
            "generations": lambda t: {"generations": [{"text": t, "finish_reason": "COMPLETE"}]},
            "predictions": lambda t: {"predictions": [{"candidates": [{"content": t}]}]},
            "predictions_of_text": lambda t: {"predictions": [t]},
            "candidates_by_name": lambda t: {"candidates": [{"output": t}]},
            "data_beside_a_reason": lambda t: {
                "completions": [{"data": {"text": t}, "finishReason": {"reason": "endoftext"}}]
            },
            "response_within_success": lambda t: {"result": {"response": t}, "success": True},
            "result_by_name": lambda t: {"result": t, "is_end": True, "usage": {"total_tokens": 2}},
            "content_by_name": lambda t: {"content": t, "stop": True, "tokens_predicted": 2},
            "output_of_a_choice": lambda t: {
                "choices": [{"output": {"content": t}, "finish_reason": "stop"}]
            },
            "content_without_error": lambda t: {
                "jsonrpc": "2.0",
                "result": {"content": [{"type": "text", "text": t}], "isError": False},
            },
            "answer_by_name": lambda t: {"answer": t, "status": "ok"},
        }.items()
    ),
    Answering("a_call_of_a_function", _raw(b"callback(", b");")),
    Answering("a_loop_before", _raw(b"while(1);", b"")),
    Answering("content_of_parts", _content(lambda t: {"parts": [{"text": t}]})),
    Answering("status_201", lambda t: Fault(201, json.dumps(_whole(t)).encode())),
    Answering("usage_of_input", _with(usage={"input_tokens": 10, "output_tokens": 2})),
    Answering("content_as_json", _content(_as_json)),
    Answering("content_as_text_of_text", _content(lambda t: json.dumps(t) if "{" in t else t)),
    *(
        Answering(f"dress_{dress.name}", _content(lambda t, d=dress: d.text(t, decoy=_THOUGHT)))
        for dress in DRESSES
    ),
)
"""By what stands around a good answer."""

_LIMIT = "x-ratelimit-limit-requests"
WAITS: tuple[tuple[dict[str, str], float], ...] = (
    ({"Retry-After": "Sun, 06 Nov 1994 08:49:49 GMT"}, 12.0),
    ({"Retry-After": "1994-11-06T08:49:49Z"}, 12.0),
    ({"Retry-After": "784111789"}, 12.0),
    ({"Retry-After": "1.5"}, 1.5),
    ({"Retry-After": "20s"}, 20.0),
    ({"Retry-After": "2500ms"}, 2.5),
    ({"Retry-After": "7 seconds"}, 7.0),
    ({"Retry-After": "7, 7"}, 7.0),
    ({"Retry-After": "Sun, 06 Nov 1994 08:00:00 GMT"}, 0.0),
    ({"Retry-After": "75"}, 75.0),
    ({"Retry-After": "2 minutes"}, 120.0),
    ({"Retry-After": "600"}, 120.0),
    *(({"Retry-After": text}, 0.0) for text in ("", "soon", "nan", "-5", "31 Feb 99999")),
    *(({"Retry-After": text}, 0.0) for text in ("1e99", "Sun, 06 Nov 9999 08:00:00 GMT")),
    ({"retry-after-ms": "1500ms"}, 1.5),
    ({"x-ratelimit-reset-requests": "9s"}, 9.0),
    ({"x-ratelimit-reset-requests": "6m0s"}, 30.0),
    ({"x-ratelimit-reset-requests": "6m0s", _LIMIT: "60"}, 6.0),
    (
        {
            "x-ratelimit-reset-requests": "1h0m0s",
            "x-ratelimit-remaining-requests": "90",
            "x-ratelimit-reset-tokens": "9s",
            "x-ratelimit-remaining-tokens": "0",
        },
        9.0,
    ),
    ({"X-RateLimit-Reset": "784111786000"}, 9.0),
    ({"RateLimit": '"default";r=0;t=9'}, 9.0),
    (
        {
            "anthropic-ratelimit-requests-reset": "1994-11-06T08:49:46Z",
            "anthropic-ratelimit-requests-remaining": "0",
        },
        9.0,
    ),
)
"""Headers that ask to wait, and for how long, at 08:49:37 on 6 November 1994. 120 s is the
most that is waited for at once, and 30 s where it is only told when a limit is whole again."""

_FAULT = {"code": "server_error", "message": "der Kern brach"}
_SAID = {"type": "message", "content": [{"type": "output_text", "text": "3, "}]}

FAILING = (
    Failing(
        "error_array_429",
        json_body(
            [
                {
                    "error": {
                        "code": 429,
                        "message": "Quota for requests a minute is used up",
                        "details": [{"@type": "RetryInfo", "retryDelay": "1s"}],
                    }
                }
            ],
            429,
        ),
        "Quota for requests a minute is used up",
        passes=True,
        waits_s=1.0,
    ),
    Failing(
        "wait_in_words",
        status(429, "Rate limit reached. Please try again in 2.5s."),
        "Rate limit reached",
        passes=True,
        waits_s=2.5,
    ),
    Failing(
        "wait_in_chinese_in_a_200",
        json_body({"code": 429, "msg": "请求过于频繁,请在 3 秒后重试"}),
        "请求过于频繁",
        passes=True,
        waits_s=3.0,
    ),
    *(
        Failing(
            f"wait_in_a_header_{number}",
            status(429, "langsam", headers=headers),
            "langsam",
            True,
            wait,
        )
        for number, (headers, wait) in enumerate(WAITS)
    ),
    *(
        Failing(f"wait_in_a_field_{name}", status(429, "slow", **{name: value}), "slow", True, wait)
        for name, value, wait in (
            ("retry_after_ms", 2500, 2.5),
            ("retryAfter", "3s", 3.0),
            ("retry_after_seconds", 4, 4.0),
            ("wait_seconds", 4, 4.0),
        )
    ),
    *(
        Failing(
            f"ended_by_{reason}",
            json_body({"choices": [{"message": {"content": text}, "finish_reason": reason}]}),
            f"ended a reply with {reason!r}",
            passes=True,
        )
        for reason, text in (("error", "3, "), ("abort", "3"), ("network_error", ""))
    ),
    *(
        Failing(f"status_of_{name}_in_a_200", json_body(body), said, passes=True)
        for name, said, body in (
            ("503", "overloaded", {"status": 503, "text": "Service overloaded"}),
            ("503_as_text", "der Kern", {"status": "503", "generated_text": "der Kern brach"}),
            ("500_with_usage", "der Kern", {"status": 500, "output": "der Kern brach", "usage": 0}),
            ("429", "langsam", {"data": {"status": 429, "text": "langsam"}}),
            ("busy", "try later", {"status": "busy", "response": "try later"}),
            ("error", "der Kern", {"status": "ERROR", "response": "der Kern brach"}),
        )
    ),
    Failing(
        "wait_in_german",
        status(429, "Zu viele Anfragen, bitte in 5 Sekunden erneut versuchen."),
        "Zu viele Anfragen",
        passes=True,
        waits_s=5.0,
    ),
    Failing(
        "wait_in_a_field_in_a_200",
        json_body({"error": {"message": "slow down", "code": "429", "retry_after": 3}}),
        "slow down",
        passes=True,
        waits_s=3.0,
    ),
    Failing(
        "choices_null_429",
        json_body({"choices": None, "error": {"message": "rate limited", "code": 429}}),
        "rate limited",
        passes=True,
    ),
    Failing(
        "finish_reason_error",
        json_body(
            {
                "choices": [
                    {
                        "message": {"content": ""},
                        "finish_reason": "error",
                        "error": {"code": 502, "message": "upstream"},
                    }
                ]
            }
        ),
        "upstream",
        passes=True,
    ),
    Failing(
        "error_within_a_stream",
        Fault(body=b'data: {"error": {"message": "busy", "status": 503}}\n\ndata: [DONE]\n\n'),
        "busy",
        passes=True,
    ),
    *(
        Failing(
            f"failed_{name}",
            Fault(body=("\n\n".join(map(json.dumps, events)) + "\n\n").encode()),
            said,
            passes=True,
        )
        for name, events, said in (
            ("response", [{"status": "failed", "output": [], "error": _FAULT}], "der Kern"),
            (
                "response_with_text",
                [{"status": "failed", "output": [_SAID], "error": _FAULT}],
                "Kern",
            ),
            ("response_in_words", [{"status": "failed", "error": "der Kern brach"}], "der Kern"),
            ("response_without_words", [{"status": "failed", "output": [_SAID]}], "failed"),
            ("event", [{"type": "response.failed", "response": {"error": _FAULT}}], "der Kern"),
            (
                "event_behind_text",
                [
                    {"type": "response.created", "response": {"status": "in_progress"}},
                    {"type": "response.output_text.delta", "delta": "3, "},
                    {"type": "response.failed", "response": {"status": "failed", "error": _FAULT}},
                ],
                "der Kern",
            ),
            (
                "error_event_behind_text",
                [
                    {"type": "response.output_text.delta", "delta": "3, "},
                    {"type": "error", **_FAULT},
                ],
                "der Kern",
            ),
            ("anthropic", [_delta("3, "), {"type": "error", "error": _FAULT}], "der Kern"),
            ("ollama", [_turn("3, "), {"error": "der Kern brach"}], "der Kern"),
            ("gemini", [_candidate("3, "), {"error": _FAULT}], "der Kern"),
            (
                "vllm",
                [
                    {"choices": [{"index": 0, "delta": {"content": "3, "}}]},
                    {"object": "error", "message": "der Kern brach", "code": 500},
                ],
                "der Kern",
            ),
            (
                "openrouter",
                [
                    {"choices": [{"index": 0, "delta": {"content": "3, "}}]},
                    {
                        "choices": [
                            {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
                        ],
                        "error": {"code": 502, "message": "der Kern brach"},
                    },
                ],
                "der Kern",
            ),
        )
    ),
    Failing("nested_json_text", json_body({"error": '{"code": 429, "message": "n"}'}), "n", True),
    Failing("named_status", json_body({"error": "rate_limit_exceeded"}), "rate_limit", True),
    Failing(
        "overloaded_event",
        Fault(
            body=b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", '
            b'"message": "kein Platz"}}\n\n'
        ),
        "kein Platz",
        passes=True,
    ),
    Failing(
        "a_page_in_a_200",
        Fault(body=b"<html><title>Loading</title><p>The model is starting</p></html>"),
        "Loading",
        passes=True,
    ),
    Failing(
        "an_element_of_a_code",
        Fault(
            429, b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>b</Message></Error>"
        ),
        "SlowDown b",
        passes=True,
    ),
    Failing(
        "throttled_by_its_type",
        json_body({"__type": "ThrottlingException", "message": "zu viel"}, 400),
        "zu viel",
        passes=True,
    ),
    Failing(
        "overloaded_404",
        status(404, "erneut", code="model_overloaded"),
        "erneut",
        passes=True,
    ),
    Failing("page_502", html(502), "Bad gateway", passes=True),
    Failing("plain_text_503", Fault(503, b"the pool is\n empty"), "the pool is empty", True),
    Failing(
        "choices_null_401",
        json_body({"choices": None, "error": {"message": "no such key", "code": 401}}),
        "answered 401: it does not accept the API key; set AUTOINTERP_LLM_API_KEY",
    ),
    Failing(
        "choices_null_402",
        json_body({"choices": None, "error": {"message": "pay first", "code": 402}}),
        "answered 402: the account has no credit left; add credit or use another endpoint",
    ),
    Failing(
        "list_of_errors",
        json_body(
            {"success": False, "errors": [{"code": 1000, "message": "authentication error"}]}
        ),
        "answered 401: it does not accept the API key",
    ),
    Failing(
        "string_error_in_200",
        json_body({"error": "This path or method is not known here (POST /chat/completions)"}),
        "This path or method is not known here",
    ),
    Failing("detail_in_200", json_body({"detail": "Nothing stands here"}), "Nothing stands here"),
    Failing(
        "details_422",
        json_body({"detail": [{"loc": ["body", "model"], "msg": "no such model"}]}, 422),
        "body.model: no such model",
    ),
    Failing(
        "words_of_a_service_behind",
        status(400, "Provider returned error", metadata={"raw": '{"error": {"message": "odd"}}'}),
        "Provider returned error: odd",
    ),
    Failing(
        "status_beside_null",
        json_body({"choices": None, "base_resp": {"status_code": 1008, "status_msg": "kein Geld"}}),
        "kein Geld",
    ),
    Failing(
        "capitals",
        json_body({"Response": {"Error": {"Code": "InvalidParameter", "Message": "mauvais"}}}),
        "mauvais",
    ),
    Failing("message_403", json_body({"Message": "no access", "__type": "X"}, 403), "no access"),
    Failing(
        "details_by_field",
        json_body({"title": "Validation failed", "errors": {"Model": ["unbekannt"]}}, 400),
        "unbekannt",
    ),
    Failing(
        "fault", json_body({"fault": {"faultstring": "falsch", "detail": {}}}, 401), "says: falsch"
    ),
    Failing(
        "xml",
        Fault(400, b"<?xml version='1.0'?><Error><Message>no &amp; no</Message></Error>"),
        "no & no",
    ),
    Failing(
        "redirect",
        Fault(308, headers={"Location": "https://a:pw@x.example/v1/chat/completions?key=s"}),
        "https://***@x.example/v1/chat/completions?key=***",
    ),
    *(
        Failing(f"named_{name}", json_body({name: "schlimm"}, 400), "schlimm")
        for name in ("exception", "cause", "err", "errorMessage")
    ),
    Failing("detail_msg", json_body({"detail": {"msg": "falsch"}}, 422), "falsch"),
    Failing(
        "packed",
        Fault(400, gzip.compress(b'{"error": "nein"}'), {"Content-Encoding": "gzip"}),
        "nein",
    ),
    Failing("unpacked", Fault(400, b'{"error": "nein"}', {"Content-Encoding": "br"}), "nein"),
    Failing("an_event", Fault(400, b'event: error\ndata: {"message": "nein"}\n\n'), "nein"),
    Failing("quota_403", status(403, "Votre quota est épuisé"), "Votre quota est épuisé"),
    Failing(
        "models_404",
        status(404, "kein Modell 'fake'", available_models=["llama", "gemma"]),
        "kein Modell 'fake'; models: llama, gemma",
    ),
    Failing(
        "models_400",
        json_body({"detail": "unbekannt", "models": [{"id": "llama"}, {"name": "gemma"}]}, 400),
        "unbekannt; models: llama, gemma",
    ),
    *(
        Failing(
            f"words_in_{name}",
            Fault(
                400,
                json.dumps({"error": {"message": words}}, ensure_ascii=False).encode(name),
                {"Content-Type": f"application/json{label}"},
            ),
            words,
        )
        for name, label, words in (
            ("utf_16", "", "schlüssig 密钥"),
            ("utf_16_le", "", "schlüssig 密钥"),
            ("utf_32", "; charset=utf-8", "schlüssig 密钥"),
            ("latin_1", "", "Zugang für Gäste geschlossen"),
            ("cp1252", "; charset=utf-8", "l’accès est “fermé”"),
            ("cp1251", "; charset=windows-1251", "доступ закрыт"),
            ("gbk", "; charset=GBK", "密钥无效"),
            ("shift_jis", "; charset=Shift_JIS", "キーが無効です"),
            ("latin_1", "; charset=nonsense", "accès fermé"),
        )
    ),
    Failing("text_in_utf_16", Fault(403, "accès fermé".encode("utf_16")), "accès fermé"),
    Failing("a_code_alone", status(400, code=1301, **{"message": ""}), "1301"),
    Failing("page_403", Fault(403, b"<html><p>Not &lt;you&gt;</p></html>"), "Not <you>"),
    Failing(
        "a_page_that_blocks",
        Fault(403, b"<html><title>Attention</title><h1>You have been blocked</h1></html>"),
        "You have been blocked",
    ),
    Failing("gone", status(410, "The model is gone", code="model_deprecated"), "model is gone"),
    Failing("number_of_five_digits", json_body({"code": 40101, "msg": "abgelaufen"}), "abgelaufen"),
    Failing("no_success", json_body({"success": False, "message": "鉴权失败"}), "鉴权失败"),
    Failing("errcode", json_body({"errcode": 40001, "errmsg": "kein Zugang"}), "kein Zugang"),
    Failing(
        "errors_beside_data",
        json_body(
            {
                "data": None,
                "errors": [{"message": "niet", "extensions": {"code": "UNAUTHENTICATED"}}],
            }
        ),
        "niet",
    ),
    Failing("bare_string_400", json_body("no thanks", 400), "no thanks"),
)
"""By how an error is told."""

UNREADY: dict[str, Fault] = {
    "queued": json_body({"status": "queued", "id": "a"}, 202),
    "starting": json_body({"status": "starting", "output": None, "error": None}),
    "null": Fault(200, b"null"),
    "an_object": Fault(200, b"{}"),
    "a_list": Fault(200, b"[]"),
}
"""JSON that is no reply and says nothing, which passes where others were answered."""

_FILTERED = {"code": "content_filter", "message": "blocked by label X"}


def _ended(reason: str, **more: object) -> Fault:
    return json_body({"choices": [{"index": 0, "finish_reason": reason, **more}]})


FILTERING = (
    *(
        Failing(name, _ended(reason, message={"content": content, **more}), said)
        for name, reason, content, more, said in (
            (
                "content_filter_whole_json",
                "content_filter",
                '{"explanation": "half"}',
                {},
                "filter",
            ),
            ("content_filter_half", "content_filter", '{"explanation": "half an', {}, "filter"),
            ("content_filter_half_by_name", "SAFETY", '{"expl', {}, "SAFETY"),
            ("content_filter_null", "content_filter", None, {}, "filter"),
            ("content_filter_null_by_name", "PROHIBITED_CONTENT", None, {}, "PROHIBITED"),
            ("message_refusal", "stop", None, {"refusal": "I cannot help."}, "I cannot help."),
            ("message_refusal_in_german", "stop", "", {"refusal": "Das geht nicht."}, "Das geht"),
        )
    ),
    Failing("a_code_400", status(400, "非法内容", code="content_filter"), "非法内容"),
    Failing("a_type_403", status(403, "flagged", type="moderation_blocked"), "flagged"),
    Failing("the_status_451", status(451, "gesperrt"), "gesperrt"),
    Failing(
        "an_inner_error",
        status(400, "x", innererror={"code": "ResponsibleAIPolicyViolation"}),
        "x",
    ),
    Failing(
        "a_completion_with_400",
        json_body(
            {
                "choices": [
                    {
                        "message": {"content": ""},
                        "finish_reason": "content_filter",
                        "content_filter_results": {"error": _FILTERED},
                    }
                ]
            },
            400,
        ),
        "blocked by label X",
    ),
    Failing(
        "the_native_reason",
        _ended("stop", message={"content": '{"expl'}, native_finish_reason="SAFETY"),
        "SAFETY",
    ),
    Failing("no_message", _ended("content_filter"), "content_filter"),
    Failing(
        "only_a_flag",
        _ended(
            "stop", message={"content": ""}, content_filter_results={"hate": {"filtered": True}}
        ),
        "filter",
    ),
    Failing("an_error_for_a_choice", _ended("error", error=_FILTERED), "blocked by label X"),
    Failing("an_error_in_a_200", json_body({"error": _FILTERED}), "blocked by label X"),
    Failing("with_500", status(500, "blockiert", code="content_policy_violation"), "blockiert"),
    Failing(
        "the_name_of_a_field",
        json_body(
            {"contentFilter": [{"level": 1}], "error": {"code": "1301", "message": "敏感"}}, 400
        ),
        "敏感",
    ),
    Failing(
        "flagged_403",
        status(403, "your input was flagged", code=403, metadata={"flagged_input": "x"}),
        "your input was flagged",
    ),
    *(
        Failing(f"half_a_reply_{reason}", _ended(reason, message={"content": '{"ex'}), reason)
        for reason in ("guardrail_intervened", "blocked", "flagged", "censored", "sensitive")
    ),
    Failing(
        "a_part_of_a_reply",
        json_body(
            {
                "output": [
                    {"type": "message", "content": [{"type": "refusal", "refusal": "Nein."}]}
                ],
                "status": "completed",
            }
        ),
        "Nein.",
    ),
    Failing(
        "nothing_at_all",
        json_body({"output": [], "incomplete_details": {"reason": "content_filter"}}),
        "content_filter",
    ),
    Failing(
        "ratings",
        _ended("stop", message={"content": ""}, safetyRatings=[{"category": "H", "blocked": True}]),
        "filter",
    ),
    Failing("guardrails", json_body({"guardrails": {"reason": "jailbreak"}}, 400), "jailbreak"),
    Failing(
        "incomplete",
        json_body({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}),
        "content_filter",
    ),
    Failing(
        "an_event_that_is_incomplete",
        json_body(
            {
                "type": "response.incomplete",
                "response": {
                    "output": [_SAID],
                    "incomplete_details": {"reason": "content_filter"},
                },
            }
        ),
        "content_filter",
    ),
    Failing(
        "anthropic",
        json_body({"content": [], "role": "assistant", "stop_reason": "refusal"}),
        "refus",
    ),
    Failing(
        "a_number_beside_a_field",
        json_body({"error": {"code": 1301}, "contentFilter": [{"level": 1, "role": "user"}]}, 400),
        "1301",
    ),
    Failing("flags", json_body({"flagged": True, "categories": {"violence": True}}), "filter"),
    Failing("a_candidate_alone", json_body({"candidates": [{"finishReason": "SAFETY"}]}), "SAFETY"),
    Failing(
        "beside_a_sentence",
        json_body(
            {
                "output": {"message": {"role": "assistant", "content": [{"text": "Blocked."}]}},
                "stopReason": "guardrail_intervened",
            }
        ),
        "guardrail_intervened",
    ),
    Failing(
        "a_flag_beside_choices",
        json_body({"choices": [_choice("")], "output_sensitive": True}),
        "filter",
    ),
    Failing(
        "a_flag_in_place_of_choices",
        json_body({"choices": None, "moderation": {"flagged": True}}),
        "filter",
    ),
    Failing("a_prompt_alone", json_body({"promptFeedback": {"blockReason": "SPII"}}), "SPII"),
    Failing(
        "the_end_of_a_stream",
        Fault(
            body=b'data: {"choices": [{"index": 0, "delta": {"content": "3"}}]}\n\n'
            b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "content_filter"}]}\n\n'
        ),
        "content_filter",
    ),
    Failing(
        "a_reason_in_capitals", json_body({"text": "", "finish_reason": "ERROR_TOXIC"}), "TOXIC"
    ),
    Failing(
        "a_detail",
        json_body({"detail": {"type": "content_policy_violation", "msg": "Nein"}}, 422),
        "Nein",
    ),
    Failing(
        "moderated_results",
        json_body(
            {
                "moderations": {"hap": [{"score": 0.9, "input": True}]},
                "results": [{"generated_text": "", "stop_reason": "input_moderated"}],
            }
        ),
        "moderat",
    ),
    Failing(
        "no_content_but_a_reason",
        json_body(
            {
                "output": {"message": {"role": "assistant", "content": []}},
                "stopReason": "content_filtered",
            }
        ),
        "content_filtered",
    ),
)
"""By how a filter says that it stopped a prompt or a reply."""


def _used(n: int, **more: object) -> dict[str, object]:
    return {"prompt_tokens": 600, "completion_tokens": n, **more}


STARVING: dict[str, Fault] = {
    "no_message": json_body({"choices": [{"finish_reason": "length"}], "usage": _used(0)}),
    "tokens_beside": json_body({"choices": [_choice("")], "usage": _used(0, reasoning_tokens=400)}),
    "thoughts_that_stop": json_body({"choices": [_choice("<think>so")], "usage": _used(400)}),
    "nothing_that_stops": json_body({"choices": [_choice("")], "usage": _used(400)}),
    "incomplete": json_body(
        {
            "output": [{"type": "reasoning", "summary": []}, {"type": "message", "content": []}],
            "status": "incomplete",
            "incomplete_details": {"reason": "max_output_tokens"},
            "usage": {"output_tokens": 400},
        }
    ),
    "a_candidate": json_body(
        {
            "candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}],
            "usageMetadata": {"promptTokenCount": 5, "thoughtsTokenCount": 390},
        }
    ),
    "a_candidate_without_content": json_body({"candidates": [{"finishReason": "MAX_TOKENS"}]}),
    "no_choices": json_body({"choices": [], "usage": _used(400)}),
    "blank_lines": json_body(
        {
            "choices": [
                {"message": {"content": "\n\n", "reasoning": "hm"}, "finish_reason": "length"}
            ],
            "usage": _used(400),
        }
    ),
    "thoughts_in_parts": json_body(
        {
            "message": {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}]},
            "finish_reason": "MAX_TOKENS",
        }
    ),
    "thoughts_of_a_stream": Fault(
        body=b'data: {"choices": [{"index": 0, "delta": {"reasoning_content": "hm"}}]}\n\n'
        b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}\n\n'
    ),
    "a_budget": status(400, "max_tokens must be greater than thinking.budget_tokens"),
    "a_least": status(400, "Expected a value >= 2048 for max_tokens, but got 400 instead"),
}
"""By how it is told that hidden thoughts left no room for an answer to 400 tokens."""

WHOLE_REASONS = (
    *(
        "eos",
        "EOS",
        "eos_token",
        "stop_sequence",
        "STOP",
        "end_turn",
        "completed",
        "done",
        "",
        None,
    ),
    *("tool_calls", "success", "null", 0, ["stop"]),
)
"""Reasons that a reply ended which mean that it is whole."""

CUT_REASONS = (
    *("LENGTH", "MAX_TOKENS", "max_completion_tokens", "token_limit", "incomplete", "truncated"),
    *("model_context_window_exceeded", "max_output_reached", "model_length"),
)
"""Reasons that a reply ended which mean that it was cut off."""

_TOO_LONG = "the request exceeds the available context size. try increasing it"
TOO_LONG: dict[str, tuple[Fault, int | None]] = {
    "in_fields": (status(400, _TOO_LONG, n_prompt_tokens=8_407, n_ctx=4_096), 4_096),
    "in_fields_of_a_200": (
        json_body(
            {"error": {"code": 400, "message": _TOO_LONG, "n_prompt_tokens": 8_407, "n_ctx": 4_096}}
        ),
        4_096,
    ),
    "a_sum": (
        status(400, "max_tokens is too large: the context is 4096, your prompt 3990 (400 > 106)"),
        4_096,
    ),
    "a_sum_in_words": (
        status(400, "input length and `max_tokens` exceed the limit: 3990 + 400 > 4096"),
        4_096,
    ),
    "inputs": (
        json_body({"error": "`inputs` must have less than 4096 tokens. Given: 8407"}, 422),
        4_096,
    ),
    "a_list": (
        json_body([{"error": {"message": "The input token count (8407) exceeds 4096."}}], 400),
        4_096,
    ),
    "no_number": (status(400, "prompt is too long", code="context_length_exceeded"), None),
    "the_status": (Fault(413), None),
    "the_status_of_a_page": (html(413), None),
    **{
        f"no_number_{number}": (status(400, words), None)
        for number, words in enumerate(
            (
                *(
                    "输入过长,超出模型上下文长度",
                    "プロンプトが長すぎます",
                    "프롬프트가 너무 깁니다",
                ),
                *("Der Prompt ist zu lang", "Le contexte est trop long", "Слишком длинный запрос"),
                *("El mensaje es demasiado largo", "too many tokens in the prompt"),
            )
        )
    },
    "no_number_500": (status(500, "Context size has been exceeded."), None),
    "a_rate": (
        status(413, "too large: Limit 6000, Requested 9000", code="rate_limit_exceeded"),
        6_000,
    ),
}
"""By how it is told that a prompt is too long, with the context that is stated."""

TOO_LONG_IN_ANY_WORDS: dict[str, Fault] = {
    "nothing": Fault(400),
    "a_number": json_body({"error": {"code": 20013}}, 422),
    "hindi": status(422, "प्रॉम्प्ट बहुत लंबा है"),
    "turkish": status(400, "İstem çok uzun"),
    "finnish": status(400, "Kehote on liian pitkä"),
    "a_page": html(500),
    "polish": status(400, "Zapytanie jest za duże"),
    "of_headers": Fault(431),
}
"""That a prompt is too long, in what no list of words could hold."""

TYPED = (
    *('"{}"', "'{}'", "<{}>", "`{}`", "{},", "{}#fragment", "{}?", "{}/models", "{}/responses"),
    *(
        "url: {}",
        "OPENAI_BASE_URL={}",
        "({})",
        "{};",
        "{}.",
        "\u201c{}\u201d",
        "\u200b{}",
        "{}/docs",
    ),
    *("{}/messages", "{}//chat//completions", "{}/chat/completions?", "{}/chat"),
    "curl {}/chat/completions -H 'Authorization: Bearer sk-1' -d '{{}}'",
    'curl -sS -X POST \\\n  "{}/chat/completions" \\\n -d @body.json',
    "POST {}/chat/completions HTTP/1.1",
    'export OPENAI_BASE_URL="{}"',
    'client = OpenAI(base_url="{}", api_key="sk-1")',
    '{{"base_url": "{}"}}',
    "[the API]({})",
    "**{}**",
    '<a href="{}">here</a>',
    "base_url: '{}'  # production",
    "{} (production)",
    "http://{}",
    "Endpoint:{}",
    "{}\\",
    "{}。",
    "{}:",
    "{}&",
    "{}/swagger",
    "fetch('{}/chat/completions', {{method: 'POST'}})",
    "$env:OPENAI_BASE_URL = '{}'",
)
"""What people paste for an address."""

USED_UP: dict[str, tuple[str, Callable[[str], Fault]]] = {
    "french": ("Votre quota est épuisé", lambda t: status(429, t)),
    "finnish": ("Kiintiö on käytetty loppuun", lambda t: status(429, t)),
    "a_number": (
        "您的账户已欠费,请充值后重试",
        lambda t: json_body({"error": {"code": "1113", "message": t}}, 429),
    ),
    "a_month": (
        "You have reached the limit of your plan for this month",
        lambda t: status(429, t, code=429),
    ),
    "an_account": (
        "Your account is suspended; see the bill",
        lambda t: json_body({"detail": t}, 429),
    ),
    "an_id": (
        "Der Schlüssel wurde gesperrt",
        lambda t: json_body({"message": t, "request_id": "a"}, 429),
    ),
    "plain_text": ("残高が不足しています", lambda t: Fault(429, t.encode())),
    "a_200": ("한도를 모두 사용했습니다", lambda t: json_body({"code": 429, "msg": t})),
    "much_remains": (
        "Limite mensal atingido",
        lambda t: status(429, t, headers={"x-ratelimit-remaining-requests": "4999"}),
    ),
    "an_id_in_its_words": ("Saldo agotado", lambda t: status(429, f"{t} (request 7f3a9c21)")),
    "hungarian": ("A kereted elfogyott", lambda t: status(429, f"{t} ({'x' * 3}1)")),
}
"""A quota that is used up, told by words alone, and in what they come."""

UNKNOWN_WORDS = frozenset({"finnish", "hungarian"})
"""Those of it in languages whose words the client knows nothing of."""

IN_DRESS: dict[str, Callable[[int, str, str], Fault]] = {
    "chat": lambda code, words, name: json_body(
        {"error": {"message": words, "type": name, "param": None, "code": None}}, code
    ),
    "responses": lambda code, words, name: json_body(
        {"type": "error", "error": {"type": name, "message": words}, "status": code}, code
    ),
    "failed_response": lambda code, words, name: json_body(
        {"status": "failed", "output": [], "error": {"code": name, "message": words}}, code
    ),
    "anthropic": lambda code, words, name: json_body(
        {"type": "error", "error": {"type": name, "message": words}, "request_id": "req_a"}, code
    ),
    "gemini": lambda code, words, name: json_body(
        [{"error": {"code": code, "message": words, "status": name.upper()}}], code
    ),
    "detail": lambda code, words, name: json_body({"detail": words}, code),
    "text": lambda code, words, name: Fault(code, words.encode()),
}
"""An error of a status, with words and a type, as services of each kind send it."""

LASTING = {
    "quota": "Your quota is used up.",
    "balance": "Insufficient balance, please recharge",
    "hard_limit": "Billing hard limit has been reached",
    "credit": "Credits exhausted for this organization",
    "low": "Your credit balance is too low to access the API",
    "key": "API key not valid. Please pass a valid API key.",
    "account": "Your account has been suspended",
    "trial": "The free trial has ended; trial expired",
    "month": "Monthly token limit reached",
    "plan": "You have reached your API usage limits. You will regain access on 2026-12-01",
    "plan_of_tokens": "All of your tokens have been used up. Upgrade your plan",
    "included": "You have exceeded your monthly included credits",
    "a_day": "Too many tokens per day, please wait before trying again.",
    "requests_today": "Too many requests today: the limit of this model is 50",
    "a_free_day": "Rate limit exceeded: free-models-per-day",
    "standing": "Access denied, please make sure your account is in good standing.",
    "user": "User is blocked",
    "x_key": "invalid x-api-key",
    "german": "Ihr Guthaben ist aufgebraucht",
    "dutch": "Uw tegoed is op",
    "french": "Limite quotidienne atteinte",
    "spanish": "La clave de API no es válida o fue revocada",
    "portuguese": "Sua conta foi suspensa",
    "italian": "Il credito è esaurito",
    "russian": "Недостаточно средств на счете",
    "chinese": "账户余额不足",
    "japanese": "アカウントが停止されています",
    "korean": "잔액이 부족합니다",
}
"""Words that say that asking again is in vain."""

RATES = {
    "a_quota_a_minute": status(429, "Rate limit reached: quota per minute used up"),
    "a_quota": status(429, "Quota exceeded for requests per minute", code="quota_exceeded"),
    "gemini": IN_DRESS["gemini"](
        429,
        "You exceeded your current quota, see your plan and billing details",
        "RESOURCE_EXHAUSTED",
    ),
    "gemini_with_a_delay": status(
        429, "Monthly quota used up", code="RESOURCE_EXHAUSTED", retryDelay="3s"
    ),
    "a_delay_in_words": status(429, "Balance of tokens used up, try again in 4 s"),
    "a_delay_in_a_header": status(429, "Quota used up", headers={"Retry-After": "2"}),
    "a_reset": status(429, "Quota used up", headers={"x-ratelimit-reset-requests": "3s"}),
    "a_way_to_pay": status(
        429, "Rate limit reached. Add a payment method to your account to increase your limit"
    ),
    "overload": status(529, "Overloaded: credits of this region are used up, high demand"),
    "a_service_of_money": status(503, "the billing service is temporarily unavailable"),
    "soon": status(429, "Quota used up, try again later"),
    "this_minute": status(429, "Quota for this minute is used up"),
    "a_day_and_a_minute": status(429, "Limits: 5 requests per minute, 100 per day; too many"),
    "hourly": status(429, "Hourly quota used up"),
    "vertex": IN_DRESS["gemini"](
        429, "Resource has been exhausted (e.g. check quota).", "resource_exhausted"
    ),
    "a_rate_of_an_account": status(429, "Your account is temporarily blocked: too many requests"),
    "chinese": status(429, "每分钟额度已用完"),
}
"""Limits that pass, in words that resemble those."""

BARE: dict[str, Fault] = {
    "nothing": Fault(429),
    "its_name": status(429, "Too Many Requests"),
    "a_page": Fault(
        429,
        b"<html><head><title>429 Too Many Requests</title></head><body><center><h1>429 Too Many "
        b"Requests</h1></center><hr><center>nginx</center></body></html>",
    ),
    "a_code": status(429, "slow", code="rate_limit_exceeded"),
    "a_type": json_body({"error": {"type": "throttling_error", "message": "langsam"}}, 429),
    "a_quota_of_a_rate": status(429, "x", code="Throttling.RateQuota"),
    "nothing_remains": status(429, "x", headers={"X-RateLimit-Remaining": "0"}),
}
"""Rate limits that name no delay, and say nothing else than that they are rate limits."""

_CHECK_PLAN = "You exceeded your current quota, please check your plan and billing details."


def _of_google(code: int, words: str, name: str, reason: str) -> Fault:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]
    error = {"code": code, "message": words, "status": name, "details": details}
    return json_body([{"error": error}], code)


STOPPING: dict[str, Fault] = {
    "401 `invalid_api_key` (OpenAI)": status(
        401, "Incorrect API key provided: sk-x.", code="invalid_api_key"
    ),
    "401 `authentication_error` (Anthropic)": IN_DRESS["anthropic"](
        401, "invalid x-api-key", "authentication_error"
    ),
    "401 in other words": status(401, "nope"),
    "402 Insufficient Balance (DeepSeek)": status(402, "Insufficient Balance"),
    "403 API key not valid": status(403, "API key not valid"),
    "403 `PERMISSION_DENIED` (Gemini)": _of_google(
        403, "Method doesn't allow unregistered callers.", "PERMISSION_DENIED", "FORBIDDEN"
    ),
    "400 `API_KEY_INVALID` (Gemini)": _of_google(
        400,
        "API key not valid. Please pass a valid API key.",
        "INVALID_ARGUMENT",
        "API_KEY_INVALID",
    ),
    "400 credit balance is too low (Anthropic)": IN_DRESS["anthropic"](
        400, "Your credit balance is too low to access the API.", "invalid_request_error"
    ),
    "429 `insufficient_quota` (OpenAI)": status(
        429, _CHECK_PLAN, type="insufficient_quota", code="insufficient_quota"
    ),
    "429 in German": status(429, "Ihr Kontingent ist aufgebraucht"),
    "429 in French": status(429, "Votre quota est épuisé"),
    "429 in Chinese": status(429, "您的额度已用完"),
}
"""Refusals of all that is asked, in the form in which services give them."""

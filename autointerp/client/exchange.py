"""One request and its answer; what may pass is tried again, and what is wrong becomes an error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import httpx

from autointerp.core.backoff import Backoff, RetryDeadline
from autointerp.core.errors import InputError, UpstreamError

_NO_CONTENT = 204
_PASSING = {408, 429, 502, 503, 504}
_BACKOFF = Backoff(0.2, 5.0, jitter=0.5)


class Exchange:
    """Talks to one server, and goes on trying for a while when it cannot be reached."""

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
        again: bool = True,
    ) -> Any:
        """The answer's JSON.

        Args:
            method: of HTTP.
            path: below the server's address.
            params: of the query; None is left out.
            body: sent as JSON.
            headers: besides those of every request.
            again: whether sending it twice does no harm.

        Raises:
            InputError: the server refused it.
            UpstreamError: the server cannot be reached or answers wrongly.
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
                if not ((again or never_sent) and deadline.wait()):
                    raise self.unreachable(error) from error
                continue
            passing = response.status_code in _PASSING and (again or response.status_code == 429)
            if passing and deadline.wait(retry_after(response)):
                continue
            checked(response)
            return None if response.status_code == _NO_CONTENT else _json(response)

    @contextmanager
    def stream(
        self, path: str, *, params: Mapping[str, Any], headers: Mapping[str, str]
    ) -> Iterator[httpx.Response]:
        """An answer whose body is read as it comes; its status was looked at.

        Raises:
            InputError: the server refused.
            UpstreamError: it answers wrongly.
            httpx.TransportError: it cannot be reached, or the connection was cut.
        """
        with self._http.stream("GET", path, params=dict(params), headers=dict(headers)) as response:
            if response.status_code >= 400:
                response.read()
                if response.status_code in _PASSING:
                    raise httpx.ReadError(f"status {response.status_code}")
                checked(response)
            yield response

    def deadline(self) -> RetryDeadline:
        """Waits between attempts, for as long as the server may be away."""
        return RetryDeadline(self._patience_s, _BACKOFF)

    def unreachable(self, error: httpx.TransportError) -> UpstreamError:
        """What to say of a connection that failed."""
        why = str(error) or type(error).__name__
        msg = f"the server {self._http.base_url} cannot be reached ({why}); is it running there?"
        return UpstreamError(msg, retryable=True)


def retry_after(response: httpx.Response) -> float:
    """Seconds that the server asks to wait."""
    said = response.headers.get("retry-after", "")
    return float(said) if said.isdigit() else 0.0


def checked(response: httpx.Response) -> httpx.Response:
    """The response, if it is no error.

    Raises:
        InputError: status 4xx, with the server's own words.
        UpstreamError: another status that is no success.
    """
    if not response.is_success:
        _refuse(response)
    return response


def _refuse(response: httpx.Response) -> NoReturn:
    try:
        said = response.json()
        detail = f"{said['detail']} ({said['code']})"
    except (ValueError, KeyError, TypeError):
        detail = f"the server answered with status {response.status_code} and no problem document"
    if response.status_code < 500 and response.status_code not in _PASSING:
        raise InputError(detail)
    raise UpstreamError(detail, retryable=response.status_code in _PASSING)


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        msg = f"{response.url.path} answered with something else than JSON; is it autointerp?"
        raise UpstreamError(msg, retryable=False) from error

"""One request to an endpoint and its outcome: a reply, an error, or a transient failure."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2

from autointerp.core.addresses import (
    base_address,
    hidden_in,
    joined_address,
    shown_address,
    with_scheme,
)
from autointerp.core.errors import InputError, UpstreamError
from autointerp.llm.api_call import (
    CallRefusedError,
    TransientFailure,
    broken_reply,
    not_a_completion,
    not_json,
)
from autointerp.llm.api_errors import (
    ApiError,
    is_transient,
    message_part,
    names_a_rate,
    read_api_error,
    says_why,
    shortened_line,
    stated_error,
)
from autointerp.llm.chat_model import Usage
from autointerp.llm.http_pool import CONNECT_TIMEOUT_S, http_client
from autointerp.llm.lasting_words import (
    codes_say_it_lasts,
    is_a_rate_limit,
    names_a_short_rate,
    says_it_lasts,
)
from autointerp.llm.options import ClientDependencies, ClientOptions
from autointerp.llm.reply_body import as_utf8
from autointerp.llm.service_addresses import (
    headers_of,
    is_loopback,
    is_within,
    read_address,
    secrets_of,
)
from autointerp.llm.stated_waits import (
    StatedWait,
    remains_nothing,
    reset_after_s,
    retry_after_s,
)
from autointerp.llm.wire_format import (
    BrokenReplyError,
    NotJsonError,
    WrongShapeError,
    read_model_names,
)

T = TypeVar("T")

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
        self._secret, self._options = secret, options
        self._clock = dependencies.clock
        self._urls = self._below("")
        self._headers = {"Content-Type": "application/json", "User-Agent": "autointerp"}
        given = headers_of(options.headers, secret)
        self._headers |= given
        self._hidden = secrets_of(self._base_url, given)
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
        self, path: str, body: Mapping[str, Any], *, anew: bool = False
    ) -> HttpReply | TransientFailure | ApiError:
        """The outcome of one request; its connection is closed where the next needs a new one."""
        text = _JSON.encode(body)
        try:
            async with asyncio.timeout(self._options.timeout_s):
                response = await self._post(path, text.encode("utf-8", "replace"), anew)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError):
            return TransientFailure("", "is the server running?", reached=False)
        except (TimeoutError, httpx2.TimeoutException):
            return TransientFailure(
                f"gave no answer within {self._options.timeout_s:g} s",
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
        error = self._read_error(response.status_code, received.decode())
        if response.is_redirect:
            error = replace(error, text=shown_address(response.headers.get("location", "")))
        return self.classified(error, response.headers, is_down=response.is_server_error)

    def _read_error(self, status: int, body: str) -> ApiError:
        return self._told(read_api_error(status, body))

    def _told(self, error: ApiError) -> ApiError:
        """The error without what only this client and the endpoint know."""
        return replace(error, text=hidden_in(error.text, self._hidden))

    async def _post(self, path: str, body: bytes, anew: bool) -> httpx2.Response:
        """The response, behind redirects within the host that the user named."""
        url, headers = self._urls[path], self._headers
        if anew:
            headers = {**headers, "Connection": "close"}
        for _ in range(_MOST_REDIRECTS):
            response = await self._client.post(url, content=body, headers=headers)
            if response.status_code not in _KEPT_METHOD or "location" not in response.headers:
                break
            try:
                there = url.join(response.headers["location"])
            except httpx2.InvalidURL:
                break
            there = there if there.userinfo else there.copy_with(userinfo=url.userinfo)
            if not is_within(there, url):
                break
            url = there
            if response.status_code != _FOR_NOW:
                self._urls[path] = url
        return response

    def classified(
        self, error: ApiError, headers: Mapping[str, str], *, is_down: bool = False
    ) -> TransientFailure | ApiError:
        """The error, or a transient failure where the same request may succeed later.

        Whether it came with a status of an outage.
        """
        status = 429 if is_a_rate_limit(error, headers) else error.status
        if status == error.status and not is_transient(error):
            return error
        stated = self._stated(error, headers, is_limit=status == 429)
        advice = "try again later"
        if status == 429:
            advice = "lower AUTOINTERP_LLM_MAX_IN_FLIGHT or try again later"
        advice += message_part(error, self._secret)
        may_be_a_rate = stated.is_told or names_a_rate(error) or not says_why(error)
        is_hint, asked_s = stated.is_hint, stated.asked_s
        if asked_s is not None and asked_s > self._options.deadline_s:
            advice = f"it asks to wait {asked_s:.0f} s; {advice}"
            is_hint = True
        return TransientFailure(
            f"answered {error.status}",
            advice,
            status,
            asked_s,
            stated.whole_s,
            error=error,
            may_last=is_hint or (status == 429 and not may_be_a_rate),
            is_hint=is_hint,
            may_be_of_a_prompt=error.may_be_of_a_prompt,
            may_be_outage=is_down and asked_s is None and not codes_say_it_lasts(error),
        )

    def _stated(self, error: ApiError, headers: Mapping[str, str], *, is_limit: bool) -> StatedWait:
        now_s, deadline_s = self._clock(), self._options.deadline_s
        asked_s = retry_after_s(headers, now_s=now_s)
        if asked_s is None and not self._is_vague(error):
            asked_s = error.asked_wait_s
        if asked_s is not None or "retry-after" in headers:
            return StatedWait(asked_s, is_told=True)
        is_spent = remains_nothing(headers)
        reset = reset_after_s(headers, now_s=now_s) if is_limit else None
        # Headers of some count all that was paid for, or a day.
        is_soon = reset is not None and reset.soonest_s <= deadline_s
        if not is_soon and says_it_lasts(error, remains_nothing=is_spent):
            return StatedWait(is_told=is_spent, is_hint=True)
        if reset is None:
            return StatedWait(is_told=is_spent)
        if not reset.is_spent or (not is_soon and names_a_short_rate(error)):
            return StatedWait(min(reset.soonest_s, self._options.longest_wait_s), is_told=True)
        whole_s = reset.whole_s if reset.whole_s <= deadline_s else None
        return StatedWait(reset.soonest_s, whole_s, is_told=True)

    def _is_vague(self, error: ApiError) -> bool:
        """Whether a delay beyond the deadline is told in words that also tell of what passes."""
        is_long = error.asks_in_words and (error.asked_wait_s or 0) > self._options.deadline_s
        return is_long and (error.status >= 500 or names_a_short_rate(error))

    def read(
        self, reply: HttpReply, read: Callable[[bytes], tuple[T, Usage]], *, answers: bool = False
    ) -> tuple[T, Usage] | TransientFailure | ApiError:
        """What a good status came with: a reply and its cost, or the failure that is told in it.

        Whether it answers others, so that it is a chat endpoint.

        Raises:
            CallRefusedError: it is JSON of another shape that tells of no failure.
        """
        try:
            return read(reply.body)
        except NotJsonError as error:
            told = self._read_error(200, reply.body.decode(errors="replace"))
            if not says_it_lasts(told):
                return not_json(error)
            return replace(not_json(error), error=told, may_last=True, is_hint=True)
        except BrokenReplyError as error:
            return broken_reply(shortened_line(hidden_in(str(error), self._hidden)))
        except WrongShapeError as error:
            stated = stated_error(reply.body)
            if stated is not None:
                return self.classified(self._told(stated), reply.headers)
            if answers and not error.is_told:
                return not_a_completion()
            msg = (
                f"{self.address} answered with JSON that is not a chat completion ({error}); check "
                "that AUTOINTERP_LLM_BASE_URL is an OpenAI-compatible endpoint; it usually ends in "
                "/v1"
            )
            instead = UpstreamError(msg, retryable=False)
            # Its words may refuse no more than an option.
            raise CallRefusedError(ApiError(0, str(error)), instead) from None

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

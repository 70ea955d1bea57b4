"""OpenAI's files and batches: calls with retries, and the lines that are up- and downloaded."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlsplit

import httpx
import openai
from openai.types import Batch
from pydantic import BaseModel, ValidationError

from autointerp.core.addresses import NO_PROXY, base_address, hidden_in, with_scheme
from autointerp.core.errors import InputError, RequestRefusedError, UpstreamError
from autointerp.llm.api_errors import final_error, is_transient, read_api_error, shortened_line
from autointerp.llm.chat_model import ChatReply
from autointerp.llm.options import ClientDependencies, ClientOptions
from autointerp.llm.service_addresses import headers_of, is_loopback, read_address, secrets_of
from autointerp.llm.stated_waits import retry_after_s
from autointerp.llm.wire_format import BrokenReplyError, NotJsonError, WrongShapeError, read_reply

T = TypeVar("T")
_CONNECT_TIMEOUT_S = 10.0
_MARK = "autointerp_mark"
_PAGE = 100
_MOST_LISTED = 2_000
_FILE_NAME = "autointerp.jsonl"
ENDPOINT: Final = "/v1/chat/completions"
# Requests that were never run, and not for what is in them: they cost nothing, and asking again
# at once would wait for another day.
_NEVER_RUN = frozenset({"batch_expired", "batch_cancelled"})

Outcome = ChatReply | UpstreamError
"""What became of one request."""


class LostBatchError(UpstreamError):
    """A batch that has no results and never will: its requests may be sent anew."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=False)


class BatchApi:
    """The part of one endpoint that batches need; nothing is sent until a method is called."""

    def __init__(
        self,
        base_url: str,
        *,
        model: str,
        api_key: str | None,
        options: ClientOptions,
        dependencies: ClientDependencies,
    ) -> None:
        base_url = with_scheme(base_address(base_url))
        host, self.endpoint = read_address(base_url)
        self._key = api_key or ""
        headers = headers_of(options.headers, self._key)
        self.hidden = (*filter(None, [self._key]), *secrets_of(base_url, headers))
        self._model, self._options, self._dependencies = model, options, dependencies
        self._rng = random.Random(dependencies.seed)
        # As for single calls: no redirects, and no proxy for this machine.
        try:
            http_client = openai.DefaultAsyncHttpxClient(
                follow_redirects=False,
                trust_env=not is_loopback(host),
                transport=dependencies.transport,
            )
        except (httpx.InvalidURL, ValueError, ImportError):
            raise InputError(NO_PROXY) from None
        self._client = openai.AsyncOpenAI(
            base_url=base_url.partition("?")[0],
            default_query=dict(parse_qsl(urlsplit(base_url).query)),
            default_headers=headers,
            api_key=self._key or "none",
            max_retries=0,
            timeout=openai.Timeout(options.timeout_s, connect=_CONNECT_TIMEOUT_S),
            http_client=http_client,
        )

    async def upload(self, data: bytes) -> str:
        """The id of an uploaded file of requests."""
        file = await self._with_retries(
            lambda: self._client.files.create(file=(_FILE_NAME, data), purpose="batch")
        )
        return file.id

    async def create(self, file_id: str, *, mark: str) -> Batch:
        """A new batch, or the one with this mark if a request whose reply was lost has made it."""
        sent_before = False

        async def create_or_find() -> Batch:
            nonlocal sent_before
            earlier = await self._search(mark) if sent_before else None
            sent_before = True
            return earlier or await self._client.batches.create(
                input_file_id=file_id,
                endpoint=ENDPOINT,
                completion_window="24h",
                metadata={_MARK: mark},
            )

        return _batch(await self._with_retries(create_or_find), self.endpoint)

    async def find(self, mark: str) -> Batch | None:
        """The batch with this mark."""
        return await self._with_retries(lambda: self._search(mark))

    async def retrieve(self, batch_id: str) -> Batch:
        """A batch as it is now."""
        batch = await self._with_retries(lambda: self._client.batches.retrieve(batch_id))
        return _batch(batch, self.endpoint)

    async def download(self, file_id: str | None) -> bytes:
        """A file of results; nothing where there is no file."""
        if file_id is None:
            return b""
        content = await self._with_retries(lambda: self._client.files.content(file_id))
        return content.content

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()

    async def _search(self, mark: str) -> Batch | None:
        n_seen = 0
        async for batch in self._client.batches.list(limit=_PAGE):
            if (batch.metadata or {}).get(_MARK) == mark:
                return batch
            n_seen += 1
            if n_seen >= _MOST_LISTED:
                break
        return None

    async def _with_retries(self, call: Callable[[], Awaitable[T]]) -> T:
        """The result of a call, repeated after transient failures."""
        for attempt in range(1, self._options.attempts + 1):
            asked_s = None
            try:
                async with asyncio.timeout(self._options.timeout_s):
                    return await call()
            except openai.APIStatusError as error:
                api_error = read_api_error(error.status_code, error.response.text)
                if not is_transient(api_error):
                    raise self._final(error) from None
                what = f"answered {error.status_code}"
                now_s = self._dependencies.clock()
                asked_s = retry_after_s(error.response.headers, now_s=now_s)
            except (openai.APIConnectionError, TimeoutError):
                what = "could not be reached or cut the connection"
            except ValueError:
                what = "answered with something that is not JSON"
            if attempt < self._options.attempts:
                pause = self._options.backoff.wait_s(attempt, asked_s=asked_s, rng=self._rng)
                await self._dependencies.sleep(pause)
        raise UpstreamError(
            f"{self.endpoint} {what}, {self._options.attempts} times; batches that were sent go "
            "on without us: run again with --resume",
            retryable=True,
        )

    def _final(self, error: openai.APIStatusError) -> UpstreamError:
        api_error = read_api_error(error.status_code, error.response.text)
        if error.status_code == 404:
            msg = (
                f"{self.endpoint} has no such batch or file, or no batches at all (404); "
                "check AUTOINTERP_LLM_BASE_URL or run without --batch"
            )
            return LostBatchError(msg)
        final = final_error(api_error, endpoint=self.endpoint, model=self._model, secret=self._key)
        # What is refused here is a batch, and not one request for what is in it.
        return UpstreamError(hidden_in(str(final), self.hidden), retryable=False)


def _batch(reply: object, endpoint: str) -> Batch:
    if isinstance(reply, Batch) and isinstance(reply.id, str) and reply.status is not None:
        return reply
    msg = f"{endpoint} answered with something that is not a batch; run without --batch"
    raise UpstreamError(msg, retryable=False)


class _LineResponse(BaseModel):
    status_code: int
    body: Any = None


class _LineError(BaseModel):
    code: str | None = None
    message: str | None = None


class _ResultLine(BaseModel):
    custom_id: str
    response: _LineResponse | None = None
    error: _LineError | None = None


def to_line(custom_id: str, body: dict[str, Any]) -> bytes:
    """One request, with its line end."""
    line = {"custom_id": custom_id, "method": "POST", "url": ENDPOINT, "body": body}
    return json.dumps(line, ensure_ascii=True).encode() + b"\n"


def read_lines(
    data: bytes, *, model: str, batch: str, hidden: Sequence[str] = ()
) -> dict[str, Outcome]:
    """The outcome of each request in a file of results or errors, by custom id.

    Lines that are not of its form are left out; no message shows what is to be hidden.
    """
    outcomes: dict[str, Outcome] = {}
    for text in data.split(b"\n"):
        try:
            line = _ResultLine.model_validate_json(text)
        except ValidationError:
            continue
        outcome = _outcome(line, model=model, batch=batch)
        if isinstance(outcome, RequestRefusedError):
            outcome = RequestRefusedError(hidden_in(str(outcome), hidden))
        outcomes[line.custom_id] = outcome
    return outcomes


def _outcome(line: _ResultLine, *, model: str, batch: str) -> Outcome:
    where = f"one request of batch {batch}"
    if line.error is not None:
        detail = shortened_line(line.error.message or line.error.code or "no reason given")
        if line.error.code in _NEVER_RUN:
            msg = f"{where} was never run: {detail}; run again with --resume"
            return UpstreamError(msg, retryable=False)
        return RequestRefusedError(f"{where} failed: {detail}")
    if line.response is None:
        return RequestRefusedError(f"{where} has neither a response nor an error")
    body = json.dumps(line.response.body)
    status = line.response.status_code
    if status != 200:
        detail = shortened_line(read_api_error(status, body).text or "no reason given")
        return RequestRefusedError(f"{where} was answered {status}: {detail}")
    try:
        return read_reply(body.encode(), model=model)
    except (BrokenReplyError, NotJsonError, WrongShapeError) as error:
        msg = f"{where} was answered with something that is not a chat completion ({error})"
        return RequestRefusedError(msg)

"""The lines of OpenAI's Batch API: requests as they are uploaded, results as they come back."""

from __future__ import annotations

import json
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from autointerp.core.errors import RequestRefusedError, UpstreamError
from autointerp.llm.api_errors import read_api_error
from autointerp.llm.protocol import ChatReply
from autointerp.llm.wire_format import NotJsonError, WrongShapeError, read_reply

ENDPOINT: Final = "/v1/chat/completions"
_LONGEST_DETAIL = 200
# Requests that were never run, and not for what is in them: they cost nothing, and asking again
# at once would wait for another day.
_NEVER_RUN = frozenset({"batch_expired", "batch_cancelled"})

Outcome = ChatReply | UpstreamError
"""What became of one request."""


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


def read_lines(data: bytes, *, model: str, batch: str, secret: str) -> dict[str, Outcome]:
    """The outcome of each request in a file of results or errors, by custom id.

    Args:
        data: the file; lines that are not of its form are left out.
        model: name to use where the endpoint does not say which model answered.
        batch: name of the batch, for messages.
        secret: the API key, which no message shows.
    """
    outcomes: dict[str, Outcome] = {}
    for text in data.split(b"\n"):
        try:
            line = _ResultLine.model_validate_json(text)
        except ValidationError:
            continue
        outcome = _outcome(line, model=model, batch=batch)
        if isinstance(outcome, RequestRefusedError) and secret:
            outcome = RequestRefusedError(str(outcome).replace(secret, "***"))
        outcomes[line.custom_id] = outcome
    return outcomes


def _outcome(line: _ResultLine, *, model: str, batch: str) -> Outcome:
    where = f"one request of batch {batch}"
    if line.error is not None:
        detail = _cut(line.error.message or line.error.code or "no reason given")
        if line.error.code in _NEVER_RUN:
            msg = f"{where} was never run: {detail}; run again with --resume"
            return UpstreamError(msg, retryable=False)
        return RequestRefusedError(f"{where} failed: {detail}")
    if line.response is None:
        return RequestRefusedError(f"{where} has neither a response nor an error")
    body = json.dumps(line.response.body)
    status = line.response.status_code
    if status != 200:
        detail = _cut(read_api_error(status, body).text or "no reason given")
        return RequestRefusedError(f"{where} was answered {status}: {detail}")
    try:
        return read_reply(body.encode(), model=model)
    except (NotJsonError, WrongShapeError) as error:
        msg = f"{where} was answered with something that is not a chat completion ({error})"
        return RequestRefusedError(msg)


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_DETAIL else line[:_LONGEST_DETAIL] + "..."

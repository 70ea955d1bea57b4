"""The lines of OpenAI's Batch API: requests as they are uploaded, results as they come back."""

from __future__ import annotations

import json
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

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


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Response(_Wire):
    status_code: int
    body: Any = None


class _Error(_Wire):
    code: str | None = None
    message: str | None = None


class _Line(_Wire):
    custom_id: str
    response: _Response | None = None
    error: _Error | None = None


def to_line(custom_id: str, body: dict[str, Any]) -> bytes:
    """One request, with its line end."""
    line = {"custom_id": custom_id, "method": "POST", "url": ENDPOINT, "body": body}
    return json.dumps(line, ensure_ascii=True).encode() + b"\n"


def read_lines(data: bytes, *, model: str, batch: str, secret: str) -> dict[str, Outcome]:
    """What became of the requests that a file of results or errors tells of, by custom id.

    Args:
        data: the file; lines that are not of its form are left out.
        model: name to use where the endpoint does not say which model answered.
        batch: name of the batch, for messages.
        secret: the API key, which no message shows.
    """
    found: dict[str, Outcome] = {}
    for text in data.split(b"\n"):
        try:
            line = _Line.model_validate_json(text)
        except ValidationError:
            continue
        outcome = _outcome(line, model=model, batch=batch)
        if isinstance(outcome, RequestRefusedError) and secret:
            outcome = RequestRefusedError(str(outcome).replace(secret, "***"))
        found[line.custom_id] = outcome
    return found


def _outcome(line: _Line, *, model: str, batch: str) -> Outcome:
    where = f"one request of batch {batch}"
    if line.error is not None:
        said = _cut(line.error.message or line.error.code or "no reason given")
        if line.error.code in _NEVER_RUN:
            msg = f"{where} was never run: {said}; run again with --resume"
            return UpstreamError(msg, retryable=False)
        return RequestRefusedError(f"{where} failed: {said}")
    if line.response is None:
        return RequestRefusedError(f"{where} has neither a response nor an error")
    body = json.dumps(line.response.body)
    if line.response.status_code != 200:
        said = _cut(read_api_error(line.response.status_code, body).text or "no reason given")
        return RequestRefusedError(f"{where} was answered {line.response.status_code}: {said}")
    try:
        return read_reply(body.encode(), model=model)
    except (NotJsonError, WrongShapeError) as error:
        return RequestRefusedError(f"{where} was answered with no chat completion ({error})")


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_DETAIL else line[:_LONGEST_DETAIL] + "..."

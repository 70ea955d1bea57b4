"""Replies in another shape than OpenAI's: in envelopes, and in the formats of other services."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

_DEEPEST, _MOST = 3, 20
_STOPPED = ("stop", "end_turn", "completed", "complete", "succeeded", "success", "ok", "200")
CUT = re.compile(
    r"length|max.?(?:output|completion)?.?(?:tokens|reached)|token.?limit|truncat|incomplete"
    r"|context.?window",
    re.IGNORECASE,
)
_FAULT = re.compile("[45][0-9][0-9]|error|failure", re.IGNORECASE)
"""A status of a service that failed, as in HTTP or in a word."""
_REASON = re.compile(r"(?:finish|stop|done|end)_?reason", re.IGNORECASE)
_TEXTS = ("generated_text", "output_text", "response", "completion", "generation", "text", "output")
_BESIDE = ("usage", "model", "error")


def as_completion(value: object, depth: int = 0) -> dict[str, Any] | None:
    """The completion that a value is or holds, with what stands beside it, if any.

    It is in an envelope such as ``{"data": ...}``, in text, or in the format of another service.
    """
    if isinstance(value, str) and value.lstrip().startswith("{"):
        with suppress(ValueError, RecursionError):
            value = json.loads(value, strict=False)
    if isinstance(value, dict):
        listed = value.get("choices")
        if isinstance(listed, list) and listed:
            return value
        choice = _choice_of(value)
        if choice is not None:
            return {**value, "choices": [choice]}
    if depth == _DEEPEST or not isinstance(value, dict | list):
        return None
    named = value if isinstance(value, dict) else dict(enumerate(value))
    inner = list(named.values())[:_MOST]
    completion = next((one for part in inner if (one := as_completion(part, depth + 1))), None)
    if completion is None or not isinstance(value, dict):
        return completion
    first = completion["choices"][0]
    if isinstance(first, dict) and first.get("finish_reason") is None:
        completion = {
            **completion,
            "choices": [{**first, **_reason_of(value)}, *completion["choices"][1:]],
        }
    return {**{name: value[name] for name in _BESIDE if name in value}, **completion}


def _choice_of(value: dict[str, Any]) -> dict[str, Any] | None:
    """The first choice, in OpenAI's format, of choices that are not a list."""
    for listed in (value.get("choices"), value.get("candidates")):
        parts = list(listed.values()) if isinstance(listed, dict) else listed
        first = parts[0] if isinstance(parts, list) and parts else None
        one = first if isinstance(first, dict) else listed
        is_choice = isinstance(one, dict) and one.keys() & {"message", "content", "finishReason"}
        if isinstance(one, dict) and is_choice:
            return {"message": {"content": one.get("content")}, **one, **_reason_of(one)}
    message, output = value.get("message"), value.get("output")
    if isinstance(message, dict) and "content" in message:
        return {"message": message, **_reason_of(value)}
    if value.get("role") == "assistant" and isinstance(value.get("content"), list):
        return {"message": {"content": value["content"]}, **_reason_of(value)}
    given = next((value[name] for name in _TEXTS if isinstance(value.get(name), str)), None)
    # Other text may be that of an error.
    is_fault = _FAULT.fullmatch(str(value.get("status")))
    if given is not None and not is_fault and (_TEXTS[0] in value or _is_whole(value)):
        return {"message": {"content": given}, **_reason_of(value)}
    items = [one for one in output if isinstance(one, dict)] if isinstance(output, list) else []
    answers = [one.get("content", one.get("arguments")) for one in items if _answers(one)]
    if not answers and not value.get("incomplete_details"):
        return None
    answers = [part for one in answers for part in (one if isinstance(one, list) else [one])]
    thoughts = [one for one in items if one.get("type") == "reasoning"]
    return {"message": {"content": answers, "reasoning": thoughts}, **_reason_of(value)}


def _answers(item: dict[str, Any]) -> bool:
    return item.get("type") in {"message", "function_call"}


def _reason_of(value: dict[str, Any]) -> dict[str, object]:
    """Why a reply ended, under OpenAI's name."""
    details = value.get("incomplete_details")
    inner = details.get("reason") if isinstance(details, dict) else None
    reasons = [one for name, one in value.items() if one and _REASON.fullmatch(name)]
    reason = inner or next(iter(reasons), None) or value.get("status")
    return {"finish_reason": "stop" if str(reason).lower() in _STOPPED else reason}


def _is_whole(value: dict[str, Any]) -> bool:
    """Whether something is said of how a reply ended, or what it cost."""
    status = str(value.get("status")).lower()
    # A status may also say that it is busy.
    has_ended = status in _STOPPED or CUT.search(status)
    return bool(has_ended) or any(_REASON.fullmatch(n) or n in {"done", "usage"} for n in value)


def failure_in(value: object, is_event: bool) -> dict[str, Any] | None:
    """The error that an event of a stream reports, or a response that has failed, if any."""
    if not isinstance(value, dict) or value.get("choices"):
        return None
    inner = value["response"] if isinstance(value.get("response"), dict) else value
    error = inner.get("error") or value.get("error")
    states = f"{inner.get('status')} {value.get('type')} {value.get('object')}"
    is_fault = bool(_FAULT.fullmatch(str(inner.get("status"))))
    has_failed = is_fault or re.search("failed" if not is_event else "failed|error", states)
    is_told_by_reason = error is None and inner.get("output") and not is_fault
    if not (has_failed or (error and is_event)) or is_told_by_reason:
        return None
    error = error or inner
    return {"error": error if isinstance(error, dict) else {"message": str(error)}}


def as_chunk(value: object) -> dict[str, Any] | None:
    """The chunk in OpenAI's format that an event of another service's stream is, if any."""
    delta = value.get("delta") if isinstance(value, dict) else None
    if not isinstance(value, dict) or "choices" in value or not isinstance(delta, dict | str):
        return None
    if isinstance(delta, str):
        name = "content" if "text" in str(value.get("type")) else "reasoning"
        return {"choices": [{"delta": {name: delta}}]}
    parts = {"content": delta.get("text"), "thinking": delta.get("thinking")}
    return {"choices": [{"delta": parts, "finish_reason": delta.get("stop_reason")}]}

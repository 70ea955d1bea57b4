"""Replies in another shape than OpenAI's: in envelopes, and in the formats of other services."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

_DEEPEST, _MOST = 3, 20
_STOPPED = (
    *("stop", "end_turn", "finish", "finished", "completed", "complete", "succeeded", "success"),
    *("ok", "200"),
)
CUT = re.compile(
    r"length|max.?(?:output|completion)?.?(?:tokens|reached)|token.?limit|truncat|incomplete"
    r"|context.?window",
    re.IGNORECASE,
)
_FAULT = re.compile("[45][0-9][0-9]|error|failure", re.IGNORECASE)
"""A status of a service that failed, as in HTTP or in a word."""
_REASON = re.compile(r"(?:finish|stop|done|end|complet\w+)_?reason", re.IGNORECASE)
_GENERATED = ("generated_text", "output_text", "outputText", "predictions")
_REPLIES = frozenset({"candidates", "completions", "generations", "outputs"})
"""Names of nothing but what a model wrote, and of lists of it."""
_TEXTS = (
    *(*_GENERATED, "response", "completion", "generation", "text", "output", "answer", "result"),
    "content",
)
_ENDED = ("success", "stop", "is_end", "done")
"""Names under which services say with a yes that a reply is whole."""
_BESIDE = ("usage", "model", "error")


def as_completion(
    value: object, depth: int = 0, *, is_whole: bool = False
) -> dict[str, Any] | None:
    """The completion that a value is or holds, with what stands beside it, if any.

    It is in an envelope such as ``{"data": ...}``, in text, or in the format of another service.
    Whether it is told around it that a reply is whole.
    """
    if isinstance(value, str) and value.lstrip().startswith("{"):
        with suppress(ValueError, RecursionError):
            value = json.loads(value, strict=False)
    if isinstance(value, dict):
        listed = value.get("choices")
        if isinstance(listed, list) and listed:
            return value
        choice = _choice_of(value, is_whole=is_whole)
        if choice is not None:
            return {**value, "choices": [choice]}
    turn = _last_turn(value)
    if turn is not None:
        return {"choices": [{"message": turn}]}
    if depth == _DEEPEST or not isinstance(value, dict | list):
        return None
    named = value if isinstance(value, dict) else dict(enumerate(value))
    inner = list(named.items())[:_MOST]
    is_whole = is_whole or (isinstance(value, dict) and _is_whole(value))
    completions = (
        as_completion(
            part, depth + 1, is_whole=(is_whole and name not in _BESIDE) or name in _REPLIES
        )
        for name, part in inner
    )
    completion = next(filter(None, completions), None)
    if completion is None or not isinstance(value, dict):
        return completion
    first = completion["choices"][0]
    if isinstance(first, dict) and first.get("finish_reason") is None:
        completion = {
            **completion,
            "choices": [{**first, **_reason_of(value)}, *completion["choices"][1:]],
        }
    return {**{name: value[name] for name in _BESIDE if name in value}, **completion}


def _last_turn(value: object) -> dict[str, Any] | None:
    """What an assistant wrote last in a list of turns, which begins with others'."""
    turns = value if isinstance(value, list) else []
    turns = turns if all(isinstance(one, dict) and "role" in one for one in turns) else []
    return turns[-1] if len(turns) > 1 and turns[-1]["role"] == "assistant" else None


def _text_in(value: dict[str, Any]) -> tuple[str, str] | None:
    """A text and under which name, in one piece or several."""
    for name in _TEXTS:
        parts = value.get(name)
        parts = [parts] if isinstance(parts, str) else parts
        if isinstance(parts, list) and parts and all(isinstance(one, str) for one in parts):
            return name, "".join(parts)
    return None


def _choice_of(value: dict[str, Any], *, is_whole: bool) -> dict[str, Any] | None:
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
    given = _text_in(value)
    # Other text may be that of an error.
    is_fault = _FAULT.fullmatch(str(value.get("status")))
    is_whole = is_whole or _is_whole(value)
    if given is not None and not is_fault and (given[0] in _GENERATED or is_whole):
        return {"message": {"content": given[1]}, **_reason_of(value)}
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
    is_told = any(value.get(name) is True for name in _ENDED) or value.get("isError") is False
    return bool(has_ended) or is_told or any(_REASON.fullmatch(n) or n == "usage" for n in value)


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

"""The JSON in a body, whatever stands around it: a BOM, comments, ``[DONE]``, a whole stream."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

_DONE = "[DONE]"
_DECODER = json.JSONDecoder(strict=False)
_OF_STREAMS = ("event:", "id:", "retry:", ":")


def read_json(body: bytes) -> object:
    """The value in a body; the chunks of a stream that nobody asked for as one completion.

    Raises:
        ValueError: there is none, or the stream breaks off.
    """
    text = body.decode(json.detect_encoding(body), "replace").lstrip("\ufeff\0")
    values, is_done = _values(text)
    if len(values) == 1 and not _is_chunk(values[0]):
        return values[0]
    whole = next((value for value in values if not _is_chunk(value) and _says_more(value)), None)
    chunks = [value for value in values if isinstance(value, dict) and "choices" in value]
    return whole if whole is not None else _joined(chunks, is_done=is_done)


def _values(text: str) -> tuple[list[Any], bool]:
    """The JSON values one after another, and whether the end of a stream was announced."""
    values: list[Any] = []
    is_done, at = False, 0
    while (at := _next(text, at)) < len(text):
        if text.startswith(_DONE, at):
            is_done, at = True, at + len(_DONE)
            continue
        try:
            value, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            if values:
                break
            value, at = _behind_a_prefix(text, at, error)
        values.append(value)
    if not values:
        raise ValueError("an empty body")
    return values, is_done


def _next(text: str, at: int) -> int:
    """Where the next value begins: behind white space and what streams put before data."""
    while at < len(text):
        at += len(text[at : at + 64]) - len(text[at : at + 64].lstrip())
        if text.startswith("data:", at):
            at += len("data:")
        elif text.startswith(_OF_STREAMS, at):
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
        elif at < len(text) and not text[at].isspace():
            break
    return at


def _behind_a_prefix(text: str, at: int, error: Exception) -> tuple[Any, int]:
    """A completion or an error that begins at the first brace, as behind ``)]}'``."""
    start = text.find("{", at, at + 1_000)
    if start >= 0 and "<" not in text[at:start]:
        try:
            value, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            raise ValueError(str(error)) from None
        if "choices" in value or "error" in value:
            return value, end
    raise ValueError(str(error)) from None


def _is_chunk(value: object) -> bool:
    choices = value.get("choices") if isinstance(value, dict) else None
    if not isinstance(choices, list) or not isinstance(value, dict):
        return False
    chunked = value.get("object") == "chat.completion.chunk"
    return chunked or any(isinstance(one, dict) and "delta" in one for one in choices)


def _says_more(value: object) -> bool:
    """Whether it is more than the usage that ends a stream."""
    return not isinstance(value, dict) or bool(value.get("choices") or value.get("error"))


def _joined(chunks: Sequence[dict[str, Any]], *, is_done: bool) -> dict[str, Any]:
    """The completion that the chunks of its first choice come to.

    Raises:
        ValueError: nothing says that the stream has ended.
    """
    choices = [one for chunk in chunks for one in chunk["choices"] or () if isinstance(one, dict)]
    choices = [one for one in choices if one.get("index", 0) in (0, None)]
    reasons = _given(one.get("finish_reason") for one in choices)
    if not reasons and not is_done:
        raise ValueError("a stream that breaks off")
    message: dict[str, Any] = {}
    for delta in (one.get("delta") or one.get("message") for one in choices):
        for name, part in delta.items() if isinstance(delta, dict) else ():
            if name != "role" and part is not None:
                message.setdefault(name, []).extend(part if isinstance(part, list) else [part])
    tokens = [
        one["logprobs"].get("content") or [] for one in choices if _is_object(one, "logprobs")
    ]
    content = [token for part in tokens if isinstance(part, list) for token in part]
    last = {name: part for chunk in chunks for name, part in chunk.items() if part is not None}
    choice = {
        "message": message,
        "finish_reason": reasons[-1] if reasons else "stop",
        "logprobs": {"content": content} if content else None,
    }
    return {**last, "object": "chat.completion", "choices": [choice]}


def _given(values: Iterable[object]) -> list[object]:
    return [value for value in values if value is not None]


def _is_object(value: dict[str, Any], name: str) -> bool:
    return isinstance(value.get(name), dict)

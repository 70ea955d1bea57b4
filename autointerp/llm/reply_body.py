"""What is in the body of a reply, in whatever shape: its JSON, content, logprobs and usage."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from autointerp.llm.chat_model import TokenChoice, Usage, ranked
from autointerp.llm.foreign_replies import as_chunk, as_completion, failure_in

_DONE = "[DONE]"
_DECODER = json.JSONDecoder(strict=False)
_OF_STREAMS = ("event:", "id:", "retry:", ":")
# What OpenAI itself sends for a token too improbable to have a number.
_IMPROBABLE = -9999.0
_DEEPEST = 6
_ANSWERS = frozenset({"text", "output_text", "message", "audio", "output_audio"})
_THOUGHTS = re.compile(r"reason|think|thought", re.IGNORECASE)
_COUNTS = (
    ("prompt_tokens", "input_tokens", "promptTokenCount", "prompt_eval_count"),
    ("completion_tokens", "output_tokens", "candidatesTokenCount", "eval_count"),
)
"""What tokens of prompts and replies are called."""
_TEXTS = (
    *("text", "content", "value", "parts", "summary", "thinking", "reasoning", "transcript"),
    "audio",
)


def as_utf8(body: bytes, charset: str | None) -> bytes:
    """A body in UTF-8, whatever it came in; where its bytes do not tell, its header may."""
    for name in (json.detect_encoding(body), "utf-8", charset or "", "cp1252"):
        with suppress(UnicodeDecodeError, LookupError):
            text = body.decode(name).lstrip("\ufeff\0")
            return text.encode("utf-8", "replace")
    return body.decode("latin-1").encode()


def read_json(body: bytes) -> object:
    """The value in a body; the chunks of a stream that nobody asked for as one completion.

    Raises:
        ValueError: there is none, or the stream breaks off.
    """
    text = body.decode(json.detect_encoding(body), "replace").lstrip("\ufeff\0")
    values, is_done = _values(text)
    if len(values) == 1 and isinstance(values[0], list) and len(values[0]) > 1:
        # A stream may come as one list.
        values = values[0]
    failed = next((one for value in values if (one := failure_in(value, len(values) > 1))), None)
    if failed is not None:
        return failed
    values = [as_completion(value) or as_chunk(value) or value for value in values]
    if len(values) == 1 and not _is_chunk(values[0]):
        return values[0]
    parts = _is_in_parts(values)
    whole = (v for v in values if not (_is_chunk(v) or parts) and _says_more(v))
    chunks = [value for value in values if isinstance(value, dict) and "choices" in value]
    return next(whole, None) or _joined(chunks, is_done=is_done)


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
            plain = _without_field_names(text)
            if plain != text:
                return _values(plain)
            value, at = _behind_a_prefix(text, at, error)
        values.append(value)
    if not values:
        raise ValueError("an empty body")
    return values, is_done


def _without_field_names(text: str) -> str:
    """The text without what begins each line of an event."""
    return re.sub(r"^data: ?", "", text, flags=re.MULTILINE)


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


def _is_in_parts(values: Sequence[Any]) -> bool:
    """Whether a message that is not a chunk only begins one that a later value ends."""
    chunks = [one for one in values if isinstance(one, dict) and one.get("choices")]
    ends = [isinstance(one := v["choices"][0], dict) and one.get("finish_reason") for v in chunks]
    first = next((i for i, one in enumerate(chunks) if not _is_chunk(one)), len(chunks))
    return not all(ends[first : first + 1]) and any(ends[first + 1 :])


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
    # Usage alone is sent at the end.
    is_done = is_done or any(not chunk["choices"] and chunk.get("usage") for chunk in chunks)
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


@dataclass(frozen=True, slots=True)
class Content:
    """The text of a message."""

    answer: str
    thoughts: str
    """What came apart from the answer, in a field or a part of its own."""


def read_content(message: dict[str, Any]) -> Content:
    """The answer of a message, which is in its parts of type text, and its thoughts."""
    parts = list(_parts(message.get("content"), is_answer=True))
    for name, value in message.items():
        if name != "content" and _THOUGHTS.search(name):
            parts += _parts(value, is_answer=False)
    answer = "".join(text for text, is_answer in parts if is_answer)
    answer = _decoded(answer) or "".join(_arguments(message)) or _text_of(message)
    return Content(answer, "".join(text for text, is_answer in parts if not is_answer))


def _decoded(text: str) -> str:
    """What JSON text within a JSON string says."""
    try:
        inner = json.loads(text) if text.lstrip()[:2] in {'"{', '"['} else text
    except ValueError:
        return text
    return inner if isinstance(inner, str) else text


def _text_of(message: dict[str, Any]) -> str:
    """The answer of a message without content, where it stands under another name."""
    given = message.get("parsed") or message.get("text") or _transcript(message.get("audio"))
    return json.dumps(given) if isinstance(given, dict) else given if isinstance(given, str) else ""


def _transcript(audio: object) -> str:
    """What is said in audio, of which a stream holds several pieces."""
    pieces = audio if isinstance(audio, list) else [audio]
    said = (one.get("transcript") for one in pieces if isinstance(one, dict))
    return "".join(one for one in said if isinstance(one, str))


def _arguments(message: dict[str, Any]) -> Iterator[str]:
    """The arguments of calls, in which some services put JSON that was asked for."""
    listed = (message.get("tool_calls"), message.get("content"))
    calls = [call for one in listed if isinstance(one, list) for call in one]
    for call in [*calls, message]:
        one = call.get("function", call.get("function_call")) if isinstance(call, dict) else None
        given = one.get("arguments") if isinstance(one, dict) else None
        if isinstance(call, dict) and isinstance(call.get("input", call.get("json")), dict):
            given = call.get("input", call.get("json"))
        if isinstance(given, str | dict):
            yield given if isinstance(given, str) else json.dumps(given)


def _parts(value: object, *, is_answer: bool, depth: int = 0) -> Iterator[tuple[str, bool]]:
    """Texts in order, and whether each belongs to the answer."""
    if isinstance(value, str):
        yield value, is_answer
    elif isinstance(value, list) and depth < _DEEPEST:
        for one in value:
            yield from _parts(one, is_answer=is_answer, depth=depth + 1)
    elif isinstance(value, dict) and depth < _DEEPEST:
        is_answer = is_answer and value.get("type", "text") in _ANSWERS
        is_answer = is_answer and value.get("thought") is not True
        given = next((value[name] for name in _TEXTS if value.get(name)), None)
        is_message = not value.keys() - {"role"} or value.keys() & {"type", *_TEXTS}
        if given is None and depth == 0 and not is_message:
            # The JSON that was asked for, as it is.
            given = json.dumps(value)
        yield from _parts(given, is_answer=is_answer, depth=depth + 1)


def read_logprobs(value: object) -> tuple[TokenChoice, ...] | None:
    """Generated tokens with log-probabilities; None where they have another shape than OpenAI's."""
    content = value.get("content") if isinstance(value, dict) else None
    if not isinstance(content, list):
        return None
    tokens = [_token(one) for one in content]
    known = [token for token in tokens if token is not None]
    return tuple(known) if len(known) == len(tokens) else None


def _token(value: object) -> TokenChoice | None:
    if not isinstance(value, dict) or not isinstance(value.get("token"), str):
        return None
    token, logprob = value["token"], _logprob(value.get("logprob"))
    tops = value.get("top_logprobs") or []
    if isinstance(tops, dict):
        pairs = list(tops.items())
    elif isinstance(tops, list) and all(isinstance(one, dict) for one in tops):
        pairs = [(one.get("token"), one.get("logprob")) for one in tops]
    else:
        return None
    known = {name: _logprob(number) for name, number in pairs if isinstance(name, str)}
    result = {name: number for name, number in known.items() if number is not None}
    chosen = _IMPROBABLE if logprob is None else logprob
    # A grammar may have forced a token that is not among the most probable ones.
    result.setdefault(token, chosen)
    return TokenChoice(token, chosen, ranked(result.items()))


def _logprob(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def read_usage(value: object) -> Usage:
    """Tokens that a reply cost; 0 where they are not given or not numbers."""
    if not isinstance(value, dict):
        return Usage()
    named = [next((value[one] for one in names if one in value), None) for names in _COUNTS]
    details = value.get("prompt_tokens_details")
    cached = n_tokens(details.get("cached_tokens")) if isinstance(details, dict) else 0
    return Usage(n_tokens(named[0]), n_tokens(named[1]), cached)


def n_tokens(value: object) -> int:
    """A count in whatever form, rounded up; 0 where it is not a count."""
    try:
        number = float(value) if isinstance(value, int | float | str) else 0.0
    except (ValueError, OverflowError):
        return 0
    return math.ceil(number) if math.isfinite(number) and 0 < number < 1e12 else 0

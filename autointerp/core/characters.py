r"""Characters that several tokens share, put together again.

A token of a byte-level vocabulary may hold a part of a character. Alone it is shown by its bytes,
``\xe6``; where all parts stand in a row, people and LLMs are shown the character.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence

_BYTE = "x[89a-f][0-9a-f]"
_ESCAPE = re.compile(rf"\\x([89a-f][0-9a-f]|5c(?={_BYTE}|x5c))")
# Text of a token that would be read as such an escape.
_LOOKS_LIKE_ONE = re.compile(rf"\\(?={_BYTE}|x5c(?:{_BYTE}|x5c))".encode())
_IN_JSON = re.compile(r"\\(\\x[89a-f][0-9a-f])")


def spell_bytes(raw: bytes) -> str:
    r"""A token's text by its bytes, with ``\xe6`` for each that is part of no character in it.

    A backslash that would begin such an escape is itself written as one, ``\x5cxe6``.
    """
    return _LOOKS_LIKE_ONE.sub(rb"\\x5c", raw).decode("utf-8", "backslashreplace")


def join_tokens(tokens: Sequence[str]) -> str:
    """The text of tokens in a row, with whole characters where all their parts are there."""
    text = "".join(tokens)
    if "\\x" not in text:
        return text
    return b"".join(map(_raw, tokens)).decode("utf-8", "backslashreplace")


def character_runs(tokens: Sequence[str]) -> tuple[range, ...]:
    """The 0-based positions of the tokens, those together that share a character."""
    if not any("\\x" in token for token in tokens):
        return tuple(range(i, i + 1) for i in range(len(tokens)))
    starts: list[int] = []
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    for i, token in enumerate(tokens):
        raw = _raw(token)
        goes_on = bool(decoder.getstate()[0]) and raw[:1] >= b"\x80" and raw[0] < 0xC0
        if not goes_on:
            starts.append(i)
            decoder.reset()
        decoder.decode(raw)
    return tuple(map(range, starts, [*starts[1:], len(tokens)]))


def whole_characters(
    tokens: Sequence[str], values: Sequence[float]
) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """The tokens, those that share a character as one, and the greatest value of each."""
    runs = character_runs(tokens)
    texts = tuple(join_tokens(tokens[run.start : run.stop]) for run in runs)
    return texts, tuple(max(values[run.start : run.stop]) for run in runs)


def spread_over_characters(values: Sequence[int], tokens: Sequence[str]) -> tuple[int, ...]:
    """For each token the greatest value of those that it shares a character with."""
    runs = character_runs(tokens)
    return tuple(max(values[run.start : run.stop]) for run in runs for _ in run)


def whole_slice(tokens: Sequence[str], start: int, stop: int) -> slice:
    """The slice of tokens from ``start`` to ``stop``, widened so that it cuts no character."""
    start, stop = max(0, start), min(stop, len(tokens))
    runs = [run for run in character_runs(tokens) if run.start < stop and start < run.stop]
    return slice(runs[0].start, runs[-1].stop) if runs else slice(start, stop)


def shown_escapes(json_text: str) -> str:
    r"""A JSON string for people: ``"\xe6"`` and not ``"\\xe6"``."""
    return _IN_JSON.sub(r"\1", json_text)


def _raw(token: str) -> bytes:
    encoded = token.encode("utf-8", "surrogatepass").decode("latin-1")
    return _ESCAPE.sub(lambda byte: chr(int(byte[1], 16)), encoded).encode("latin-1")

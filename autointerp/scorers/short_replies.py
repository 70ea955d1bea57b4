"""Replies that should hold one number and nothing else that matters."""

from __future__ import annotations

import re

from autointerp.llm import ChatReply
from autointerp.llm.reply_formats import without_reasoning

_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*")


class UnreadableNumberError(ValueError):
    """The reply names no number of those asked for, or several; the message says what it held."""


def read_number(reply: ChatReply, *, low: int, high: int) -> int:
    """The one number in a reply.

    Raises:
        UnreadableNumberError: there is none, or several, or another than asked for.
    """
    found = set(_NUMBER.findall(without_reasoning(reply.text)))
    allowed = {str(number) for number in range(low, high + 1)}
    if len(found) != 1 or not found <= allowed:
        said = f"{reply.text[:40]!r} ({reply.finish_reason})"
        msg = f"asked for one number from {low} to {high}, found {said}"
        raise UnreadableNumberError(msg)
    return int(found.pop())

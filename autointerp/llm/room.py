"""Room for prompts and replies: what a refusal states of it, and prompts that were cut silently."""

from __future__ import annotations

import re
from dataclasses import dataclass

from autointerp.llm.capabilities import LIMITS
from autointerp.llm.chat_model import Usage

_NUMBER = re.compile(r"\d+(?:[,.\u202f\u00a0']\d{3})*")
_LEAST_CONTEXT = 512
# A number below this is no context that a server has, but a usage that means nothing.
_LEAST_READ = 32
# Tokenizers need about four bytes a token; none comes near these, whatever the language.
_MOST_BYTES_A_TOKEN, _LEAST_BYTES = 20, 800


@dataclass(frozen=True, slots=True)
class StatedRoom:
    """What an endpoint says there is room for."""

    limit: int
    """Tokens of a reply to this prompt; 0 or less where the prompt itself does not fit."""
    n_ctx: int | None
    """Tokens of a prompt with its reply; None where it is about replies alone."""


def stated_room(text: str, *, limit: int | None, n_bytes: int) -> StatedRoom | None:
    """The room that a refusal's numbers state; None where they state none.

    The limit is the one that was sent, with a prompt of so many bytes. Only numbers and the names
    of the limit are read, which are the same in every language.
    """
    numbers = sorted({int(re.sub(r"\D", "", n)) for n in _NUMBER.findall(text)}, reverse=True)
    sent = limit or 0
    for total in numbers:
        # A prompt's tokens are given with or without those of the reply.
        for n_prompt in {total - sent, total} & {*range(n_bytes // 12, n_bytes + 500)}:
            contexts = (n for n in numbers if n < total and n != sent and _is_context(n))
            n_ctx = next(contexts, None)
            if n_ctx is not None and n_ctx - n_prompt < (limit or n_ctx):
                return StatedRoom(n_ctx - n_prompt, n_ctx)
    if limit is None or not (limit in numbers or any(name in text for name in LIMITS)):
        return None
    most = next((n for n in numbers if 0 < n < limit), None)
    return None if most is None else StatedRoom(most, None)


def _is_context(number: int) -> bool:
    return number >= _LEAST_CONTEXT and (number % 128 == 0 or number % 1_000 == 0)


class PromptsRead:
    """How many tokens of prompts an endpoint says it has read."""

    def __init__(self) -> None:
        """No prompt yet."""
        self.are_cut = False
        self._bytes: dict[int, tuple[int, int]] = {}

    def is_cut(self, usage: Usage, n_bytes: int) -> bool:
        """Whether a prompt of so many bytes was cut.

        Far too few tokens were read, or a round number that was read of other prompts too, of
        quite another length.
        """
        n_tokens = usage.prompt_tokens
        if n_tokens < _LEAST_READ or n_bytes < _LEAST_BYTES:
            return False
        cut = n_bytes > _MOST_BYTES_A_TOKEN * n_tokens
        if n_tokens % 128 == 0:
            least, most = self._bytes.get(n_tokens, (n_bytes, n_bytes))
            least, most = min(least, n_bytes), max(most, n_bytes)
            self._bytes[n_tokens] = least, most
            cut = cut or most > 1.2 * least
        self.are_cut = self.are_cut or cut
        return cut

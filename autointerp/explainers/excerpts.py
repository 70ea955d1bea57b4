"""Text of a corpus as prompts show it, and how much of it fits a model's context.

Excerpts are cut around peaks, inside JSON strings, with levels. Whatever a corpus holds stays text;
see `core.text`. A token of more than 64 characters is shown by its first 63 and an ellipsis.

What is left out first: the weakest exemplars are dropped until three are left; then the contexts of
those are halved at both ends until the peak token stands alone; then exemplars are dropped down to
one. What still does not fit is not asked. A context has twice as many tokens before a peak as
behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from autointerp.core.characters import whole_characters, whole_slice
from autointerp.core.config import ExplainConfig
from autointerp.core.ids import Side
from autointerp.core.records import ActivationRecord, to_levels
from autointerp.core.text import quoted
from autointerp.llm import UPPER_ESTIMATE, TokenCounter, has_room, prompt_tokens
from autointerp.templates.loader import Role

Turns = Sequence[tuple[Role, str]]
"""(role, text) of every turn of a prompt."""

_FEWEST = 3
_LONGEST_TOKEN = 64
CONTEXT_TOKENS = ExplainConfig().context_tokens
"""Tokens shown before each peak where nothing else is said."""
REASON_CHARS = 240
"""Longest reason with which a reply is asked for again."""
# Asking again adds two turns, the second with some words around such a reason, every letter of
# which may be a token. The first shows as much of the rejected reply as there is room for.
_AGAIN: Turns = (("assistant", ""), ("user", "\\x00" * (REASON_CHARS // 4) + "why " * 20))


class TooLongError(ValueError):
    """Not even one exemplar fits the context; the message says how much there was room for."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of the inputs is shown."""

    n_records: int
    """Exemplars, strongest first; in each list where there are several."""
    before: int = CONTEXT_TOKENS
    """Tokens shown before each peak."""
    after: int = CONTEXT_TOKENS // 2
    """Tokens shown behind it."""


@dataclass(frozen=True, slots=True)
class PromptLimit:
    """What one request may take."""

    n_ctx: int | None
    """Tokens that fit a request with its reply; None where unknown, and nothing is cut."""
    counter: TokenCounter = UPPER_ESTIMATE

    def count(self, turns: Turns) -> int:
        """Tokens of a prompt with what stands around its turns."""
        return prompt_tokens(turns, self.counter)

    def fits(self, turns: Turns, *, reply_tokens: int) -> bool:
        """Whether the prompt, asked again if need be, leaves room for its reply."""
        return self.has_room((*turns, *_AGAIN), reply_tokens=reply_tokens)

    def has_room(self, turns: Turns, *, reply_tokens: int) -> bool:
        """Whether the prompt leaves room for its reply, asked once."""
        return has_room(turns, reply_tokens=reply_tokens, n_ctx=self.n_ctx, counter=self.counter)


def fit_turns(
    render: Callable[[Extent], Turns],
    n_records: int,
    limit: PromptLimit,
    *,
    reply_tokens: int,
    context_tokens: int = CONTEXT_TOKENS,
) -> Turns:
    """The prompt with as much of the inputs as fits, by the rule above.

    There is at least one exemplar. So many tokens are shown before each peak where they fit, and
    half as many behind it.

    Raises:
        TooLongError: the least that can be shown does not fit.
    """
    for extent in _extents(n_records, context_tokens):
        turns = render(extent)
        if limit.fits(turns, reply_tokens=reply_tokens):
            return turns
    raise TooLongError(
        f"the shortest prompt takes {limit.count(turns)} tokens and its reply {reply_tokens}, "
        f"more than the model's context of {limit.n_ctx}"
    )


def _extents(n_records: int, context_tokens: int) -> Iterator[Extent]:
    fewest = min(_FEWEST, n_records)
    for n in range(n_records, fewest, -1):
        yield Extent(n, context_tokens, context_tokens // 2)
    before = context_tokens
    while before:
        yield Extent(fewest, before, before // 2)
        before //= 2
    for n in range(fewest, 0, -1):
        yield Extent(n, 0, 0)


def clipped(token: str) -> str:
    """A token as it is shown."""
    return token if len(token) <= _LONGEST_TOKEN else token[: _LONGEST_TOKEN - 1] + "…"


def cut_around(
    tokens: Sequence[str], values: Sequence[float], place: int, extent: Extent
) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """The tokens around a place, as they are shown, and their values.

    Tokens that share a character are shown as one, with the greatest of their values.
    """
    cut = whole_slice(tokens, place - extent.before, place + extent.after + 1)
    texts, shown = whole_characters(tokens[cut], values[cut])
    return tuple(map(clipped, texts)), shown


def whole_text(tokens: Sequence[str]) -> str:
    """The text of tokens that are shown, as a JSON string."""
    return quoted("".join(tokens))


def render_active(tokens: Sequence[str], activations: Sequence[float], *, peak: float) -> str:
    """``Active: " river" 10, "s" 4``: the tokens from level 1 on, with their levels."""
    levels = to_levels(activations, peak=peak)
    pairs = [
        f"{quoted(token)} {level}" for token, level in zip(tokens, levels, strict=True) if level
    ]
    return f"Active: {', '.join(pairs) or 'nothing'}"


def render_pairs(
    records: Sequence[ActivationRecord], side: Side, peak: float, extent: Extent | None = None
) -> str:
    """Excerpts around their peaks, each with its active tokens and levels."""
    shown = extent or Extent(len(records))
    blocks = []
    for number, record in enumerate(records[: shown.n_records], 1):
        activations = record.side(side)
        place = max(range(len(activations)), key=activations.__getitem__)
        tokens, values = cut_around(record.tokens, activations, place, shown)
        active = render_active(tokens, values, peak=peak)
        blocks.append(f"Excerpt {number}: {whole_text(tokens)}\n{active}")
    return "\n\n".join(blocks)

"""What explainers and scorers may ask of the subject model itself, without holding it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from autointerp.core.ids import Side, UnitId
from autointerp.core.records import rectify

NEUTRAL_PROMPTS = ("Findings show that", "I once heard that", "The next thing is")
"""Beginnings that could lead anywhere."""


@dataclass(frozen=True, slots=True)
class ProbedText:
    """One text that was run through the subject model, and what one unit did on it."""

    text: str
    """The text, or what the token ids that were run read as."""
    tokens: tuple[str, ...]
    """The text's tokens, shape (n_tokens,)."""
    activations: tuple[float, ...]
    """Raw activations of the unit, shape (n_tokens,), model units, either sign."""

    def peak(self, side: Side) -> float:
        """The largest activation of one side, 0 where the side never activates."""
        return max(rectify(self.activations, side), default=0.0)


class UnitProbe(Protocol):
    """Runs texts through the subject model; an LLM's claims about a unit are tried with it."""

    async def measure(self, unit: UnitId, texts: Sequence[str]) -> tuple[ProbedText, ...]:
        """What the unit does on each text, in order; a text beyond the context is cut.

        Raises:
            InputError: a text without tokens, a unit that does not exist, or an activation that
                is not finite.
        """

    async def measure_ids(
        self, unit: UnitId, sequences: Sequence[Sequence[int]]
    ) -> tuple[ProbedText, ...]:
        """What the unit does on each sequence of vocabulary ids, in order.

        The ids are run as they are, behind BOS as windows are: a text that was made from them may
        be tokenized otherwise.

        Raises:
            InputError: an empty sequence, one beyond the context, an id that is not in the
                vocabulary, a unit that does not exist, or an activation that is not finite.
        """

    async def continuations(  # noqa: PLR0913 - what steering is made of
        self,
        unit: UnitId,
        prompts: Sequence[str],
        *,
        sign: float,
        target_kl: float,
        n_tokens: int,
        seed: int,
    ) -> tuple[str, ...]:
        """What the model writes after each prompt while the unit's activation is raised or lowered.

        The sign +1 adds to the activation, -1 takes away, 0 leaves it alone; `target_kl` is how
        far the next-token distribution is moved on average, in nats. A prompt that is given
        several times is continued each time anew.

        Raises:
            InputError: no strength moves the model that far; or a prompt has no tokens or is too
                long.
        """

"""What is asked of units causally, checked before anything is loaded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from autointerp.core.causal_evidence import ControlKind, EvidenceKind, Hold, TextKind
from autointerp.core.errors import InputError
from autointerp.core.one_line import brief_repr, shortened
from autointerp.core.probe import NEUTRAL_PROMPTS

_MOST_CONTROLS = 999
_MOST_WINDOWS = 10_000
_MOST_TOKENS = 1_000
_SEVERAL: Mapping[str, type[StrEnum]] = {
    "holds": Hold,
    "texts": TextKind,
    "against": ControlKind,
}
E = TypeVar("E", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class CausalRequest:
    """One kind of evidence, with what it takes; the same for all units."""

    kind: EvidenceKind
    holds: tuple[Hold, ...] = (Hold.ZERO,)
    """Of an ablation."""
    texts: tuple[TextKind, ...] = tuple(TextKind)
    """Of an ablation."""
    together: bool = False
    """Whether the units are held, or put back, as one set."""
    n_windows: int = 32
    """Held-out windows on which the change of loss is measured overall."""
    n_texts: int = 8
    """Exemplars, windows that the label speaks of, and texts that are attributed, each at most."""
    n_controls: int = 19
    """Of each kind; with 19 the smallest p is 0.05."""
    against: tuple[ControlKind, ...] = tuple(ControlKind)
    """Which controls an ablation has; without directions, units share passes on all text."""
    prompt: str | None = None
    counterfactual: str | None = None
    """Of as many tokens as the prompt."""
    answers: tuple[str, str] | None = None
    """One token each; the most probable behind the two prompts where None."""
    position: int | None = None
    """0-based token at which units are put back; all where None."""
    prompts: tuple[str, ...] = NEUTRAL_PROMPTS
    """Of steering."""
    target_kl: float = 0.5
    """How far steering moves the next token's distribution, nats."""
    n_tokens: int = 25
    """Written behind each prompt of steering."""
    seed: int = 0

    __repr__ = brief_repr

    def __post_init__(self) -> None:
        self._read_names()
        for name, value, most in (
            ("--windows", self.n_windows, _MOST_WINDOWS),
            ("--texts", self.n_texts, _MOST_WINDOWS),
            ("--length", self.n_tokens, _MOST_TOKENS),
        ):
            if not 1 <= value <= most:
                raise InputError(f"{name} is a number from 1 to {most:,}, found {value}")
        if not 0 <= self.n_controls <= _MOST_CONTROLS:
            msg = f"--controls is a number from 0 to {_MOST_CONTROLS}, found {self.n_controls}"
            raise InputError(msg)
        if not (math.isfinite(self.target_kl) and self.target_kl > 0):
            raise InputError(f"--kl is a number of nats above 0, found {self.target_kl}")
        if self.together and self.kind is EvidenceKind.RANK:
            raise InputError("ranks are of single units; leave out --together")
        self._check_prompts()

    def _read_names(self) -> None:
        """In place of a kind, hold, text or control its name may be given, as in notebooks."""
        object.__setattr__(self, "kind", _named("kind", self.kind, EvidenceKind))
        for name, known in _SEVERAL.items():
            given = getattr(self, name)
            each = (given,) if isinstance(given, str) else given
            object.__setattr__(self, name, tuple(_named(name, one, known) for one in each))
        prompts = (self.prompts,) if isinstance(self.prompts, str) else self.prompts
        object.__setattr__(self, "prompts", tuple(prompts))
        if self.answers is not None:
            object.__setattr__(self, "answers", tuple(self.answers))

    def _check_prompts(self) -> None:
        given = [self.prompt is not None, self.counterfactual is not None]
        if self.kind is EvidenceKind.PATCHING:
            if not all(given):
                named = ("--prompt", "--counterfactual")
                found = next((n for n, there in zip(named, given, strict=True) if there), "neither")
                raise InputError(
                    "patching needs --prompt and --counterfactual, two texts with the same number "
                    f"of tokens; no LLM writes one here. Found {found}"
                )
        elif any(given) or self.answers is not None or self.position is not None:
            raise InputError(
                "--prompt, --counterfactual, --answer and --position go with --kind patching"
            )


def _named(place: str, given: str, known: type[E]) -> E:
    try:
        return known(given)
    except ValueError as error:
        msg = f"{place}: {shortened(str(given))} is unknown; there are {', '.join(known)}"
        raise InputError(msg) from error

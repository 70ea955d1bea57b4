"""Steering: a unit is held up or down while the model writes on, as far as a given KL."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.core.seeds import derive_seed
from autointerp.evidence.steered_passes import (
    AddVector,
    Rows,
    check_length,
    next_logprobs,
    of_equal_length,
    steered,
    text_of,
    write_on,
)
from autointerp.subjects import SubjectModel

_GRID = tuple(2.0**power for power in range(-8, 18, 2))
_AT_ONCE = 4
_N_NARROWINGS = 12
_CLOSE, _TOLERATED = 0.02, 0.1


@dataclass(frozen=True, slots=True)
class Steering:
    """A unit, and how much is added to its activation at every position but BOS."""

    unit: UnitId
    strength: float
    """Added, model units of activation; negative holds the unit down, 0 leaves it alone."""
    kl: float
    """KL divergence of the next token's distribution from the unsteered one, mean over the
    prompts, nats."""


def steering_strength(
    subject: SubjectModel,
    unit: UnitId,
    prompts: Rows,
    *,
    sign: float,
    target_kl: float,
    check: Callable[[], None] = lambda: None,
) -> Steering:
    """The weakest steering of that sign that moves the next token as far as asked, within 10 %.

    Strengths from 2**-8 to 2**16 are tried in steps of 4, and the first step over the target is
    narrowed down. Prompts are token ids without BOS; the sign is +1 up, -1 down, and 0 gives a
    strength of 0; ``target_kl`` is the mean KL(steered || left alone) at the prompts' last
    position, nats. `check` is called before each pass, and may end the search by raising.

    Raises:
        InputError: no strength moves the model that far; the message says how far it went.
    """
    if not sign:
        return Steering(unit, 0.0, 0.0)
    if not (math.isfinite(target_kl) and target_kl > 0):
        msg = f"the KL divergence to steer by must be positive and finite, found {target_kl}"
        raise InputError(msg)
    distinct = tuple(dict.fromkeys(prompts))
    check()
    before = next_logprobs(subject, distinct, nullcontext(), bos=subject.bos_at(unit.hook))

    def measure(strengths: Sequence[float]) -> list[float]:
        check()
        return _divergences(subject, unit, distinct, before, [sign * s for s in strengths])

    low, high, reached = _bracket(measure, target_kl)
    if high is None:
        raise InputError(_out_of_reach(unit, sign, target_kl, reached))
    strength, kl = _narrowed(measure, target_kl, low, high)
    if not abs(kl - target_kl) <= _TOLERATED * target_kl:
        raise InputError(_out_of_reach(unit, sign, target_kl, kl))
    return Steering(unit, sign * strength, kl)


def steered_texts(
    subject: SubjectModel,
    steering: Steering,
    prompts: Rows,
    *,
    n_tokens: int,
    seed: int,
    check: Callable[[], None] = lambda: None,
) -> tuple[str, ...]:
    """What the model writes after each prompt, the prompt itself left out.

    Drawn from the whole distribution at temperature 1, so that the divergence that was set is
    that of what is written; each prompt's place has a seed of its own. A text ends early at the
    model's end of text. `check` is called before each token, and may end the writing by raising.

    Raises:
        InputError: a prompt without a token, or too long to be continued.
    """

    def pushed(n_rows: int) -> AbstractContextManager[AddVector | None]:
        return steered(subject, steering.unit, [steering.strength] * n_rows)

    bos = subject.bos_at(steering.unit.hook)
    return pushed_texts(
        subject, pushed, prompts, bos=bos, n_tokens=n_tokens, seed=seed, check=check
    )


def pushed_texts(  # noqa: PLR0913 - what a text is drawn by
    subject: SubjectModel,
    pushed: Callable[[int], AbstractContextManager[AddVector | None]],
    prompts: Rows,
    *,
    bos: int | None,
    n_tokens: int,
    seed: int,
    check: Callable[[], None] = lambda: None,
) -> tuple[str, ...]:
    """The same with whatever `pushed` adds to so many rows.

    Raises:
        InputError: as `steered_texts`.
    """
    texts: dict[int, str] = {}
    for rows in of_equal_length(prompts, n_vocab=subject.n_rows):
        check_length(subject, prompts[rows[0]], n_tokens)
        generators = [random.Random(derive_seed(seed, "continuation", row)) for row in rows]
        texts_of = [prompts[row] for row in rows]
        with pushed(len(rows)) as push:
            written = write_on(subject, texts_of, n_tokens, generators, push, bos=bos, check=check)
        texts |= {row: text_of(subject, ids) for row, ids in zip(rows, written, strict=True)}
    return tuple(texts[row] for row in range(len(prompts)))


def _bracket(
    measure: Callable[[Sequence[float]], list[float]], target: float
) -> tuple[float, float | None, float]:
    """The last strength below the target, the first that reaches it, and the largest KL seen."""
    low, largest = 0.0, 0.0
    for first in range(0, len(_GRID), _AT_ONCE):
        strengths = _GRID[first : first + _AT_ONCE]
        for strength, kl in zip(strengths, measure(strengths), strict=True):
            if not math.isfinite(kl):
                return low, None, largest
            if kl >= target:
                return low, strength, kl
            low, largest = strength, max(largest, kl)
    return low, None, largest


def _narrowed(
    measure: Callable[[Sequence[float]], list[float]], target: float, low: float, high: float
) -> tuple[float, float]:
    """(strength, KL) between the two, as near the target as they are told apart."""
    strength, kl = high, math.inf
    for _ in range(_N_NARROWINGS):
        inner = [low + (high - low) * (i + 1) / (_AT_ONCE + 1) for i in range(_AT_ONCE)]
        steps = [*zip(inner, measure(inner), strict=True)]
        best = min(steps, key=lambda step: abs(step[1] - target))
        if abs(best[1] - target) < abs(kl - target):
            strength, kl = best
        if abs(kl - target) <= _CLOSE * target:
            break
        over = next((i for i, (_, result) in enumerate(steps) if result >= target), len(steps))
        ends = [low, *inner, high]
        low, high = ends[over], ends[over + 1]
    return strength, kl


def _out_of_reach(unit: UnitId, sign: float, target: float, reached: float) -> str:
    way = "up" if sign > 0 else "down"
    return (
        f"holding {unit} {way} moves the next token by a KL of {round(reached, 6):g} at most, or "
        f"jumps past {target:g}; a KL of {target:g} cannot be set"
    )


def _divergences(
    subject: SubjectModel, unit: UnitId, prompts: Rows, before: Tensor, strengths: Sequence[float]
) -> list[float]:
    """Mean KL over the prompts for each strength, as many in one batch as there is room for."""
    rows = [prompt for _ in strengths for prompt in prompts]
    pushes = [strength for strength in strengths for _ in prompts]
    after = torch.empty((len(rows), before.shape[1]), dtype=before.dtype)
    for same in of_equal_length(rows, n_vocab=subject.n_rows):
        holding = steered(subject, unit, [pushes[row] for row in same])
        same_rows = [rows[row] for row in same]
        after[same] = next_logprobs(subject, same_rows, holding, bos=subject.bos_at(unit.hook))
    again = before.repeat(len(strengths), 1)
    terms = torch.where(after > -torch.inf, after.exp() * (after - again), 0.0)
    means: list[float] = terms.sum(dim=1).reshape(len(strengths), -1).mean(dim=1).tolist()
    return means

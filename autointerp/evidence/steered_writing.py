"""What the model writes with a unit pushed, beside random directions of the same length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from autointerp.core.causal_evidence import ControlKind, Standing, SteeredWriting
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.evidence.held_passes import Floats, HeldPasses, PassRows
from autointerp.evidence.held_units import HeldUnits
from autointerp.evidence.steered_passes import AddVector, Rows, check_length
from autointerp.evidence.steering import Steering, pushed_texts, steered_texts, steering_strength
from autointerp.evidence.write_sites import WriteSite, turned
from autointerp.subjects import SubjectModel


def steered_writing(  # noqa: PLR0913 - what a text is drawn by
    passes: HeldPasses,
    unit: UnitId,
    prompts: Sequence[str],
    *,
    sign: float,
    target_kl: float = 0.5,
    n_tokens: int = 25,
    n_controls: int = 19,
) -> SteeredWriting:
    """What follows each prompt while the unit is raised (+1) or lowered (-1) as far as asked.

    The control's KL is that of a random direction of the length of what the unit writes, added as
    strongly. Where the unit cannot be steered so far, the reason stands in the result.

    Raises:
        InputError: a prompt without a token, or too long to be continued.
    """
    subject, texts = passes.subject, tuple(prompts)
    rows = [tuple(subject.tokenizer.encode(prompt)) for prompt in texts]
    if not texts or not all(rows):
        raise InputError("a prompt to continue has no tokens; write some words")
    for row in rows:
        check_length(subject, row, n_tokens)
    subject.check_indices(unit.hook, [unit.index])
    alone = Steering(unit, 0.0, 0.0)
    try:
        found = steering_strength(
            subject, unit, rows, sign=sign, target_kl=target_kl, check=passes.check
        )
    except InputError as error:
        return SteeredWriting(unit, None, None, texts, reason=str(error))
    drawn = {"n_tokens": n_tokens, "seed": passes.seed}
    known = (unit, found.strength, found.kl, texts)
    written = steered_texts(subject, found, rows, check=passes.check, **drawn)
    plain = steered_texts(subject, alone, rows, check=passes.check, **drawn)
    if not n_controls:
        return SteeredWriting(*known, written, plain)
    push = HeldUnits.pushed(unit, found.strength)
    kls = _divergences(passes, push, rows, n_controls)
    standing = Standing.of(ControlKind.DIRECTIONS, float(kls[0]), kls[1:].tolist())
    vector = turned(-passes.written(rows[0], push)[-1], 0, seed=passes.seed)
    control = pushed_texts(
        subject,
        lambda n_rows: _adding(subject, unit.hook, vector, n_rows),
        rows,
        bos=subject.bos_at(unit.hook),
        check=passes.check,
        **drawn,
    )
    return SteeredWriting(*known, written, plain, control, (standing,))


def _divergences(passes: HeldPasses, push: HeldUnits, rows: Rows, n_controls: int) -> Floats:
    """KL of each pass from the model as it is, mean over the prompts: the unit's, the controls'."""
    asked = PassRows((push,), turns=tuple(range(n_controls)))
    total: Floats = np.zeros(1 + n_controls)
    for row in rows:
        logits = torch.from_numpy(passes.next_logits(row, asked).values)
        logprobs = torch.log_softmax(logits, dim=-1)
        before, after = logprobs[:1], logprobs[1:]
        terms = torch.where(after > -torch.inf, after.exp() * (after - before), 0.0)
        total += terms.sum(dim=1).numpy() / len(rows)
    return total


@contextmanager
def _adding(
    subject: SubjectModel, hook: str, vector: Float[Tensor, " d"], n_rows: int
) -> Iterator[AddVector]:
    """While it lasts, a vector is added where the units of a hook point write."""
    push = AddVector(vector, [1.0] * n_rows, int(subject.bos_at(hook) is not None))
    with WriteSite.of(subject, hook).changing(lambda written: push(written, hook=None)):
        yield push

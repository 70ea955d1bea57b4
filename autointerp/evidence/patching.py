"""Which share of a difference between two prompts some units carry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autointerp.core.causal_evidence import Patching
from autointerp.core.errors import InputError
from autointerp.core.one_line import shortened
from autointerp.evidence.control_units import TextValues, UnitSet, draw_controls
from autointerp.evidence.held_passes import Floats, HeldPasses, PassRows
from autointerp.evidence.held_units import HeldRow, HeldUnits
from autointerp.subjects import HookUnits, SubjectModel, select_units

_SMALL = 1e-6
"""Parts of the logits' own size below which two differences are the same."""


def patch(  # noqa: PLR0913 - what a patching is of
    passes: HeldPasses,
    units: UnitSet,
    prompt: str,
    counterfactual: str,
    *,
    answers: tuple[str, str] | None = None,
    position: int | None = None,
    n_controls: int = 19,
) -> Patching:
    """The counterfactual is run with the units as they are in the prompt.

    Args:
        passes: of the subject model.
        units: put back together.
        prompt: what they are taken from.
        counterfactual: another text of as many tokens.
        answers: one token that the prompt prefers, one that the counterfactual does; the most
            probable of each where None.
        position: 0-based token at which they are put back; all where None.
        n_controls: of each kind.

    Raises:
        InputError: the texts have different lengths, an answer is not one token, both prefer the
            same token, or no such unit or position.
    """
    subject = passes.subject
    for group in select_units(units):
        subject.check_indices(group.hook, group.indices)
    ids, others = _same_length(subject, prompt, counterfactual)
    if position is not None and not 0 <= position < len(ids):
        msg = f"the prompt has the tokens 0 to {len(ids) - 1}; there is no position {position}"
        raise InputError(msg)
    controls = draw_controls(subject, units, n=n_controls, seed=passes.seed)
    values = TextValues(subject, [ids])
    values.read([*select_units(units), *(group for row in controls.sets for group in row)])
    rows = PassRows(
        _row(values, select_units(units), position),
        tuple(_row(values, groups, position) for groups in controls.sets),
        controls.turns,
    )
    before = passes.next_logits(ids, PassRows(rows.held)).values[0]
    clean, own, of_units, turned = passes.next_logits(others, rows).parts(rows)
    first, second = _answers(subject, answers, before, clean)

    def difference(logits: Floats) -> Floats:
        result: Floats = logits[..., first] - logits[..., second]
        return result

    ends = float(difference(before)), float(difference(clean))
    whole = ends[0] - ends[1]
    texts = tuple(subject.tokenizer.pieces([first, second]))
    known = (units, prompt, counterfactual, (texts[0], texts[1]), position)
    patched = float(difference(own))
    if abs(whole) <= _SMALL * max(1.0, float(np.abs(before[[first, second]]).max())):
        why = "prompt and counterfactual give the two answers the same difference of logits"
        return Patching(*known, *ends, patched, None, reason=why)
    shares = [(difference(part) - ends[1]) / whole for part in (of_units, turned)]
    share = (patched - ends[1]) / whole
    standings = controls.standings(share, shares[0].tolist(), shares[1].tolist())
    return Patching(*known, *ends, patched, share, standings)


def _row(values: TextValues, groups: Sequence[HookUnits], position: int | None) -> HeldRow:
    held = []
    for group in groups:
        own = values.of(group, 0)
        if position is None:
            held.append(HeldUnits(group.hook, group.indices, own))
        else:
            held.append(HeldUnits(group.hook, group.indices, own[[position]], (position,)))
    return tuple(held)


def _same_length(
    subject: SubjectModel, prompt: str, counterfactual: str
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    ids, others = (tuple(subject.tokenizer.encode(text)) for text in (prompt, counterfactual))
    for text, own in ((prompt, ids), (counterfactual, others)):
        if not 0 < len(own) <= subject.max_n_ctx:
            raise InputError(
                f"{shortened(text)} has {len(own):,} tokens; {subject.name} takes 1 to "
                f"{subject.max_n_ctx:,}"
            )
    if len(ids) != len(others):
        raise InputError(
            f"prompt and counterfactual must have the same number of tokens, found {len(ids)} "
            f"({_bars(subject, ids)}) and {len(others)} ({_bars(subject, others)})"
        )
    if ids == others:
        raise InputError("prompt and counterfactual are the same text; write one that differs")
    return ids, others


def _bars(subject: SubjectModel, ids: Sequence[int]) -> str:
    return "|".join(subject.tokenizer.pieces(ids))


def _answers(
    subject: SubjectModel, answers: tuple[str, str] | None, before: Floats, after: Floats
) -> tuple[int, int]:
    if answers is None:
        first, second = (int(np.nanargmax(logits)) for logits in (before, after))
        if first == second:
            [piece] = subject.tokenizer.pieces([first])
            raise InputError(
                f"{piece!r} is the most probable token behind both texts; name two answers"
            )
        return first, second
    first, second = (_one_token(subject, answer) for answer in answers)
    if first == second:
        raise InputError(f"both answers are {answers[0]!r}; name two that differ")
    return first, second


def _one_token(subject: SubjectModel, answer: str) -> int:
    """Its token; with a space before it, where it is several without."""
    found = [subject.tokenizer.encode(text) for text in (answer, f" {answer}")]
    one = next((ids for ids in found if len(ids) == 1), None)
    if one is None:
        raise InputError(
            f"the answer {shortened(answer)} is {len(found[0])} tokens "
            f"({_bars(subject, found[0])}); name a word that is one"
        )
    return int(one[0])

"""What units add directly to the logit of the token that really follows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from autointerp.core.causal_evidence import AttributedText, Attribution, ControlKind, Standing
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.evidence.control_units import TextValues
from autointerp.evidence.document_intervals import Passage, document_interval
from autointerp.evidence.frozen_norms import FrozenNorms
from autointerp.evidence.held_passes import HeldPasses
from autointerp.evidence.held_units import HeldUnits
from autointerp.evidence.output_weights import (
    Readout,
    output_directions,
    readout,
    token_effects,
)
from autointerp.evidence.write_sites import WriteSite, turned
from autointerp.subjects import HookUnits

_NO_TEXT = "on no token that another follows is it active"
_STREAM = ("hook_resid_pre", "hook_resid_mid", "hook_resid_post", "hook_in", "hook_out")
"""What is written there is in the stream already."""


class _Place(NamedTuple):
    passage: Passage
    position: int
    activation: float


def attribute(
    passes: HeldPasses,
    unit: UnitId,
    texts: Sequence[Passage],
    *,
    n_texts: int = 5,
    n_controls: int = 19,
) -> Attribution:
    """What the unit adds where it is largest, and where it is most negative.

    What it writes there is what the model writes less what it writes with the unit at zero: its
    activation times its output weights. It goes through the norms behind it with the divisors
    that they have at that token, then through the unembedding; later layers are passed by. Soft
    caps of logits are left out.

    Raises:
        InputError: no such unit, one whose output weights are not known, or a model whose
            unembedding is not.
    """
    subject = passes.subject
    output_directions(subject, unit.hook, [unit.index])
    read = readout(subject)
    values = TextValues(subject, [text.token_ids for text in texts])
    places = _places(values, unit, texts, n_texts)
    if not places[0]:
        return Attribution(unit, (), None, None, None, reason=_NO_TEXT)
    found: list[AttributedText] = []
    chance: list[Tensor] = []
    for strongest, group in zip((True, False), places, strict=True):
        for place in group:
            own, controls = _at(passes, unit, read, place, n_controls)
            found.append(_text(passes, place, own, strongest=strongest))
            if strongest:
                chance.append(controls[:, place.passage.token_ids[place.position + 1]])
    logits = [text.logit for text in found if text.strongest]
    mean = sum(logits) / len(logits)
    documents = [place.passage.document for place in places[0]]
    low, high = document_interval(mean, logits, [1.0] * len(logits), documents, seed=passes.seed)
    standings: tuple[Standing, ...] = ()
    if n_controls:
        of_turns = torch.stack(chance).mean(dim=0).tolist()
        standings = (Standing.of(ControlKind.DIRECTIONS, mean, of_turns),)
    return Attribution(unit, tuple(found), mean, low, high, standings)


def _places(
    values: TextValues, unit: UnitId, texts: Sequence[Passage], n_texts: int
) -> tuple[list[_Place], list[_Place]]:
    """The strongest texts and the most negative, each text once on a side."""
    group = HookUnits(unit.hook, (unit.index,))
    every: tuple[list[_Place], list[_Place]] = ([], [])
    for number, text in enumerate(texts):
        if len(text.token_ids) < 2:
            continue
        line = values.of(group, number)[:-1, 0]
        for sign, side in zip((1, -1), every, strict=True):
            position = int((sign * line).argmax())
            activation = float(line[position])
            if sign * activation > 0:
                side.append(_Place(text, position, activation))
    ordered = [sorted(side, key=lambda place: -abs(place.activation)) for side in every]
    strongest, negative = (side[:n_texts] for side in ordered)
    return strongest, negative


def _at(
    passes: HeldPasses, unit: UnitId, read: Readout, place: _Place, n_controls: int
) -> tuple[Float[Tensor, " vocab"], Float[Tensor, "control vocab"]]:
    """Logits that the unit adds at a place, and that as much in random directions would."""
    subject = passes.subject
    site = WriteSite.of(subject, unit.hook)
    norms = FrozenNorms(subject, site)
    off = HeldUnits(unit.hook, (unit.index,), torch.zeros(1, 1))
    written = passes.written(place.passage.token_ids, off, norms)[place.position]
    rows = [written, *(turned(written, n, seed=passes.seed) for n in range(n_controls))]
    bos = passes.bos([unit.hook])
    before, divisor = norms.to_readout(torch.stack(rows), place.position + (bos is not None))
    effects = token_effects(read, before) * (_multiplier(subject.bridge, site) / divisor)
    return effects[0], effects[1:]


def _text(
    passes: HeldPasses, place: _Place, effects: Float[Tensor, " vocab"], *, strongest: bool
) -> AttributedText:
    ids, position = place.passage.token_ids, place.position
    pieces = passes.subject.tokenizer.pieces(ids)
    logit = effects[ids[position + 1]]
    known = effects[torch.isfinite(effects)]
    return AttributedText(
        strongest,
        pieces,
        position,
        place.activation,
        pieces[position + 1],
        float(logit),
        float((known < logit).float().mean()),
    )


def _multiplier(bridge: object, site: WriteSite) -> float:
    """By what some models multiply what blocks write (Granite) and their logits."""
    model = getattr(bridge, "original_model", None)
    config = getattr(model, "config", None)
    inside = 1.0
    if site.hook.split(".", 2)[2] not in _STREAM:
        inside = float(getattr(config, "residual_multiplier", 1.0) or 1.0)
    times = float(getattr(config, "logit_scale", 1.0) or 1.0)
    return inside * times / float(getattr(config, "logits_scaling", 1.0) or 1.0)


def why_no_attribution(passes: HeldPasses, unit: UnitId) -> str | None:
    """Why a unit has no attribution; None where it has one."""
    try:
        output_directions(passes.subject, unit.hook, [unit.index])
        readout(passes.subject)
    except InputError as error:
        return str(error)
    return None

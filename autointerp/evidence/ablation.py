"""What the model's loss is without some units: held at zero, at their mean, or resampled."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from autointerp.core.causal_evidence import (
    Ablation,
    ControlKind,
    Hold,
    LossChange,
    TextKind,
)
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.core.seeds import derive_seed
from autointerp.evidence.control_units import Controls, TextValues, UnitSet, draw_controls
from autointerp.evidence.document_intervals import Passage, document_interval
from autointerp.evidence.held_passes import HeldPasses, PassRows
from autointerp.evidence.held_units import HeldRow, HeldUnits
from autointerp.subjects import HookUnits, select_units

_SetKey = tuple[Hold, tuple[HookUnits, ...], Passage]


@dataclass(frozen=True, slots=True)
class _Change:
    """Of one passage."""

    lost: float
    """Loss with the units held less the loss as it is, nats, sum over its tokens."""
    loss: float
    """As it is, sum over its tokens."""
    n_tokens: int
    changed: bool
    controls: tuple[float, ...]
    turned: tuple[float, ...]


class Ablations:
    """Holds units of one subject model; what controls lose is kept for the units of their layer."""

    def __init__(
        self,
        passes: HeldPasses,
        reference: Sequence[Passage],
        *,
        n_controls: int = 19,
        against: Collection[ControlKind] = tuple(ControlKind),
    ) -> None:
        """Takes the text that means are of and that is resampled, and which controls there are.

        So many of each kind: with 19 the smallest p is 0.05.
        """
        self._against = against
        self._passes, self._reference = passes, tuple(reference)
        self._n_controls, self._seed = n_controls, passes.seed
        self._values = TextValues(passes.subject, [p.token_ids for p in self._reference])
        self._known: dict[_SetKey, float | None] = {}
        """Loss with them held less the loss as it is, nats; None where nothing was changed."""
        self._clean: dict[tuple[int | None, Passage], float] = {}

    def of(
        self,
        units: UnitSet,
        holds: Sequence[Hold],
        texts: Mapping[TextKind, Sequence[Passage] | str],
    ) -> Ablation:
        """The change of loss for each hold and text; a text may be a reason why it is not there.

        Raises:
            InputError: no such unit, one that cannot be held, or nothing to hold it at.
        """
        subject = self._passes.subject
        for group in select_units(units):
            subject.check_indices(group.hook, group.indices)
        controls = draw_controls(
            subject, units, n=self._n_controls, seed=self._seed, against=self._against
        )
        changes = [
            self._change(units, controls, hold, kind, texts[kind])
            for hold in holds
            for kind in texts
        ]
        return Ablation(units, tuple(changes))

    def _change(
        self,
        units: UnitSet,
        controls: Controls,
        hold: Hold,
        kind: TextKind,
        text: Sequence[Passage] | str,
    ) -> LossChange:
        undefined = partial(LossChange, hold, kind, None, None, None)
        if isinstance(text, str):
            return undefined(None, 0, 0, 0, reason=text)
        passages = [p for p in text if self._n_predicted(units, p)]
        n_documents = len({p.document for p in passages})
        if not passages:
            return undefined(None, 0, 0, 0, reason="there is no such text")
        found = [self._passage(units, controls, hold, passage) for passage in passages]
        weights = np.array([p.weight for p in passages])
        tokens = weights * [one.n_tokens for one in found]
        n_tokens = sum(one.n_tokens for one in found)
        sizes = len(passages), n_documents, n_tokens
        loss = float(weights @ [one.loss for one in found] / tokens.sum())
        if not any(one.changed for one in found):
            reason = "on no token of this text is it at another value than that"
            return undefined(loss, *sizes, reason=reason)
        lost = weights * [one.lost for one in found]
        value = float(lost.sum() / tokens.sum())
        if not (math.isfinite(value) and math.isfinite(loss)):
            reason = "the loss is not finite; load the subject model in float32"
            return undefined(loss if math.isfinite(loss) else None, *sizes, reason=reason)
        low, high = document_interval(
            value, lost, tokens, [p.document for p in passages], seed=self._seed
        )
        of_units, of_turns = (
            (weights @ lines / tokens.sum()).tolist()
            for lines in ([one.controls for one in found], [one.turned for one in found])
        )
        standings = controls.standings(value, of_units, of_turns)
        return LossChange(hold, kind, value, low, high, loss, *sizes, standings)

    def _n_predicted(self, units: UnitSet, passage: Passage) -> int:
        bos = self._passes.bos([unit.hook for unit in units])
        return len(passage.token_ids) - (bos is None)

    def prepare(
        self,
        sets: Sequence[UnitSet],
        holds: Sequence[Hold],
        passages: Sequence[Passage],
        done: Callable[[], None] = lambda: None,
    ) -> None:
        """Holds sets on text that they share, as many as fit in each pass; `done` after each text.

        What they lose there is known from then on, but for random directions.
        """
        places: dict[tuple[str, ...], list[UnitSet]] = {}
        for units in sets:
            places.setdefault(tuple(sorted({unit.hook for unit in units})), []).append(units)
        for passage in passages:
            for hold in holds:
                for alike in places.values():
                    self._run(passage, hold, [select_units(units) for units in alike])
            done()

    def _passage(self, units: UnitSet, controls: Controls, hold: Hold, passage: Passage) -> _Change:
        own = select_units(units)
        turned = self._run(passage, hold, [own, *controls.sets], controls.turns)
        lost = self._known[hold, own, passage]
        clean = self._clean[self._passes.bos([unit.hook for unit in units]), passage]
        return _Change(
            lost or 0.0,
            clean,
            self._n_predicted(units, passage),
            lost is not None,
            tuple(self._known[hold, groups, passage] or 0.0 for groups in controls.sets),
            turned,
        )

    def _run(
        self,
        passage: Passage,
        hold: Hold,
        sets: Sequence[tuple[HookUnits, ...]],
        turns: tuple[int, ...] = (),
    ) -> tuple[float, ...]:
        """What is lost with the first set turned; what sets lose that is not known is kept."""
        self._note_unmoved(passage, hold, sets)
        # What is not changed cannot be turned either.
        still = self._known.get((hold, sets[0], passage), 0.0) is None
        asked = () if still else turns
        new = [groups for groups in sets if (hold, groups, passage) not in self._known]
        if asked:
            new = [sets[0], *(groups for groups in new if groups != sets[0])]
        bos = self._passes.bos([group.hook for group in sets[0]])
        if not new and (bos, passage) not in self._clean:
            new = [sets[0]]
        found = self._measure(passage, hold, new, asked) if new else ()
        return (0.0,) * len(turns) if still else found

    def _measure(
        self,
        passage: Passage,
        hold: Hold,
        sets: Sequence[tuple[HookUnits, ...]],
        turns: tuple[int, ...],
    ) -> tuple[float, ...]:
        if hold is not Hold.ZERO:
            # Together: a pass that reads one unit costs as much as one that reads all of them.
            self._values.read([group for groups in sets for group in groups])
        held = [self._row(groups, hold, passage) for groups in sets]
        rows = PassRows(held[0], tuple(held[1:]), turns)
        ran = self._passes.losses(passage.token_ids, rows)
        clean, own, others, turned = ran.parts(rows)
        changed = ran.changed[1:]
        for groups, line, moved in zip(sets, [own, *others], changed, strict=True):
            lost = float((line - clean).sum()) if moved else None
            self._known[hold, groups, passage] = lost
        bos = self._passes.bos([group.hook for group in sets[0]])
        self._clean[bos, passage] = float(clean.sum())
        return tuple((turned - clean).sum(axis=1).tolist())

    def _note_unmoved(
        self, passage: Passage, hold: Hold, sets: Sequence[tuple[HookUnits, ...]]
    ) -> None:
        """Notes latents that are at zero on all of a text already, which reading them tells.

        Most latents are silent on most texts, and a reading ends at their layer.
        """
        encoders = self._passes.subject.encoders
        some = [
            groups
            for groups in sets
            if all(group.hook in encoders for group in groups)
            and (hold, groups, passage) not in self._known
        ]
        if not some or hold is not Hold.ZERO:
            return
        values = TextValues(self._passes.subject, [passage.token_ids])
        values.read([group for groups in some for group in groups])
        for groups in some:
            if not any(bool(values.of(group, 0).any()) for group in groups):
                self._known[hold, groups, passage] = None

    def _row(self, groups: Sequence[HookUnits], hold: Hold, passage: Passage) -> HeldRow:
        return tuple(
            HeldUnits(
                group.hook,
                group.indices,
                self._held_at(group, hold, passage),
                whole=hold is Hold.ZERO,
            )
            for group in groups
        )

    def _held_at(self, group: HookUnits, hold: Hold, passage: Passage) -> torch.Tensor:
        if hold is Hold.ZERO:
            return torch.zeros(1, len(group.indices))
        if hold is Hold.MEAN:
            return self._values.means(group)
        other = self._partner(passage)
        values, n = self._values.of(group, other), len(passage.token_ids)
        # A text that ends earlier begins again.
        return values[torch.arange(n) % len(values)]

    def _partner(self, passage: Passage) -> int:
        """The text whose activations stand in: of another document, as long where there is one."""
        others = [n for n, p in enumerate(self._reference) if p.document != passage.document]
        if not others:
            raise InputError(
                "resampling takes activations from another document, and the text that was read "
                "has only one; read more tokens"
            )
        n = len(passage.token_ids)
        long = [n_ for n_ in others if len(self._reference[n_].token_ids) >= n]
        drawn = random.Random(derive_seed(self._seed, "resample", *passage.token_ids))
        return drawn.choice(long or others)


def ablate(  # noqa: PLR0913 - one call for notebooks
    passes: HeldPasses,
    units: Sequence[UnitId],
    text: Sequence[Passage],
    *,
    hold: Hold = Hold.ZERO,
    reference: Sequence[Passage] | None = None,
    n_controls: int = 19,
) -> LossChange:
    """The change of loss on one text while units are held together.

    Raises:
        InputError: as `Ablations.of`.
    """
    ablations = Ablations(passes, reference or text, n_controls=n_controls)
    [change] = ablations.of(tuple(units), [hold], {TextKind.ALL: text}).changes
    return change

"""One request about units of a subject model, answered: the entry for commands and workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar

from autointerp.core.causal_evidence import (
    Ablation,
    Attribution,
    CausalEvidence,
    ControlKind,
    EvidenceKind,
    Patching,
    SteeredWriting,
    TextKind,
)
from autointerp.core.causal_request import CausalRequest
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.core.progress import Progress, SilentProgress
from autointerp.evidence.ablation import Ablations
from autointerp.evidence.causal_speed import HeldTexts, ablated_tokens, measured_speed
from autointerp.evidence.control_units import UnitSet
from autointerp.evidence.document_intervals import Passage
from autointerp.evidence.held_passes import HeldPasses
from autointerp.evidence.logit_attribution import attribute
from autointerp.evidence.patching import patch
from autointerp.evidence.steered_writing import steered_writing
from autointerp.subjects import SubjectModel

T = TypeVar("T")


class CausalTexts(Protocol):
    """The text on which units are held."""

    @property
    def reference(self) -> Sequence[Passage]:
        """What means are of, and what is resampled."""

    def of(
        self, units: UnitSet, kinds: Sequence[TextKind]
    ) -> Mapping[TextKind, Sequence[Passage] | str]:
        """The texts on which loss is measured; a reason in place of one that is not there."""

    def extremes(self, unit: UnitId) -> Sequence[Passage]:
        """Text among which the strongest and the most negative of a unit are."""


def evidence_of(
    subject: SubjectModel,
    units: Sequence[UnitId],
    request: CausalRequest,
    texts: CausalTexts | None = None,
    progress: Progress | None = None,
    *,
    check: Callable[[], None] = lambda: None,
) -> CausalEvidence:
    """The answer, a result a unit or one for all of them together.

    Ablation and attribution need texts. Where nothing at all can be said, the reason is an
    error; of several units, those of which something can be said have their results. `check` is
    called before each forward pass, and may end the work by raising.

    Raises:
        InputError: no unit has an answer, or there are no texts.
    """
    if not units:
        raise InputError("no units were named")
    if request.kind is EvidenceKind.SITES:
        raise InputError("sites are compared on a whole text: autointerp evidence --kind sites")
    if texts is None and request.kind in {EvidenceKind.ABLATION, EvidenceKind.ATTRIBUTION}:
        raise InputError(f"{request.kind} is measured on text, and none was given")
    passes = HeldPasses(subject, seed=request.seed, check=check)
    answers = _Answers(passes, request, texts, progress or SilentProgress())
    return answers.of([tuple(units)] if request.together else [(unit,) for unit in units])


class _Answers:
    """One request, while it is answered."""

    def __init__(
        self,
        passes: HeldPasses,
        request: CausalRequest,
        texts: CausalTexts | None,
        progress: Progress,
    ) -> None:
        self._passes, self._subject, self._request = passes, passes.subject, request
        self._texts, self._progress = texts, progress
        self._reasons: list[str] = []

    def of(self, sets: Sequence[UnitSet]) -> CausalEvidence:
        started = time.perf_counter()
        request = self._request
        result = CausalEvidence(request.kind, self._subject.name, self._subject.dtype_name)
        if request.kind is EvidenceKind.ABLATION and self._texts is not None:
            ablations = Ablations(
                self._passes,
                self._texts.reference,
                n_controls=request.n_controls,
                against=request.against,
            )
            texts = self._texts_of(sets, self._texts)
            self._say_cost(texts)
            self._share(ablations, texts)
            answer = partial(self._ablated, ablations, texts)
            found = self._each(sets, answer)
            result = replace(result, ablations=tuple(found))
        elif request.kind is EvidenceKind.PATCHING:
            result = replace(result, patchings=tuple(self._each(sets, self._patched)))
        elif request.kind is EvidenceKind.ATTRIBUTION and self._texts is not None:
            single = [(unit,) for units in sets for unit in units]
            result = replace(result, attributions=tuple(self._each(single, self._attributed)))
        else:
            single = [(unit,) for units in sets for unit in units]
            pairs = self._each(single, self._steered)
            result = replace(result, steerings=tuple(one for pair in pairs for one in pair))
        return replace(
            result,
            n_tokens_run=self._passes.n_tokens,
            seconds=time.perf_counter() - started,
            notes=tuple(dict.fromkeys(self._reasons)),
        )

    def _texts_of(self, sets: Sequence[UnitSet], texts: CausalTexts) -> HeldTexts:
        """Of those sets that have them; why others have none is told when they are answered."""
        found = {}
        for units in sets:
            with suppress(InputError):
                for unit in units:
                    self._subject.check_indices(unit.hook, [unit.index])
                found[units] = texts.of(units, self._request.texts)
        return found

    def _ablated(self, ablations: Ablations, known: HeldTexts, units: UnitSet) -> Ablation:
        assert self._texts is not None  # evidence_of has looked
        texts = known[units] if units in known else self._texts.of(units, self._request.texts)
        return ablations.of(units, self._request.holds, texts)

    def _share(self, ablations: Ablations, texts: HeldTexts) -> None:
        """Holds many units on the text that they share, in as few passes as there can be."""
        request, stage = self._request, "all text"
        passages, *others = [each.get(TextKind.ALL, ()) for each in texts.values()] or ((),)
        directions = request.n_controls and ControlKind.DIRECTIONS in request.against
        is_shared = bool(others) and all(other == passages for other in others)
        if directions or not is_shared or isinstance(passages, str):
            return
        self._progress.start(stage, len(passages), "windows")
        prepare = partial(ablations.prepare, holds=request.holds)
        try:
            prepare(list(texts), passages=passages, done=lambda: self._progress.advance(stage, 1))
        except InputError:
            # Those that can be held still share; why another cannot is told when it is answered.
            able = []
            for units in texts:
                with suppress(InputError):
                    prepare([units], passages=passages[:1])
                    able.append(units)
            prepare(able, passages=passages)

    def _each(self, sets: Sequence[UnitSet], answer: Callable[[UnitSet], T]) -> Iterator[T]:
        """The answers; a set that has none is noted, where another has one."""
        n_answers, kind = 0, self._request.kind.value
        self._progress.start(kind, len(sets), "units")
        for units in sets:
            try:
                found = answer(units)
            except InputError as error:
                if len(sets) == 1:
                    raise
                self._reasons.append(f"{units[0].short}: {error}")
            else:
                n_answers += 1
                yield found
            self._progress.advance(kind, 1)
        if not n_answers:
            raise InputError(f"none of {len(sets)} units has an answer; {self._reasons[0]}")

    def _patched(self, units: UnitSet) -> Patching:
        request = self._request
        return patch(
            self._passes,
            units,
            request.prompt or "",
            request.counterfactual or "",
            answers=request.answers,
            position=request.position,
            n_controls=request.n_controls,
        )

    def _attributed(self, units: UnitSet) -> Attribution:
        request, texts = self._request, self._texts
        assert texts is not None  # evidence_of has looked
        return attribute(
            self._passes,
            units[0],
            texts.extremes(units[0]),
            n_texts=request.n_texts,
            n_controls=request.n_controls,
        )

    def _steered(self, units: UnitSet) -> tuple[SteeredWriting, ...]:
        request = self._request
        return tuple(
            steered_writing(
                self._passes,
                units[0],
                request.prompts,
                sign=sign,
                target_kl=request.target_kl,
                n_tokens=request.n_tokens,
                n_controls=request.n_controls,
            )
            for sign in (1.0, -1.0)
        )

    def _say_cost(self, texts: HeldTexts) -> None:
        """How many tokens it takes at most, and how long that is."""
        some = (
            (units[0], passage)
            for units, kinds in texts.items()
            for passages in kinds.values()
            for passage in (() if isinstance(passages, str) else passages)
        )
        unit, passage = next(some, (None, None))
        is_told = not isinstance(self._progress, SilentProgress)
        if not is_told or self._texts is None or unit is None or passage is None:
            return
        n = ablated_tokens(texts, self._request, self._texts.reference)
        try:
            rate = measured_speed(self._subject, unit, passage.token_ids).tokens_per_s
        except InputError:
            return  # Of a unit that cannot be held, which is told when it is answered.
        minutes = n / rate / 60
        took = f"{minutes:.0f} minutes" if minutes >= 2 else f"{60 * minutes:.0f} seconds"  # noqa: PLR2004
        self._progress.note(
            f"about {n:,} tokens in forward passes, at {rate:,.0f} a second {took}; fewer "
            "--controls, --windows or --texts cost less"
        )

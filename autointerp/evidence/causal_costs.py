"""What causal evidence costs in forward passes, told before they are run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from autointerp.core.causal_evidence import EvidenceKind
from autointerp.core.causal_request import CausalRequest
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.evidence.causal_answers import CausalTexts
from autointerp.evidence.causal_speed import Speed, ablated_tokens, measured_speed
from autointerp.evidence.control_units import UnitSet
from autointerp.subjects import SubjectModel

TextsOf = Callable[[CausalRequest], CausalTexts | None]
Fits = Callable[[Sequence[UnitSet], CausalRequest], bool]
_STRENGTHS = 32
"""Steered rows of a prompt in which a strength is found, about; 64 at most."""
_SIGNS, _WRITINGS = 2, 3
"""Raised and lowered; of each what is written with the unit, without it, and with a control."""
_FEWER_CONTROLS = (9, 4)
_FEWEST_CONTROLS = (*_FEWER_CONTROLS, 1, 0)


@dataclass(frozen=True, slots=True)
class CausalCost:
    """What a request needs."""

    n_tokens: int
    """In passes of many rows, counted once a row."""
    n_steps: int = 0
    """Tokens that are written one after the other."""

    def seconds(self, speed: Speed) -> float:
        """At that speed."""
        return self.n_tokens / speed.tokens_per_s + self.n_steps * speed.step_s


class _Smaller(NamedTuple):
    """A request for less."""

    words: str
    sets: Sequence[UnitSet]
    request: CausalRequest


def causal_cost(
    subject: SubjectModel,
    sets: Sequence[UnitSet],
    request: CausalRequest,
    texts: CausalTexts | None,
) -> CausalCost:
    """Of a request, about; each of the sets is held together."""
    n_units, n_controls = sum(map(len, sets)), request.n_controls
    if request.kind is EvidenceKind.ABLATION and texts is not None:
        held = {units: texts.of(units, request.texts) for units in sets}
        return CausalCost(ablated_tokens(held, request, texts.reference))
    if request.kind is EvidenceKind.PATCHING:
        n = len(subject.tokenizer.encode(request.prompt or ""))
        return CausalCost(len(sets) * n * (8 + 2 * n_controls))
    if request.kind is EvidenceKind.ATTRIBUTION and texts is not None:
        every = [texts.extremes(unit) for units in sets for unit in units]
        lengths = [sorted((1 + len(p.token_ids) for p in one), reverse=True) for one in every]
        return CausalCost(sum(sum(n) + 2 * sum(n[: 2 * request.n_texts]) for n in lengths))
    prompts = sum(1 + len(subject.tokenizer.encode(text)) for text in request.prompts)
    rows = _SIGNS * n_units * (_STRENGTHS + _WRITINGS + n_controls)
    n_written = request.n_tokens * len(request.prompts)
    return CausalCost(rows * prompts, _SIGNS * _WRITINGS * n_units * n_written)


def refuse_longer(
    subject: SubjectModel,
    units: Sequence[UnitId],
    request: CausalRequest,
    texts_of: TextsOf,
    *,
    most_s: float,
) -> float:
    """About how many seconds it takes.

    Raises:
        InputError: more than there are; the message says what would fit. Or no unit can be held.
    """
    sets = [tuple(units)] if request.together else [(unit,) for unit in units]
    speed = _speed_of_any(subject, units, request, texts_of(request))

    def seconds(some: Sequence[UnitSet], asked: CausalRequest) -> float:
        return causal_cost(subject, some, asked, texts_of(asked)).seconds(speed)

    needed = seconds(sets, request)
    if needed <= most_s:
        return needed

    raise InputError(
        f"this takes about {needed:,.0f} s on this worker, and a request has {most_s:,.0f} s; what "
        f"fits is {what_fits(sets, request, lambda some, asked: seconds(some, asked) <= most_s)}"
    )


def _speed_of_any(
    subject: SubjectModel,
    units: Sequence[UnitId],
    request: CausalRequest,
    texts: CausalTexts | None,
) -> Speed:
    """With the first of the units that can be held.

    Raises:
        InputError: none can; what is wrong with the first.
    """
    problem: InputError | None = None
    for unit in units:
        try:
            return measured_speed(subject, unit, _a_text(subject, request, texts, [unit]))
        except InputError as error:
            problem = problem or error
    raise problem or InputError("no units were named")


def what_fits(sets: Sequence[UnitSet], request: CausalRequest, fits: Fits) -> str:
    """The largest request for less units, less controls, less text; else for less of all."""

    def largest(ways: Iterable[_Smaller]) -> str | None:
        return next((way.words for way in ways if fits(way.sets, way.request)), None)

    known = [words for words in map(largest, _smaller(sets, request)) if words is not None]
    least = None if known else largest(_least(sets[:1], request))
    return " or ".join(known) or least or "nothing: `autointerp evidence` has no limit"


def _a_text(
    subject: SubjectModel,
    request: CausalRequest,
    texts: CausalTexts | None,
    units: Sequence[UnitId],
) -> Sequence[int]:
    """What the speed is measured on: one of the texts of the request."""
    if texts is not None:
        return next((p.token_ids for p in texts.extremes(units[0])), ())
    return subject.tokenizer.encode(request.prompt or request.prompts[0])


def _smaller(sets: Sequence[UnitSet], request: CausalRequest) -> Iterator[Iterator[_Smaller]]:
    """Requests for less; of each way to ask for less the largest first."""
    units = range(len(sets) - 1, 0, -1)
    yield (_Smaller(f"the first {n} of the units", sets[:n], request) for n in units)
    controls = (n for n in _FEWER_CONTROLS if n < request.n_controls)
    yield (_Smaller(f"n_controls {n}", sets, replace(request, n_controls=n)) for n in controls)
    if request.kind is EvidenceKind.STEERING:
        prompts = range(len(request.prompts) - 1, 0, -1)
        less = (replace(request, prompts=request.prompts[:n]) for n in prompts)
        yield (_Smaller(f"the first {len(one.prompts)} of the prompts", sets, one) for one in less)
    yield (_Smaller(_sizes(one), sets, one) for one in _shorter(request))


def _least(one: Sequence[UnitSet], request: CausalRequest) -> Iterator[_Smaller]:
    """Requests for less of everything, of one unit, or of those that are held together."""
    for n in _FEWEST_CONTROLS:
        for shorter in _shorter(replace(request, n_controls=min(n, request.n_controls))):
            alone = replace(shorter, prompts=shorter.prompts[:1])
            words = f"one unit or set with n_controls {alone.n_controls} and {_sizes(alone)}"
            yield _Smaller(words, one, alone)


def _shorter(request: CausalRequest) -> Iterator[CausalRequest]:
    """The same on less text, by halves; of a patching, whose texts are given, there is no less."""
    for power in range(1, 8):
        if request.kind is EvidenceKind.STEERING:
            yield replace(request, n_tokens=max(1, request.n_tokens >> power))
        elif request.kind is EvidenceKind.PATCHING:
            yield request
        else:
            windows, texts = (max(1, n >> power) for n in (request.n_windows, request.n_texts))
            yield replace(request, n_windows=windows, n_texts=texts)


def _sizes(request: CausalRequest) -> str:
    if request.kind is EvidenceKind.STEERING:
        return f"n_tokens {request.n_tokens}"
    if request.kind is EvidenceKind.PATCHING:
        return "the same texts"
    if request.kind is EvidenceKind.ATTRIBUTION:
        return f"n_texts {request.n_texts}"
    return f"n_windows {request.n_windows} with n_texts {request.n_texts}"

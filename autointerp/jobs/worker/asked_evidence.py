"""Causal evidence of units while somebody waits, on the texts that their labels were made from."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict

from autointerp.core.causal_evidence import ControlKind, EvidenceKind, Hold, TextKind
from autointerp.core.causal_json import causal_json
from autointerp.core.causal_request import CausalRequest
from autointerp.core.errors import AutointerpError, InputError, UpstreamError
from autointerp.core.ids import UnitId
from autointerp.core.unreadable import if_readable
from autointerp.evidence.causal_answers import evidence_of
from autointerp.evidence.causal_costs import refuse_longer
from autointerp.jobs.recorded_texts import LabelledSets, Peaks, RecordedTexts
from autointerp.jobs.worker.resources import LoadedModels
from autointerp.store.labels import LabelStore, LabelStores
from autointerp.subjects import parse_units

_OF_PASSES = 0.8
"""Of a request's time; the rest is for waiting and for reading labels."""
_ON_TEXT = {EvidenceKind.ABLATION, EvidenceKind.ATTRIBUTION}
_Labels = Mapping[UnitId, LabelledSets]


class EvidenceAsked(BaseModel):
    """What the API sends; see `EvidenceRequest`."""

    model_config = ConfigDict(extra="forbid")

    model: str
    dtype: str = "float32"
    labels: str
    """Name under which the labels of the units are served."""
    most_units: int
    most_s: float
    """Longer than this nobody waits."""
    units: str
    kind: EvidenceKind
    holds: tuple[Hold, ...]
    texts: tuple[TextKind, ...]
    together: bool
    n_windows: int
    n_texts: int
    n_controls: int
    against: tuple[ControlKind, ...]
    prompt: str | None = None
    counterfactual: str | None = None
    answers: tuple[str, str] | None = None
    position: int | None = None
    prompts: tuple[str, ...]
    target_kl: float
    n_tokens: int
    seed: int

    @property
    def request(self) -> CausalRequest:
        """What is asked of each unit."""
        here = {"model", "dtype", "labels", "most_units", "most_s", "units"}
        return CausalRequest(**{name: value for name, value in self if name not in here})


def evidence_asked(
    stores: LabelStores, models: LoadedModels, asked: EvidenceAsked, *, left_s: float
) -> dict[str, Any]:
    """The evidence, for JSON; or the units of which no text was kept, where there is no other.

    Raises:
        InputError: it cannot be done as asked, or takes longer than a request has.
        UpstreamError: it takes longer than is left of the request.
    """
    until, request = time.monotonic() + left_s, asked.request
    subject = models.subject(asked.model, asked.dtype)
    groups = parse_units(asked.units, subject, seed=request.seed)
    units = [UnitId(subject.name, group.hook, i) for group in groups for i in group.indices]
    if len(units) > asked.most_units:
        n = f"{len(units):,} units were asked for"
        raise InputError(f"{n}, at most {asked.most_units} are answered at a time")
    labels: _Labels = {}
    without: dict[UnitId, str] = {}
    if request.kind in _ON_TEXT:
        labels, without = _labelled(stores.of(asked.labels), asked.labels, units)
        if not labels or (without and request.together):
            return {"unlabelled": list(map(str, without)), "reason": _why(without)}
        units = list(labels)
    texts_of = partial(_texts, labels, Peaks())
    most_s = _OF_PASSES * asked.most_s
    takes_s = refuse_longer(subject, units, request, texts_of, most_s=most_s)
    left_s = max(0.0, until - time.monotonic())
    if takes_s > left_s:
        said = f"it takes about {takes_s:.0f} s, and {left_s:.0f} s are left of this request"
        raise UpstreamError(f"{said}, which waited; ask again", retryable=True)
    found = evidence_of(subject, units, request, texts_of(request))
    if without:
        note = f"{len(without)} of {len(units) + len(without)} units are left out: {_why(without)}"
        found = replace(found, notes=(*found.notes, note))
    # Of a whole text, which no request reads.
    return {name: value for name, value in causal_json(found).items() if name != "sites"}


def _texts(labels: _Labels, peaks: Peaks, request: CausalRequest) -> RecordedTexts | None:
    if not labels:
        return None
    return RecordedTexts(
        labels,
        n_windows=request.n_windows,
        n_texts=request.n_texts,
        seed=request.seed,
        peaks=peaks,
    )


def _labelled(
    store: LabelStore, served_as: str, units: Sequence[UnitId]
) -> tuple[_Labels, dict[UnitId, str]]:
    """A labelled side of each unit with its records, and why others have none.

    Of two sides that with an explanation, and of these the positive one.
    """
    found: dict[UnitId, LabelledSets] = {}
    without: dict[UnitId, str] = {}
    for unit in units:
        own = UnitId(served_as, unit.hook, unit.index)
        unreadable = list[AutointerpError]()
        labels = sorted(
            store.get_sides(own, unreadable.append), key=lambda label: label.explanation is None
        )
        for label in labels:
            get = partial(store.get_sets, own, label.side, label.origin)
            sets = if_readable(get, unreadable.append)
            if sets is not None and (sets.explain.records or sets.held_out.records):
                found[unit] = label, sets
                break
        else:
            known = (
                "the texts were not kept with the label of" if labels else "there is no label of"
            )
            problem = f"; {unreadable[0]}" if unreadable else ""
            without[unit] = f"{known} {unit.short}{problem}"
    return found, without


def _why(without: Mapping[UnitId, str]) -> str:
    first = next(iter(without.values()))
    return f"{first}, and ablation and attribution take text from what was kept with labels"

"""Causal evidence of units while somebody waits, on the texts that their labels were made from."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict
from typing_extensions import override

from autointerp.core.causal_evidence import (
    CausalEvidence,
    ControlKind,
    EvidenceKind,
    Hold,
    TextKind,
)
from autointerp.core.causal_json import causal_json
from autointerp.core.causal_request import CausalRequest
from autointerp.core.config import CorpusConfig
from autointerp.core.errors import InputError, UpstreamError
from autointerp.core.ids import UnitId
from autointerp.core.kept_evidence import KeptEvidence, of_each_unit
from autointerp.core.progress import SilentProgress
from autointerp.corpora import TokenCorpus
from autointerp.evidence.causal_answers import evidence_of
from autointerp.evidence.causal_costs import refuse_longer
from autointerp.evidence.causal_speed import measured_speed
from autointerp.evidence.ranking_cost import ranking_cost
from autointerp.jobs.evidence_source import source_of, source_of_labels
from autointerp.jobs.labelled_texts import (
    ON_LABELS,
    Labels,
    labelled_units,
    recorded_texts,
    why_without,
)
from autointerp.jobs.ranked_labels import by_hook_point, labels_to_rank, rank_evidence
from autointerp.jobs.recorded_texts import Peaks
from autointerp.jobs.site_evidence import has_sites, site_evidence
from autointerp.jobs.worker.resources import LoadedModels
from autointerp.store.labels import LabelStore, LabelStores
from autointerp.subjects import SubjectModel, parse_units

_OF_PASSES = 0.8
"""Of a request's time; the rest is for waiting and for reading labels."""
_LEAST_TOKENS = 1024


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

    text: CorpusConfig | None = None
    """What sites are compared on."""
    keep: bool = False
    """Whether the answers are kept beside the labels."""

    @property
    def request(self) -> CausalRequest:
        """What is asked of each unit."""
        here = {"model", "dtype", "labels", "most_units", "most_s", "units", "text", "keep"}
        return CausalRequest(**{name: value for name, value in self if name not in here})


def evidence_asked(
    stores: LabelStores, models: LoadedModels, asked: EvidenceAsked, *, left_s: float
) -> dict[str, Any]:
    """The evidence, for JSON; or the units of which no text was kept, where there is no other.

    Raises:
        InputError: it cannot be done as asked, or takes longer than a request has.
        UpstreamError: it takes longer than is left of the request.
    """
    waited = Waited(left_s, _OF_PASSES * asked.most_s)
    request, store = asked.request, stores.of(asked.labels)
    subject = models.subject(asked.model, asked.dtype)
    groups = parse_units(asked.units, subject, seed=request.seed)
    units = [UnitId(subject.name, group.hook, i) for group in groups for i in group.indices]
    if len(units) > asked.most_units:
        n = f"{len(units):,} units were asked for"
        raise InputError(f"{n}, at most {asked.most_units} are answered at a time")
    if request.kind is EvidenceKind.RANK:
        return _ranked(store, subject, asked, units, waited)
    labels: Labels = {}
    without: dict[UnitId, str] = {}
    if request.kind in ON_LABELS:
        labels, without = labelled_units(store, asked.labels, units)
        if not labels or (without and request.together):
            return {"unlabelled": list(map(str, without)), "reason": why_without(without)}
        units = list(labels)
    if request.kind is EvidenceKind.SITES:
        corpus = models.corpus_beside(asked.text or CorpusConfig(), subject)
        _refuse_longer_text(subject, units, corpus, waited)
        found = site_evidence(subject, units, corpus, waited)
    else:
        texts_of = partial(recorded_texts, labels, Peaks())
        takes_s = refuse_longer(subject, units, request, texts_of, most_s=waited.most_s)
        waited.refuse_late(takes_s)
        found = evidence_of(subject, units, request, texts_of(request), check=waited.check)
    if asked.keep:
        _keep(store, subject, units, request, found, labels)
    if without:
        found = _with_left_out(found, len(units), without, why_without(without))
    return causal_json(found)


def _ranked(
    store: LabelStore,
    subject: SubjectModel,
    asked: EvidenceAsked,
    units: Sequence[UnitId],
    waited: Waited,
) -> dict[str, Any]:
    labels, without = labels_to_rank(store, asked.labels, units)
    reason = next(iter(without.values()), "")
    if not labels:
        return {"unlabelled": list(map(str, without)), "reason": reason}
    takes_s = sum(ranking_cost(subject, of_hook).seconds for of_hook in by_hook_point(labels))
    if takes_s > waited.most_s:
        raise InputError(
            f"this takes about {takes_s:,.0f} s on this worker, and a request has "
            f"{waited.most_s:,.0f} s; ask about fewer units, or in a job"
        )
    waited.refuse_late(takes_s)
    found = rank_evidence(subject, labels, seed=asked.seed, progress=waited)
    if asked.keep:
        for unit, own in of_each_unit(found, list(labels)):
            source = source_of_labels(subject, [one.label for one in labels[unit]])
            store.put_evidence(KeptEvidence(unit, asked.request, own, source))
    if without:
        found = _with_left_out(found, len(labels), without, reason)
    return causal_json(found)


def _with_left_out(
    found: CausalEvidence, n_told: int, without: Mapping[UnitId, str], reason: str
) -> CausalEvidence:
    n = f"{len(without)} of {n_told + len(without)} units are left out"
    return replace(found, notes=(*found.notes, f"{n}: {reason}"))


class Waited(SilentProgress):
    """The time for which a caller waits; as a `Progress` it ends what goes on longer."""

    def __init__(self, left_s: float, most_s: float) -> None:
        self._until = time.monotonic() + left_s
        self.most_s = most_s

    def refuse_late(self, takes_s: float) -> None:
        """Refuses what does not fit the time that is left, although it fits a request."""
        left_s = max(0.0, self._until - time.monotonic())
        if takes_s > left_s:
            said = f"it takes about {takes_s:.0f} s, and {left_s:.0f} s are left of this request"
            raise UpstreamError(f"{said}, which waited; ask again", retryable=True)

    def check(self) -> None:
        """Ends the work where nobody waits for it any more."""
        if time.monotonic() > self._until:
            raise UpstreamError(
                "it took longer than its caller waits; ask for less", retryable=True
            )

    @override
    def advance(self, stage: str, amount: int) -> None:
        self.check()


def _refuse_longer_text(
    subject: SubjectModel, units: Sequence[UnitId], corpus: TokenCorpus, waited: Waited
) -> None:
    layers = {unit.layer for unit in units if has_sites(subject, unit)}
    if not layers:
        return  # Which is told when they are compared.
    speed = measured_speed(subject, units[0], corpus[0].token_ids)
    takes_s = len(layers) * corpus.n_tokens / speed.tokens_per_s
    if takes_s > waited.most_s:
        fits = int(waited.most_s * speed.tokens_per_s / len(layers))
        what = f"tokens {fits:,}" if fits >= _LEAST_TOKENS else "nothing: `autointerp evidence` may"
        raise InputError(
            f"this takes about {takes_s:,.0f} s on this worker, and a request has "
            f"{waited.most_s:,.0f} s; what fits is {what}"
        )
    waited.refuse_late(takes_s)


def _keep(  # noqa: PLR0913, PLR0917 - what an answer is kept with
    store: LabelStore,
    subject: SubjectModel,
    units: Sequence[UnitId],
    request: CausalRequest,
    found: CausalEvidence,
    labels: Labels,
) -> None:
    for unit, own in of_each_unit(found, units):
        label = labels[unit][0] if unit in labels else None
        corpus = None if label is None else label.provenance.corpus
        corpus = own.sites[0].corpus if own.sites else corpus
        source = source_of(subject, corpus, label=label)
        store.put_evidence(KeptEvidence(unit, request, own, source))

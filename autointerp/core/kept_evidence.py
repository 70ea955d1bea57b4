"""Causal evidence of one unit that is kept beside its labels, with what it was made from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from autointerp.core.causal_evidence import CausalEvidence, EvidenceKind
from autointerp.core.causal_json import causal_json
from autointerp.core.causal_request import CausalRequest
from autointerp.core.explanations import Label
from autointerp.core.ids import UnitId
from autointerp.core.one_line import brief_repr

OF_ANOTHER_LABEL = "measured with another label"
_AND = "+"
_RESULTS = ("ablations", "patchings", "attributions", "steerings", "sites", "ranks")


@dataclass(frozen=True, slots=True)
class EvidenceSource:
    """What an answer was made from, beside the request."""

    created: str
    """When, ISO 8601, UTC."""
    package_version: str
    subject_revision: str
    """Digest of the subject model's weights."""
    dtype: str
    """Of the weights while it was measured."""
    corpus: str | None = None
    """Whose windows it was measured on; None of kinds that need no text."""
    job: str | None = None
    """The job that asked for it; None where a command or a single request did."""
    label: str | None = None
    """Digest of the label whose texts it was measured on, see `label_digest`; of a kind that takes
    the labels of both sides, see `labels_digest`; None without one."""

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class KeptEvidence:
    """The answer to a request about one unit; the newest of a request, text and dtype is kept."""

    unit: UnitId
    request: CausalRequest
    evidence: CausalEvidence
    """Of this unit alone."""
    source: EvidenceSource

    __repr__ = brief_repr

    @property
    def key(self) -> str:
        """Names the answer among those of a unit; see `answer_key`."""
        return answer_key(self.request, self.source)

    def is_of_another_label(self, labels: Collection[str]) -> bool:
        """Whether it was measured on the texts of a label that has none of these digests."""
        own = () if self.source.label is None else self.source.label.split(_AND)
        return any(digest not in labels for digest in own)

    def is_of_other_than(self, label: str) -> bool:
        """Whether the label of this digest is none of those on whose texts it was measured."""
        return self.source.label is None or label not in self.source.label.split(_AND)

    @property
    def order(self) -> tuple[int, str]:
        """Sorts by kind, and the answers of one kind by when they were made."""
        return tuple(EvidenceKind).index(self.request.kind), self.source.created


def of_each_unit(
    found: CausalEvidence, units: Sequence[UnitId]
) -> Iterator[tuple[UnitId, CausalEvidence]]:
    """What was found of each of the units that have an answer of their own.

    Passes that were run for several are divided evenly; notes, which may be of others, are left
    out.
    """
    alone = replace(
        found,
        n_tokens_run=found.n_tokens_run // max(1, len(units)),
        seconds=found.seconds / max(1, len(units)),
        notes=(),
    )
    for unit in units:
        place = unit.layer, unit.index
        own = replace(
            alone,
            ablations=tuple(one for one in found.ablations if one.units == (unit,)),
            patchings=tuple(one for one in found.patchings if one.units == (unit,)),
            attributions=tuple(one for one in found.attributions if one.unit == unit),
            steerings=tuple(one for one in found.steerings if one.unit == unit),
            sites=tuple(
                one
                for one in found.sites
                if (one.sites[0].unit.layer, one.sites[0].unit.index) == place
            ),
            ranks=tuple(
                one
                for one in found.ranks
                if (one.unit.hook, one.unit.index) == (unit.hook, unit.index)
            ),
        )
        if any(getattr(own, name) for name in _RESULTS):
            yield unit, own


def joined_evidence(found: Sequence[CausalEvidence], units: Sequence[UnitId]) -> CausalEvidence:
    """The parts of one answer, at least one, as one: results in the order of the units."""
    place = {(unit.layer, unit.index): number for number, unit in enumerate(units)}

    def at(unit: UnitId) -> int:
        return place.get((unit.layer, unit.index), len(place))

    return replace(
        found[0],
        ablations=tuple(sorted(_all(found, "ablations"), key=lambda one: at(one.units[0]))),
        patchings=tuple(sorted(_all(found, "patchings"), key=lambda one: at(one.units[0]))),
        attributions=tuple(sorted(_all(found, "attributions"), key=lambda one: at(one.unit))),
        steerings=tuple(sorted(_all(found, "steerings"), key=lambda one: at(one.unit))),
        sites=tuple(sorted(_all(found, "sites"), key=lambda one: at(one.sites[0].unit))),
        ranks=tuple(sorted(_all(found, "ranks"), key=lambda one: at(one.unit))),
        n_tokens_run=sum(one.n_tokens_run for one in found),
        seconds=sum(one.seconds for one in found),
        notes=tuple(dict.fromkeys(note for one in found for note in one.notes)),
    )


def _all(found: Sequence[CausalEvidence], name: str) -> Iterator[Any]:
    return (one for part in found for one in getattr(part, name))


def answer_key(request: CausalRequest, source: EvidenceSource) -> str:
    """Names a request with its text and dtype, of any unit: 12 hexadecimal digits."""
    import hashlib  # noqa: PLC0415 - reading a label needs none
    import json  # noqa: PLC0415

    text = json.dumps([causal_json(request), source.corpus, source.dtype], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def label_digest(label: Label) -> str:
    """Names what a label says of which side, and what it was made from: 12 hexadecimal digits."""
    import hashlib  # noqa: PLC0415 - reading a label needs none

    said = "" if label.explanation is None else label.explanation.text
    text = f"{label.side}\x1f{label.origin.digest}\x1f{said}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def labels_digest(labels: Iterable[Label]) -> str:
    """Names the labels of several sides of a unit."""
    return _AND.join(map(label_digest, labels))


def kept_json(kept: KeptEvidence) -> dict[str, Any]:
    """The evidence with its request and source, plain; units as ``subject/hook/index``."""
    return causal_json(kept)


def newest_of_each_kind(found: tuple[KeptEvidence, ...]) -> tuple[KeptEvidence, ...]:
    """The newest answer of each kind, in the order of kinds."""
    newest = {one.request.kind: one for one in sorted(found, key=lambda one: one.order)}
    return tuple(newest.values())

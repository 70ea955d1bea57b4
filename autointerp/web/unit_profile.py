"""What the page of a unit shows, from its labels and records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from autointerp.core.explanations import Label, ScoredExplanation
from autointerp.core.ids import Side, UnitId
from autointerp.core.kept_evidence import KeptEvidence
from autointerp.core.scores import Score
from autointerp.core.sense_types import Receipt, Sense, SenseScore, survivors
from autointerp.store.label_records import LabelRecords
from autointerp.web.activation_chart import ActivationChart
from autointerp.web.found_evidence import FoundEvidence, found_evidence, rank_beside
from autointerp.web.page_links import Links
from autointerp.web.sense_marks import sense_marks, sensed_explanation, tells_of_exemplars
from autointerp.web.token_rows import shown_text
from autointerp.web.unit_evidence_rows import EvidenceRows
from autointerp.web.unit_exemplars import (
    Band,
    BandShare,
    HeldOutGroup,
    band_shares,
    exemplar_bands,
    held_out_groups,
    sense_bands,
)
from autointerp.web.unit_lists import NOWHERE, Paths

_SIDES = {Side.POSITIVE: "positive side", Side.NEGATIVE: "negative side"}


@dataclass(frozen=True, slots=True)
class SenseLine:
    """One sense with its number, colour and what it came to."""

    number: int
    sense: Sense
    score: SenseScore | None
    receipts: tuple[int, int]
    """(those that came out as expected, all) of the texts that were written for it."""


@dataclass(frozen=True, slots=True)
class ExplanationPart:
    """The LLM's explanation or the rules."""

    title: str
    origin: str
    text: str
    score: Score
    facts: tuple[str, ...]
    senses: tuple[SenseLine, ...]
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class SideView:
    """Everything about one side of a unit."""

    label: Label
    title: str
    anchor: str
    peak: float
    sentence: str
    rank: str
    """Whether it is the unit of its layer that this label describes best, a sentence; empty where
    that was not kept."""
    explanations: tuple[ExplanationPart, ...]
    receipts: tuple[Receipt, ...]
    survived: tuple[int, int]
    senses: tuple[Band, ...]
    """Exemplars by sense."""
    unsensed: str
    """Why exemplars are not shown by sense, where the label has several; else empty."""
    bands: tuple[Band, ...]
    held_out: tuple[HeldOutGroup, ...]
    shares: tuple[BandShare, ...]
    chart: ActivationChart | None
    promoted: tuple[tuple[str, float | None], ...]
    suppressed: tuple[tuple[str, float | None], ...]
    provenance: tuple[tuple[str, str], ...]
    evidence: EvidenceRows


@dataclass(frozen=True, slots=True)
class UnitProfile:
    """The page of a unit."""

    unit: UnitId
    links: Links
    sides: tuple[SideView, ...]
    paths: Paths = NOWHERE
    found: tuple[FoundEvidence, ...] = ()
    """Causal evidence that was kept of it, the newest of each kind."""

    @classmethod
    def of(
        cls,
        unit: UnitId,
        sides: Sequence[tuple[Label, LabelRecords | None]],
        links: Links,
        paths: Paths = NOWHERE,
        evidence: tuple[KeptEvidence, ...] = (),
    ) -> UnitProfile:
        """From at least one label of a unit, each with its records where they were kept.

        The unit is named as pages name it: labels may be served under another name than that of
        their subject model.
        """
        views = tuple(
            replace(_side(label, records, unit, links, paths), rank=rank_beside(evidence, label))
            for label, records in sides
        )
        found = found_evidence(evidence, (label for label, _ in sides))
        return cls(unit, links, views, paths, found)


def _side(
    label: Label, records: LabelRecords | None, unit: UnitId, links: Links, paths: Paths
) -> SideView:
    sense_of = None if records is None else sense_marks(label, peak=records.peak)
    return SideView(
        label,
        _SIDES[label.side],
        label.side.value,
        records.peak if records is not None else 0.0,
        _sentence(label),
        "",
        tuple(_explanations(label)),
        label.receipts,
        survivors(label.receipts),
        () if records is None or sense_of is None else tuple(sense_bands(label, records, sense_of)),
        _unsensed(label),
        () if records is None else tuple(exemplar_bands(label, records, sense_of)),
        () if records is None else tuple(held_out_groups(label, records, sense_of)),
        () if records is None else band_shares(records, label.side),
        ActivationChart.of(label.stats, label.side),
        _effects(label.promoted, label.promoted_values),
        _effects(label.suppressed, label.suppressed_values),
        tuple(_provenance(label)),
        EvidenceRows.of(unit, label, links, paths.holds),
    )


def _unsensed(label: Label) -> str:
    explanation = sensed_explanation(label)
    if explanation is None or tells_of_exemplars(explanation):
        return ""
    return (
        "Which sense an exemplar is of is not known: where a reader, and not rules, says that a "
        "sense applies, it read the held-out text alone. The windows there are marked by sense."
    )


def _sentence(label: Label) -> str:
    """What the score says, for somebody who has never seen one."""
    score = label.headline
    if score.value is None:
        return f"No score: {label.reason or score.reason}."
    ends = "" if score.low is None else f" (95 %: {score.low:.2f} to {score.high:.2f})"
    parts = [
        f"This text alone predicts {score.value:.2f}{ends} of how the unit varies over all "
        "held-out text, where 1 is all and 0 nothing (a correlation)"
    ]
    table, null = label.score("lookup"), label.score(f"{label.preferred}_null")
    if table.value is not None:
        parts.append(f"a full table of every token's mean predicts {table.value:.2f}")
    if null.value is not None:
        parts.append(f"another unit's label {null.value:.2f}")
    return "; ".join(parts) + "."


def _explanations(label: Label) -> Iterator[ExplanationPart]:
    both = [("A language model says", label.llm), ("Rules by counting say", label.rules)]
    found = [(title, one) for title, one in both if one is not None]
    if not found and label.explanation is not None and label.preferred is not None:
        found = [("It is said", ScoredExplanation(label.explanation, label.preferred))]
    for title, one in sorted(found, key=lambda pair: pair[1].explanation != label.explanation):
        explanation = one.explanation
        origin = ", ".join(filter(None, (explanation.explainer, explanation.model)))
        yield ExplanationPart(
            title,
            origin,
            explanation.text,
            label.score_of(one),
            tuple(_facts(label, one)),
            tuple(_senses(label, one)),
            explanation == label.explanation,
        )


def _facts(label: Label, one: ScoredExplanation) -> Iterator[str]:
    added, mass = (label.score_of(one, name) for name in ("added", "mass_explained"))
    if added.value is not None:
        ends = "" if added.low is None else f" (95 %: {added.low:+.2f} to {added.high:+.2f})"
        yield f"adds {added.value:+.2f}{ends} to the token table"
    if mass.value is not None:
        yield f"accounts for {mass.value:.0%} of the activation"


def _senses(label: Label, one: ScoredExplanation) -> Iterator[SenseLine]:
    senses = one.explanation.senses
    if len(senses) < 2:
        return
    is_llm = label.llm is not None and label.llm.explanation == one.explanation
    scores = label.sense_scores if is_llm else ()
    for number, (sense, score) in enumerate(zip_longest(senses, scores[: len(senses)])):
        own = [r for r in label.receipts if is_llm and r.sense == number]
        yield SenseLine(number + 1, sense, score, survivors(own))


def _effects(
    tokens: Sequence[str], values: Sequence[float]
) -> tuple[tuple[str, float | None], ...]:
    pairs = zip_longest(tokens, values[: len(tokens)])
    return tuple((shown_text(token), value) for token, value in pairs)


def _provenance(label: Label) -> Iterator[tuple[str, str]]:
    made = label.provenance
    yield "subject model", f"{made.subject}, revision {made.subject_revision}, {made.dtype}"
    yield "tokenizer", made.tokenizer
    yield "text", f"{made.corpus}, {made.n_tokens:,} tokens in windows of {made.n_ctx}"
    yield "text and split", f"{made.corpus_hash}, {made.split_hash}"
    yield "collection", f"{made.collect_hash}, seed {made.seed}"
    yield "explanations by", made.explainer_model or "rules"
    yield "scores by", made.scorer_model or "rules"
    for prompt in made.prompts:
        yield "prompt", f"{prompt.name} {prompt.version}, {prompt.digest}"
    yield from made.encoders
    yield "made with", f"autointerp {made.package_version}"

"""The three sets of a file of records, and what is counted of them.

Files that say how many windows each stratum holds keep their weights; in the others the strata
that are scored count the same, and the population score is undefined.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autointerp.core.explanations import Explanation
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import (
    ActivationRecord,
    HeldOutSet,
    Stratum,
    UnitSets,
    ValidationSet,
)
from autointerp.core.text import Split, document_id
from autointerp.dictionary.foreign_split import (
    by_stratum,
    by_text,
    check_active,
    check_records,
    count_records,
    deal,
    explain_set,
    interleaved,
    scored_part,
    token_means,
)
from autointerp.dictionary.foreign_values import Plain, RecordFile, TextVocabulary
from autointerp.dictionary.records import LabelRecords


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a file says beside its records."""

    path: Path
    digest: str
    """First 16 hex digits of the SHA-256 of its bytes, decompressed."""
    explanation: Explanation | None = None
    moments: tuple[float | None, float | None] = (None, None)
    """Mean and variance over all text, None where unknown."""
    notes: tuple[str, ...] = ()


def file_of_sets(facts: FileFacts, sets: UnitSets) -> RecordFile:
    """A run's own sets, as they are."""
    parts = (sets.explain.records, sets.validation.records, sets.held_out.records)
    return _made(facts, sets, tuple(itertools.chain(*parts)))


def file_of_records(facts: FileFacts, found: LabelRecords, *, seed: int) -> RecordFile:
    """A dictionary's record file: its held-out set as it is, its explain records dealt in two."""
    unit, side, peak = found.unit, found.side, found.peak
    explain: list[ActivationRecord] = []
    chooses: list[ActivationRecord] = []
    strata = []
    for name, records in by_stratum(found.explain).items():
        groups = by_text(records, seed=seed)
        # Explaining needs the records more than choosing does.
        n_choosing = len(groups) // 5
        own = [record for group in groups[:n_choosing] for record in group]
        chooses += own
        explain += [record for group in groups[n_choosing:] for record in group]
        n_windows = max(round(sum(r.weight for r in records)), len(own))
        peaks = [r.peak(side) for r in records]
        strata.append(Stratum(name, n_windows, len(own), min(peaks), max(peaks)))
    sets = UnitSets(
        explain_set(unit, side, explain, peak=peak),
        ValidationSet(unit, side, interleaved(chooses), tuple(strata), peak),
        HeldOutSet(unit, side, found.held_out, found.strata, peak),
    )
    return _made(facts, sets, (*found.explain, *found.held_out))


def plain_sets(
    facts: FileFacts,
    unit: UnitId,
    side: Side,
    strata: Mapping[str, Sequence[Plain]],
    *,
    seed: int,
) -> RecordFile:
    """Records without a split: about half explain, a tenth choose, the rest is held out.

    Where there is a random sample, top and random records are scored, as in the literature, and
    records of quantile bands only explain; else the bands are scored beside the top records.

    Args:
        facts: of the file.
        unit: what it is of.
        side: which half.
        strata: records of ``top``, ``band0`` and up, ``random``.
        seed: of the split.
    """
    tokens = (t for records in strata.values() for record in records for t in record.tokens)
    vocabulary = TextVocabulary.of(tokens)
    records = tuple(_with_ids(strata, vocabulary))
    check_records(facts.path, records, side)
    scored = ("top", "random") if strata.get("random") else tuple(strata)
    dealt = deal(records, scored, seed=seed)
    explain = explain_set(unit, side, dealt[Split.EXPLAIN])
    validation = scored_part(dealt[Split.VALIDATION], side)
    held_out = scored_part(dealt[Split.HELD_OUT], side)
    sets = UnitSets(
        explain,
        ValidationSet(unit, side, *validation, explain.peak),
        HeldOutSet(unit, side, *held_out, explain.peak),
    )
    random = tuple(record for record in records if record.stratum == "random")
    return _made(facts, sets, random or records, vocabulary=vocabulary)


def _made(
    facts: FileFacts,
    sets: UnitSets,
    counted: tuple[ActivationRecord, ...],
    *,
    vocabulary: TextVocabulary | None = None,
) -> RecordFile:
    """The file; its tokens' ids are its own where no vocabulary is given."""
    side = sets.explain.side
    if vocabulary is None:
        check_records(facts.path, counted, side)
    check_active(facts.path, sets)
    known = {i: t for r in counted for i, t in zip(r.token_ids, r.tokens, strict=True)}
    reason = "the file does not say how many windows its records were drawn from"
    note = _weighting(sets.held_out)
    return RecordFile(
        path=facts.path,
        digest=facts.digest,
        sets=sets,
        token_means=token_means(sets.explain),
        stats=count_records(counted, side, facts.moments),
        vocabulary=vocabulary or TextVocabulary.known(known),
        explanation=facts.explanation,
        no_population=None if vocabulary is None else reason,
        notes=facts.notes if vocabulary is None else (*facts.notes, note),
    )


def _weighting(held_out: HeldOutSet) -> str:
    parts = ", ".join(f"{s.n_sampled} {s.name}" for s in held_out.strata)
    alike = "" if len(held_out.strata) == 1 else "; each of these parts counts the same"
    return f"held-out records: {parts}{alike}"


def _with_ids(
    strata: Mapping[str, Sequence[Plain]], vocabulary: TextVocabulary
) -> Iterator[ActivationRecord]:
    ids = {text: i for i, text in vocabulary.texts.items()}
    window = itertools.count()
    for name, records in strata.items():
        for record in records:
            yield ActivationRecord(
                window=next(window),
                document=document_id("".join(record.tokens)),
                offset=0,
                token_ids=tuple(ids[token] for token in record.tokens),
                tokens=record.tokens,
                activations=record.activations,
                stratum=name,
                weight=1.0,
            )

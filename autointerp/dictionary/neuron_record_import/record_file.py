"""A file of records as explain, validation and held-out sets, with its statistics.

Files that say how many windows each stratum has keep their weights; in others the scored strata
count the same, and the population score is undefined.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autointerp.core.explanations import Explanation, Label
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import (
    ActivationRecord,
    HeldOutSet,
    NeuronStats,
    Stratum,
    TokenMeans,
    UnitSets,
    ValidationSet,
    rectify,
)
from autointerp.core.text import Split, document_id
from autointerp.dictionary.neuron_record_import.splitting import (
    check_active,
    check_records,
    count_records,
    explain_set,
    group_by_stratum,
    group_by_text,
    interleaved,
    scored_part,
    split_records,
    token_means,
)
from autointerp.store.label_records import LabelRecords


@dataclass(frozen=True, slots=True)
class PlainRecord:
    """A record in the form of other tools."""

    tokens: tuple[str, ...]
    activations: tuple[float, ...]

    def peak(self, side: Side) -> float:
        """The largest activation of one side."""
        return max(rectify(self.activations, side))


@dataclass(frozen=True, slots=True)
class TextVocabulary:
    """A tokenizer that knows the tokens of a file and nothing else."""

    name: str
    texts: Mapping[int, str]

    @property
    def bos_id(self) -> None:
        """There is none."""
        return

    @classmethod
    def of(cls, tokens: Iterable[str]) -> TextVocabulary:
        """Ids made up for each different text, in order of appearance."""
        return cls.known(dict(enumerate(dict.fromkeys(tokens))))

    @classmethod
    def known(cls, texts: Mapping[int, str]) -> TextVocabulary:
        """The ids that the file itself has."""
        joined = "\x1f".join(f"{i}:{text}" for i, text in sorted(texts.items()))
        digest = hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        return cls(f"text:{digest}", texts)

    def encode(self, text: str) -> list[int]:
        """Ids of the longest known tokens from the left; text that no token matches is skipped."""
        ids = {token: i for i, token in self.texts.items() if token}
        longest = max(map(len, ids), default=0)
        encoded: list[int] = []
        place = 0
        while place < len(text):
            lengths = range(min(longest, len(text) - place), 0, -1)
            n = next((n for n in lengths if text[place : place + n] in ids), 0)
            encoded += [ids[text[place : place + n]]] if n else []
            place += max(1, n)
        return encoded

    def pieces(self, token_ids: Sequence[int]) -> tuple[str, ...]:
        """The tokens' texts; an unknown id is shown as its number."""
        return tuple(self.texts.get(i, f"<token {i}>") for i in token_ids)


@dataclass(frozen=True, slots=True)
class RecordFile:
    """What a file says of one side of one unit, ready to be explained and scored."""

    path: Path
    digest: str
    """First 16 hex digits of the SHA-256 of the file's bytes, decompressed."""
    sets: UnitSets
    token_means: TokenMeans
    """Fitted on the explain records alone."""
    stats: NeuronStats
    vocabulary: TextVocabulary
    explanation: Explanation | None
    """The file's own, None where it has none."""
    no_population: str | None
    """Why there is no population score; None where there is one."""
    label: Label | None
    """The unit's, where the file is a run's or a dictionary's."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a file says apart from its records."""

    path: Path
    digest: str
    """First 16 hex digits of the SHA-256 of its bytes, decompressed."""
    explanation: Explanation | None = None
    label: Label | None = None
    mean_and_variance: tuple[float | None, float | None] = (None, None)
    """Mean and variance over all text, None where unknown."""
    notes: tuple[str, ...] = ()


def file_of_sets(facts: FileFacts, sets: UnitSets) -> RecordFile:
    """A run's own sets, as they are."""
    parts = (sets.explain.records, sets.validation.records, sets.held_out.records)
    return _record_file(facts, sets, tuple(itertools.chain(*parts)))


def file_of_records(facts: FileFacts, stored: LabelRecords, *, seed: int) -> RecordFile:
    """A dictionary's record file: its held-out set as it is, its explain records split in two."""
    unit, side, peak = stored.unit, stored.side, stored.peak
    explain: list[ActivationRecord] = []
    validation: list[ActivationRecord] = []
    strata = []
    for name, records in group_by_stratum(stored.explain).items():
        groups = group_by_text(records, seed=seed)
        # Explaining needs the records more than choosing does.
        n_choosing = len(groups) // 5
        own = [record for group in groups[:n_choosing] for record in group]
        validation += own
        explain += [record for group in groups[n_choosing:] for record in group]
        n_windows = max(round(sum(r.weight for r in records)), len(own))
        peaks = [r.peak(side) for r in records]
        strata.append(Stratum(name, n_windows, len(own), min(peaks), max(peaks)))
    sets = UnitSets(
        explain_set(unit, side, explain, peak=peak),
        ValidationSet(unit, side, interleaved(validation), tuple(strata), peak),
        HeldOutSet(unit, side, stored.held_out, stored.strata, peak),
    )
    return _record_file(facts, sets, (*stored.explain, *stored.held_out))


def file_of_plain_records(
    facts: FileFacts,
    unit: UnitId,
    side: Side,
    strata: Mapping[str, Sequence[PlainRecord]],
    *,
    seed: int,
) -> RecordFile:
    """A file of records without a split: about half explain, a tenth validate, the rest held out.

    Where there is a random sample, top and random records are scored, as in the literature, and
    records of quantile bands only explain; otherwise the bands are scored with the top records.

    Strata are ``top``, ``band0`` and up, and ``random``.
    """
    tokens = (t for records in strata.values() for record in records for t in record.tokens)
    vocabulary = TextVocabulary.of(tokens)
    records = tuple(_with_ids(strata, vocabulary))
    check_records(facts.path, records, side)
    scored = ("top", "random") if strata.get("random") else tuple(strata)
    dealt = split_records(records, scored, seed=seed)
    explain = explain_set(unit, side, dealt[Split.EXPLAIN])
    validation = scored_part(dealt[Split.VALIDATION], side)
    held_out = scored_part(dealt[Split.HELD_OUT], side)
    sets = UnitSets(
        explain,
        ValidationSet(unit, side, *validation, explain.peak),
        HeldOutSet(unit, side, *held_out, explain.peak),
    )
    random = tuple(record for record in records if record.stratum == "random")
    return _record_file(facts, sets, random or records, vocabulary=vocabulary)


def _record_file(
    facts: FileFacts,
    sets: UnitSets,
    counted: tuple[ActivationRecord, ...],
    *,
    vocabulary: TextVocabulary | None = None,
) -> RecordFile:
    """The result; without a vocabulary the token ids are those of the file."""
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
        stats=count_records(counted, side, facts.mean_and_variance),
        vocabulary=vocabulary or TextVocabulary.known(known),
        explanation=facts.explanation,
        no_population=None if vocabulary is None else reason,
        label=facts.label,
        notes=facts.notes if vocabulary is None else (*facts.notes, note),
    )


def _weighting(held_out: HeldOutSet) -> str:
    parts = ", ".join(f"{s.n_sampled} {s.name}" for s in held_out.strata)
    alike = "" if len(held_out.strata) == 1 else "; each of these parts counts the same"
    return f"held-out records: {parts}{alike}"


def _with_ids(
    strata: Mapping[str, Sequence[PlainRecord]], vocabulary: TextVocabulary
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

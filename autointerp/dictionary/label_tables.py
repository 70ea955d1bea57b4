"""Tables of labels to compare: a dictionary's folder, or a label file alone."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from autointerp.core.errors import InputError
from autointerp.core.explanations import Label
from autointerp.core.files import storage_errors
from autointerp.core.ids import HookPoint, Side, UnitId
from autointerp.core.json_text import parse_json
from autointerp.dictionary.manifest import Manifest
from autointerp.dictionary.read import Dictionary, open_dictionary
from autointerp.dictionary.rows import OLD_NAMES, Row
from autointerp.store.label_records import LabelRecords

Key = tuple[str, int, Side]
"""Hook point, index, side: what names a unit in both dictionaries."""

_LINE = 1 << 24
_ROWS = 1_000
_NEEDED = ("hook", "index", "polarity", "status", "description", "explainer", "score")


@dataclass(frozen=True, slots=True)
class RatedText:
    """An LLM's explanation with its score, whether or not it describes the unit."""

    text: str | None
    score: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class RatedLabel:
    """What one dictionary says of one side of one unit."""

    unit: UnitId
    side: Side
    text: str | None
    explainer: str | None
    model: str | None
    """The LLM that wrote the explanation, None where none did."""
    prompt: str | None
    """``name/v1``, empty where none was used, None where the table does not say."""
    status: str
    scorer: str | None
    score: float | None
    low: float | None
    high: float | None
    llm: RatedText | None = None
    """The LLM's explanation; None where the table has none."""
    corpus: str | None = None
    """The text that was read; None where the table, an earlier version's, does not say."""

    @property
    def way(self) -> str:
        """How it was explained: explainer, prompt version and LLM."""
        if self.explainer is None:
            return "no explanation"
        version = (self.prompt or "").rpartition("/")[2]
        name = f"{self.explainer} {version}".rstrip()
        return f"{name} ({self.model})" if self.model else name


@dataclass(frozen=True, slots=True)
class LabelTable:
    """The labels of one dictionary."""

    path: Path
    ratings: Mapping[Key, RatedLabel]
    dictionary: Dictionary | None
    """The whole dictionary, None where there is only a label file."""

    @property
    def manifest(self) -> Manifest | None:
        """What made it, None where that is not known."""
        return self.dictionary.manifest if self.dictionary else None

    def rating(self, key: Key) -> tuple[RatedLabel, Label | None]:
        """The rating, with its prompt and the whole label where there is a dictionary."""
        rated = self.ratings[key]
        if self.dictionary is None:
            return rated, None
        return with_prompt(rated, self.dictionary.label(rated.unit, rated.side))

    def records(self, label: Label) -> LabelRecords | None:
        """The label's exemplars, where they are kept."""
        return self.dictionary.records(label.unit, label.side) if self.dictionary else None


def with_prompt(rated: RatedLabel, label: Label | None) -> tuple[RatedLabel, Label | None]:
    """The rating with the prompt that the whole label tells."""
    ref = label.explanation.prompt if label and label.explanation else None
    return replace(rated, prompt=f"{ref.name}/{ref.version}" if ref else ""), label


def read_label_table(path: Path) -> LabelTable:
    """The labels in a dictionary's folder, or in a ``.parquet``, ``.jsonl`` or ``.jsonl.gz``.

    Raises:
        InputError: it does not exist, or does not hold labels.
        StorageError: the disk refuses, or a file of the dictionary is damaged.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; give a dictionary's folder or a label file")
    if path.is_dir() or path.name == "manifest.json":
        dictionary = open_dictionary(path)
        return LabelTable(path, _ratings(dictionary.rows(), path), dictionary)
    if path.suffix == ".parquet":
        return LabelTable(path, _ratings(_parquet_rows(path), path), None)
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        return LabelTable(path, _ratings(_json_rows(path), path), None)
    msg = f"{path} is neither a dictionary's folder nor a .parquet, .jsonl or .jsonl.gz of labels"
    raise InputError(msg)


def differing_inputs(a: LabelTable, b: LabelTable) -> tuple[str, ...]:
    """What makes the two incomparable, a phrase each: subject, text, seeds, interval level."""
    if a.manifest is None or b.manifest is None:
        return tuple(_differing_rows(a, b))
    first, second = _inputs(a.manifest), _inputs(b.manifest)
    return tuple(
        f"{name} is {value} in A and {second[name]} in B"
        for name, value in first.items()
        # A downloaded dictionary does not say all of them.
        if value != second[name] and value is not None and second[name] is not None
    )


def _differing_rows(a: LabelTable, b: LabelTable) -> Iterator[str]:
    """What rows tell; those of earlier versions name no corpus."""
    for name, of in (("subject", _subject), ("corpus", _corpus)):
        here, there = (sorted({of(row) for row in t.ratings.values()}) for t in (a, b))
        if here != there and all(here) and all(there):
            yield f"{name} is {', '.join(here)} in A and {', '.join(there)} in B"


def _subject(row: RatedLabel) -> str:
    return row.unit.subject


def _corpus(row: RatedLabel) -> str:
    return row.corpus or ""


def _inputs(manifest: Manifest) -> dict[str, object]:
    return {
        "subject": manifest.subject,
        "the subject's weights": manifest.subject_revision,
        "dtype": manifest.dtype,
        "corpus": manifest.corpus,
        "the corpus text": manifest.corpus_hash,
        "tokens a window": manifest.n_ctx,
        "run seed": manifest.seeds.run,
        "corpus seed": manifest.seeds.corpus,
        "collection seed": manifest.seeds.collect,
        "the document split": manifest.split_hash,
        "confidence": manifest.job and manifest.job.score.confidence,
    }


def _ratings(rows: Iterable[Row], path: Path) -> dict[Key, RatedLabel]:
    result: dict[Key, RatedLabel] = {}
    for number, given in enumerate(rows, 1):
        row = {OLD_NAMES.get(name, name): value for name, value in given.items()}
        rated = rated_row(row, f"row {number} of {path}")
        key = rated.unit.hook, rated.unit.index, rated.side
        if key in result:
            msg = f"row {number} of {path} has a second label of {rated.unit} ({rated.side})"
            raise InputError(msg)
        result[key] = rated
    if not result:
        raise InputError(f"{path} holds no label")
    return result


def rated_row(row: Row, where: str) -> RatedLabel:
    """What a row of this version says of its label.

    Raises:
        InputError: it is no row of a label; `where` says in the sentence which one it is.
    """
    lacking = [name for name in _NEEDED if name not in row]
    if lacking:
        raise InputError(f"{where} has no {lacking[0]}: that is not a table of labels")
    try:
        hook, index = HookPoint(str(row["hook"])).name, int(str(row["index"]))
        side = Side(str(row["polarity"]))
    except ValueError as error:
        raise InputError(f"{where} does not name a unit: {error}") from error
    llm = RatedText(
        text=_text(row, "llm_description"),
        score=_number(row, "llm_score", where),
        low=_number(row, "llm_score_low", where),
        high=_number(row, "llm_score_high", where),
    )
    return RatedLabel(
        unit=UnitId(_text(row, "model_id") or "unknown", hook, index),
        side=side,
        text=_text(row, "description"),
        explainer=_text(row, "explainer"),
        model=_text(row, "explanation_model_name"),
        prompt=None,
        status=str(row["status"]),
        scorer=_text(row, "scorer"),
        score=_number(row, "score", where),
        low=_number(row, "score_low", where),
        high=_number(row, "score_high", where),
        llm=None if llm.text is None else llm,
        corpus=_text(row, "corpus"),
    )


def _text(row: Row, name: str) -> str | None:
    value = row.get(name)
    return None if value is None else str(value)


def _number(row: Row, name: str, where: str) -> float | None:
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{where}: {name} must be a number, found {value!r}")
    # Tables that went through pandas say NaN for what is undefined.
    return float(value) if math.isfinite(value) else None


def _parquet_rows(path: Path) -> Iterator[Row]:
    with storage_errors(path, verb="read"):
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=_ROWS):
                    yield from batch.to_pylist()
        except (pa.ArrowException, ValueError, OverflowError) as error:
            raise InputError(f"{path} cannot be read as Parquet: {error}") from error


def _json_rows(path: Path) -> Iterator[Row]:
    opener = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with storage_errors(path, verb="read"), opener(path, "rb") as lines:
            for number, line in enumerate(iter(partial(lines.readline, _LINE), b""), 1):
                if len(line) == _LINE:
                    raise InputError(f"line {number} of {path} has more than {_LINE:,} bytes")
                row = parse_json(line)
                if not isinstance(row, dict):
                    raise InputError(f"line {number} of {path} is not a JSON object")
                yield row
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path} is damaged: {error}") from error
    except ValueError as error:
        raise InputError(f"line {number} of {path} is not JSON: {error}") from error

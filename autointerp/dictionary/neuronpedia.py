"""The tree that Neuronpedia imports: features, activations and explanations, in batches.

Every line of a kind has the same keys: those of Neuronpedia's own export, null or empty where
nothing was measured, and some of ours (``polarity``, ``score`` ...), which it passes over. A
unit is one feature whichever sides are labelled. Activations are raw: those that a label of the
negative side speaks of are below zero.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from pydantic_core import PydanticSerializationError, to_json

from autointerp.core.errors import InputError
from autointerp.core.explanations import LabelSummary
from autointerp.core.files import gzip_bytes
from autointerp.core.ids import HookPoint, Side, UnitId
from autointerp.core.records import ActivationRecord, NeuronStats, Stratum
from autointerp.core.unreadable import OnUnreadable, if_readable, refuse_unreadable
from autointerp.dictionary.read import Dictionary
from autointerp.store.codec import plain_json
from autointerp.store.label_records import LabelRecords

BATCH_LINES = 1024
_PLAIN_HOOK = "mlp.hook_post"
_LAYER = re.compile(r"0|[1-9][0-9]{0,5}")
_NOT_MEASURED: dict[str, tuple[()]] = dict.fromkeys(
    (
        "logits_hist_data_bar_heights",
        "logits_hist_data_bar_values",
        "neuron_alignment_indices",
        "neuron_alignment_l1",
        "neuron_alignment_values",
        "correlated_neurons_indices",
        "correlated_neurons_l1",
        "correlated_neurons_pearson",
        "decoder_weights_dist",
        "topkCosSimIndices",
        "topkCosSimValues",
        "vector",
    ),
    (),
)

KINDS = ("features", "activations", "explanations")
"""Folders of the tree."""

Line = dict[str, object]
RecordsOf = Callable[[UnitId, Side], LabelRecords | None]


class UnitLines(NamedTuple):
    """What the tree says of one unit, by kind."""

    features: tuple[Line, ...]
    activations: tuple[Line, ...]
    explanations: tuple[Line, ...]


def write_neuronpedia(
    dictionary: Dictionary, folder: Path, on_unreadable: OnUnreadable = refuse_unreadable
) -> None:
    """Fills an empty folder with ``features|activations|explanations/batch-N.jsonl.gz``."""
    for kind in KINDS:
        (folder / kind).mkdir()

    def records(unit: UnitId, side: Side) -> LabelRecords | None:
        return if_readable(partial(dictionary.records, unit, side), on_unreadable)

    units = (
        unit_lines(labels, records)
        for labels in by_unit(label.summary for label in dictionary.labels(on_unreadable))
    )
    for name, data in neuronpedia_files(units):
        (folder / name).write_bytes(data)


def by_unit(labels: Iterable[LabelSummary]) -> Iterator[tuple[LabelSummary, ...]]:
    """The labels of each unit together; they come in reading order."""
    for _, group in groupby(labels, key=lambda label: label.unit):
        yield tuple(group)


def neuronpedia_files(units: Iterable[UnitLines]) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of each file of the tree, as soon as it is full."""
    batches = {kind: _Batches(kind) for kind in KINDS}
    for unit in units:
        for kind, lines in zip(KINDS, unit, strict=True):
            for line in lines:
                yield from batches[kind].add(line)
    for waiting in batches.values():
        yield from waiting.flush()


def unit_lines(labels: tuple[LabelSummary, ...], records_of: RecordsOf) -> UnitLines:
    """The lines of one unit, whose sides have at least one label."""
    result = [(label, records_of(label.unit, label.side)) for label in labels]
    pairs = [(label, records) for label, records in result if records is not None]
    return UnitLines(
        features=(_feature(labels[0]),),
        activations=tuple(_activations(pairs)),
        explanations=tuple(
            _explanation(label, place)
            for label in labels
            for place in range(len(label.explanations))
        ),
    )


class _Batches:
    """Numbered files of at most `BATCH_LINES` lines."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._lines: list[bytes] = []
        self._n_written = 0

    def add(self, line: Line) -> Iterator[tuple[str, bytes]]:
        self._lines.append(_line_json(line))
        if len(self._lines) == BATCH_LINES:
            yield from self.flush()

    def flush(self) -> Iterator[tuple[str, bytes]]:
        if self._lines:
            name = f"{self._kind}/batch-{self._n_written}.jsonl.gz"
            yield name, gzip_bytes(b"".join(self._lines))
            self._n_written += 1
            self._lines = []


def hook_of_source(source: str) -> str:
    """The hook point that a feature's ``layer`` stands for: ``5`` or ``5-mlp.hook_pre``.

    Raises:
        InputError: it does not name a layer.
    """
    layer, _, rest = source.partition("-")
    if not _LAYER.fullmatch(layer):
        raise InputError(f"{source!r} is not a layer; write for example 5 or 5-mlp.hook_pre")
    return HookPoint(f"blocks.{layer}.{rest or _PLAIN_HOOK}").name


def _key(unit: UnitId) -> Line:
    # Neuronpedia knows one source a layer under its bare number; other hook points of the same
    # layer need a name of their own, or their rows would be taken for the same neurons.
    return {"modelId": unit.subject, "layer": _source(unit.hook), "index": str(unit.index)}


@lru_cache(1024)
def _source(hook: str) -> str:
    point = HookPoint(hook)
    rest = point.name.split(".", 2)[2]
    return str(point.layer) if rest == _PLAIN_HOOK else f"{point.layer}-{rest}"


def _line_json(line: Line) -> bytes:
    """A line as `plain_json` gives it but for how it spells numbers, in a third of the time.

    Raises:
        ValueError: a number is not finite.
    """
    try:
        result = to_json(line)
    except PydanticSerializationError:
        return plain_json(line)  # There is a lone surrogate in it.
    if b"NaN" in result or b"Infinity" in result:
        return plain_json(line)  # As a number, which JSON has not, or in a text.
    return result + b"\n"


def _id(*parts: object) -> str:
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:24]


def _feature(label: LabelSummary) -> Line:
    unit, stats = label.unit, label.stats
    return {
        **_key(unit),
        "creatorId": None,
        "sourceSetName": None,
        "maxActApprox": stats.maximum,
        "frac_nonzero": stats.density,
        "freq_hist_data_bar_heights": stats.histogram,
        "freq_hist_data_bar_values": _bin_middles(stats),
        **_NOT_MEASURED,
        **_logits(label),
        "vectorLabel": None,
        "hookName": unit.hook,
        "hasVector": False,
    }


def _logits(label: LabelSummary) -> Line:
    """Tokens by what a unit of activation above zero adds, whichever side is labelled."""
    up, down, sign = label.promoted, label.suppressed, 1
    if label.side is Side.NEGATIVE:
        up, down, sign = down, up, -1
    return {
        "pos_str": [token for token, _ in up],
        "pos_values": [sign * value for _, value in up],
        "neg_str": [token for token, _ in down],
        "neg_values": [sign * value for _, value in down],
    }


def _bin_middles(stats: NeuronStats) -> list[float]:
    # The outermost edges may be the float limit, whose middle would say nothing.
    edges = [min(max(edge, stats.minimum), stats.maximum) for edge in stats.bin_edges]
    return [low / 2 + high / 2 for low, high in zip(edges, edges[1:], strict=False)]


def _activations(pairs: Sequence[tuple[LabelSummary, LabelRecords]]) -> Iterator[Line]:
    seen: set[tuple[str, int]] = set()
    for label, records in pairs:
        strata = {stratum.name: stratum for stratum in records.strata}
        n_windows = sum(stratum.n_windows for stratum in records.strata)
        dealt = [("explain", record, None) for record in records.explain] + [
            ("held_out", record, strata.get(record.stratum)) for record in records.held_out
        ]
        for split, record, stratum in sorted(dealt, key=lambda d: -d[1].peak(label.side)):
            # Windows of other corpora have the same numbers.
            if (label.corpus, record.window) not in seen:
                seen.add((label.corpus, record.window))
                other = [label.corpus] if label.corpus != pairs[0][0].corpus else []
                yield {
                    "id": _id("activation", label.unit, record.window, *other),
                    **_key(label.unit),
                    "creatorId": None,
                    "dataSource": label.corpus,
                    **_values(record),
                    **_bin(stratum, n_windows),
                    "polarity": label.side.value,
                    "split": split,
                    "stratum": record.stratum,
                }


def _values(record: ActivationRecord) -> Line:
    values = record.activations
    peak = max(range(len(values)), key=values.__getitem__)
    return {
        "tokens": record.tokens,
        "maxValue": values[peak],
        "minValue": min(values),
        "values": values,
        "maxValueTokenIndex": peak,
        "dfaValues": [],
        "dfaMaxValue": None,
        "dfaTargetIndex": None,
    }


def _bin(stratum: Stratum | None, n_windows: int) -> Line:
    """The held-out stratum's bounds and share of windows; an explain record has neither."""
    return {
        "binMin": stratum.low if stratum else None,
        "binMax": stratum.high if stratum else None,
        "binContains": stratum.n_windows / n_windows if stratum and n_windows else None,
    }


def _explanation(label: LabelSummary, place: int) -> Line:
    summary = label.explanations[place]
    explanation, score, added = summary.explanation, summary.score, summary.added
    return {
        "id": _id("explanation", label.unit, label.side, *([place] if place else [])),
        **_key(label.unit),
        "authorId": None,
        "description": explanation.text,
        "embedding": None,
        "typeName": explanation.explainer,
        "explanationModelName": explanation.model,
        "umap_x": None,
        "umap_y": None,
        "umap_cluster": None,
        "umap_log_feature_sparsity": None,
        "polarity": label.side.value,
        "status": label.status.value,
        "chosen": summary.chosen,
        "scorer": summary.scorer,
        "score": score.value,
        "score_low": score.low,
        "score_high": score.high,
        "added": added.value,
        "added_low": added.low,
        "added_high": added.high,
    }

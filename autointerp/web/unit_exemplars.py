"""The windows that the page of a unit shows: where it is active, and real beside predicted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.core.explanations import Label
from autointerp.core.ids import Side
from autointerp.core.records import ActivationRecord, band_order
from autointerp.store.label_records import LabelRecords, ScoredRecord
from autointerp.web.sense_marks import SenseOf
from autointerp.web.token_rows import WindowRows, WindowTokens, shown_text

_STRONGEST, _OTHERS, _OF_A_SENSE, _OF_EACH_SENSE = 5, 2, 1, 2
_MOST, _MOST_OF_A_BAND = {"silent": 2, "random": 3, "other": 2}, 20
# Of so many senses windows are shown; more are listed without.
_MOST_SENSES = 3
_TITLES = {
    "top": "Strongest",
    "random": "A random sample, the same windows for every unit",
    "silent": "Silent",
    "other": "Strongest on the other side of zero",
}
_LAST = tuple(_TITLES)


@dataclass(frozen=True, slots=True)
class ShownExemplar:
    """A window of explain text."""

    peak: float
    rows: WindowRows
    source: str
    sense: int | None = None
    """0-based, where the label has several and one is known to apply at the peak."""


@dataclass(frozen=True, slots=True)
class Band:
    """Exemplars of one stratum."""

    title: str
    exemplars: tuple[ShownExemplar, ...]


@dataclass(frozen=True, slots=True)
class HeldOutWindow:
    """A held-out window, real above predicted."""

    rows: WindowRows
    peak: float
    correlation: float | None
    source: str
    sense: int | None = None
    """As of an exemplar."""


@dataclass(frozen=True, slots=True)
class HeldOutGroup:
    """Some of the held-out windows."""

    title: str
    windows: tuple[HeldOutWindow, ...]


@dataclass(frozen=True, slots=True)
class BandShare:
    """What is predicted of the activation in one stratum of held-out text; shares are 0 to 1."""

    title: str
    low: float
    """Least and greatest peak of its windows, model units."""
    high: float
    of_windows: float
    """Share of the split's windows."""
    of_activation: float
    """Share of the side's whole activation."""
    explained: float | None
    """Share of its activation that the prediction reaches; None where there is none."""


def exemplar_bands(
    label: Label, records: LabelRecords, sense_of: SenseOf | None = None
) -> Iterator[Band]:
    """What the explainer read and what is shown beside it, the strongest first."""
    by_stratum: dict[str, list[ActivationRecord]] = defaultdict(list)
    for record in (*records.explain, *records.shown):
        by_stratum[record.stratum].append(record)
    n_bands = sum(name.startswith("band") for name in by_stratum)
    for name in sorted(by_stratum, key=_order):
        side = label.side if name != "other" else _opposite(label.side)
        found = sorted(by_stratum[name], key=lambda record: -record.peak(side))[
            : _MOST.get(name, _MOST_OF_A_BAND)
        ]
        # The other side has a scale of its own.
        peak = records.peak if side is label.side else max(r.peak(side) for r in found)
        own = sense_of if side is label.side else None
        exemplars = tuple(_exemplar(label, record, side, peak, own) for record in found)
        yield Band(_title(name, n_bands), exemplars)


def sense_bands(label: Label, records: LabelRecords, sense_of: SenseOf) -> Iterator[Band]:
    """The strongest exemplars of each sense."""
    by_sense: dict[int, list[ActivationRecord]] = defaultdict(list)
    for record in sorted(records.explain, key=lambda record: -record.peak(label.side)):
        sense = sense_of(record)
        if sense is not None and record.peak(label.side) > 0:
            by_sense[sense].append(record)
    for sense, found in sorted(by_sense.items()):
        exemplars = tuple(
            _exemplar(label, record, label.side, records.peak, sense_of)
            for record in found[:_OF_EACH_SENSE]
        )
        yield Band(f"Sense {sense + 1}", exemplars)


def _order(stratum: str) -> tuple[int, int, str]:
    if stratum in _LAST[1:]:
        return 2, _LAST.index(stratum), ""
    return band_order(stratum)


def _opposite(side: Side) -> Side:
    return Side.NEGATIVE if side is Side.POSITIVE else Side.POSITIVE


def _title(stratum: str, n_bands: int) -> str:
    if stratum in _TITLES:
        return _TITLES[stratum]
    return f"Quantile band {int(stratum.removeprefix('band')) + 1} of {n_bands}, 1 the weakest"


def _exemplar(
    label: Label, record: ActivationRecord, side: Side, peak: float, sense_of: SenseOf | None
) -> ShownExemplar:
    rows = _window(record, side).rows(peak=peak)
    sense = sense_of(record) if sense_of is not None and record.peak(side) > 0 else None
    return ShownExemplar(record.peak(side), rows, source_of(label, record), sense)


def held_out_groups(
    label: Label, records: LabelRecords, sense_of: SenseOf | None = None
) -> Iterator[HeldOutGroup]:
    """The strongest windows, and of the others those predicted best and worst, and of each sense.

    Each window once.
    """
    side = label.side
    windows = [record for record in records.held_out if record.predicted is not None]
    fits = {record.window: _correlation(record, side) for record in windows}
    known = [record for record in windows if fits[record.window] is not None]
    by_fit = sorted(known, key=lambda record: fits[record.window] or 0.0)
    strongest = sorted(windows, key=lambda record: -record.peak(side))
    groups: list[tuple[str, Sequence[ScoredRecord], int]] = [
        ("Strongest", strongest, _STRONGEST),
        ("Predicted worst of the others", by_fit[: len(by_fit) // 2], _OTHERS),
        ("Predicted best of the others", by_fit[len(by_fit) // 2 :][::-1], _OTHERS),
    ]
    groups += [
        (f"Where sense {n + 1} was found", [r for r in strongest if r.window in own], _OF_A_SENSE)
        for n, own in sorted(_windows_of_senses(label).items())[:_MOST_SENSES]
    ]
    seen: set[int] = set()
    for title, records_of_group, most in groups:
        chosen = [record for record in records_of_group if record.window not in seen][:most]
        seen.update(record.window for record in chosen)
        if chosen:
            yield HeldOutGroup(
                title,
                tuple(
                    HeldOutWindow(
                        _window(one, side).rows(peak=records.peak),
                        one.peak(side),
                        fits[one.window],
                        source_of(label, one),
                        sense_of(one) if sense_of is not None and one.peak(side) > 0 else None,
                    )
                    for one in chosen
                ),
            )


def _windows_of_senses(label: Label) -> dict[int, set[int]]:
    """By sense, the windows in which it predicts the most of any; where there are several."""
    result: dict[int, set[int]] = defaultdict(set)
    judged = label.result(label.preferred) if label.preferred else None
    if judged is None or label.explanation is None or len(label.explanation.senses) < 2:
        return result
    for trial in judged.trials:
        if trial.senses and trial.predicted:
            at = max(range(len(trial.predicted)), key=trial.predicted.__getitem__)
            if trial.senses[at] >= 0:
                result[trial.senses[at]].add(trial.window)
    return result


def _window(record: ActivationRecord, side: Side) -> WindowTokens:
    predicted = record.predicted if isinstance(record, ScoredRecord) else None
    return WindowTokens(
        *(record.tokens, record.token_ids, record.offset, record.side(side), predicted),
        window=record.window,
    )


def _correlation(record: ScoredRecord, side: Side) -> float | None:
    real, predicted = _centred(record.side(side)), _centred(record.predicted or ())
    size = float((real @ real) * (predicted @ predicted))
    return float(real @ predicted) / size**0.5 if size > 0 else None


def _centred(values: Sequence[float]) -> NDArray[np.float64]:
    array = np.array(values, dtype=np.float64)
    centred: NDArray[np.float64] = array - array.mean()
    return centred


def band_shares(records: LabelRecords, side: Side) -> tuple[BandShare, ...]:
    """Each stratum of the held-out text, the strongest first; none where nothing was predicted.

    Of a window's activation that is reached which stands below the prediction, token by token; a
    window counts with its weight.
    """
    real, reached, judged = defaultdict[str, float](float), defaultdict[str, float](float), set()
    for record in records.held_out:
        values = np.array(record.side(side))
        if record.predicted is not None:
            judged.add(record.stratum)
            below = np.minimum(values, np.maximum(0.0, record.predicted)).sum()
            reached[record.stratum] += record.weight * float(below)
            real[record.stratum] += record.weight * float(values.sum())
    strata = sorted((s for s in records.strata if s.name in judged), key=lambda s: _order(s.name))
    n_windows, total = sum(s.n_windows for s in records.strata), sum(real.values())
    if not total:
        return ()
    n_bands = sum(s.name.startswith("band") for s in records.strata)
    return tuple(
        BandShare(
            _title(s.name, n_bands),
            s.low,
            s.high,
            s.n_windows / max(1, n_windows),
            real[s.name] / total,
            reached[s.name] / real[s.name] if real[s.name] > 0 else None,
        )
        for s in strata
    )


def source_of(label: Label, record: ActivationRecord) -> str:
    """Where a window stands: the corpus, the title or path of its document, and its place there."""
    document = record.source or f"document {record.document}"
    corpus = shown_text(label.provenance.corpus)
    return f"{corpus}: {shown_text(document)}, from token {record.offset:,}"

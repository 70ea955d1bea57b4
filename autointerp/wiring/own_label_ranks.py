"""How closely all units of a hook point follow what the label of each predicts on held-out text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from autointerp.activations.activation_reading import window_tokens
from autointerp.core.config import JobSpec
from autointerp.core.errors import InputError
from autointerp.core.explanations import Label
from autointerp.core.ids import Side, UnitId
from autointerp.core.own_label_rank import OwnLabelRank
from autointerp.core.progress import Progress
from autointerp.core.scores import Trial
from autointerp.core.seeds import derive_seed
from autointerp.corpora import TokenCorpus
from autointerp.corpora.corpus_loading import load_corpus_texts
from autointerp.dictionary import Dictionary
from autointerp.settings import Settings
from autointerp.statistics.studies.followed_predictions import (
    WindowLines,
    margin_interval,
    weighted_correlations,
)
from autointerp.subjects import SubjectModel, load_subject
from autointerp.wiring.other_texts import attach_encoders, check_same_subject

_MOST_BYTES = 4 * 2**30
"""Of the activations of a hook point's units that are held at a time."""
_AT_ONCE = 128
"""Labels whose predictions are compared together."""
_UNITS_AT_ONCE = 256
_NOTHING = "fewer than 2 windows have predictions that fit the text"
_FEWEST = 2
_BATCH = 32

Lines = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _HookLines:
    """What all units of a hook point do on some windows, one after the other."""

    values: Lines
    """Shape (unit, token)."""
    places: Mapping[int, slice]
    """Of each window's tokens."""


def rank_own_labels(  # noqa: PLR0913 - a dictionary, and how to go about it
    dictionary: Dictionary,
    chosen: Sequence[tuple[UnitId, Side]],
    *,
    subject: SubjectModel | str | None = None,
    encoders: Sequence[str] = (),
    seed: int = 0,
    settings: Settings | None = None,
    progress: Progress,
) -> Iterator[OwnLabelRank]:
    """The rank of each label's unit, hook point by hook point; the model is read once for each.

    Other units are compared on the better of their two sides, as both are looked at. The best other
    unit is chosen on the windows that it is compared on, so that margins are too small rather
    than too large.

    Args:
        dictionary: finished labels with their predictions.
        chosen: sides that have a label.
        subject: the model, or where it lies now; as the labels' job names it where None.
        encoders: folders of SAEs that have moved, as ``sae:FOLDER``.
        seed: of the resamples.
        settings: from the environment where None.
        progress: told about every stage.

    Raises:
        InputError: the model or the text is not that of the labels, or memory has no room for one
            hook point's activations.
    """
    job, known = dictionary.job, settings or Settings()
    by_hook: dict[str, list[tuple[UnitId, Side]]] = {}
    for unit, side in chosen:
        by_hook.setdefault(unit.hook, []).append((unit, side))
    model = subject if isinstance(subject, SubjectModel) else None
    if model is None:
        name = str(subject or job.subject)
        progress.note(f"loading {name}")
        model = load_subject(name, dtype=job.dtype, device=known.device, cache_dir=known.cache_dir)
    check_same_subject(dictionary, model)
    attach_encoders(dictionary, model, set(by_hook), encoders)
    corpus = _same_text(dictionary, job, model, progress)
    for hook, sides in by_hook.items():
        labels = [label for unit, side in sides if (label := dictionary.label(unit, side))]
        trials = {id(label): _trials(label, corpus) for label in labels}
        windows = sorted({trial.window for own in trials.values() for trial in own})
        layer = _read(model, corpus, hook, windows, progress)
        for first in range(0, len(labels), _AT_ONCE):
            some = labels[first : first + _AT_ONCE]
            yield from _ranked(layer, some, [trials[id(label)] for label in some], seed)


def _same_text(
    dictionary: Dictionary, job: JobSpec, subject: SubjectModel, progress: Progress
) -> TokenCorpus:
    corpus, _ = load_corpus_texts(job.corpus, subject, progress=progress)
    if corpus.hash != dictionary.manifest.corpus_hash:
        raise InputError(
            f"the text {corpus.id} is not the one on which the labels of {dictionary.folder} were "
            "scored: its documents have changed; bring the text back, or label the units again"
        )
    return corpus


def _trials(label: Label, corpus: TokenCorpus) -> list[Trial]:
    """Those that predict an activation for each token; none where one does not fit its window."""
    result = None if label.preferred is None else label.result(label.preferred)
    trials = [t for t in (() if result is None else result.trials) if t.predicted is not None]
    fit = all(
        trial.window < corpus.n_windows
        and len(trial.predicted or ())
        == corpus.starts[trial.window + 1] - corpus.starts[trial.window]
        for trial in trials
    )
    return trials if fit else []


def _read(
    subject: SubjectModel,
    corpus: TokenCorpus,
    hook: str,
    windows: Sequence[int],
    progress: Progress,
) -> _HookLines:
    lengths = {w: int(corpus.starts[w + 1] - corpus.starts[w]) for w in windows}
    n_tokens, width = sum(lengths.values()), subject.width(hook)
    if (n_bytes := 4 * width * n_tokens) > _MOST_BYTES:
        raise InputError(
            f"the {width:,} units of {hook} on {n_tokens:,} tokens take {n_bytes / 2**30:.1f} GiB, "
            f"and at most {_MOST_BYTES / 2**30:.0f} are held; choose fewer --units"
        )
    values = np.empty((width, n_tokens), dtype=np.float32)
    places, at = dict[int, slice](), 0
    progress.start("read", len(windows), "windows")
    for first in range(0, len(windows), _BATCH):
        some = windows[first : first + _BATCH]
        tokens, _ = window_tokens(corpus, some)
        got: list[torch.Tensor] = []

        def receive(_hook: str, activations: torch.Tensor, into: list[torch.Tensor] = got) -> None:
            into.append(activations)

        subject.read(tokens, [hook], receive)
        rows = got[0].to("cpu", torch.float32).numpy()
        for row, window in zip(rows, some, strict=True):
            places[window] = slice(at, at + lengths[window])
            values[:, places[window]] = row[: lengths[window]].T
            at += lengths[window]
        progress.advance("read", len(some))
    return _HookLines(values, places)


def _ranked(
    layer: _HookLines, labels: Sequence[Label], trials: Sequence[Sequence[Trial]], seed: int
) -> Iterator[OwnLabelRank]:
    n_tokens = layer.values.shape[1]
    predicted = np.zeros((n_tokens, len(labels)), dtype=np.float32)
    weights = np.zeros_like(predicted)
    for column, own in enumerate(trials):
        for trial in own:
            place = layer.places[trial.window]
            predicted[place, column] = trial.predicted
            weights[place, column] = trial.weight
    sides = {side: _correlations(layer, side, predicted, weights) for side in Side}
    for column, (label, own) in enumerate(zip(labels, trials, strict=True)):
        if len(own) < _FEWEST:
            yield _without(layer, label, len(own), _NOTHING)
            continue
        yield _rank(layer, label, own, {s: found[:, column] for s, found in sides.items()}, seed)


def _correlations(
    layer: _HookLines, side: Side, predicted: Lines, weights: Lines
) -> NDArray[np.float64]:
    """Some units at a time, as a side of them is a copy."""
    sign = 1 if side is Side.POSITIVE else -1
    parts = [
        weighted_correlations(np.maximum(0, sign * values), predicted, weights)
        for first in range(0, len(layer.values), _UNITS_AT_ONCE)
        if len(values := layer.values[first : first + _UNITS_AT_ONCE])
    ]
    return np.concatenate(parts)


def _rank(
    layer: _HookLines,
    label: Label,
    trials: Sequence[Trial],
    found: Mapping[Side, NDArray[np.float64]],
    seed: int,
) -> OwnLabelRank:
    index = label.unit.index
    own = float(found[label.side][index])
    if not np.isfinite(own):
        return _without(layer, label, len(trials), "what it predicts, or the unit, does not vary")
    both = np.stack([np.nan_to_num(found[side], nan=-2.0) for side in Side])
    best = both.max(axis=0)
    best[index] = -2.0
    other = int(best.argmax())
    side = tuple(Side)[int(both[:, other].argmax())]
    if best[other] < -1.0:
        return _without(layer, label, len(trials), "no other unit varies there")
    lines = [
        WindowLines(
            trial.stratum,
            trial.weight,
            np.asarray(trial.predicted),
            _line(layer, index, label.side, trial.window),
            _line(layer, other, side, trial.window),
        )
        for trial in trials
    ]
    ends = margin_interval(lines, seed=derive_seed(seed, str(label.unit), str(label.side)))
    low, high = ends or (None, None)
    return OwnLabelRank(
        label.unit,
        label.side,
        len(best),
        len(trials),
        1 + int((best > own).sum()),
        own,
        UnitId(label.unit.subject, label.unit.hook, other),
        float(best[other]),
        own - float(best[other]),
        low,
        high,
    )


def _line(layer: _HookLines, index: int, side: Side, window: int) -> Lines:
    line: Lines = layer.values[index, layer.places[window]]
    return np.maximum(0, line if side is Side.POSITIVE else -line)


def _without(layer: _HookLines, label: Label, n_windows: int, reason: str) -> OwnLabelRank:
    nothing = (None,) * 7
    n_units = len(layer.values)
    return OwnLabelRank(label.unit, label.side, n_units, n_windows, *nothing, reason=reason)

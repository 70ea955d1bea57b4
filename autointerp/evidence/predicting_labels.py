"""What labels predict on their windows of text, and what all units of a hook point do there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autointerp.core.errors import InputError
from autointerp.core.explanations import Label
from autointerp.core.progress import Progress
from autointerp.evidence.paired_batches import read_together
from autointerp.subjects import SubjectModel

MOST_BYTES = 4 * 2**30
"""Of the activations of a hook point's units that are held at a time."""

Lines = NDArray[np.float32]


class WindowText(NamedTuple):
    """A window of held-out text; labels that share it are ranked on one reading of it."""

    document: str
    """Id of its document."""
    offset: int
    """0-based position of its first token in the document."""
    token_ids: tuple[int, ...]
    """Vocabulary ids, without BOS."""


@dataclass(frozen=True, slots=True)
class PredictedWindow:
    """A held-out window with what a label predicts there."""

    text: WindowText
    weight: float
    """How many windows it stands for."""
    predicted: tuple[float, ...]
    """Per token, model units of the side."""


@dataclass(frozen=True, slots=True)
class PredictingLabel:
    """A label with what it predicts."""

    label: Label
    windows: tuple[PredictedWindow, ...]

    @property
    def texts(self) -> set[WindowText]:
        """Those of its windows."""
        return {window.text for window in self.windows}


@dataclass(frozen=True, slots=True)
class HookLines:
    """What all units of a hook point do on some windows, one after the other."""

    values: Lines
    """Shape (unit, token)."""
    places: Mapping[WindowText, slice]
    """Of each window's tokens."""


def reading_groups(
    subject: SubjectModel, labels: Sequence[PredictingLabel], *, most_bytes: int = MOST_BYTES
) -> Iterator[Sequence[PredictingLabel]]:
    """The labels for which the text is read together, as far as memory has room.

    Raises:
        InputError: it has none for one label.
    """
    if not labels:
        return
    hook = labels[0].label.unit.hook
    width = subject.width(hook)
    for one in labels:
        n_tokens = _n_tokens(one.texts)
        if (n_bytes := 4 * width * n_tokens) > most_bytes:
            raise InputError(
                f"the {width:,} units of {hook} on the {n_tokens:,} tokens of a label take "
                f"{n_bytes / 2**30:.1f} GiB, and at most {most_bytes / 2**30:.1f} are held; label "
                "with fewer windows of held-out text"
            )
    yield from split_labels(labels, most_bytes // (4 * width), most_labels=len(labels))


def n_tokens_read(subject: SubjectModel, labels: Sequence[PredictingLabel]) -> int:
    """Tokens of all readings of the text for labels of one hook point.

    Raises:
        InputError: memory has no room for one label.
    """
    groups = reading_groups(subject, labels)
    return sum(_n_tokens(set().union(*(one.texts for one in group))) for group in groups)


def split_labels(
    labels: Sequence[PredictingLabel], most_tokens: int, *, most_labels: int
) -> Iterator[Sequence[PredictingLabel]]:
    """Labels that follow each other, whose windows together have no more tokens; one at least."""
    some: list[PredictingLabel] = []
    known: set[WindowText] = set()
    n_tokens = 0
    for one in labels:
        new = one.texts - known
        n_new = _n_tokens(new)
        if some and (n_tokens + n_new > most_tokens or len(some) == most_labels):
            yield some
            some, known, n_tokens = [], set(), 0
            new, n_new = one.texts, _n_tokens(one.texts)
        some.append(one)
        known |= new
        n_tokens += n_new
    if some:
        yield some


def read_lines(
    subject: SubjectModel, labels: Sequence[PredictingLabel], progress: Progress
) -> HookLines:
    """What all units do on the windows of labels of one hook point, each window read once."""
    hook = labels[0].label.unit.hook
    texts = list(dict.fromkeys(w.text for one in labels for w in one.windows))
    width, n_tokens = subject.width(hook), _n_tokens(texts)
    values = np.empty((width, n_tokens), dtype=np.float32)
    places, at = dict[WindowText, slice](), 0
    progress.start("read", len(texts), "windows")
    if not texts:
        return HookLines(values, places)
    longest = max(len(text.token_ids) for text in texts)
    for numbers in read_together(range(len(texts)), longest):
        some = [texts[number] for number in numbers]
        rows = subject.read_rows([text.token_ids for text in some], {hook: range(width)})
        for row, text in zip(rows, some, strict=True):
            n = len(text.token_ids)
            places[text] = slice(at, at + n)
            values[:, at : at + n] = row[:, :n]
            at += n
        progress.advance("read", len(some))
    return HookLines(values, places)


def lines_of(lines: HookLines, labels: Sequence[PredictingLabel]) -> HookLines:
    """The lines on the windows of these labels alone: of much text few labels have but a part."""
    texts = dict.fromkeys(w.text for one in labels for w in one.windows)
    if len(texts) == len(lines.places):
        return lines
    places, at = dict[WindowText, slice](), 0
    for text in texts:
        places[text] = slice(at, at + len(text.token_ids))
        at += len(text.token_ids)
    parts = [lines.values[:, lines.places[text]] for text in texts]
    nothing = lines.values[:, :0]
    return HookLines(np.concatenate(parts, axis=1) if parts else nothing, places)


def _n_tokens(texts: Iterable[WindowText]) -> int:
    return sum(len(text.token_ids) for text in texts)

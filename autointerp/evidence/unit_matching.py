"""Which unit of another model does most nearly what a unit does, on the same text.

Matches are chosen on the documents that labels are explained and validated on, and tested on those
held out: the best of thousands is otherwise partly the luckiest. What chance gives goes through
the same two steps, with each window of one model beside a window of another document of the other.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np

from autointerp.core.errors import InputError
from autointerp.core.progress import Progress, SilentProgress
from autointerp.core.unit_matches import MatchReport
from autointerp.corpora import TokenCorpus
from autointerp.evidence.aligned_texts import TextPairs
from autointerp.evidence.chosen_matches import ChosenMatches
from autointerp.evidence.paired_batches import MatchedSide, PairedBatch, read_together
from autointerp.statistics.paired_moments import CrossMoments

_MOST_PAIRS = 2**25
"""Eight bytes a pair, several times."""


def match_sides(
    first: MatchedSide,
    second: MatchedSide,
    corpus: TokenCorpus,
    *,
    n_several: int = 8,
    progress: Progress | None = None,
) -> MatchReport:
    """The units of each model beside those of the other that are most like them.

    Args:
        first: some units of a model.
        second: some of another, or of the same one.
        corpus: the text, in the first model's tokens.
        n_several: so many units of the other model are also taken together.
        progress: told about both passes.

    Raises:
        InputError: too many units, too little text, or two tokenizers that agree on no window.
    """
    n = len(first.ids), len(second.ids)
    if max(n) ** 2 > _MOST_PAIRS:
        raise InputError(
            f"{n[0]:,} units were to be compared with {n[1]:,}; at most "
            f"{int(_MOST_PAIRS**0.5):,} of either model fit: name one layer of each"
        )
    matching = _Matching((first, second), corpus, progress or SilentProgress())
    return matching.run(n_several)


class _Matching:
    """One comparison."""

    def __init__(
        self, sides: tuple[MatchedSide, MatchedSide], corpus: TokenCorpus, progress: Progress
    ) -> None:
        self._sides, self._corpus, self._progress = sides, corpus, progress
        self._texts = TextPairs(sides[0].subject, sides[1].subject, corpus)
        self._n = len(sides[0].ids), len(sides[1].ids)

    def run(self, n_several: int) -> MatchReport:
        """Chooses, tests, and puts both together."""
        began = time.monotonic()
        real, chance = self._choose(range(self._corpus.ends[1]))
        two_sided = np.logical_or.outer(self._sides[0].two_sided, self._sides[1].two_sided)
        both = [
            ChosenMatches(
                side, real, chance, n=min(n_several, self._n[1 - side]), two_sided=two_sided
            )
            for side in (0, 1)
        ]
        chosen = time.monotonic()
        n_tested = self._test(range(*self._corpus.ends[1:]), both)
        of = [
            both[side].matches(self._sides[side], self._sides[1 - side], both[1 - side].best)
            for side in (0, 1)
        ]
        return MatchReport(
            first=self._sides[0].subject.name,
            second=self._sides[1].subject.name,
            corpus=self._corpus.id,
            n_chosen_tokens=real.n,
            n_tested_tokens=n_tested,
            n_documents=both[0].n_documents,
            n_several=min(n_several, *self._n),
            of_first=tuple(of[0]),
            of_second=tuple(of[1]),
            notes=tuple(self._notes()),
            seconds={"choose": chosen - began, "test": time.monotonic() - chosen},
        )

    def _notes(self) -> Iterator[str]:
        if not self._texts.same_tokens:
            yield "the two models split text differently: only tokens that end together count"
        if self._texts.n_skipped:
            yield f"{self._texts.n_skipped:,} windows that the two spell differently are left out"

    def _choose(self, windows: range) -> tuple[CrossMoments, CrossMoments]:
        real, chance = CrossMoments(*self._n), CrossMoments(*self._n)
        for batch in self._batches("choose matches", windows):
            real.add(*batch.sides)
            chance.add(*batch.apart)
        if not real.n:
            raise InputError(self._nothing("matches are chosen on"))
        return real, chance

    def _test(self, windows: range, both: Sequence[ChosenMatches]) -> int:
        n_tokens = 0
        documents = np.unique(self._corpus.document_of[windows.start : windows.stop])
        for direction in both:
            direction.begin(len(documents))
        for batch in self._batches("test matches", windows):
            n_tokens += len(batch.documents)
            for direction in both:
                direction.add(batch, documents)
        if not n_tokens:
            raise InputError(self._nothing("matches are tested on"))
        return n_tokens

    def _nothing(self, use: str) -> str:
        first, second = (side.subject.name for side in self._sides)
        return (
            f"no window of {self._corpus.id} that {use} can be read by both {first} and {second} "
            f"with tokens that end together ({self._texts.n_skipped} are spelled differently); "
            "read more tokens, or another text"
        )

    def _batches(self, stage: str, windows: range) -> Iterator[PairedBatch]:
        self._progress.start(stage, len(windows), "windows")
        for chunk in read_together(windows, self._corpus.n_ctx):
            texts = list(self._texts.read(chunk))
            if texts:
                yield PairedBatch.of(texts, self._sides)
            self._progress.advance(stage, len(chunk))

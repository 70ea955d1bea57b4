"""Fuzzing (Paulo et al. 2024): are the marked tokens those that the explanation describes?

Half of the windows are shown with their active tokens marked, the other half with as many tokens
marked on which the unit is silent.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from random import Random

from typing_extensions import override

from autointerp.core.characters import join_tokens, spread_over_characters, whole_characters
from autointerp.core.explanations import Explanation
from autointerp.core.records import ActivationRecord, to_levels
from autointerp.core.scores import ScorerResult, Trial
from autointerp.core.text import quoted, spells_a_mark
from autointerp.llm import ChatModel
from autointerp.scorers.llm_judge import (
    PromptedScorer,
    ask_one,
    derived_random,
    trial_of,
    yes_no_request,
)
from autointerp.scorers.scorer_inputs import ScoringSet
from autointerp.scorers.scorer_spec import ScorerSpec, window_calls
from autointerp.scorers.verdict_replies import read_yes_no
from autointerp.scorers.window_verdicts import ranking_scores
from autointerp.statistics.classification import classification_score

_VERSION = "v2"
_MARKS = (("<<", ">>"), ("[[", "]]"), ("{{", "}}"), ("«", "»"))


@dataclass(frozen=True, slots=True)
class Marking:
    """A window with the tokens that are marked in it."""

    record: ActivationRecord
    marked: tuple[int, ...]
    """0-based positions, ascending."""
    right: bool
    """Whether they are the active ones."""


class Fuzzing(PromptedScorer):
    """Asks of every window with an active token whether the right tokens are marked."""

    name = "fuzzing"

    def __init__(self, model: ChatModel) -> None:
        super().__init__(model, "fuzz", version=_VERSION)

    @override
    async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:
        """Balanced accuracy, and AUROC where the endpoint gives probabilities."""
        markings = choose_markings(windows)
        asked = [self._trial(explanation.text, m, fresh=windows.fresh) for m in markings]
        trials = tuple(await asyncio.gather(*asked))
        judged = [trial for trial in trials if trial.verdict is not None]
        truths = [bool(trial.truth) for trial in judged]
        verdicts = [bool(trial.verdict) for trial in judged]
        left_out = len(windows.records) - len(markings)
        return ScorerResult(
            scorer=self.name,
            explanation=explanation.text,
            scores=(
                classification_score("balanced_accuracy", verdicts, truths, windows.resampling),
                ranking_scores(judged, truths, windows.resampling),
            ),
            trials=trials,
            notes=(
                f"{left_out} of {len(windows.records)} windows were left out: "
                "no token at a tenth of the peak or above, or no other token",
            ),
        )

    async def _trial(self, explanation: str, marking: Marking, *, fresh: bool) -> Trial:
        tokens = marking.record.tokens
        left, right = choose_marks(tokens)
        turns = self._template.render(
            explanation=explanation,
            left=left,
            right=right,
            text=quoted(mark_tokens(tokens, marking.marked, (left, right))),
        )
        request = yes_no_request(self._model, turns, fresh=fresh)
        answer = await ask_one(self._model, request, read_yes_no)
        return trial_of(marking.record, answer, truth=marking.right)


def choose_markings(windows: ScoringSet) -> tuple[Marking, ...]:
    """Which windows are marked rightly and which wrongly, every other one of each stratum.

    A window without a token of level 1 or above, or without another one, is left out. Where more
    tokens are active than not, only as many of the strongest are marked as could be wrongly.
    """
    rng = derived_random(windows, "fuzzing")
    levels = {
        r.window: spread_over_characters(
            to_levels(r.side(windows.side), peak=windows.peak), r.tokens
        )
        for r in windows.records
    }
    usable = [r for r in windows.records if 0 < _n_active(levels[r.window]) < len(r.tokens)]
    rng.shuffle(usable)
    usable.sort(key=lambda record: record.stratum)
    first = rng.random() < 0.5
    right = {record.window: (i % 2 == 0) == first for i, record in enumerate(usable)}
    return tuple(
        _marking(record, levels[record.window], windows, rng, right=right[record.window])
        for record in windows.records
        if record.window in right
    )


def _marking(
    record: ActivationRecord,
    levels: Sequence[int],
    windows: ScoringSet,
    rng: Random,
    *,
    right: bool,
) -> Marking:
    activations = record.side(windows.side)
    active = [i for i, level in enumerate(levels) if level >= 1]
    silent = [i for i, level in enumerate(levels) if level < 1]
    n = min(len(active), len(silent))
    strongest = sorted(active, key=lambda i: (-activations[i], i))[:n]
    marked = strongest if right else rng.sample(silent, n)
    return Marking(record, tuple(sorted(marked)), right)


def _n_active(levels: Sequence[int]) -> int:
    return sum(level >= 1 for level in levels)


def choose_marks(tokens: Sequence[str]) -> tuple[str, str]:
    """An opening and a closing mark that no part of the text can be taken for.

    The first pair of which the text holds no character and with which no token spells a mark of
    a chat template, as ``<<s>>`` does; where there is none, angle brackets in a longer run than
    any of the text's.
    """
    text = join_tokens(tokens)
    for left, right in _MARKS:
        is_taken = left[0] in text or right[0] in text
        if not is_taken and not any(spells_a_mark(f"{left}{token}{right}") for token in tokens):
            return left, right
    longest = max((len(run) for run in re.findall(r"<+|>+", text)), default=0)
    return "<" * (longest + 2), ">" * (longest + 2)


def mark_tokens(tokens: Sequence[str], marked: Collection[int], marks: tuple[str, str]) -> str:
    """The text with each of the tokens at the 0-based positions between the marks.

    A character that several tokens share is marked as a whole.
    """
    left, right = marks
    flags = [i in marked for i in range(len(tokens))]
    pairs = zip(*whole_characters(tokens, flags), strict=True)
    return "".join(f"{left}{text}{right}" if flag else text for text, flag in pairs)


SPEC = ScorerSpec(
    name=Fuzzing.name,
    build=lambda d: Fuzzing(d.model),
    headline="balanced_accuracy",
    calls=window_calls("fuzz", version=_VERSION),
    judges_windows=True,
)

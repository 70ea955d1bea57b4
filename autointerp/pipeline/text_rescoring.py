"""One label on text of another kind, beside its score on its own held-out text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from autointerp.core.explanations import Explanation, Label, LabelStatus
from autointerp.core.ids import Side
from autointerp.core.records import HeldOutSet, NeuronStats, TokenMeans, UnitSets
from autointerp.core.scores import Trial
from autointerp.core.seeds import derive_seed
from autointerp.dictionary.rescored_labels import Outcome, RescoredLabel
from autointerp.dictionary.rescored_windows import RescoredWindows, shown_windows
from autointerp.llm import ScriptedModel
from autointerp.pipeline.held_out import difference, is_free
from autointerp.scorers import Lookup, Programs, Rules, Scorer, ScoringSet
from autointerp.scorers.simulation.senses_simulation import SensesSimulation
from autointerp.statistics.scored_windows import ScoredWindows
from autointerp.statistics.sufficient_statistics import varies
from autointerp.statistics.text_differences import JudgedText, text_difference
from autointerp.store.label_records import ScoredRecord

_NO_RECORDS = "its dictionary keeps no records of its held-out text; label it again"


@dataclass(frozen=True, slots=True)
class LearnedLabel:
    """A label with what it was made from."""

    label: Label
    sets: UnitSets | None
    """None where they are not kept."""

    @property
    def explanation(self) -> Explanation | None:
        """What is scored on both texts."""
        return self.label.explanation

    def untested(self, reason: str) -> RescoredLabel:
        """The label where nothing can be tested."""
        return self.ending(Outcome.UNTESTED, reason)

    def ending(self, known: Outcome | None, reason: str | None) -> RescoredLabel:
        """The label without its scores."""
        label, explanation = self.label, self.explanation
        return RescoredLabel(
            label.unit,
            label.side,
            None if explanation is None else explanation.text,
            label.preferred,
            known,
            reason,
            density=label.stats.density,
        )

    def tried(self, found: RescoredLabel, other: tuple[ScoredRecord, ...] = ()) -> TriedLabel:
        """What it came to with the windows that are kept, `other` being those of the other text."""
        sets = self.sets
        own = () if sets is None else shown_windows(sets.held_out, _trials(self.label))
        if sets is None or not own:
            return TriedLabel(found)
        return TriedLabel(
            found, RescoredWindows(found.unit, found.side, sets.explain.peak, own, other)
        )

    @property
    def why_not(self) -> str | None:
        """Why there is nothing on its own text with which another score could be compared."""
        why = why_unscored(self.label)
        if why is not None:
            return why
        if not any(trial.predicted is not None for trial in _trials(self.label)):
            return "no scorer predicted activations from it"
        return None if self.sets is not None else _NO_RECORDS


@dataclass(frozen=True, slots=True)
class TriedLabel:
    """What one label came to, with what people look at."""

    found: RescoredLabel
    windows: RescoredWindows | None = None
    """None where nothing of its own text was kept, or predicted."""


def why_unscored(label: Label) -> str | None:
    """Why a label has no score on its own text; None where it has one."""
    if label.status is LabelStatus.OK and label.explanation is not None:
        return None
    return f"it has no score on its own text: {label.reason or 'it has no explanation'}"


@dataclass(frozen=True, slots=True)
class OtherText:
    """What was read of a label's side on the other text."""

    held_out: HeldOutSet
    token_means: TokenMeans
    stats: NeuronStats


def free_judge(explanation: Explanation) -> Scorer | None:
    """Who predicts activations from it without an LLM; None where none can."""
    if explanation.program is not None:
        return Programs()
    if explanation.rules:
        return Rules()
    if explanation.needs_no_reader:
        # Rules say where each of its senses applies: nobody is asked.
        return SensesSimulation(ScriptedModel(lambda _: ""))
    return None


async def rescored_label(
    learned: LearnedLabel, there: OtherText, judge: Scorer, *, n_asked: int, seed: int
) -> TriedLabel:
    """Both scores with their difference; the judge is asked about `n_asked` windows, if anybody.

    Raises:
        UpstreamError: the LLM could not be used.
    """
    label, sets, explanation = learned.label, learned.sets, learned.explanation
    if sets is None or explanation is None:
        return learned.tried(learned.untested(learned.why_not or _NO_RECORDS))
    # The label predicts what it did: its levels are shares of the peak that it was made with.
    windows = _scoring_set(replace(there.held_out, peak=sets.explain.peak), seed)
    if not is_free(judge, explanation):
        windows = windows.first(n_asked)
    result = await judge.score(explanation, windows)
    if result.failure is not None:
        return learned.tried(learned.untested(result.failure))
    table = await Lookup(there.token_means).score(explanation, windows)
    ours = _trials(label)
    other = _judged(windows, result.trials)
    own, score, change = text_difference(_judged(_scoring_set(sets.held_out, seed), ours), other)
    known, reason = None, change.reason
    if own.value is not None and score.value is None:
        known = Outcome.UNTESTED if varies(other.windows.predicted) else Outcome.ABSENT
    elif change.p is None:
        known = Outcome.UNTESTED
    found = replace(
        learned.ending(known, reason),
        scorer=result.scorer,
        own=own,
        other=score,
        difference=change,
        table=table.score("population"),
        over_table=replace(difference(result, table, windows), name="over_table"),
        own_over_table=label.score(label.preferred or "", "over_lookup"),
        other_density=there.stats.density,
        other_peak=_peak_share(label, there.stats),
    )
    return learned.tried(found, shown_windows(there.held_out, result.trials))


def _scoring_set(windows: HeldOutSet, seed: int) -> ScoringSet:
    own = derive_seed(seed, "bootstrap", str(windows.unit), windows.side)
    return ScoringSet.of(windows, seed=own, n_bootstrap=1000, confidence=0.95)


def _trials(label: Label) -> tuple[Trial, ...]:
    result = label.result(label.preferred or "")
    return () if result is None else result.trials


def _judged(windows: ScoringSet, trials: Sequence[Trial]) -> JudgedText:
    """The judged windows of a set, each with its document."""
    part = windows.asked_about(trials)
    records = {record.window: record for record in part.records}
    judged = [t for t in trials if t.predicted is not None and t.window in records]
    own = [records[trial.window] for trial in judged]
    scored = ScoredWindows.checked(
        [record.activations for record in own],
        [trial.predicted or () for trial in judged],
        [record.stratum for record in own],
        [record.weight for record in own],
    )
    documents = tuple(record.document for record in own)
    return JudgedText(scored.rectified(windows.side.sign), part.strata, documents)


def _peak_share(label: Label, there: NeuronStats) -> float | None:
    own, other = (
        stats.maximum if label.side is Side.POSITIVE else -stats.minimum
        for stats in (label.stats, there)
    )
    return max(0.0, other) / own if own > 0 else None

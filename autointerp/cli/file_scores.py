"""Names that scores on files of records deserve, where the size of all text may not be known."""

from __future__ import annotations

from dataclasses import replace

from autointerp.core.labels import Label
from autointerp.core.scores import Score, ScorerResult

_HEADLINES = ("population", "top_random", "top")


def headline(label: Label) -> Score:
    """The score to go by: ``population``; else ``top_random``; else ``top``."""
    found = [label.score(label.preferred, name) for name in _HEADLINES] if label.preferred else []
    return next((score for score in found if score.value is not None), label.headline)


def without_population(label: Label, reason: str | None) -> Label:
    """The label with the names that its scores deserve where the text's size is not known.

    What the pipeline took for the population score weighs the file's parts alike: with a random
    sample it is the literature's top-and-random score, and is named so. Other estimates over all
    text go, as their strata were made up; scores of one stratum and differences stay.
    """
    if reason is None:
        return label
    return replace(label, results=tuple(_renamed(result, reason) for result in label.results))


def _renamed(result: ScorerResult, reason: str) -> ScorerResult:
    strata = {trial.stratum for trial in result.trials}
    pooled = result.score("population")
    undefined = Score.undefined("population", reason, n_windows=pooled.n_windows)
    if not any(trial.predicted is not None for trial in result.trials):
        rest = [replace(s) for s in result.scores if s.name != "population"]
        return replace(result, scores=(undefined, *rest))
    # Of two scores named random, the first repeats the population's and the last is the stratum's.
    own = {s.name: s for s in result.scores if s.name in strata or s.name.startswith("over_")}
    mixed = {"top", "random"} <= strata
    named = [replace(pooled, name="top_random" if mixed else "pooled")] if len(strata) > 1 else []
    return replace(result, scores=(undefined, *named, *own.values()))

"""A comparison of two dictionaries as JSON, for ``diff --json`` and REST."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from autointerp.dictionary.comparison import CHANCE, Comparison, Pair
from autointerp.dictionary.label_tables import RatedLabel

_NAMES = ("text", "explainer", "model", "prompt", "status", "scorer", "score", "low", "high")


def summary_json(comparison: Comparison) -> dict[str, Any]:
    """What holds of all units."""
    return {
        "n_common": len(comparison.pairs),
        "n_changed": sum(bool(pair.changed) for pair in comparison.pairs),
        "n_opposite": comparison.n_opposite,
        "n_scored": comparison.n_scored,
        "n_testable": comparison.n_testable,
        "n_moved": sum(pair.moved for pair in comparison.pairs),
        "n_moved_by_chance": round(CHANCE * comparison.n_testable, 2),
        "spearman": comparison.spearman,
        "spearman_reason": comparison.spearman_reason,
        "llm": comparison.llm and asdict(comparison.llm),
        "matchups": [asdict(matchup) for matchup in comparison.matchups],
    }


def pair_json(pair: Pair) -> dict[str, Any]:
    """One side of one unit in both."""
    difference = pair.difference
    return {
        **name_json(pair.a),
        "changed": list(pair.changed),
        "moved": pair.moved,
        "difference": None if difference is None else asdict(difference),
        "llm_moved": pair.llm_moved,
        "llm_difference": pair.llm_difference and asdict(pair.llm_difference),
        "a": _rated_json(pair.a),
        "b": _rated_json(pair.b),
    }


def name_json(rated: RatedLabel) -> dict[str, Any]:
    """Which side of which unit it is."""
    return {"hook": rated.unit.hook, "index": rated.unit.index, "side": str(rated.side)}


def _rated_json(rated: RatedLabel) -> dict[str, Any]:
    return {
        **{name: getattr(rated, name) for name in _NAMES},
        "llm": rated.llm and asdict(rated.llm),
    }

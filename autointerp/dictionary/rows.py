"""One flat row a label: what ``labels.parquet`` and ``labels.jsonl.gz`` hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from autointerp.core.explanations import Label
from autointerp.core.ids import Side
from autointerp.core.scores import Score
from autointerp.core.sense_types import MARGINS, survivors
from autointerp.core.unit_evidence import Quantity, Relation, UnitEvidence
from autointerp.core.unit_kinds import kinds_of
from autointerp.store.codec import plain_json

Row = dict[str, str | int | float | list[str] | list[float] | None]

SCORER_COLUMNS = {
    "detection": ("detection", "balanced_accuracy"),
    "fuzzing": ("fuzzing", "balanced_accuracy"),
}
"""Columns that hold a scorer's headline: the scorer and its score."""

_STRINGS, _NUMBERS = pa.list_(pa.string()), pa.list_(pa.float64())
ROW_SCHEMA = pa.schema(
    [
        ("model_id", pa.string()),
        ("layer", pa.int64()),
        ("index", pa.int64()),
        ("hook", pa.string()),
        ("description", pa.string()),
        ("explanation", pa.string()),
        ("explainer", pa.string()),
        ("explanation_model_name", pa.string()),
        ("status", pa.string()),
        ("status_reason", pa.string()),
        ("polarity", pa.string()),
        ("score", pa.float64()),
        ("score_low", pa.float64()),
        ("score_high", pa.float64()),
        ("score_null", pa.float64()),
        ("score_lookup", pa.float64()),
        ("score_top_random", pa.float64()),
        ("score_top", pa.float64()),
        ("score_random", pa.float64()),
        *((column, pa.float64()) for column in SCORER_COLUMNS),
        ("n_heldout", pa.int64()),
        ("max_activation", pa.float64()),
        ("density", pa.float64()),
        ("top_tokens", _STRINGS),
        ("promoted_tokens", _STRINGS),
        ("promoted_values", _NUMBERS),
        ("suppressed_tokens", _STRINGS),
        ("suppressed_values", _NUMBERS),
        ("llm_description", pa.string()),
        ("llm_score", pa.float64()),
        ("llm_score_low", pa.float64()),
        ("llm_score_high", pa.float64()),
        ("llm_added", pa.float64()),
        ("llm_added_low", pa.float64()),
        ("llm_added_high", pa.float64()),
        ("rules_description", pa.string()),
        ("rules_score", pa.float64()),
        ("n_senses", pa.int64()),
        ("mass_explained", pa.float64()),
        ("survived", pa.float64()),
        ("n_receipts", pa.int64()),
        ("corpus", pa.string()),
        ("unit", pa.string()),
        ("scorer", pa.string()),
        ("n_failed", pa.int64()),
        ("p_value", pa.float64()),
        ("q_value", pa.float64()),
        ("auprc", pa.float64()),
        ("f1", pa.float64()),
        ("iou", pa.float64()),
        ("llm_null", pa.float64()),
        *((name, pa.float64()) for name in MARGINS),
        *((quantity.value, pa.float64()) for quantity in Quantity),
        *((relation.value, _STRINGS) for relation in Relation),
        ("kinds", _STRINGS),
    ]
)
COLUMNS: tuple[str, ...] = tuple(ROW_SCHEMA.names)
OLD_NAMES = {
    "modelId": "model_id",
    "typeName": "explainer",
    "explanationModelName": "explanation_model_name",
}
"""Columns of tables of schema 1, and rows of stores of that time, under their names of now."""


def label_row(label: Label) -> Row:
    """The label's row; what is undefined or was not measured is None.

    ``explanation`` is the ``description`` under another name. ``score`` is the population score
    of ``scorer``; ``n_heldout`` its judged windows and ``n_failed`` its failed trials; ``auprc``,
    ``f1`` and ``iou`` are of the tokens that reach a tenth of the peak, over all held-out text;
    ``q_value``, the p-value adjusted for all labels of the dictionary, is left out.
    """
    return {
        **_names(label),
        **_scores(label),
        **_counts(label),
        **_explanations(label),
        **_source(label),
        "p_value": chance_p(label),
        "q_value": None,
        **{name: _preferred(label, name).value for name in ("auprc", "f1", "iou")},
        "llm_null": label.score(f"{label.llm.scorer}_null").value if label.llm else None,
        **{name: label.score_of(label.llm, name).value for name in MARGINS},
        **_evidence(label.evidence, label.unit.hook),
        "kinds": [one.kind.value for one in kinds_of(label)] or None,
    }


def current_row(row: Mapping[str, Any]) -> Row:
    """A row that this version or an earlier one wrote, as this one has it.

    Raises:
        ValueError: its layer or index is not a number.
    """
    known = {OLD_NAMES.get(name, name): value for name, value in row.items()}
    for name in ("layer", "index"):
        if isinstance(known.get(name), str):
            known[name] = int(known[name])
    known.setdefault("explanation", known.get("description"))
    return dict.fromkeys(COLUMNS) | known


def row_json(label: Label) -> str:
    """The row as JSON on one line, for stores that list labels."""
    return plain_json(label_row(label)).decode().rstrip("\n")


def chance_p(label: Label) -> float | None:
    """The permutation p-value of the preferred score, None where there is none."""
    return _preferred(label, "chance_p").value


def _names(label: Label) -> Row:
    explanation = label.explanation
    return {
        "model_id": label.unit.subject,
        "layer": label.unit.layer,
        "index": label.unit.index,
        "hook": label.unit.hook,
        "description": explanation.text if explanation else None,
        "explanation": explanation.text if explanation else None,
        "explainer": explanation.explainer if explanation else None,
        "explanation_model_name": explanation.model if explanation else None,
        "status": label.status.value,
        "status_reason": label.reason,
        "polarity": label.side.value,
    }


def _scores(label: Label) -> Row:
    headline = label.headline
    return {
        "score": headline.value,
        "score_low": headline.low,
        "score_high": headline.high,
        "score_null": _preferred(label, "population", suffix="_null").value,
        "score_lookup": label.score("lookup").value,
        "score_top_random": _preferred(label, "top_random").value,
        "score_top": _preferred(label, "top").value,
        "score_random": _preferred(label, "random").value,
        **{name: label.score(*scored).value for name, scored in SCORER_COLUMNS.items()},
        "n_heldout": headline.n_windows,
    }


def _counts(label: Label) -> Row:
    stats = label.stats
    # Subtracting from 0.0 keeps a side that never activates from reading -0.0.
    peak = stats.maximum if label.side is Side.POSITIVE else 0.0 - stats.minimum
    return {
        "max_activation": peak,
        "density": stats.density,
        "top_tokens": list(label.top_tokens),
        "promoted_tokens": list(label.promoted) or None,
        "promoted_values": list(label.promoted_values) or None,
        "suppressed_tokens": list(label.suppressed) or None,
        "suppressed_values": list(label.suppressed_values) or None,
    }


def _explanations(label: Label) -> Row:
    llm, rules = label.llm, label.rules
    score, added = label.score_of(llm), label.score_of(llm, "added")
    n_receipts = survivors(label.receipts)[1]
    return {
        "llm_description": llm.explanation.text if llm else None,
        "llm_score": score.value,
        "llm_score_low": score.low,
        "llm_score_high": score.high,
        "llm_added": added.value,
        "llm_added_low": added.low,
        "llm_added_high": added.high,
        "rules_description": rules.explanation.text if rules else None,
        "rules_score": label.score_of(rules).value,
        "n_senses": max(1, len(llm.explanation.senses)) if llm else None,
        "mass_explained": label.score_of(llm, "mass_explained").value,
        "survived": label.score_of(llm, "survived").value,
        "n_receipts": n_receipts or None,
    }


def _source(label: Label) -> Row:
    result = label.result(label.preferred) if label.preferred else None
    return {
        "corpus": label.provenance.corpus,
        "unit": str(label.unit),
        "scorer": label.preferred,
        "n_failed": result.n_failed if result else None,
    }


def _evidence(evidence: UnitEvidence | None, hook: str) -> Row:
    if evidence is None:
        return dict.fromkeys([*map(str, Quantity), *map(str, Relation)])
    near: Row = {one.relation.value: list(one.names(hook)) or None for one in evidence.near}
    values: Row = {quantity.value: evidence.value(quantity) for quantity in Quantity}
    return {**values, **dict.fromkeys(map(str, Relation)), **near}


def _preferred(label: Label, name: str, *, suffix: str = "") -> Score:
    if label.preferred is None:
        return Score.undefined(name, "no scorer ran")
    return label.score(label.preferred + suffix, name)

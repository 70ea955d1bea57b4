"""What a worker says of a feature that was looked for, without a model."""

from __future__ import annotations

from typing import Any

from autointerp.core.causal_json import causal_json
from autointerp.core.feature_probes import (
    BaselineLine,
    FeatureProbes,
    FeatureVerdict,
    ProbeLine,
)
from autointerp.core.feature_search import ClassCounts, FeatureUnit, FindReport, FoundLayer
from autointerp.core.ids import Side, UnitId
from autointerp.core.scores import Score

HOOK = "blocks.5.mlp.hook_post"


def find_feature(asked: dict[str, Any]) -> dict[str, Any]:
    """5:131, which has a label, and 5:9, which has none; probes where any are asked for."""
    return causal_json(found_feature(asked["model"], probed=bool(asked["k"])))


def found_feature(subject: str = "tiny", *, probed: bool = True) -> FindReport:
    """What is found, as a value."""
    units = tuple(UnitId(subject, HOOK, index) for index in (131, 9))
    return FindReport(
        subject=subject,
        feature="the texts given",
        marks="what is labelled so",
        hard="",
        corpus="the texts given",
        measure="average_precision",
        n_units=9216,
        ranked=ClassCounts(120, 130, 0, 24),
        tested=ClassCounts(80, 90, 0, 16),
        units=tuple(
            FeatureUnit(
                unit,
                Side.POSITIVE,
                mean_difference=1.25,
                f_statistic=310.0,
                average_precision=0.97,
                mutual_information=0.4,
                tested=tested,
                tested_low=tested - 0.2,
                tested_high=tested + 0.05,
            )
            for unit, tested in zip(units, (0.91, 0.72), strict=True)
        ),
        layers=(FoundLayer(HOOK, 9216, units[0], 0.97),),
        probes=_probes(units) if probed else None,
        notes=("2 texts are left out: their tokens do not spell them",),
        seconds={"text": 0.1, "rank": 11.0, "record": 8.0, "probe": 10.0},
    )


def _probes(units: tuple[UnitId, ...]) -> FeatureProbes:
    return FeatureProbes(
        hooks=(HOOK,),
        n_candidates=1024,
        n_train=250,
        n_test=170,
        lines=(_line(units, 0.9), _line(units[:1], 0.8)),
        dense_mcc=_score("mcc", 0.95),
        baselines=(BaselineLine("shuffled labels", 1, 0.05, 0.21),),
        verdict=FeatureVerdict(
            "one unit", "as fine", units[:1], 0.9, 0.21, "one unit reaches 0.80 of 0.90"
        ),
    )


def _line(units: tuple[UnitId, ...], mcc: float) -> ProbeLine:
    return ProbeLine(
        k=len(units),
        units=units,
        weights=(1.5,) * len(units),
        f1=_score("f1", 0.9),
        precision=_score("precision", 0.92),
        recall=_score("recall", 0.88),
        mcc=_score("mcc", mcc),
        average_precision=_score("average_precision", 0.93),
        certified=True,
        loss=0.2,
        bound=0.2,
        gap=0.0,
        n_searched=50,
        n_subsets=1225,
    )


def _score(name: str, value: float) -> Score:
    return Score(name, value, value - 0.1, min(1.0, value + 0.05), 170, None)

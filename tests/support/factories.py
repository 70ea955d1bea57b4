"""Small whole values for tests: labels, record sets, jobs."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from memory_store import MemoryLabelStore

from autointerp.core.config import JobSpec
from autointerp.core.explanations import (
    Candidate,
    Explanation,
    Label,
    LabelStatus,
    PromptRef,
    Provenance,
)
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import (
    ActivationRecord,
    ExplainSet,
    HeldOutSet,
    InputContexts,
    NeuronStats,
    Stratum,
    UnitSets,
    ValidationSet,
)
from autointerp.core.scores import Score, ScorerResult, Trial
from autointerp.dictionary import ManifestInfo

SUBJECT = "tiny"
HOOK = "blocks.5.mlp.hook_post"


def make_unit(index: int = 131, *, hook: str = HOOK, subject: str = SUBJECT) -> UnitId:
    """A unit of the test subject."""
    return UnitId(subject, hook, index)


def make_job(**changes: object) -> JobSpec:
    """A job without an LLM; keyword arguments replace its fields."""
    return JobSpec.model_validate({"subject": SUBJECT, "units": "5:131", "llm": "none", **changes})


def make_provenance(**changes: object) -> Provenance:
    """Where test labels come from."""
    made = Provenance(
        package_version="0.1.0",
        subject=SUBJECT,
        subject_revision="0123456789abcdef",
        dtype="float32",
        tokenizer="tiny-bpe:aa11",
        corpus="wiki",
        corpus_hash="feedface00000000",
        n_tokens=4096,
        n_ctx=4,
        seed=0,
        split_hash="5911700000000000",
        collect_hash="c011ec7000000000",
        explainer_model="smollm2-135m-instruct",
        scorer_model="smollm2-135m-instruct",
        prompts=(PromptRef("explain_token_activation", "v1", "abcdef0123456789"),),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def make_record(window: int, activations: tuple[float, ...], stratum: str) -> ActivationRecord:
    """A record whose tokens are words."""
    words = (" the", " river", " runs", "\n", " dry", "é")
    n = len(activations)
    return ActivationRecord(
        window=window,
        document=f"{window:016x}",
        offset=4 * window,
        token_ids=tuple(range(n)),
        tokens=tuple(words[i % len(words)] for i in range(n)),
        activations=activations,
        stratum=stratum,
        weight=2.5,
    )


def make_contexts(
    records: Sequence[ActivationRecord], places: Mapping[tuple[int, int], int]
) -> InputContexts:
    """Places (record, token) at which the unit reads one of eight directions."""
    vectors = np.eye(8, dtype="<f2")[list(places.values())]
    encoded = base64.b64encode(vectors.tobytes()).decode()
    return InputContexts(tuple(records), tuple(places), encoded, "blocks.3.mlp.hook_in")


def make_sets(unit: UnitId | None = None, side: Side = Side.POSITIVE) -> UnitSets:
    """Two explain, one validation and three held-out records (windows 20, 21 and 22)."""
    unit = unit or make_unit()
    sign = side.sign
    strata = (
        Stratum("silent", 30, 1, 0.0, 0.0),
        Stratum("band0", 8, 1, 0.0, 1.5),
        Stratum("top", 2, 1, 1.5, 3.5),
    )
    held_out = (
        make_record(20, (0.0, sign * 3.5, 0.21875, 0.0), "top"),
        make_record(21, (sign * 1.25, 0.0, 0.0, 0.0), "band0"),
        make_record(22, (0.0, 0.0, 0.0, 0.0), "silent"),
    )
    explain = (
        make_record(1, (0.0, sign * 4.0, 0.0, 0.5), "top"),
        make_record(2, (0.0, 0.0, 0.0, 0.0), "silent"),
    )
    validation = (make_record(10, (0.0, sign * 2.0, 0.0, 0.0), "top"),)
    return UnitSets(
        ExplainSet(unit, side, explain, 4.0),
        ValidationSet(unit, side, validation, strata, 4.0),
        HeldOutSet(unit, side, held_out, strata, 4.0),
    )


def make_results(value: float = 0.42) -> tuple[ScorerResult, ...]:
    """Simulation (window 22 failed), its null, detection and the lookup baseline."""
    text = "names of rivers"
    trials = (
        Trial(20, "top", 2.5, (0.0, 9.0, 1.0, 0.0), None, None, None),
        Trial(21, "band0", 2.5, (2.0, 0.0, 0.0, 0.0), None, None, None),
        Trial(22, "silent", 2.5, None, None, None, "the reply was empty"),
    )
    scores = (
        Score("population", value, value - 0.1, value + 0.1, 2, None),
        Score("top_random", 0.5, None, None, 2, None),
        Score("top", 0.6, None, None, 1, None),
        Score.undefined("random", "the real activations are constant", n_windows=1),
    )
    verdicts = (Trial(20, "top", 2.5, None, True, 0.9, None),)
    return (
        ScorerResult("simulation", text, scores, trials, ("levels by logprobs",)),
        ScorerResult(
            "simulation_null", "shouting", (Score("population", 0.01, -0.1, 0.1, 2, None),), ()
        ),
        ScorerResult(
            "detection", text, (Score("balanced_accuracy", 0.75, None, None, 1, None),), verdicts
        ),
        ScorerResult("lookup", text, (Score("population", 0.3, 0.2, 0.4, 2, None),), ()),
    )


def make_label(
    unit: UnitId | None = None,
    side: Side = Side.POSITIVE,
    *,
    status: LabelStatus = LabelStatus.OK,
    text: str = "names of rivers",
    score: float = 0.42,
    **changes: object,
) -> Label:
    """A label; a status other than ok has a reason and neither explanation nor results."""
    ok = status is LabelStatus.OK
    prompt = PromptRef("explain_token_activation", "v1", "abcdef0123456789")
    explanation = Explanation(text, "token_activation", "smollm2-135m-instruct", prompt, 0.0, 0)
    made = Label(
        unit=unit or make_unit(),
        side=side,
        status=status,
        reason=None if ok else f"the unit is {status}",
        explanation=explanation if ok else None,
        candidates=(Candidate(explanation, 0.4, None, chosen=True),) if ok else (),
        results=make_results(score) if ok else (),
        preferred="simulation" if ok else None,
        stats=make_stats(),
        top_tokens=(" river", "7", "é") if ok else (),
        provenance=make_provenance(),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def make_stats() -> NeuronStats:
    """Counts over 4096 tokens, a little more on the positive side."""
    return NeuronStats(
        n_tokens=4096,
        n_windows=1024,
        mean=0.01,
        variance=0.5,
        minimum=-2.0,
        maximum=4.0,
        density=0.05,
        window_density=0.2,
        histogram=(10, 4000, 86),
        bin_edges=(-2.5, -0.5, 0.5, 4.5),
        quantiles=((0.25, 0.5), (0.9, 3.0)),
    )


def make_store() -> MemoryLabelStore:
    """Five labels: an ok unit on both sides, a dead, a failed and an ok one of other layers."""
    store = MemoryLabelStore()
    for side in Side:
        store.put_label(make_label(side=side, text=f"the {side} side"))
        store.put_sets(make_sets(side=side))
    store.put_label(make_label(make_unit(7), status=LabelStatus.DEAD))
    store.put_label(make_label(make_unit(8), status=LabelStatus.FAILED))
    layer_10 = make_unit(0, hook="blocks.10.mlp.hook_post")
    store.put_label(make_label(layer_10, text="7", score=-0.25))
    store.put_sets(make_sets(layer_10))
    return store


def make_info(**changes: object) -> ManifestInfo:
    """What a manifest is told; keyword arguments replace its fields."""
    created = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
    made = ManifestInfo(make_job(seed=3), make_provenance(), created)
    return replace(made, **changes)  # type: ignore[arg-type]

"""Any labels and record sets, as hypothesis draws them: activations are those of records."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from factories import make_label, make_stats
from hypothesis import strategies as st

from autointerp.core.explanations import (
    Candidate,
    Explanation,
    Label,
    LabelStatus,
    ScoredExplanation,
    TokenRule,
)
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import (
    ActivationRecord,
    ExplainSet,
    HeldOutSet,
    InputContexts,
    Stratum,
    UnitSets,
    ValidationSet,
)
from autointerp.core.scores import Score, ScorerResult, Trial
from autointerp.store.recorded_lines import as_recorded

finite = st.floats(allow_nan=False, allow_infinity=False)
count = st.integers(0, 2**53)
text = st.text(max_size=20)
units = st.builds(UnitId, text, text, count)
sides = st.sampled_from(Side)
activations = st.floats(-(2.0**99), 2.0**99, width=32, allow_subnormal=False)
predictions = st.lists(finite, max_size=4).map(tuple)
trials = st.one_of(
    st.builds(Trial, count, text, finite, predictions, st.none(), st.none(), st.none()),
    st.builds(Trial, count, text, finite, st.none(), st.booleans(), finite, st.none()),
    st.builds(Trial, count, text, finite, st.none(), st.none(), st.none(), text),
)
scores = st.one_of(
    st.builds(Score, text, finite, st.none() | finite, st.none() | finite, count, st.none()),
    st.builds(Score.undefined, text, text),
)
results = st.builds(
    ScorerResult,
    text,
    text,
    st.lists(scores, max_size=3).map(tuple),
    st.lists(trials, max_size=3).map(tuple),
    st.lists(text, max_size=2).map(tuple),
)


rules = st.builds(TokenRule, st.lists(count, max_size=2).map(tuple), text, finite, finite)
explanations = st.builds(
    Explanation,
    *(text, text, st.none(), st.none(), st.none() | finite, count),
    st.lists(rules, max_size=2).map(tuple),
)
candidates = st.builds(Candidate, explanations, st.none() | finite, st.none() | text, st.booleans())


@st.composite
def labels(draw: st.DrawFn) -> Label:
    status = draw(st.sampled_from(LabelStatus))
    label = make_label(draw(units), draw(sides), status=status, text=draw(text))
    reason = None if status is LabelStatus.OK else draw(text)
    return replace(
        label,
        reason=reason,
        results=tuple(draw(st.lists(results, max_size=3))),
        candidates=tuple(draw(st.lists(candidates, max_size=2))),
        rules=draw(st.none() | st.builds(ScoredExplanation, explanations, text)),
        preferred=draw(st.none() | text),
        top_tokens=tuple(draw(st.lists(text, max_size=3))),
        stats=replace(make_stats(), mean=draw(finite), quantiles=((draw(finite), draw(finite)),)),
    )


@st.composite
def _records(draw: st.DrawFn) -> ActivationRecord:
    n = draw(st.integers(0, 3))
    line = np.array(draw(st.lists(activations, min_size=n, max_size=n)), dtype=np.float32)
    return ActivationRecord(
        window=draw(count),
        document=draw(text),
        offset=draw(count),
        token_ids=tuple(draw(st.lists(count, min_size=n, max_size=n))),
        tokens=tuple(draw(st.lists(text, min_size=n, max_size=n))),
        activations=tuple(as_recorded(line).tolist()),
        stratum=draw(text),
        weight=draw(finite),
        influence=draw(finite),
        source=draw(text),
    )


@st.composite
def unit_sets(draw: st.DrawFn) -> UnitSets:
    unit, side = draw(units), draw(sides)
    records = st.lists(_records(), max_size=3).map(tuple)
    places = st.lists(st.tuples(count, count), max_size=3).map(tuple)
    contexts = st.builds(InputContexts, records, places, text, text)
    strata = tuple(
        draw(st.lists(st.builds(Stratum, text, count, count, finite, finite), max_size=2))
    )
    ranks = draw(st.lists(st.integers(0, 65_535), max_size=3).map(tuple))
    return UnitSets(
        ExplainSet(unit, side, draw(records), draw(finite), draw(st.none() | contexts), ranks),
        ValidationSet(unit, side, draw(records), strata, draw(finite)),
        HeldOutSet(unit, side, draw(records), strata, draw(finite)),
        draw(records),
    )

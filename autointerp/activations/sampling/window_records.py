"""Chosen windows with their tokens and what a unit does there."""

from __future__ import annotations

from autointerp.activations.activation_reading import Activations
from autointerp.activations.line_index import recorded_lines
from autointerp.activations.sampling.strata import WindowSample
from autointerp.core.ids import UnitId
from autointerp.core.records import ActivationRecord
from autointerp.core.text import Window
from autointerp.corpora import TokenCorpus
from autointerp.subjects import SubjectModel

WindowTexts = dict[int, tuple[Window, tuple[str, ...]]]
"""Windows by id with the strings of their tokens."""


def sampled_records(
    sample: WindowSample,
    unit: UnitId,
    activations: Activations,
    corpus: TokenCorpus,
    subject: SubjectModel,
    texts: WindowTexts | None = None,
) -> tuple[ActivationRecord, ...]:
    """The sampled windows with their tokens and the unit's activations, in their order."""
    result, texts = [], {} if texts is None else texts
    lines = recorded_lines(activations, (unit.hook, unit.index), sample.windows, corpus)
    for line, (window_id, stratum, weight, influence) in zip(lines, sample.sampled, strict=True):
        if window_id not in texts:
            window = corpus[window_id]
            texts[window_id] = window, subject.tokenizer.pieces(window.token_ids)
        window, tokens = texts[window_id]
        result.append(
            ActivationRecord(
                window=window_id,
                document=window.document,
                offset=window.offset,
                token_ids=window.token_ids,
                tokens=tokens,
                activations=tuple(line[: len(window.token_ids)]),
                stratum=stratum,
                weight=weight,
                influence=influence,
                source=corpus.source(window.document),
            )
        )
    return tuple(result)

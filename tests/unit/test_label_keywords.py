"""`autointerp.label` takes the names of the command line's options."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from planted import MONTHS, OTHERS, planted_subject
from tiny import write_texts

import autointerp as ai


def label(folder: Path, **options: Any) -> ai.LabelledUnits:
    rng = random.Random(0)
    texts = [" ".join(rng.choices([*OTHERS, *MONTHS], k=150)) for _ in range(40)]
    corpus = str(write_texts(folder, texts))
    return ai.label(planted_subject(), units="0:0", corpus=corpus, llm="none", **options)


def test_options_and_parts_say_the_same(tmp_path: Path) -> None:
    options = {"tokens": 4_000, "n_ctx": 32, "heldout": 6, "top": 5, "explainer": "token_lookup"}
    labels = label(tmp_path, **options, sides="both", select=ai.SelectConfig(n_band=3))
    job = labels.job
    assert (job.corpus.n_tokens, job.corpus.n_ctx) == (4_000, 32)
    assert (job.score.n_heldout, job.explain.n_exemplars) == (6, 5)
    assert (job.select.n_top, job.select.n_band) == (5, 3)
    assert job.explain.explainers == ("token_lookup",)
    assert job.sides == "both"
    [whole] = ai.label(
        planted_subject(),
        units="0:0",
        corpus=job.corpus,
        llm="none",
        select=job.select,
        explain=job.explain,
        score=job.score,
    )
    assert whole.results == labels[0].results


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"scorrer": "detection"}, TypeError, "scorrer.*did you mean scorer"),
        ({"dtype": "bfloat16"}, TypeError, "dtype"),
        ({"budget_usd": 3}, TypeError, "budget_usd"),
        ({"heldout": "many"}, ai.InputError, "n_heldout"),
        ({"scorer": "nonesuch"}, ai.InputError, "nonesuch"),
        ({"heldout": 6, "score": ai.ScoreConfig(n_heldout=7)}, ai.InputError, "same field"),
        ({"tokens": 0}, ai.InputError, "n_tokens"),
    ],
)
def test_what_is_no_option_or_no_value_is_told_before_anything_is_read(
    tmp_path: Path, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        label(tmp_path, **options)

"""A feature looked for among the units of a model while somebody waits."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict
from typing_extensions import override

from autointerp.activations.searching_features import FeatureSearch, fitting_options, measure_named
from autointerp.core.causal_json import causal_json
from autointerp.core.config import CorpusConfig
from autointerp.core.errors import UpstreamError
from autointerp.core.one_line import joined
from autointerp.core.progress import Progress, SilentProgress
from autointerp.core.text import TextTokenizer
from autointerp.corpora.features import (
    LabelledCorpus,
    given_examples,
    given_texts,
    label_examples,
)
from autointerp.corpora.features.looked_for import LookedFor, config_of, labelling_of
from autointerp.jobs.worker.resources import LoadedModels
from autointerp.statistics.probing.sparse_probes import SweepOptions
from autointerp.subjects import parse_units

_OF_SEARCH = 0.9
"""Of a request's time; the rest is for what cannot be ended on the way, and for the answer."""
_MORE_TEXT = "read more tokens, or another corpus"
_MORE_GIVEN = "give more texts of either kind, or longer ones"


class FindAsked(BaseModel):
    """What the API sends; see `FindRequest`."""

    model_config = ConfigDict(extra="forbid")

    model: str
    dtype: str = "float32"
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    examples: tuple[dict[str, Any], ...] = ()
    """Lines of a dataset."""
    feature: str | None = None
    regex: str | None = None
    corpus: str | None = None
    units: str
    tokens: int
    n_ctx: int
    rank_by: str
    n: int
    k: tuple[int, ...]
    exact_s: float
    seed: int

    @property
    def looked_for(self) -> LookedFor:
        """A feature or a pattern; neither where texts are given."""
        return LookedFor(self.feature, self.regex)


def find_asked(models: LoadedModels, asked: FindAsked, *, left_s: float) -> dict[str, Any]:
    """The `FindReport`, for JSON.

    Raises:
        InputError: it cannot be done as asked.
        UpstreamError: it takes longer than is left of the request.
    """
    waited = _Waited(_OF_SEARCH * left_s)
    measure = measure_named(asked.rank_by)
    subject = models.subject(asked.model, asked.dtype)
    units = parse_units(asked.units, subject, seed=asked.seed)
    options = SweepOptions(asked.k, time_limit_s=asked.exact_s, seed=asked.seed)
    options = fitting_options(options, [len(group.indices) for group in units], None)
    search = FeatureSearch(subject, units, measure, asked.n, options, waited)
    waited.check()
    began = time.monotonic()
    labelled = _labelled(asked, subject.tokenizer, waited)
    search.seconds["text"] = time.monotonic() - began
    report = search.run(labelled)
    left_out = [str(k) for k in asked.k if k not in options.ks]
    if left_out:
        n = sum(len(group.indices) for group in units)
        note = f"no probe of {joined(left_out)} units: {n:,} were to be ranked"
        report = replace(report, notes=(*report.notes, note))
    return causal_json(report)


def _labelled(asked: FindAsked, tokenizer: TextTokenizer, progress: Progress) -> LabelledCorpus:
    looked_for = asked.looked_for
    if looked_for.is_given:
        config = _config(asked, "the texts given")
        examples = (
            given_examples(asked.examples)
            if asked.examples
            else given_texts(asked.positive, asked.negative)
        )
        labelled = label_examples(examples, config, tokenizer)
    else:
        text, label = labelling_of(looked_for, asked.corpus)
        labelled = label(_config(asked, text), tokenizer, progress)
    labelled.check(_MORE_GIVEN if looked_for.is_given else _MORE_TEXT)
    return labelled


def _config(asked: FindAsked, text: str) -> CorpusConfig:
    return config_of(asked.looked_for, text, asked.tokens, asked.n_ctx, asked.seed)


class _Waited(SilentProgress):
    """The time for which a caller waits; ends what goes on longer."""

    def __init__(self, left_s: float) -> None:
        self._left_s, self._until = left_s, time.monotonic() + left_s

    def check(self) -> None:
        if time.monotonic() > self._until:
            raise UpstreamError(
                f"the search was not done in the {self._left_s:,.0f} s that were left of this "
                "request. The model is loaded now: ask again, with fewer tokens or texts, units "
                "of fewer layers, or no probes; or run `autointerp find`, which takes its time",
                retryable=True,
            )

    @override
    def advance(self, stage: str, amount: int) -> None:
        self.check()

    @override
    def note(self, message: str) -> None:
        # Before probes are fitted, which cannot be ended on the way.
        self.check()

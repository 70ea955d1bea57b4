"""Which neurons of SmolLM2-135M tell the ready features, and what a dictionary calls them.

All features of a text are ranked in one pass over it, and their best units tested on the documents
held out: for each feature the best unit with its average precision beside chance, and its label in
a dictionary (`--dir`). With `--ks 4,1`, probes of so many of the best 64 units of the three best
layers, on the same tokens.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _parts import header

from autointerp.activations.feature_probing import examples_of
from autointerp.activations.feature_ranking import FeatureRanking, rank_units
from autointerp.activations.token_examples import TokenSample, draw_tokens, read_tokens
from autointerp.core.config import CorpusConfig
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.corpora.features import (
    Feature,
    LabelledCorpus,
    feature_named,
    label_corpora,
    ready_features,
)
from autointerp.dictionary import Dictionary, open_dictionary
from autointerp.statistics.probing.sparse_probes import SweepOptions, sweep_sparse_probes
from autointerp.subjects import SubjectModel, all_neurons, load_subject

N_EACH, N_CANDIDATES = 1024, 64
Units = Sequence[tuple[str, int]]


def main() -> None:
    """Prints a line a feature."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=32_768)
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--ks", default="16,4,2,1")
    arguments = parser.parse_args()
    ks = tuple(int(k) for k in arguments.ks.split(","))
    print(header(), "\n")
    print(f"{'feature':18} {'best':>8} {'AP':>5} {'chance':>6}  MCC of k = {arguments.ks}; label")
    subject = load_subject("smollm2-135m")
    dictionary = None if arguments.dir is None else open_dictionary(arguments.dir)
    features = list(ready_features().values())
    for corpus in dict.fromkeys(feature.corpus for feature in features):
        own = [feature for feature in features if feature.corpus == corpus]
        search(subject, corpus, own, dictionary, n_tokens=arguments.tokens, ks=ks)
    mixed = feature_named("corpus:python")
    search(subject, mixed.corpus, [mixed], dictionary, n_tokens=arguments.tokens, ks=ks)


def search(  # noqa: PLR0913 - what is printed of one text
    subject: SubjectModel,
    corpus: str,
    features: Sequence[Feature],
    dictionary: Dictionary | None,
    *,
    n_tokens: int,
    ks: tuple[int, ...],
) -> None:
    """Prints the lines of the features of one text."""
    config = CorpusConfig(corpus=corpus, n_tokens=n_tokens)
    labelled = []
    for one in label_corpora(config, features, subject.tokenizer):
        try:
            one.check()
        except InputError as error:
            print(f"{one.name:18} {error}")
        else:
            labelled.append(one)
    units = all_neurons(subject)
    rankings = rank_units(subject, labelled, units, measure="average_precision")
    print("ranked", corpus, file=sys.stderr, flush=True)
    candidates = [ranking.candidates(3, N_CANDIDATES) for ranking in rankings]
    samples = [
        tuple(draw_tokens(one, part, n_each=N_EACH, seed=0) for part in (one.train, one.test))
        for one in labelled
    ]
    read = _read_together(subject, labelled, candidates, samples)
    for one, ranking, own, both, values in zip(
        labelled, rankings, candidates, samples, read, strict=True
    ):
        _print(subject, one, ranking, own, both, values, dictionary, ks)


def _read_together(
    subject: SubjectModel,
    labelled: Sequence[LabelledCorpus],
    candidates: Sequence[Units],
    samples: Sequence[tuple[TokenSample, ...]],
) -> list[list[np.ndarray]]:
    """Activations of each feature's candidates at its tokens, from one pass over all of them."""
    corpus = labelled[0].corpus
    places = np.unique(np.concatenate([part.places for both in samples for part in both]))
    wanted: dict[str, list[int]] = {}
    for hook, index in dict.fromkeys(key for own in candidates for key in own):
        wanted.setdefault(hook, []).append(index)
    read = read_tokens(subject, corpus, places, wanted)
    columns = {h: {index: c for c, index in enumerate(own)} for h, own in wanted.items()}
    return [
        [
            np.stack(
                [read[h][np.searchsorted(places, part.places), columns[h][i]] for h, i in own],
                axis=1,
            )
            for part in both
        ]
        for own, both in zip(candidates, samples, strict=True)
    ]


def _print(  # noqa: PLR0913, PLR0917 - one line
    subject: SubjectModel,
    labelled: LabelledCorpus,
    ranking: FeatureRanking,
    units: Units,
    samples: tuple[TokenSample, ...],
    values: list[np.ndarray],
    dictionary: Dictionary | None,
    ks: tuple[int, ...],
) -> None:
    lines = {key: values[1][:, column] for column, key in enumerate(units)}
    (best,) = ranking.found(units[:1], lines, samples[1])
    train, test = (examples_of(v, s) for v, s in zip(values, samples, strict=True))
    probes = sweep_sparse_probes(train, test, SweepOptions(ks, exact_up_to=2))
    mccs = " ".join(f"{one.scores.mcc.value or 0:5.2f}" for one in probes)
    own = UnitId(subject.name, best.unit.hook, best.unit.index)
    label = None if dictionary is None else dictionary.label_without_trials(own, best.side)
    text = "-" if label is None or label.explanation is None else label.explanation.text
    sign = "+" if best.side.sign > 0 else "-"
    print(
        f"{labelled.name:18} {best.unit.short + sign:>8} {best.tested or 0:5.2f} "
        f"{test.base_rate:6.3f}  {mccs}; {text[:90]}",
        flush=True,
    )


if __name__ == "__main__":
    main()

"""The same neuron at the sites of its MLP, on the same text: are they one feature or several?

In SoLU models the site within the activation function, before the extra LayerNorm, is what
papers interpret; in gated MLPs the gate and its factor may each follow something else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.core.progress import Progress, SilentProgress
from autointerp.core.unit_sites import MOST_VALUES, SITES, SitePair, SiteText, UnitSite, UnitSites
from autointerp.corpora import TokenCorpus
from autointerp.evidence.paired_batches import read_together
from autointerp.statistics.paired_moments import DocumentMoments
from autointerp.subjects import SubjectModel

_N_STRONGEST = 20
_N_SHOWN = 3


def unit_sites(
    subject: SubjectModel,
    layer: int,
    indices: Sequence[int],
    corpus: TokenCorpus,
    *,
    progress: Progress | None = None,
    most_values: int = MOST_VALUES,
) -> tuple[UnitSites, ...]:
    """Neurons of one layer, each at every site of its MLP, on all of the text.

    The text is read once, or more often where that many activations may not be kept at a time.

    Raises:
        InputError: the model has one such site at most, or no such neuron.
    """
    hooks = tuple(sites_of(subject, layer))
    subject.check_indices(hooks[-1], indices)
    documents = np.repeat(corpus.document_of, np.diff(corpus.starts))
    step = _at_once(hooks, corpus, most_values)
    found: list[UnitSites] = []
    for first in range(0, len(indices), step):
        some = indices[first : first + step]
        values = _read(subject, hooks, some, corpus, progress or SilentProgress())
        found += [
            _of_unit(subject, hooks, index, corpus, values[:, :, place], documents)
            for place, index in enumerate(some)
        ]
    return tuple(found)


def n_readings(
    subject: SubjectModel,
    layer: int,
    n_units: int,
    corpus: TokenCorpus,
    *,
    most_values: int = MOST_VALUES,
) -> int:
    """How often `unit_sites` reads the text for so many neurons."""
    return -(-n_units // _at_once(tuple(sites_of(subject, layer)), corpus, most_values))


def _at_once(hooks: Sequence[str], corpus: TokenCorpus, most_values: int) -> int:
    """Neurons of which the activations at these sites are kept together."""
    return max(1, most_values // (len(hooks) * corpus.n_tokens))


def sites_of(subject: SubjectModel, layer: int) -> Iterator[str]:
    """Hook points of a layer at which the same neurons can be read, in the order of computation.

    Raises:
        InputError: there is one at most.
    """
    named = [f"blocks.{layer}.mlp.{kind}" for kind in SITES]
    widths = {hook: subject.width_or_none(hook) for hook in named}
    usual = widths[f"blocks.{layer}.mlp.{subject.neuron_kind}"]
    found = [hook for hook, width in widths.items() if width is not None and width == usual]
    if len(found) < 2:
        where = f"only at {found[0]}" if found else "at no site"
        raise InputError(
            f"the neurons of layer {layer} of {subject.name} can be read {where}, so there is "
            "nothing to compare"
        )
    yield from found


def _read(
    subject: SubjectModel,
    hooks: Sequence[str],
    indices: Sequence[int],
    corpus: TokenCorpus,
    progress: Progress,
) -> NDArray[np.float32]:
    """Activations at every token of the text, shape (site, token, unit)."""
    result = np.empty((len(hooks), corpus.n_tokens, len(indices)), dtype=np.float32)
    progress.start("compare sites", corpus.n_windows, "windows")
    for windows in read_together(range(corpus.n_windows), corpus.n_ctx):
        rows = [corpus[window].token_ids for window in windows]
        read = subject.read_rows(rows, dict.fromkeys(hooks, indices))
        for row, window in zip(read, windows, strict=True):
            place = slice(int(corpus.starts[window]), int(corpus.starts[window + 1]))
            n = place.stop - place.start
            by_site = row[:, :n].reshape(len(hooks), len(indices), n)
            result[:, place] = by_site.transpose(0, 2, 1)
        progress.advance("compare sites", len(windows))
    return result


def _of_unit(  # noqa: PLR0913 - what one neuron is put together from
    subject: SubjectModel,
    hooks: Sequence[str],
    index: int,
    corpus: TokenCorpus,
    values: NDArray[np.float32],
    documents: NDArray[np.int32],
) -> UnitSites:
    peaks = np.maximum.reduceat(values, corpus.starts[:-1], axis=1)
    # Windows that are equally strong, such as silent ones, stand in their own order.
    order = np.argsort(-peaks, axis=1, kind="stable")
    n_strongest = min(_N_STRONGEST, corpus.n_windows // 2 or 1)
    moments = DocumentMoments(len(corpus.documents), len(list(combinations(hooks, 2))))
    pairs = list(combinations(range(len(hooks)), 2))
    moments.add(documents, values[[a for a, _ in pairs]].T, values[[b for _, b in pairs]].T)
    found = [
        SitePair(
            hooks[a],
            hooks[b],
            value.correlation,
            value.low,
            value.high,
            shared=len(set(order[a, :n_strongest]) & set(order[b, :n_strongest])) / n_strongest,
            shared_by_chance=n_strongest / corpus.n_windows,
        )
        for (a, b), value in zip(pairs, moments.values(), strict=True)
    ]
    sites = tuple(
        UnitSite(
            UnitId(subject.name, hook, index),
            density=float((line > 0).mean()),
            mean=float(line.mean()),
            largest=float(line.max()),
            least=float(line.min()),
            strongest=tuple(_strongest(subject, corpus, line, order[site])),
        )
        for site, (hook, line) in enumerate(zip(hooks, values, strict=True))
    )
    return UnitSites(
        corpus.id, corpus.n_tokens, moments.n_documents, n_strongest, sites, tuple(found)
    )


def _strongest(
    subject: SubjectModel,
    corpus: TokenCorpus,
    line: NDArray[np.float32],
    order: NDArray[np.int64],
) -> Iterator[SiteText]:
    seen: set[int] = set()
    for window in map(int, order):
        document = int(corpus.document_of[window])
        if document in seen:
            continue
        seen.add(document)
        own = line[corpus.starts[window] : corpus.starts[window + 1]]
        peak = int(own.argmax())
        yield SiteText(
            window, subject.tokenizer.pieces(corpus[window].token_ids), peak, float(own[peak])
        )
        if len(seen) == _N_SHOWN:
            return

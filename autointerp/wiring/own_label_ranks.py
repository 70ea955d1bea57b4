"""The ranks of a dictionary's units among those of their layers, for their own labels."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

from typing_extensions import override

from autointerp.core.config import JobSpec
from autointerp.core.errors import InputError
from autointerp.core.ids import Side, UnitId
from autointerp.core.own_label_rank import OwnLabelRank
from autointerp.core.progress import Progress
from autointerp.corpora import TokenCorpus
from autointerp.corpora.corpus_loading import load_corpus_texts
from autointerp.dictionary import Dictionary
from autointerp.evidence.label_ranking import rank_labels
from autointerp.evidence.predicting_labels import WindowText
from autointerp.evidence.ranking_cost import say_ranking_cost
from autointerp.jobs.ranked_labels import predicting
from autointerp.settings import Settings
from autointerp.subjects import SubjectModel, load_subject
from autointerp.wiring.other_texts import attach_encoders, check_same_subject


def rank_own_labels(  # noqa: PLR0913 - a dictionary, and how to go about it
    dictionary: Dictionary,
    chosen: Sequence[tuple[UnitId, Side]],
    *,
    subject: SubjectModel | str | None = None,
    encoders: Sequence[str] = (),
    seed: int = 0,
    settings: Settings | None = None,
    progress: Progress,
) -> Iterator[OwnLabelRank]:
    """The rank of each label's unit, hook point by hook point; see `rank_labels`.

    What it takes is said first, from a trial at the first hook point.

    Args:
        dictionary: finished labels with their predictions.
        chosen: sides that have a label.
        subject: the model, or where it lies now; as the labels' job names it where None.
        encoders: folders of SAEs that have moved, as ``sae:FOLDER``.
        seed: of the halves into which documents are dealt out.
        settings: from the environment where None.
        progress: told about every stage.

    Raises:
        InputError: the model or the text is not that of the labels, or memory has no room for one
            hook point's activations.
    """
    job, known = dictionary.job, settings or Settings()
    by_hook: dict[str, list[tuple[UnitId, Side]]] = {}
    for unit, side in chosen:
        by_hook.setdefault(unit.hook, []).append((unit, side))
    model = subject if isinstance(subject, SubjectModel) else None
    if model is None:
        name = str(subject or job.subject)
        progress.note(f"loading {name}")
        model = load_subject(name, dtype=job.dtype, device=known.device, cache_dir=known.cache_dir)
    check_same_subject(dictionary, model)
    attach_encoders(dictionary, model, set(by_hook), encoders)
    texts = _CorpusTexts(_same_text(dictionary, job, model, progress))
    for number, sides in enumerate(by_hook.values()):
        began = time.perf_counter()
        labels = [
            predicting(label, texts)
            for unit, side in sides
            if (label := dictionary.label(unit, side)) is not None
        ]
        if not number:
            say_ranking_cost(
                model,
                labels,
                n_hooks=len(by_hook),
                n_labels=len(chosen),
                label_s=(time.perf_counter() - began) / max(1, len(labels)),
                progress=progress,
            )
        yield from rank_labels(model, labels, seed=seed, progress=progress)


def _same_text(
    dictionary: Dictionary, job: JobSpec, subject: SubjectModel, progress: Progress
) -> TokenCorpus:
    corpus, _ = load_corpus_texts(job.corpus, subject, progress=progress)
    if corpus.hash != dictionary.manifest.corpus_hash:
        raise InputError(
            f"the text {corpus.id} is not the one on which the labels of {dictionary.folder} were "
            "scored: its documents have changed; bring the text back, or label the units again"
        )
    return corpus


class _CorpusTexts(Mapping[int, WindowText]):
    """The windows of a corpus, each made once."""

    def __init__(self, corpus: TokenCorpus) -> None:
        self._corpus = corpus
        self._known: dict[int, WindowText] = {}

    @override
    def __getitem__(self, window: int) -> WindowText:
        found = self._known.get(window)
        if found is None:
            if not 0 <= window < self._corpus.n_windows:
                raise KeyError(window)
            read = self._corpus[window]
            found = self._known[window] = WindowText(read.document, read.offset, read.token_ids)
        return found

    @override
    def __iter__(self) -> Iterator[int]:
        return iter(range(self._corpus.n_windows))

    @override
    def __len__(self) -> int:
        return self._corpus.n_windows

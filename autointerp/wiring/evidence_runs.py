"""Causal evidence of units of a subject model or of a dictionary, on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from autointerp.core.causal_evidence import CausalEvidence, EvidenceKind
from autointerp.core.causal_request import CausalRequest
from autointerp.core.config import CorpusConfig
from autointerp.core.errors import InputError, first_problem
from autointerp.core.ids import Side, UnitId
from autointerp.core.kept_evidence import label_digest
from autointerp.core.one_line import shortened
from autointerp.core.progress import Progress, SilentProgress
from autointerp.corpora import check_corpus
from autointerp.dictionary import Dictionary, open_dictionary
from autointerp.evidence.causal_answers import evidence_of
from autointerp.jobs.causal_texts import CorpusTexts, LabelWithSets
from autointerp.jobs.evidence_source import source_of
from autointerp.jobs.keeping_evidence import answer_and_keep
from autointerp.jobs.labelled_texts import ON_LABELS
from autointerp.jobs.site_evidence import site_evidence
from autointerp.settings import Settings
from autointerp.store.labels import FolderLabelStore
from autointerp.subjects import SubjectModel, load_subject, parse_units
from autointerp.wiring.collection_runs import load_job_corpus
from autointerp.wiring.kept_ranks import own_label_evidence
from autointerp.wiring.other_texts import attach_encoders, check_same_subject

DEFAULT_SUBJECT = "smollm2-135m"
MOST_UNITS = 10_000
_Answer = Callable[[Sequence[UnitId]], CausalEvidence]
_ON_TEXT = {EvidenceKind.ABLATION, EvidenceKind.ATTRIBUTION, EvidenceKind.SITES}


def causal_evidence(  # noqa: PLR0913 - a convenience for notebooks
    units: str,
    asked: CausalRequest | str = EvidenceKind.ABLATION,
    *,
    subject: str | None = None,
    folder: Path | str | None = None,
    corpus: str | None = None,
    tokens: int | None = None,
    encoders: Sequence[str] = (),
    keep: bool = False,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> CausalEvidence:
    """What happens when units are held, put back or pushed.

    Args:
        units: as a job names them, ``5:131,7:0-3``.
        asked: a request, or its kind: ``ablation``, ``patching`` (with a request), ``attribution``,
            ``steering``, ``sites``, ``rank``.
        subject: the model; that of the dictionary where None, else SmolLM2-135M.
        folder: of a dictionary, whose labels say where their units are active.
        corpus: text to hold them on; that of the dictionary where None, else Wikipedia.
        tokens: to read of it.
        encoders: where an SAE or directions of the dictionary lie that were moved.
        keep: store the answers in that folder, each unit's by itself, and do not measure again
            what was kept there before.
        settings: from the environment where None.
        progress: told about every stage.

    Raises:
        InputError: something cannot be done as asked.
        StorageError: a file cannot be read.
    """
    settings, progress = settings or Settings(), progress or SilentProgress()
    request = asked if isinstance(asked, CausalRequest) else CausalRequest(_kind(asked))
    if encoders and folder is None:
        raise InputError(
            "--encoder says where an SAE or directions of a dictionary lie that were moved; name "
            "the dictionary with --dir, or the SAE in the units, sae:FOLDER:0-9"
        )
    if keep and (folder is None or request.together):
        raise InputError(
            "--keep keeps answers of single units in a dictionary; name its folder with --dir, and "
            "leave out --together"
        )
    dictionary = None if folder is None else open_dictionary(Path(folder))
    if request.kind is EvidenceKind.RANK:
        _refuse_rank(dictionary, corpus, tokens)
    text = _text(dictionary, corpus, tokens)
    model = _subject(subject, dictionary, settings, progress)
    named = _units(units, model, dictionary, encoders, seed=request.seed)
    if dictionary is not None and request.kind is EvidenceKind.RANK:
        return own_label_evidence(dictionary, model, named, request, keep=keep, progress=progress)
    read: str | None = None
    answer = _without_text(model, request, progress)
    labels: dict[UnitId, LabelWithSets] = {}
    if dictionary is not None and request.kind in ON_LABELS:
        labels = _labels(dictionary, named)
    if request.kind in _ON_TEXT:
        read, answer = _on_text(model, dictionary, labels, named, request, text, progress)
    if keep and dictionary is not None:
        store, source = FolderLabelStore(dictionary.folder), source_of(model, read)
        digests = {unit: label_digest(label) for unit, (label, _) in labels.items()}
        return answer_and_keep(
            store,
            named,
            request,
            lambda unit: replace(source, label=digests.get(unit)),
            answer,
        )
    return answer(named)


def _refuse_rank(dictionary: Dictionary | None, corpus: str | None, tokens: int | None) -> None:
    if dictionary is None:
        raise InputError(
            "a rank is by what the label of a unit says; name the dictionary of the labels with "
            "--dir"
        )
    if corpus is not None or tokens is not None:
        raise InputError(
            "units are ranked on the held-out text that was kept with their labels; leave out "
            "--corpus and --tokens"
        )


def _without_text(model: SubjectModel, request: CausalRequest, progress: Progress) -> _Answer:
    return lambda units: evidence_of(model, units, request, progress=progress)


def _on_text(  # noqa: PLR0913, PLR0917 - what text is read for
    model: SubjectModel,
    dictionary: Dictionary | None,
    labels: Mapping[UnitId, LabelWithSets],
    named: Sequence[UnitId],
    request: CausalRequest,
    text: CorpusConfig,
    progress: Progress,
) -> tuple[str, _Answer]:
    """The name of the text that is read, and what answers of units on it."""
    text = text.model_copy(update={"n_ctx": min(text.n_ctx, model.max_n_ctx)})
    windows = load_job_corpus(text, model, progress)
    read = f"{windows.id}, {windows.n_tokens:,} tokens"
    if request.kind is EvidenceKind.SITES:
        return read, lambda units: site_evidence(model, units, windows, progress)
    texts = CorpusTexts(
        model,
        windows,
        labels,
        n_windows=request.n_windows,
        n_texts=request.n_texts,
        seed=request.seed,
    )
    texts.read(named)

    def answer(units: Sequence[UnitId]) -> CausalEvidence:
        found = evidence_of(model, units, request, texts, progress)
        unlabelled = [] if dictionary is None else [unit for unit in units if unit not in labels]
        if dictionary is None or not unlabelled:
            return found
        n, first = f"{len(unlabelled)} of {len(units)} units", unlabelled[0].short
        note = f"{n} have no label in {dictionary.folder}, {first} first"
        return replace(found, notes=(*found.notes, note))

    return read, answer


def _kind(name: str) -> EvidenceKind:
    known = ", ".join(EvidenceKind)
    if name not in list(EvidenceKind):
        raise InputError(f"{shortened(name)} is not a kind of evidence; name one of {known}")
    return EvidenceKind(name)


def _text(dictionary: Dictionary | None, corpus: str | None, tokens: int | None) -> CorpusConfig:
    own = CorpusConfig() if dictionary is None else dictionary.job.corpus
    changed = {
        "corpus": own.corpus if corpus is None else corpus,
        "n_tokens": own.n_tokens if tokens is None else tokens,
    }
    check_corpus(str(changed["corpus"]))
    try:
        return CorpusConfig.model_validate(own.model_dump() | changed)
    except ValidationError as error:
        raise InputError(first_problem(error, whole="the text")) from error


def _subject(
    name: str | None, dictionary: Dictionary | None, settings: Settings, progress: Progress
) -> SubjectModel:
    made = None if dictionary is None else dictionary.manifest.subject
    if name in {None, made} and dictionary is not None:
        called, dtype = dictionary.job.subject, dictionary.job.dtype
    else:
        called, dtype = name or DEFAULT_SUBJECT, "float32"
    progress.note(f"loading {called}")
    found = load_subject(called, dtype=dtype, device=settings.device, cache_dir=settings.cache_dir)
    if dictionary is not None:
        if found.name != made:
            raise InputError(
                f"{dictionary.folder} has labels of {made} and not of {found.name}; name another "
                "with --dir"
            )
        check_same_subject(dictionary, found)
    return found


def _units(
    units: str,
    subject: SubjectModel,
    dictionary: Dictionary | None,
    encoders: Sequence[str],
    *,
    seed: int,
) -> list[UnitId]:
    if dictionary is not None:
        hooks = {hook for hook in dictionary.manifest.encoders if f"{hook}:" in units}
        attach_encoders(dictionary, subject, hooks, encoders)
    groups = parse_units(units, subject, seed=seed)
    named = [UnitId(subject.name, g.hook, index) for g in groups for index in g.indices]
    if len(named) > MOST_UNITS:
        raise InputError(f"{len(named):,} units are many; name {MOST_UNITS:,} at most")
    return named


def _labels(dictionary: Dictionary, units: Sequence[UnitId]) -> dict[UnitId, LabelWithSets]:
    """A labelled side of each unit that has one, that with an explanation before another."""
    found: dict[UnitId, LabelWithSets] = {}
    for unit in units:
        labels = [dictionary.label(unit, side) for side in Side]
        known = [label for label in labels if label is not None]
        known.sort(key=lambda label: label.explanation is None)
        if known:
            found[unit] = known[0], dictionary.sets(known[0])
    return found

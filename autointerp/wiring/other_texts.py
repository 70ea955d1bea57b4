"""Whether a dictionary's labels can be tried here: the same model, its encoders, other text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

from autointerp.core.errors import InputError
from autointerp.core.explanations import Label
from autointerp.core.records import ActivationRecord, UnitSets
from autointerp.core.text import Split
from autointerp.core.unit_spec import FileItem, parse_unit_spec
from autointerp.corpora import TokenCorpus
from autointerp.dictionary import Dictionary
from autointerp.subjects import SubjectModel
from autointerp.subjects.hook_units import open_encoder

_MOST_KNOWN = 0.5
"""Share of known documents from which on a text is not another one."""


def check_same_subject(dictionary: Dictionary, subject: SubjectModel) -> None:
    """Refuses a subject model that is not the one of the labels.

    Raises:
        InputError: its tokenizer or its weights differ.
    """
    made = dictionary.manifest
    for what, there, here in (
        ("tokenizer", made.tokenizer, subject.tokenizer.name),
        ("weights", made.subject_revision, subject.revision),
    ):
        if there != here:
            raise InputError(
                f"the labels of {dictionary.folder} are of {made.subject} with the {what} {there}, "
                f"but the model here has the {what} {here}: put the one of the labels in its place"
            )


def check_other_text(
    dictionary: Dictionary, corpus: TokenCorpus, labels: Iterable[Label]
) -> str | None:
    """A sentence where some of the text was read for these labels too; None where none was.

    Raises:
        InputError: it is the text that they were learned on, or for the most part.
    """
    folder, made = dictionary.folder, dictionary.manifest
    same = f"{corpus.id} is the text on which the labels of {folder} were learned"
    if corpus.hash == made.corpus_hash:
        raise InputError(f"{same}; name another --corpus, which they have not seen")
    known = {record.document for one in labels for record in _records(dictionary.sets(one))}
    held_out = corpus.window_ids(Split.HELD_OUT)
    n_known = sum(
        corpus.documents[place] in known
        for place in corpus.document_of[held_out.start : held_out.stop]
    )
    if not n_known:
        return None
    found = f"{n_known} of {len(held_out)} windows to score on are of documents"
    if n_known > _MOST_KNOWN * len(held_out):
        raise InputError(
            f"{found} that were read for the labels, so that {same}, for the most part; name "
            "another --corpus"
        )
    return f"{found} that were read for the labels too: the difference is made smaller by them"


def _records(sets: UnitSets | None) -> tuple[ActivationRecord, ...]:
    if sets is None:
        return ()
    return (*sets.explain.records, *sets.validation.records, *sets.held_out.records)


def attach_encoders(
    dictionary: Dictionary, subject: SubjectModel, hooks: Iterable[str], moved: Sequence[str]
) -> None:
    """Attaches the SAEs and directions whose units are at these hook points.

    Those that moved are looked for at `moved` first, then where the job of the dictionary names
    them; which is which is told by their digests, so that a folder may have another name now.

    Raises:
        InputError: one was not found.
    """
    made = dictionary.manifest
    needed = {hook: digest for hook, digest in made.encoders.items() if hook in set(hooks)}
    if not needed:
        return
    told = []
    for item in [*_items(moved), *_items([dictionary.job.units])]:
        try:
            encoder = open_encoder(item)
        except InputError as error:
            told.append(str(error))
            continue
        hook = next((hook for hook, digest in needed.items() if digest == encoder.digest), None)
        if hook is None:
            told.append(f"{item.source} is another one (digest {encoder.digest})")
            continue
        # The name of the folder is a part of the hook point's, and may have changed.
        subject.attach(replace(cast(Any, encoder), name=hook.rpartition(".")[2]))
        del needed[hook]
        if not needed:
            return
    hook, digest = next(iter(needed.items()))
    advice = "name where it lies now with --encoder sae:FOLDER or --encoder dirs:FILE"
    raise InputError(
        f"the units at {hook} are of an SAE or directions (digest {digest}) that was not found: "
        f"{'; '.join(told) or 'nothing says where it lies'}; {advice}"
    )


def _items(texts: Sequence[str]) -> list[FileItem]:
    items = [item for text in texts for item in parse_unit_spec(text).items]
    return [item for item in items if isinstance(item, FileItem)]

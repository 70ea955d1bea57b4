"""What a run can say of its labels when its collection is gone: that they are all there."""

from __future__ import annotations

from collections.abc import Sequence

from autointerp.activations.collection import identity_of_collection
from autointerp.core.config import JobSpec
from autointerp.core.errors import InputError
from autointerp.core.explanations import Provenance
from autointerp.core.ids import Side, UnitId
from autointerp.corpora import TokenCorpus
from autointerp.jobs.read_provenance import provenance_of
from autointerp.jobs.run_totals import RunStore
from autointerp.jobs.unit_inputs import Target
from autointerp.subjects import HookUnits, SubjectModel

_READ_FROM = ("subject", "subject_revision", "dtype", "tokenizer", "encoders", "corpus_hash")


def finished_targets(
    spec: JobSpec,
    subject: SubjectModel,
    corpus: TokenCorpus,
    units: Sequence[HookUnits],
    store: RunStore,
) -> list[Target] | None:
    """The side or sides of every unit, where each has a finished label; None where one has none.

    Raises:
        InputError: the labels are of another subject model, tokenizer, SAE or text.
    """
    targets: list[Target] = []
    for group in units:
        n_sides = 2 if subject.two_sided(group.hook) and spec.sides == "both" else 1
        for index in group.indices:
            unit = UnitId(subject.name, group.hook, index)
            sides = [side for side in Side if store.is_finished(Target(unit, side))]
            if len(sides) < n_sides:
                return None
            targets += [Target(unit, side) for side in sides]
    label = store.get_label(*targets[0]) if targets else None
    if label is not None:
        identity = identity_of_collection(subject, corpus, units, spec.collect, token_means=True)
        _refuse_other(label.provenance, provenance_of(spec, subject, corpus, identity))
    return targets


def _refuse_other(there: Provenance, here: Provenance) -> None:
    values = {name: (getattr(there, name), getattr(here, name)) for name in _READ_FROM}
    differing = [f"{name}: {a} there and {b} here" for name, (a, b) in values.items() if a != b]
    if differing:
        raise InputError(
            f"the labels in this folder were made with other settings ({'; '.join(differing)}); "
            "choose another folder"
        )

"""Neurons at every site of their MLP, as one kind of evidence."""

from __future__ import annotations

import time
from collections.abc import Sequence

from autointerp.core.causal_evidence import CausalEvidence, EvidenceKind
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.core.progress import Progress
from autointerp.core.unit_sites import UnitSites
from autointerp.corpora import TokenCorpus
from autointerp.evidence.sites_of_units import n_readings, sites_of, unit_sites
from autointerp.subjects import SubjectModel


def site_evidence(
    subject: SubjectModel, units: Sequence[UnitId], corpus: TokenCorpus, progress: Progress
) -> CausalEvidence:
    """Each of the units at every site, by layers in the order in which they were named.

    Of several units those that have no sites are left out, with a note.

    Raises:
        InputError: none is a neuron of an MLP that can be read at several sites.
    """
    began = time.perf_counter()
    by_layer: dict[int, set[int]] = {}
    problems: list[str] = []
    for unit in units:
        try:
            check_sites(subject, unit)
        except InputError as error:
            problems.append(str(error))
        else:
            by_layer.setdefault(unit.layer, set()).add(unit.index)
    if not by_layer:
        raise InputError(problems[0])
    found: list[UnitSites] = []
    n_read = 0
    for layer, indices in by_layer.items():
        found += unit_sites(subject, layer, sorted(indices), corpus, progress=progress)
        n_read += n_readings(subject, layer, len(indices), corpus)
    return CausalEvidence(
        EvidenceKind.SITES,
        subject.name,
        subject.dtype_name,
        sites=tuple(found),
        n_tokens_run=corpus.n_tokens * n_read,
        seconds=time.perf_counter() - began,
        notes=tuple(problems),
    )


def has_sites(subject: SubjectModel, unit: UnitId) -> bool:
    """Whether it is a neuron of an MLP that can be read at several sites."""
    try:
        check_sites(subject, unit)
    except InputError:
        return False
    return True


def check_sites(subject: SubjectModel, unit: UnitId) -> None:
    """Refuses what is not a neuron of an MLP that can be read at several sites.

    Raises:
        InputError: it is not.
    """
    named = unit.hook.rpartition(".")[0] == f"blocks.{unit.layer}.mlp"
    if not named or unit.hook not in sites_of(subject, unit.layer):
        raise InputError(f"{unit.short} is not a neuron of an MLP; name one that is, such as 5:131")
    subject.check_indices(unit.hook, [unit.index])

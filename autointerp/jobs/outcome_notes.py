"""What the labels of a run together say about how its units were read."""

from __future__ import annotations

from collections.abc import Iterable

from autointerp.core.config import JobSpec
from autointerp.core.explanations import LabelStatus
from autointerp.core.one_line import joined
from autointerp.core.unit_spec import FileItem, parse_unit_spec
from autointerp.jobs.run_totals import LabelOutcome
from autointerp.jobs.unit_inputs import NEVER_ACTIVE
from autointerp.subjects import SparseEncoder, SubjectModel


def outcome_notes(
    outcomes: Iterable[LabelOutcome], job: JobSpec, subject: SubjectModel
) -> tuple[str, ...]:
    """Sentences for a person; none where nothing stands out."""
    return _all_dead(list(outcomes), job, subject)


def _all_dead(outcomes: list[LabelOutcome], job: JobSpec, subject: SubjectModel) -> tuple[str, ...]:
    """One sentence about the SAEs of which no latent that was asked for is ever active."""
    live, counts = set[str](), dict[str, int]()
    for outcome in outcomes:
        hook = outcome.unit.hook
        if isinstance(subject.encoders.get(hook), SparseEncoder):
            counts[hook] = counts.get(hook, 0) + 1
            if outcome.status is not LabelStatus.DEAD or outcome.reason != NEVER_ACTIVE:
                live.add(hook)
    dead = [hook for hook in counts if hook not in live]
    if not dead:
        return ()
    n = sum(counts[hook] for hook in dead)
    names = joined([subject.encoders[hook].name for hook in dead])
    files = [item for item in parse_unit_spec(job.units).items if isinstance(item, FileItem)]
    latents = "the latent" if n == 1 else f"all {n:,} latents"
    verb = "is" if n == 1 else "are"
    return (
        f"{latents} asked for of {names} {verb} dead: its normalisation, BOS or hook point is "
        "likely not what it was trained with; "
        f"`autointerp inspect {files[0].source} --subject {job.subject}` tells what that was",
    )

"""What the labels of a run together say about how its units were read."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from statistics import median

from autointerp.core.config import JobSpec
from autointerp.core.explanations import LabelStatus
from autointerp.core.one_line import joined
from autointerp.core.unit_spec import FileItem, parse_unit_spec
from autointerp.jobs.run_totals import LabelOutcome
from autointerp.jobs.unit_inputs import NEVER_ACTIVE
from autointerp.subjects import SparseEncoder, SubjectModel

_FEWEST = 5
"""Units from which on something can be said of the model."""
_DENSE = 0.1
_LOW = 0.1
"""Rules reached 0.22 in the median of SmolLM2's neurons and 0.05 with random weights
(benchmarks/README.md)."""
_LONGEST = 60


def outcome_notes(
    outcomes: Iterable[LabelOutcome], job: JobSpec, subject: SubjectModel
) -> tuple[str, ...]:
    """Sentences for a person; none where nothing stands out."""
    found = list(outcomes)
    return (*_all_dead(found, job, subject), *_like_random_weights(found, job, subject))


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


def _like_random_weights(
    outcomes: list[LabelOutcome], job: JobSpec, subject: SubjectModel
) -> tuple[str, ...]:
    """One sentence where all units of the model are dense and hardly any can be predicted."""
    own = [o for o in outcomes if o.unit.hook not in subject.encoders and o.score is not None]
    if len(own) < _FEWEST or min(outcome.density for outcome in own) <= _DENSE:
        return ()
    middle = median(outcome.score or 0.0 for outcome in own)
    if middle >= _LOW:
        return ()
    units = f" --units {shlex.quote(job.units)}" if len(job.units) <= _LONGEST else ""
    return (
        f"all {len(own):,} units of {subject.name} are dense (active at more than {_DENSE:.0%} of "
        f"the tokens), and their median score, {middle:.2f}, is one of a model with random "
        "weights: is it trained, and is the tokenizer its own? "
        f"`autointerp sanity {shlex.quote(job.subject)}{units}` scores the same units with random "
        "weights beside",
    )

"""Labels by rules for all units, before an LLM whose budget may end makes better ones for some."""

from __future__ import annotations

from autointerp.jobs.label_job import LimitedLlm
from autointerp.jobs.label_pass import LabelPass, RunParts
from autointerp.jobs.llm_order import llm_order, table_score
from autointerp.jobs.unit_inputs import Target, why_dead
from autointerp.pipeline import without_llm

_STAGE = "label by rules"


async def label_by_rules(
    parts: RunParts, limited: LimitedLlm, targets: list[Target], finished: set[Target]
) -> list[Target]:
    """The targets in the order in which the LLM gets them; each has a label now.

    Those that never activate are finished, and so added to these.
    """
    spec, reader = parts.job.spec, parts.reader
    labelled = {target for target in targets if parts.store.get_label(*target)}
    if len(labelled) < len(targets):
        parts.progress.start(_STAGE, len(targets) - len(labelled), "units")
        rules = LabelPass(parts, without_llm(spec), None, stage=_STAGE)
        await rules.label(targets, labelled)
    finished |= {target for target in targets if why_dead(reader, target) is not None}

    def score(target: Target) -> float | None:
        sets = parts.store.get_sets(*target)
        return table_score(sets, reader.token_means(*target), spec)

    return llm_order(targets, limited.order, seed=spec.seed, score=score)

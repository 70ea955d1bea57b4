"""Latents of an SAE beside the neurons of its layer: how many live, and what labels score."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from autointerp.activations import CollectPlan, collect
from autointerp.activations.summary import HookSummary
from autointerp.core.config import NO_LLM
from autointerp.core.errors import InputError
from autointerp.core.progress import Progress, SilentProgress
from autointerp.core.seeds import derive_seed
from autointerp.core.study_report import Asked, StudyReport
from autointerp.core.text import Split
from autointerp.corpora import TokenCorpus, load_corpus
from autointerp.settings import Settings
from autointerp.statistics.studies.pairs import nearest_pairs
from autointerp.subjects import HookUnits, SubjectModel, load_subject, open_sae
from autointerp.wiring.latent_report import Activity, latent_report
from autointerp.wiring.study_folder import begin_study, finish_study
from autointerp.wiring.study_runs import labelled, study_job

_LABELS = "labels"
_LEVEL_1 = 0.1
"""Of a unit's strongest activation: below it a reader sees a level of 0."""


def study_latents(  # noqa: PLR0913 - a convenience for notebooks
    subject: str | None = None,
    *,
    sae: str,
    units_each: int = 100,
    corpus: str = "wiki",
    tokens: int = 65_536,
    llm: str = NO_LLM,
    llm_model: str | None = None,
    seed: int = 0,
    out: Path | str | None = None,
    resume: bool = False,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> StudyReport:
    """Compares labels of an SAE's latents with those of neurons that are as often active.

    Args:
        subject: the model that the SAE reads; smollm2-135m if None.
        sae: its folder in SAELens' layout, or a release as ``RELEASE/ID``.
        units_each: latents drawn, and neurons in pairs with them.
        corpus: text that is read.
        tokens: of it.
        llm: ``none``, ``embedded`` or the base URL of an endpoint.
        llm_model: model at that endpoint.
        seed: of the text and the units.
        out: folder for ``study.json``, ``report.html`` and the labels; nowhere if None.
        resume: goes on with the labels that are there.
        settings: from the environment where None.
        progress: told about every stage.

    Raises:
        InputError: the SAE does not fit the model, or nothing of it is alive.
        UpstreamError: the LLM cannot be used; finished labels are kept.
        StorageError: the disk refuses.
    """
    if units_each < 2:
        raise InputError(f"units_each is {units_each}; give 2 or more")
    asked: dict[str, Asked] = {
        "subject": subject or "smollm2-135m",
        "sae": sae,
        "units_each": units_each,
        "corpus": corpus,
        "tokens": tokens,
        "llm": llm,
        "llm_model": llm_model,
        "seed": seed,
    }
    known, told = settings or Settings(), progress or SilentProgress()
    if out is None:
        with TemporaryDirectory(prefix="autointerp-study-") as made:
            return _study(Path(made), asked, known, told, resume=False)
    return _study(Path(out), asked, known, told, resume=resume)


def _study(
    folder: Path,
    asked: Mapping[str, Asked],
    settings: Settings,
    progress: Progress,
    *,
    resume: bool,
) -> StudyReport:
    encoder = open_sae(str(asked["sae"]))
    model = load_subject(
        str(asked["subject"]), device=settings.device, cache_dir=settings.cache_dir
    )
    hook = model.attach(encoder)
    begin_study(folder, "latents", asked, resume=resume)
    text = load_corpus(
        str(asked["corpus"]),
        model,
        n_tokens=int(asked["tokens"] or 0),
        seed=int(asked["seed"] or 0),
        progress=progress,
    )
    neurons = f"blocks.{hook.split('.')[1]}.mlp.{model.neuron_kind}"
    latents, own = _groups(model, text, (hook, neurons), progress)
    pairs = _pairs(latents, own, int(asked["units_each"] or 0), int(asked["seed"] or 0))
    place = asked["sae"]
    units = [f"sae:{place}:{latent}" for latent, _ in pairs]
    units += [f"{neurons}:{neuron}" for _, neuron in pairs]
    options = ("subject", "corpus", "tokens", "llm", "llm_model", "seed")
    job = study_job({**{name: asked[name] for name in options}, "units": ",".join(units)})
    labels = labelled(job, folder / _LABELS, settings, progress)
    report = latent_report(asked, (latents, own), pairs, labels)
    finish_study(folder, report)
    return report


def _groups(
    model: SubjectModel, text: TokenCorpus, hooks: tuple[str, str], progress: Progress
) -> tuple[Activity, Activity]:
    units = [HookUnits(hook, tuple(range(model.width(hook)))) for hook in hooks]
    plan = CollectPlan(token_means=False)
    summary = collect(model, text, units=units, plan=plan, progress=progress)
    first, second = (
        _group(hook, [summary.split(hook, split) for split in Split], model.two_sided(hook))
        for hook in hooks
    )
    return first, second


def _group(hook: str, halves: Sequence[HookSummary], two_sided: bool) -> Activity:  # noqa: FBT001
    """Of all the text: what a unit does is asked here, and nothing is tested on it."""
    counts = np.sum([half.histogram for half in halves], axis=0).astype(np.float64)
    lowest = np.min([half.minimum for half in halves], axis=0)
    highest = np.max([half.maximum for half in halves], axis=0)
    edges, n = halves[0].histogram_edges, counts.sum(axis=1)
    is_low = np.full(len(n), two_sided) & (-lowest > highest)
    peaks = np.where(is_low, -lowest, highest)
    signed = np.where(is_low[:, None], counts[:, ::-1], counts)
    lower = np.where(is_low[:, None], -edges[1:][::-1], edges[:-1])
    dead = peaks <= 0
    least = np.where(dead, np.inf, _LEVEL_1 * peaks)[:, None]
    return Activity(
        hook,
        (signed * (lower >= 0)).sum(axis=1) / n if two_sided else _density(halves, n),
        (signed * (lower >= least)).sum(axis=1) / n,
        dead,
    )


def _density(halves: Sequence[HookSummary], n: NDArray[np.float64]) -> NDArray[np.float64]:
    active = np.sum([half.density * half.n_tokens for half in halves], axis=0)
    return np.asarray(active / n, dtype=np.float64)


def _pairs(latents: Activity, neurons: Activity, n: int, seed: int) -> list[tuple[int, int]]:
    """(latent, neuron): latents that are alive, drawn, each with a neuron as often active."""
    there = [int(i) for i in np.flatnonzero(latents.activity > 0)]
    if len(there) < 2:
        raise InputError(
            f"{len(there)} of {len(latents.dead):,} latents of {latents.hook} are active in the "
            "text, and at least 2 are needed; read more --tokens, or text that it was trained on"
        )
    drawn = random.Random(derive_seed(seed, "latents")).sample(there, min(n, len(there)))
    others = [int(i) for i in np.flatnonzero(neurons.activity > 0)]
    found = nearest_pairs(
        [math.log(latents.activity[i]) for i in drawn],
        [math.log(neurons.activity[j]) for j in others],
    )
    return sorted((drawn[i], others[j]) for i, j in found)

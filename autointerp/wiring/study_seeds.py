"""How stable labels and scores are: the same units labelled with other seeds, texts, explainers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autointerp.core.config import NO_LLM
from autointerp.core.progress import Progress, SilentProgress
from autointerp.core.study_report import Asked, StudyReport
from autointerp.corpora import check_corpus
from autointerp.dictionary import Dictionary
from autointerp.pipeline import check_job, check_packages
from autointerp.settings import Settings
from autointerp.subjects import load_subject, parse_units
from autointerp.wiring.seed_report import Rows, SeedRequest, seed_report
from autointerp.wiring.seed_runs import RunKey, SeedGrid, fixed_units
from autointerp.wiring.study_folder import begin_study, finish_study, study_place
from autointerp.wiring.study_runs import labelled, provenance_of, study_job
from autointerp.wiring.units_beforehand import check_units_beforehand

RUNS = "runs"
"""Within the folder of the study, those of its runs, each a dictionary."""


def study_seeds(  # noqa: PLR0913 - a convenience for notebooks
    subject: str = "smollm2-135m",
    *,
    units: str = "random:40",
    seeds: Sequence[int] = (0, 1, 2),
    corpora: Sequence[str] = ("wiki",),
    explainers: Sequence[str] | None = None,
    tokens: int | None = None,
    llm: str = NO_LLM,
    llm_model: str | None = None,
    seed: int = 0,
    out: Path | str | None = None,
    resume: bool = False,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> StudyReport:
    """How far labels and scores of units stay the same under other seeds, texts and explainers.

    The units are labelled once for every combination.

    Args:
        subject: a model's name or folder.
        units: as on the command line; a random choice is the same for all runs.
        seeds: of the runs: documents, their split, windows, an LLM's answers. Two at least.
        corpora: texts, as on the command line.
        explainers: each in runs of its own; what fits the LLM where None.
        tokens: to read in every run.
        llm: ``none``, ``embedded`` or the base URL of an endpoint.
        llm_model: model at that endpoint.
        seed: of the units and the intervals.
        out: folder for ``study.json``, ``report.html`` and the runs; nowhere if None.
        resume: goes on with the labels that are there.
        settings: from the environment where None.
        progress: told about every stage.

    Raises:
        InputError: something cannot be done as asked, or too few units have a score in every run.
        UpstreamError: the LLM cannot be used; finished labels are kept.
        StorageError: the disk refuses.
    """
    known, told = settings or Settings(), progress or SilentProgress()
    grid = SeedGrid.of(corpora, seeds, explainers)
    options: dict[str, Any] = {
        "subject": subject,
        "units": units,
        "tokens": tokens,
        "llm": llm,
        "llm_model": llm_model,
    }
    for corpus in grid.corpora:
        check_corpus(corpus)
    jobs = {
        key: study_job(
            {**options, "corpus": key.corpus, "seed": key.seed, "explainer": key.explainer}
        )
        for key in grid.keys
    }
    for job in jobs.values():
        check_job(job)
        check_packages(job)
    check_units_beforehand(units, subject, known)
    asked: dict[str, Asked] = {
        **options,
        "seeds": ",".join(map(str, grid.seeds)),
        "corpora": ";".join(grid.corpora),
        "explainers": ",".join(explainers) if explainers else None,
        "seed": seed,
    }
    folder = None if out is None else Path(out)
    with study_place(folder) as place:
        if folder is not None:
            begin_study(folder, "seeds", asked, resume=resume)
        told.note(f"loading {subject} to choose the units")
        model = load_subject(subject, device=known.device, cache_dir=known.cache_dir)
        chosen = fixed_units(units, model, seed=seed)
        n_units = sum(len(group.indices) for group in parse_units(chosen, model))
        del model
        runs, made = {}, None
        for n, (key, job) in enumerate(jobs.items(), 1):
            told.note(f"run {n} of {len(jobs)}: {key.words}")
            first = grid.folder(RunKey(key.corpus, key.seed, grid.explainers[0]))
            own = grid.folder(key)
            made = labelled(
                job.model_copy(update={"units": chosen}),
                place / RUNS / own,
                known,
                told,
                # Explainers of one text and seed share what was collected of it.
                collected=None if own == first else place / RUNS / first,
                keep_collection=len(grid.explainers) > 1,
                n_units=n_units,
            )
            runs[key] = _rows(made)
        assert made is not None
        provenance = {**provenance_of(made.manifest), **_texts(grid)}
        report = seed_report(
            runs, SeedRequest(made.manifest.subject, grid, asked, provenance, seed)
        )
    if folder is not None:
        finish_study(folder, report)
    return report


def _rows(labels: Dictionary) -> Rows:
    return {str(row["unit"]): row for row in labels.rows()}


def _texts(grid: SeedGrid) -> Mapping[str, str]:
    """What the manifest of one run says of its own text alone."""
    return {"corpus": "; ".join(grid.corpora), "text": "other documents for each seed"}

"""Labels for a study: made in a folder, or read from one, and what they were made from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from autointerp.core import VERSION
from autointerp.core.config import JobSpec
from autointerp.core.errors import InputError, first_problem
from autointerp.core.job_fields import OPTION_PLACES, put_field, spelled_out
from autointerp.core.progress import Progress
from autointerp.dictionary import Dictionary, open_dictionary
from autointerp.dictionary.manifest import MANIFEST, Manifest
from autointerp.pipeline import with_stored_names
from autointerp.settings import Settings
from autointerp.store.run_folder import stored_job
from autointerp.wiring.runs import run_job


def study_job(options: Mapping[str, Any]) -> JobSpec:
    """The job of options by their names on the command line; those that are None are left out.

    Raises:
        InputError: an option cannot be so.
    """
    given = {name: value for name, value in options.items() if value is not None}
    try:
        whole = spelled_out(given)
        if "seed" in given:
            for place in OPTION_PLACES["seed"]:
                put_field(whole, place, given["seed"])
        return JobSpec(**whole)
    except ValidationError as error:
        raise InputError(first_problem(error, whole="the job")) from error


def labelled(  # noqa: PLR0913 - a job and where it is done
    job: JobSpec,
    folder: Path,
    settings: Settings,
    progress: Progress,
    *,
    collected: Path | None = None,
    keep_collection: bool = False,
    n_units: int | None = None,
) -> Dictionary:
    """The labels of a job in a folder; those that are there already are not made again.

    Where all of them are, with `n_units` given, no model is loaded.

    Raises:
        InputError: the job or the folder is wrong.
        UpstreamError: the LLM cannot be used; finished labels are kept.
        StorageError: the disk refuses; finished labels are kept.
    """
    if n_units is not None and _is_whole(folder, job, n_units):
        return open_dictionary(folder)
    run_job(
        job,
        out=folder,
        resume=True,
        settings=settings,
        progress=progress,
        collected=collected,
        keep_collection=keep_collection,
    )
    return open_dictionary(folder)


def _is_whole(folder: Path, job: JobSpec, n_units: int) -> bool:
    if not (folder / MANIFEST).is_file():
        return False
    counts = open_dictionary(folder).manifest.counts
    is_same = stored_job(folder) == with_stored_names(job)
    return is_same and counts.labels == n_units and not counts.failed


def provenance_of(made: Manifest) -> dict[str, str]:
    """What the labels of a dictionary were made from, in words, and by which versions."""
    return {
        "model": made.subject,
        "weights": f"{made.subject_revision}, {made.dtype}",
        "tokenizer": made.tokenizer,
        "corpus": f"{made.corpus}, {made.n_tokens:,} tokens in windows of {made.n_ctx}",
        "text": made.corpus_hash[:16],
        "split of documents": made.split_hash[:16],
        "LLM": made.explainer_model or "none",
        "labels made by": f"autointerp {made.package_version}",
        "study made by": f"autointerp {VERSION}, numpy {np.__version__}",
    }

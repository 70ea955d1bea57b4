"""Kinds, states and scores of labels by layer: of a dictionary, or of units labelled for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from autointerp.core.config import NO_LLM
from autointerp.core.errors import InputError
from autointerp.core.progress import Progress, SilentProgress
from autointerp.core.study_report import Asked, StudyReport
from autointerp.dictionary import Dictionary, open_dictionary
from autointerp.settings import Settings
from autointerp.subjects import all_neurons, load_subject
from autointerp.wiring.layer_report import LayerRequest, layer_report
from autointerp.wiring.study_folder import begin_study, finish_study, study_place
from autointerp.wiring.study_runs import labelled, provenance_of, study_job

LABELS = "labels"
"""Within the folder of the study, that of the labels made for it."""
_PER_LAYER = 15


def study_layers(  # noqa: PLR0913 - a convenience for notebooks
    subject: str | None = None,
    *,
    dictionary: Dictionary | Path | str | None = None,
    units: str | None = None,
    corpus: str = "wiki",
    tokens: int | None = None,
    llm: str = NO_LLM,
    llm_model: str | None = None,
    seed: int = 0,
    out: Path | str | None = None,
    resume: bool = False,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> StudyReport:
    """Kinds, states, scores, the token table's scores and densities of labels, layer by layer.

    Args:
        subject: a model, of which units are labelled first; smollm2-135m where neither it nor a
            dictionary is given.
        dictionary: labels that there are, in its place.
        units: which are labelled, as on the command line; 15 of each layer where None.
        corpus: text that is read for them.
        tokens: of it.
        llm: ``none``, ``embedded`` or the base URL of an endpoint.
        llm_model: model at that endpoint.
        seed: of the units, the text and the resamples.
        out: folder for ``study.json``, ``report.html`` and labels that are made; nowhere if None.
        resume: goes on with the labels that are there.
        settings: from the environment where None.
        progress: told about every stage.

    Raises:
        InputError: something cannot be done as asked, or no label has a score.
        UpstreamError: the LLM cannot be used; finished labels are kept.
        StorageError: the disk refuses.
    """
    if subject is not None and dictionary is not None:
        raise InputError(
            f"a model ({subject}) and a dictionary were given; the labels of a dictionary are of "
            "its own model: give one of the two"
        )
    known, told = settings or Settings(), progress or SilentProgress()
    folder = None if out is None else Path(out)
    if dictionary is not None:
        opened = dictionary if isinstance(dictionary, Dictionary) else open_dictionary(dictionary)
        asked: dict[str, Asked] = {"dir": str(opened.folder), "seed": seed}
        if folder is not None:
            begin_study(folder, "layers", asked, resume=resume)
        report = _report(opened, asked, seed)
    else:
        name = subject or "smollm2-135m"
        options: dict[str, Asked] = {
            "subject": name,
            "corpus": corpus,
            "tokens": tokens,
            "llm": llm,
            "llm_model": llm_model,
            "seed": seed,
        }
        asked = {**options, "units": units}
        job = study_job({**options, "units": units or "all"})
        with study_place(folder) as place:
            if folder is not None:
                begin_study(folder, "layers", asked, resume=resume)
            if units is None:
                told.note(f"loading {name} to see how many layers it has")
                job = job.model_copy(update={"units": _some_of_each_layer(name, known)})
            report = _report(labelled(job, place / LABELS, known, told), asked, seed)
    if folder is not None:
        finish_study(folder, report)
    return report


def _some_of_each_layer(name: str, settings: Settings) -> str:
    subject = load_subject(name, device=settings.device, cache_dir=settings.cache_dir)
    layers = [group.hook.split(".")[1] for group in all_neurons(subject)]
    return f"random:{_PER_LAYER * len(layers)}@{','.join(layers)}"


def _report(labels: Dictionary, asked: Mapping[str, Asked], seed: int) -> StudyReport:
    made = labels.manifest
    request = LayerRequest(
        str(labels.folder),
        made.subject,
        asked,
        provenance_of(made),
        seed,
    )
    return layer_report(tuple(labels.rows()), request)

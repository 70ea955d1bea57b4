"""The options of ``label`` and ``collect``, turned into jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from autointerp.core.config import Budget, CollectJob, JobSpec
from autointerp.core.errors import InputError
from autointerp.templates import check_prompts

if TYPE_CHECKING:
    from autointerp.settings import Settings

_Job = TypeVar("_Job", bound=BaseModel)

_UNITS_FORM = "give --units, for example --units 5:0-19"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """What was typed; None or empty where nothing was."""

    subject: str | None = None
    units: str | None = None
    corpus: str | None = None
    tokens: int | None = None
    n_ctx: int | None = None
    explainer: tuple[str, ...] = ()
    scorer: tuple[str, ...] = ()
    llm: str | None = None
    llm_model: str | None = None
    dtype: str | None = None
    seed: int | None = None
    samples: int | None = None
    heldout: int | None = None
    sides: str | None = None
    score_width: float | None = None
    windows_per_call: int | None = None

    @property
    def given(self) -> tuple[str, ...]:
        """What was typed, as it is written on the command line."""
        names = [f.name for f in fields(self) if getattr(self, f.name) not in (None, ())]
        return tuple(_option(name) for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectOptions:
    """What was typed after ``collect``; None where nothing was."""

    subject: str | None = None
    units: str | None = None
    corpus: str | None = None
    tokens: int | None = None
    n_ctx: int | None = None
    dtype: str | None = None
    seed: int | None = None
    top_k: int | None = None
    batch_windows: int | None = None
    shard: str | None = None


# Where each option goes in a job; --seed goes to every step.
_PLACES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "subject": (("subject",),),
    "units": (("units",),),
    "dtype": (("dtype",),),
    "llm": (("llm",),),
    "llm_model": (("llm_model",),),
    "corpus": (("corpus", "corpus"),),
    "tokens": (("corpus", "n_tokens"),),
    "n_ctx": (("corpus", "n_ctx"),),
    "explainer": (("explain", "explainers"),),
    "samples": (("explain", "n_samples"),),
    "scorer": (("score", "scorers"),),
    "heldout": (("score", "n_heldout"),),
    "score_width": (("score", "score_width"),),
    "windows_per_call": (("score", "windows_per_call"),),
    "sides": (("sides",),),
    "seed": (("seed",), ("corpus", "seed"), ("collect", "seed")),
}
_COLLECT_PLACES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    **{name: _PLACES[name] for name in ("subject", "units", "dtype", "corpus", "tokens", "n_ctx")},
    "seed": _PLACES["seed"],
    "top_k": (("collect", "top_k"),),
    "batch_windows": (("collect", "batch_windows"),),
    "shard": (("shard",),),
}
_OPTION_AT = {
    place: name for name, places in {**_PLACES, **_COLLECT_PLACES}.items() for place in places
}


def job_of(options: JobOptions, settings: Settings, manifest: Path | None = None) -> JobSpec:
    """The job that was asked for.

    Args:
        options: what was typed.
        settings: name the LLM where no option does.
        manifest: ``manifest.json`` of a dictionary to make again, or its folder.

    Raises:
        InputError: a value that cannot be, or options beside a manifest.
    """
    if manifest is not None:
        return _job_of_manifest(options, manifest)
    if options.units is None:
        msg = f"which units shall be labelled? {_UNITS_FORM}"
        raise InputError(msg)
    values: dict[str, Any] = {"corpus": {}, "collect": {}, "explain": {}, "score": {}}
    values |= _llm_of(options, settings)
    return _made(JobSpec, values, options, _PLACES)


def records_job_of(options: JobOptions, settings: Settings) -> JobSpec:
    """The job for units whose records come from files: it has neither a subject nor units.

    Raises:
        InputError: a value that cannot be used.
    """
    return job_of(replace(options, subject="records", units="records"), settings)


def collect_job_of(options: CollectOptions) -> CollectJob:
    """The collection that was asked for.

    Raises:
        InputError: a value that cannot be.
    """
    return _made(CollectJob, {"corpus": {}, "collect": {}}, options, _COLLECT_PLACES)


def budget_of(*, usd: float | None, tokens: int | None, prices: Path | None, batch: bool) -> Budget:
    """What was typed about the budget.

    Raises:
        InputError: a budget that is not above 0.
    """
    try:
        return Budget(usd=usd, tokens=tokens, prices=prices, batch=batch)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        msg = f"--budget-{first['loc'][0]} must be above 0, found {first['input']}"
        raise InputError(msg) from error


def _made(
    model: type[_Job],
    values: dict[str, Any],
    options: object,
    places: Mapping[str, tuple[tuple[str, ...], ...]],
) -> _Job:
    for name, targets in places.items():
        typed = getattr(options, name)
        if typed not in (None, ()):
            for target in targets:
                _put(values, target, typed)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_url=False)
        raise InputError("; ".join(_sentence(e) for e in found)) from error


def default_folder(job: JobSpec) -> Path:
    """Where a job's run goes when no folder is named: the same job, the same folder."""
    name = Path(job.subject).stem or "subject"
    return Path("runs") / f"{name}-{job.digest[:8]}"


def _llm_of(options: JobOptions, settings: Settings) -> dict[str, str]:
    if options.llm is not None or settings.llm_base_url is None:
        # A model that the settings name is for an endpoint: the other two bring their own.
        remote = (options.llm or "").startswith("http")
        return {"llm_model": settings.llm_model} if remote and settings.llm_model else {}
    found = {"llm": settings.llm_base_url}
    return found | ({"llm_model": settings.llm_model} if settings.llm_model else {})


def _job_of_manifest(options: JobOptions, manifest: Path) -> JobSpec:
    if options.given:
        msg = (
            f"--from-manifest takes the job from {manifest}; {', '.join(options.given)} cannot be "
            "given beside it, only --out, --resume and --json can"
        )
        raise InputError(msg)
    from autointerp.dictionary import open_dictionary  # noqa: PLC0415 - brings pyarrow

    job = open_dictionary(manifest).job
    check_prompts(job)
    return job


def _put(values: dict[str, Any], place: tuple[str, ...], value: object) -> None:
    *outer, last = place
    for name in outer:
        values = values[name]
    values[last] = value


def _sentence(error: Any) -> str:
    place = tuple(part for part in error["loc"] if isinstance(part, str))
    said = str(error["msg"]).removeprefix("Value error, ")
    where = _option(_OPTION_AT[place]) if place in _OPTION_AT else ".".join(place) or "the job"
    return f"{where} {error['input']!r} cannot be used: {said[:1].lower()}{said[1:]}"


def _option(name: str) -> str:
    return "SUBJECT" if name == "subject" else "--" + name.replace("_", "-")

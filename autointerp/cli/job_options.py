"""The jobs that options describe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from autointerp.cli.command_options import (
    CollectOptions,
    ExplainOptions,
    LabelOptions,
    ScoreOptions,
    option_name,
)
from autointerp.cli.job_settings import config_values, set_values, without_passwords
from autointerp.cli.rendering.console import say_loading
from autointerp.core.addresses import base_address, with_scheme
from autointerp.core.config import Budget, CollectJob, JobSpec
from autointerp.core.errors import InputError
from autointerp.core.job_fields import OPTION_PLACES, put_field
from autointerp.core.unit_spec import shown_value

if TYPE_CHECKING:
    from autointerp.settings import Settings

_Job = TypeVar("_Job", bound=BaseModel)


_REASONS = {
    "tuple_type": "write a list, for example [a, b]",
    "model_type": "it has fields of its own, for example corpus.n_tokens",
}
"""In place of words that only Python has."""
_OPTION_AT = {place: name for name, places in OPTION_PLACES.items() for place in places}


def job_of(
    options: LabelOptions,
    settings: Settings,
    manifest: Path | None = None,
    *,
    earlier: JobSpec | None = None,
) -> JobSpec:
    """The job that the options describe.

    Args:
        options: as given.
        settings: name the LLM where no option does.
        manifest: ``manifest.json`` of a dictionary to make again, or its folder.
        earlier: the run that is resumed; what no option says is as it was there.

    Raises:
        InputError: a value cannot be used, or there are options beside a manifest.
    """
    if manifest is not None:
        return _job_of_manifest(options, manifest)
    if earlier is not None:
        return _built(JobSpec, options, earlier.model_dump(mode="json"))
    nested = _nested(JobSpec, options)
    llm = _llm_of(nested.get("llm"), settings)
    if nested.get("units") is None:
        raise InputError("which units should be labelled? Add --units, for example --units 5:0-19")
    say_loading()
    from autointerp.pipeline import check_top_windows  # noqa: PLC0415 - --help starts without it

    job = _labelling_job(options, llm)
    check_top_windows(job)
    return job


def records_job_of(options: ExplainOptions | ScoreOptions, settings: Settings) -> JobSpec:
    """The job for units whose records come from files: it has neither a subject nor units.

    Raises:
        InputError: a value cannot be used.
    """
    llm = _llm_of(_nested(JobSpec, options).get("llm"), settings)
    return _labelling_job(options, {"subject": "records", "units": "records", **llm})


def collect_job_of(options: CollectOptions) -> CollectJob:
    """The collection that the options describe.

    Raises:
        InputError: a value cannot be used.
    """
    if _nested(CollectJob, options).get("units") is None:
        raise InputError("which units should be collected? Add --units, for example --units all")
    return _built(CollectJob, options, {})


def budget_of(
    *,
    usd: float | None,
    tokens: int | None,
    order: str | None = None,
    prices: Path | None = None,
    batch: bool = False,
) -> Budget:
    """What the job may spend.

    Raises:
        InputError: a limit that is not above 0; an order that does not exist, or without a limit.
    """
    if order is not None and usd is None and tokens is None:
        raise InputError(
            "--order says which units an LLM labels before a budget ends; add --budget-usd or "
            "--budget-tokens, or leave it out"
        )
    values = {"usd": usd, "tokens": tokens, "order": order, "prices": prices, "batch": batch}
    try:
        return Budget.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["loc"] == ("order",):
            msg = f"--order must be lookup, asked or random, found {shown_value(order)}"
            raise InputError(msg) from error
        msg = f"--budget-{first['loc'][0]} must be above 0, found {first['input']}"
        raise InputError(msg) from error


def default_folder(job: JobSpec) -> Path:
    """Where a job's run goes when no folder is named: the same job, the same folder."""
    name = Path(job.subject).stem or "subject"
    return Path("runs") / f"{name}-{job.digest[:8]}"


def each_once(names: list[str] | None) -> tuple[str, ...]:
    """What a repeatable option named, without repetitions."""
    return tuple(dict.fromkeys(names or ()))


def _labelling_job(options: Any, values: Mapping[str, Any]) -> JobSpec:
    say_loading()
    from autointerp.pipeline import check_explicit  # noqa: PLC0415 - --help starts without it

    job = _built(JobSpec, options, values)
    check_explicit(job)
    return job


def _built(model: type[_Job], options: Any, values: Mapping[str, Any]) -> _Job:
    """What the options say over what their file says over `values`."""
    nested = _over(values, _nested(model, options))
    try:
        return model.model_validate(nested)
    except ValidationError as error:
        sentences = [_sentence(one, options) for one in error.errors(include_url=False)]
        raise InputError("; ".join(sentences)) from error


def _nested(model: type[BaseModel], options: Any) -> dict[str, Any]:
    """The fields that the options name, --set over the others and those over --config."""
    path, assignments = getattr(options, "config", None), getattr(options, "set_field", None)
    nested = {} if path is None else config_values(path, model)
    for field in fields(options):
        if field.name not in OPTION_PLACES:
            continue
        value = getattr(options, field.name)
        if isinstance(value, list):
            value = each_once(value) or None
        if field.name == "quantiles" and value is not None:
            value = value.split(",")
        if value is not None:
            for place in OPTION_PLACES[field.name]:
                put_field(nested, place, value)
    for place, value in set_values(assignments or (), model):
        put_field(nested, place, value)
    return nested


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both, where both say something what is above; what lies within fields likewise."""
    result = dict(below)
    for name, value in above.items():
        inside = result.get(name)
        if isinstance(value, Mapping) and isinstance(inside, Mapping):
            result[name] = _over(inside, value)
        else:
            result[name] = value
    return result


def _llm_of(llm: Any, settings: Settings) -> dict[str, str]:
    """The LLM and the model that the settings name."""
    model = {"llm_model": settings.llm_model} if settings.llm_model else {}
    if llm is None and settings.llm_base_url is not None:
        return {"llm": settings.llm_base_url, **model}
    # A model that the settings name is for an endpoint: the other two bring their own.
    return model if with_scheme(base_address(str(llm or ""))).startswith("http") else {}


def _job_of_manifest(options: LabelOptions, manifest: Path) -> JobSpec:
    if options.given:
        raise InputError(
            f"--from-manifest takes the job from {manifest}; leave out {', '.join(options.given)}, "
            "which would change it"
        )
    from autointerp.dictionary import open_dictionary  # noqa: PLC0415 - brings pyarrow
    from autointerp.pipeline import check_prompts  # noqa: PLC0415 - --help starts without it

    job = open_dictionary(manifest).job
    check_prompts(job)
    return job


def _sentence(error: Any, options: Any) -> str:
    """What is wrong with a field, under the name by which it was given."""
    place = tuple(part for part in error["loc"] if isinstance(part, str))
    reason = _REASONS.get(error["type"]) or str(error["msg"]).removeprefix("Value error, ")
    option = _OPTION_AT.get(place)
    by_option = option is not None and getattr(options, option, None) is not None
    where = option_name(option) if option and by_option else ".".join(place) or "the job"
    value = without_passwords(shown_value(error["input"]))
    return f"{where} {value} cannot be used: {reason[:1].lower()}{reason[1:]}"

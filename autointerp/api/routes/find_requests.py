"""Which units carry a feature: looked for by a worker, in texts that are sent or by name."""

from __future__ import annotations

import json
import shlex
from functools import partial

from fastapi import APIRouter, Response

from autointerp.api.app_state import AppState, State, Submitter
from autointerp.api.label_maxima import LabelMaxima
from autointerp.api.problems import Problem
from autointerp.api.request_checks import check_units, facts_of, read_units
from autointerp.api.routes.responses import JSON, answers, json_of, problems
from autointerp.api.routes.units import Model
from autointerp.api.routes.worker_requests import ask_worker, read_reply, refuse_unknown_model
from autointerp.api.schemas.find_schemas import (
    MOST_CHARACTERS,
    FeatureUnitAlone,
    FeatureUnitOut,
    FindOut,
    FindRequest,
    FoundFeature,
)
from autointerp.api.store_reads import in_thread
from autointerp.core.config import Budget, CorpusConfig, JobSpec
from autointerp.core.ids import UnitId
from autointerp.core.unit_spec import MOST
from autointerp.corpora.features import (
    Feature,
    feature_named,
    given_examples,
    given_texts,
    regex_feature,
)
from autointerp.programs.safe_regex import compile_safely

router = APIRouter(prefix="/v1/models/{model}", tags=["workers"])

# Two repeats in a row without a bound take longer than this, one does not.
_LINE, _MOST_STEPS = 2_000, 20_000


@router.post(
    "/find", responses=answers(200, FindOut, "The best units.") | problems(404, 504, body=True)
)
async def find(asked: FindRequest, model: Model, state: State, caller: Submitter) -> Response:
    """Finds the units that tell a feature best, tested on documents held out.

    What is looked for are texts with and without it, labelled examples, a ready feature, or a
    pattern. It is what `autointerp find` does, with less text and fewer probes.
    """
    subject = await state.indexes.subject_of(model)
    refuse_unknown_model(state, subject)
    units = read_units(asked.units)
    feature = await in_thread(partial(_checked, asked))
    text = None if feature is None else asked.corpus or feature.corpus
    _check_allowed(state, subject, asked, text)
    facts = await in_thread(partial(facts_of, state.backend.jobs, subject))
    check_units(units, facts, limit=MOST)
    payload = asked.model_dump(mode="json", exclude_none=True) | {"model": subject}
    reply = await ask_worker(state, caller, "find", payload, state.config.find_s)
    found = read_reply(FoundFeature, reply)
    labels = await in_thread(partial(_labels, state, model))
    result = FindOut(
        **found.model_dump(exclude={"units"}),
        units=[_with_label(one, labels) for one in found.units],
        command=_command(subject, asked),
    )
    return Response(json_of(result), media_type=JSON)


def _checked(asked: FindRequest) -> Feature | None:
    """The feature that is looked for; None where texts say what it is.

    Raises:
        Problem: 422 where not one thing is looked for, or there is too much text.
        InputError: it is unknown, or there are too few texts or of one class only.
    """
    ways = {
        "positive with negative": asked.positive or asked.negative,
        "examples": asked.examples,
        "feature": asked.feature,
        "regex": asked.regex,
    }
    there = [way for way, value in ways.items() if value]
    if len(there) != 1:
        found = " and ".join(there) if there else "none of them"
        detail = f"what is looked for? Give one of {', '.join(ways)}; found {found}"
        raise Problem(422, "invalid_request", detail)
    if asked.feature:
        return feature_named(asked.feature)
    if asked.regex:
        return _pattern(asked.regex)
    if asked.corpus is not None:
        detail = f"corpus: {there[0]} brings its own text; leave corpus out"
        raise Problem(422, "invalid_request", detail)
    n = sum(map(len, (*asked.positive, *asked.negative)))
    n += sum(len(json.dumps(one, ensure_ascii=False)) for one in asked.examples)
    if n > MOST_CHARACTERS:
        detail = f"the texts have {n:,} characters together; send at most {MOST_CHARACTERS:,}"
        raise Problem(422, "text_too_long", detail)
    if asked.examples:
        given_examples(asked.examples)
    else:
        given_texts(asked.positive, asked.negative)
    return None


def _pattern(regex: str) -> Feature:
    feature = regex_feature(regex)
    if compile_safely(regex, n_chars=_LINE).steps > _MOST_STEPS:
        detail = (
            f"/{regex}/ could take too long on a long text; bound its repeats, such as "
            r"\w{1,20} in place of \w+"
        )
        raise Problem(422, "invalid_request", detail)
    return feature


def _check_allowed(state: AppState, subject: str, asked: FindRequest, text: str | None) -> None:
    """Files that units and text may name are those that a job may name."""
    corpus = CorpusConfig() if text is None else CorpusConfig(corpus=text)
    spec = JobSpec(subject=subject, units=asked.units, corpus=corpus, llm="none")
    state.job_service.policy.check(spec, Budget())


def _labels(state: AppState, model: str) -> LabelMaxima:
    """What labels say; nothing where the model has none."""
    try:
        rows, _ = state.indexes.of(model).rows()
    except Problem:
        return LabelMaxima(())
    return state.label_maxima.of(model, rows)


def _with_label(one: FeatureUnitAlone, labels: LabelMaxima) -> FeatureUnitOut:
    unit = UnitId.parse(one.unit)
    row = labels.row(unit.hook, unit.index, one.side)
    return FeatureUnitOut(
        **one.model_dump(exclude={"label"}),
        label=row.get("description"),
        hook=unit.hook,
        layer=unit.layer,
        index=unit.index,
        has_label=bool(row),
        score=row.get("score"),
    )


def _command(subject: str, asked: FindRequest) -> str:
    """What does the same without a server's limits; texts are put into files beforehand."""
    words = ["autointerp", "find", subject]
    if asked.feature:
        words += ["--feature", asked.feature]
    elif asked.regex:
        words += ["--regex", asked.regex]
    elif asked.examples:
        words += ["--dataset", "FILE.jsonl"]
    else:
        words += ["--positive", "WITH.txt", "--negative", "WITHOUT.txt"]
    if asked.corpus is not None:
        words += ["--corpus", asked.corpus]
    if asked.units != "all":
        words += ["--units", asked.units]
    return shlex.join(words)

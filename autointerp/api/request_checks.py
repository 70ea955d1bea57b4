"""What a request names, checked as far as it can be without a worker: units, models of LLMs."""

from __future__ import annotations

from pydantic import BaseModel, ValidationError

from autointerp.api.api_config import ApiConfig
from autointerp.api.problems import Problem
from autointerp.api.schemas.evidence_schemas import EvidenceOptions
from autointerp.api.schemas.job_schemas import JobRequest
from autointerp.core.causal_evidence import EvidenceKind
from autointerp.core.config import NO_LLM
from autointerp.core.errors import InputError
from autointerp.core.model_shape import ModelShape
from autointerp.core.one_line import shortened
from autointerp.core.unit_spec import (
    MOST,
    FileItem,
    HookItem,
    IndexRange,
    RandomItem,
    UnitSpec,
    parse_unit_spec,
)
from autointerp.orchestration import SubmissionPolicy
from autointerp.store.jobs import JobStore


class _Hook(BaseModel):
    hook: str
    width: int


class ModelFacts(BaseModel):
    """What a worker has noted about a subject model."""

    n_layers: int
    hooks: tuple[_Hook, ...]
    shape: ModelShape | None = None
    """Its sizes; None where they are not known, as of what an earlier version noted."""

    @property
    def widths(self) -> dict[str, int]:
        """Units by hook point."""
        return {hook.hook: hook.width for hook in self.hooks}


def facts_of(jobs: JobStore, subject: str) -> ModelFacts | None:
    """What is known of a subject; None until a worker has loaded it."""
    text = jobs.note("models", subject)
    if text is None:
        return None
    try:
        return ModelFacts.model_validate_json(text)
    except ValidationError:
        return None  # Of another version; the worker checks the units itself.


def check_job_request(
    asked: JobRequest, config: ApiConfig, policy: SubmissionPolicy, jobs: JobStore
) -> None:
    """Refuses a job that may not be submitted, as far as that can be known here.

    Raises:
        Problem: 422.
        InputError: the server does not allow it.
    """
    units = read_units(asked.units)
    if asked.evidence is not None:
        _refuse_fields_of_labels(asked)
        refuse_other_fields(asked.evidence)
    policy.check(asked.spec, asked.budget.to_budget())
    check_llm_model(config, asked.llm, asked.llm_model)
    if asked.corpus.n_tokens > config.limits.job_tokens:
        detail = f"corpus.n_tokens may be {config.limits.job_tokens:,} at most"
        raise Problem(422, "too_many_tokens", detail)
    check_units(units, facts_of(jobs, asked.subject), limit=config.limits.job_units)


def _refuse_fields_of_labels(asked: JobRequest) -> None:
    taken = {"subject", "units", "dtype", "seed", "evidence"}
    if asked.evidence is not None and asked.evidence.kind is EvidenceKind.SITES:
        taken.add("corpus")
    # That no LLM is asked may be said.
    others = asked.model_fields_set - taken - ({"llm"} if asked.llm == NO_LLM else set())
    if others:
        detail = (
            f"{', '.join(sorted(others))}: a job that asks for evidence takes "
            f"{', '.join(sorted(taken))}"
        )
        raise Problem(422, "invalid_request", detail)


def refuse_other_fields(asked: EvidenceOptions) -> None:
    """Refuses texts that the kind does not take, or does not have.

    Raises:
        Problem: 422.
    """
    of_patching = ("prompt", "counterfactual", "answers", "position")
    given = [name for name in of_patching if getattr(asked, name) is not None]
    if asked.kind is not EvidenceKind.PATCHING and given:
        found = " and ".join(given)
        raise Problem(422, "invalid_request", f"{found}: kind patching alone takes this")
    missing = [name for name in of_patching[:2] if name not in given]
    if asked.kind is EvidenceKind.PATCHING and missing:
        detail = (
            "patching needs prompt and counterfactual, two texts of as many tokens; no LLM writes "
            f"one here. There is no {' and no '.join(missing)}"
        )
        raise Problem(422, "invalid_request", detail)


def check_llm_model(config: ApiConfig, llm: str, model: str | None) -> None:
    """Refuses a model that the alias does not lead to.

    Raises:
        Problem: 422.
    """
    if model is None:
        return
    provider = config.providers.get(llm)
    if provider is None:
        raise Problem(422, "llm_model_unknown", f"llm {llm!r} takes no llm_model")
    try:
        provider.model_for(model)
    except InputError as error:
        raise Problem(422, "llm_model_unknown", str(error)) from error


def read_units(text: str) -> UnitSpec:
    """What a specification names.

    Raises:
        Problem: 422 where it is not of the grammar.
    """
    try:
        return parse_unit_spec(text)
    except InputError as error:
        raise Problem(422, "unit_unknown", str(error)) from error


def check_units(spec: UnitSpec, facts: ModelFacts | None, *, limit: int) -> None:
    """Refuses units that do not exist or are too many, as far as that can be known here.

    Raises:
        Problem: 422.
    """
    n = named_units(spec, facts)
    if n > limit:
        named = f"{n:,}" if n < MOST else "too many"
        detail = f"units {shortened(str(spec))}: {named} units were asked for, at most {limit:,}"
        raise Problem(422, "too_many_units", detail)


def named_units(spec: UnitSpec, facts: ModelFacts | None) -> int:
    """How many units a specification names; those that only a worker can count are left out.

    Raises:
        Problem: 422 where the model does not have one of them.
    """
    if spec.all:
        neurons = (".mlp.hook_post", ".mlp.hook_mid")
        widths = facts.widths.items() if facts else ()
        return sum(width for hook, width in widths if hook.endswith(neurons))
    if spec.random is not None:
        return spec.random.n
    return sum(_count_of(item, facts) for item in spec.items)


def _count_of(item: HookItem | FileItem, facts: ModelFacts | None) -> int:
    width = _width(item.hook, facts) if isinstance(item, HookItem) else None
    if isinstance(item.indices, RandomItem):
        return item.indices.n
    if not isinstance(item.indices, IndexRange):
        return width or 0  # What is in a file is counted where the file is.
    if width is not None and isinstance(item, HookItem) and item.indices.high >= width:
        detail = f"units {shortened(str(item))}: {item.hook} has the units 0 to {width - 1}"
        raise Problem(422, "unit_unknown", detail)
    return len(item.indices)


def _width(hook: str, facts: ModelFacts | None) -> int | None:
    if facts is None:
        return None
    layer = int(hook.split(".")[1])
    if layer >= facts.n_layers:
        detail = f"{shortened(hook)}: the model has the layers 0 to {facts.n_layers - 1}"
        raise Problem(422, "unit_unknown", detail)
    # Hook points that the note does not name may exist all the same.
    mid = hook.replace("mlp.hook_post", "mlp.hook_mid")
    return facts.widths.get(hook, facts.widths.get(mid))

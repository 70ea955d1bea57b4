"""What a worker does its work with, built from settings."""

from __future__ import annotations

from collections.abc import Sequence

from autointerp.collecting import load_job_corpus
from autointerp.core.config import JobSpec
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.core.service import Job
from autointerp.desk import Send
from autointerp.desk.naming import LABELS
from autointerp.jobs.workshop import Parts, Times
from autointerp.llm import Accounts, ChatModel
from autointerp.pipeline import Tools
from autointerp.settings import Settings
from autointerp.subjects import SubjectModel, load_subject
from autointerp.wiring.llms import Purse, counter_of, open_llm, quote_of, units_at_once
from autointerp.wiring.providers import known_models, resolved
from autointerp.wiring.service import Keeping
from autointerp.wiring.tools import asks_an_llm, build_tools, check_names

__all__ = ["build_parts"]

_PROBING = frozenset({"revision", "generative", "input_test", "output_test"})


def build_parts(settings: Settings, keeping: Keeping, send: Send) -> Parts:
    """Everything that a workshop needs.

    Raises:
        InputError: the settings cannot be used.
    """
    wired = _Wired(settings, keeping)
    return Parts(
        board=keeping.board,
        artifacts=keeping.artifacts,
        stores=keeping.stores,
        send=send,
        load_subject=wired.load_subject,
        load_corpus=load_job_corpus,
        check=check_names,
        open_llm=wired.open_llm,
        build_tools=wired.build_tools,
        at_once=wired.at_once,
        needs_subject=_needs_subject,
        folder=settings.cache_dir / "begun",
        most_units=settings.limits_units,
        times=Times(lease_s=settings.lease_s, poll_s=min(1.0, settings.lease_s / 8)),
    )


class _Wired:
    def __init__(self, settings: Settings, keeping: Keeping) -> None:
        self._settings, self._keeping = settings, keeping

    def load_subject(self, name: str, dtype: str) -> SubjectModel:
        source = known_models(self._settings).get(name)
        if source is None:
            known = ", ".join(known_models(self._settings))
            msg = f"unknown model {name!r}; this worker has {known}"
            raise InputError(msg)
        subject = load_subject(
            source,
            dtype="bfloat16" if dtype == "bfloat16" else "float32",
            device=self._settings.device,
            cache_dir=self._settings.cache_dir,
        )
        subject.name = name
        return subject

    def open_llm(self, spec: JobSpec, job: Job | None, books: Accounts) -> ChatModel | None:
        if not asks_an_llm(spec):
            return None
        named, settings = resolved(spec, self._settings, n_sharing=self._n_sharing())
        purse = Purse() if job is None else Purse(job.money)
        if purse.money.usd is not None and quote_of(named, purse).price is None:
            msg = f"a budget of ${purse.money.usd:g} cannot be kept: {quote_of(named, purse).said}"
            raise InputError(msg)
        return open_llm(named, settings, purse=purse, accounts=books)

    def build_tools(self, spec: JobSpec, model: ChatModel | None, pool: Sequence[UnitId]) -> Tools:
        named, settings = resolved(spec, self._settings)
        return build_tools(named, model, pool=pool, counter=counter_of(named, settings))

    def at_once(self, spec: JobSpec) -> int:
        named, settings = resolved(spec, self._settings, n_sharing=self._n_sharing())
        return units_at_once(named, settings, None, Purse())

    def _n_sharing(self) -> int:
        """Label workers that live: an endpoint's limits are shared among them."""
        living = [w for w in self._keeping.board.workers() if w.queue == LABELS]
        return max(1, len(living))


def _needs_subject(spec: JobSpec) -> bool:
    return bool(_PROBING & {*spec.explain.explainers, *spec.score.scorers})

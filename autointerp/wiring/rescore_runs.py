"""Labels of a dictionary on text of another kind than they were learned on."""

from __future__ import annotations

import shutil
from collections.abc import Sequence, Set
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

from autointerp.core.asynchrony import run_coroutine
from autointerp.core.config import NO_LLM, CorpusConfig, ExplainConfig, JobSpec
from autointerp.core.errors import InputError
from autointerp.core.explanations import Label
from autointerp.core.files import storage_errors
from autointerp.core.progress import Progress, SilentProgress, timed
from autointerp.core.variants import Need
from autointerp.corpora import check_corpus
from autointerp.dictionary import open_dictionary
from autointerp.dictionary.chosen_labels import chosen_labels
from autointerp.dictionary.rescored_files import RescoreFolder
from autointerp.dictionary.rescored_labels import (
    OUT_OF_BUDGET,
    RescoredLabel,
    RescoreReport,
    tested,
)
from autointerp.jobs.rescoring import RescoreJob, rescore_labels
from autointerp.jobs.unit_inputs import Target
from autointerp.llm import ChatModel
from autointerp.pipeline import JobVariants
from autointerp.pipeline.text_rescoring import LearnedLabel, TriedLabel, why_unscored
from autointerp.settings import Settings
from autointerp.store.lock import only_writer
from autointerp.subjects import SubjectModel, load_subject
from autointerp.wiring.collection_runs import load_job_corpus
from autointerp.wiring.llms import (
    JobBudget,
    counter_of,
    named_job,
    open_llm,
    try_echo,
    units_at_once,
)
from autointerp.wiring.other_texts import attach_encoders, check_other_text, check_same_subject
from autointerp.wiring.rescore_judges import (
    NO_LLM_GIVEN,
    asking_job,
    free_judge_of,
    judge_of,
    needs_llm,
    other_judge,
)
from autointerp.wiring.rescore_requests import RescoreRequest, read_budget
from autointerp.wiring.tools import build_tools, note_scoring_cost


def rescore(  # noqa: PLR0913 - a convenience for notebooks
    folder: Path | str,
    corpus: str = "python",
    *,
    units: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    tokens: int | None = None,
    llm: str = NO_LLM,
    llm_model: str | None = None,
    budget_usd: float | None = None,
    budget_tokens: int | None = None,
    encoders: Sequence[str] = (),
    out: Path | str | None = None,
    resume: bool = False,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> RescoreReport:
    """The labels of a dictionary on text that they were not learned on, and which to distrust.

    Args:
        folder: of the dictionary.
        corpus: the other text, as on the command line.
        units: of which labels are taken, ``5:0-19,7:3``; all where None.
        limit: so many of these labels at random.
        seed: of that choice.
        tokens: to read; as many as the labels were learned on where None.
        llm: scores labels in words: ``none``, ``embedded`` or the base URL of an endpoint. Rules
            and programs need none; a label that needs one says so.
        llm_model: model at that endpoint.
        budget_usd: most dollars that the LLM may cost; labels for which they are not enough say so.
        budget_tokens: most tokens that it may use.
        encoders: where an SAE or directions lie that were moved, ``sae:FOLDER``.
        out: folder in which results are kept; nowhere where None.
        resume: goes on with what is there.
        settings: from the environment where None.
        progress: told about every stage.

    Raises:
        InputError: something cannot be done as asked, or it is the text that they were learned on.
        UpstreamError: the LLM cannot be used; what is finished is kept.
        StorageError: the disk refuses.
    """
    request = RescoreRequest(
        Path(folder), corpus, units, limit, seed, tokens, llm, llm_model, tuple(encoders)
    )
    kept = None if out is None else RescoreFolder(Path(out))
    limits = read_budget(budget_usd, budget_tokens)
    budget = JobBudget(limits, kept.folder if kept else None)
    told = progress or SilentProgress()
    return _Rescoring(request, kept, budget, settings or Settings(), told).run(resume=resume)


# Labels of one dictionary share their documents.
_LOOKED_AT = 64


class _Rescoring:
    """One request, with what is known of it so far."""

    def __init__(
        self,
        request: RescoreRequest,
        kept: RescoreFolder | None,
        budget: JobBudget,
        settings: Settings,
        progress: Progress,
    ) -> None:
        self._request, self._kept, self._budget = request, kept, budget
        self._settings, self._progress = settings, progress
        self._dictionary = open_dictionary(request.folder)
        self._job = self._dictionary.job
        self._seconds: dict[str, float] = {}
        self._notes: list[str] = []
        self._results: dict[Target, RescoredLabel] = {}
        self._n_tokens = 0

    def run(self, *, resume: bool) -> RescoreReport:
        request, made = self._request, self._dictionary.manifest
        if request.limit is not None and request.limit < 1:
            raise InputError(f"--limit is a number of labels from 1 on, found {request.limit}")
        check_corpus(request.corpus)
        if request.corpus == self._job.corpus.corpus:
            raise InputError(
                f"the labels of {request.folder} were learned on {request.corpus}: name another "
                "--corpus, which they have not seen"
            )
        named = chosen_labels(
            self._dictionary, units=request.units, limit=request.limit, seed=request.seed
        )
        chosen = [Target(*one) for one in named]
        text = request.text_like(self._job.corpus)
        with self._only_writer():
            if self._kept is not None:
                asked = {**request.stored, "subject": made.subject, "learned": made.corpus_hash}
                self._kept.begin({**asked, "split": made.split_hash}, resume=resume)
                known = self._kept.read()
                self._results = {Target(*key): label for key, label in known.items()}
            left = [key for key in chosen if key not in self._results]
            scoreable, reasons = self._scoreable(left)
            if scoreable:
                self._score(scoreable, text)
            self._keep(reasons)
            for label in scoreable:
                # Not kept: with more to spend, a run that goes on scores it.
                key = Target(label.unit, label.side)
                self._results.setdefault(key, LearnedLabel(label, None).untested(OUT_OF_BUDGET))
            report = self._report(chosen, text)
            if self._kept is not None:
                self._kept.finish(report)
                with storage_errors(self._kept.collection):
                    shutil.rmtree(self._kept.collection, ignore_errors=True)
        return report

    def _only_writer(self) -> AbstractContextManager[None]:
        if self._kept is None:
            return nullcontext()
        folder = self._kept.folder
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file, not a folder; choose another --out")
        with storage_errors(folder, verb="make"):
            folder.mkdir(parents=True, exist_ok=True)
        return only_writer(folder)

    def _scoreable(self, targets: Sequence[Target]) -> tuple[list[Label], list[TriedLabel]]:
        """The labels that can be scored, without trials, and the others with why not."""
        found: list[Label] = []
        reasons: list[TriedLabel] = []
        for target in targets:
            label = self._dictionary.label_without_trials(*target)
            if label is None:
                raise InputError(f"{self._request.folder} lost its label of {target.unit}")
            why = why_unscored(label)
            if why is None and self._request.llm == NO_LLM and needs_llm(label):
                why = NO_LLM_GIVEN
            if why is None:
                found.append(label)
            else:
                reasons.append(TriedLabel(LearnedLabel(label, None).untested(why)))
        if not found and not self._results and reasons:
            raise InputError(
                f"none of {len(reasons):,} labels of {self._request.folder} can be scored; the "
                f"first, {reasons[0].found.unit}: {reasons[0].found.reason}"
            )
        return found, reasons

    def _score(self, labels: Sequence[Label], text: CorpusConfig) -> None:
        in_words = [label for label in labels if needs_llm(label)]
        asking = self._asking(in_words)
        if asking is not None:
            note_scoring_cost(asking, self._budget, n_labels=len(in_words), progress=self._progress)
        with timed("load", self._seconds):
            subject = self._subject({label.unit.hook for label in labels})
            corpus = load_job_corpus(text, subject, self._progress)
            self._note(check_other_text(self._dictionary, corpus, labels[:_LOOKED_AT]))
        self._n_tokens = corpus.n_tokens
        job = RescoreJob(
            spec=self._reading(text),
            subject=subject,
            corpus=corpus,
            learned=self._learned,
            judge=free_judge_of,
            progress=self._progress,
            stage=partial(timed, seconds=self._seconds),
            at_once=units_at_once(asking or self._job, self._settings, None, self._budget),
            folder=None if self._kept is None else self._kept.collection,
        )
        targets = [Target(label.unit, label.side) for label in labels]

        async def score() -> None:
            model = None if asking is None else self._open(asking)
            if asking is None or model is None:
                await rescore_labels(job, targets, self._keep)
                return
            self._note(other_judge(model.name, in_words))
            tools = build_tools(asking, model, counter=counter_of(asking, self._settings))
            try:
                judged = replace(job, judge=partial(judge_of, tools))
                await rescore_labels(judged, targets, self._keep)
            finally:
                await model.close()

        run_coroutine(score())

    def _subject(self, hooks: Set[str]) -> SubjectModel:
        self._progress.note(f"loading {self._job.subject}")
        settings = self._settings
        subject = load_subject(
            self._job.subject,
            dtype=self._job.dtype,
            device=settings.device,
            cache_dir=settings.cache_dir,
        )
        check_same_subject(self._dictionary, subject)
        attach_encoders(self._dictionary, subject, hooks, self._request.encoders)
        return subject

    def _learned(self, target: Target) -> LearnedLabel:
        label = self._dictionary.label(*target)
        if label is None:
            raise InputError(f"{self._request.folder} lost its label of {target.unit}")
        return LearnedLabel(label, self._dictionary.sets(label))

    def _reading(self, text: CorpusConfig) -> JobSpec:
        """How the other text is read and drawn from: as for labels that need no LLM."""
        changed = {
            "corpus": text,
            "explain": ExplainConfig(explainers=("token_lookup",)),
            "score": self._job.score.model_copy(update={"scorers": (), "prompt": None}),
            "llm": NO_LLM,
            "llm_model": None,
        }
        return self._job.model_copy(update=changed)

    def _asking(self, labels: Sequence[Label]) -> JobSpec | None:
        """The job whose LLM scores these labels as they were; None where none needs one."""
        if not labels:
            return None
        request = self._request
        asked = {"llm": request.llm, "llm_model": request.llm_model}
        job = named_job(self._job.model_copy(update=asked), self._settings)
        return asking_job(job, labels)

    def _open(self, job: JobSpec) -> ChatModel | None:
        if JobVariants.of(job).need(Need.ECHO):
            try_echo(job, self._settings, budget=self._budget)
        return open_llm(job, self._settings, budget=self._budget, progress=self._progress)

    def _keep(self, tried: Sequence[TriedLabel]) -> None:
        labels = [one.found for one in tried]
        if self._kept is not None and labels:
            self._kept.add(labels, [one.windows for one in tried if one.windows is not None])
        self._results |= {Target(label.unit, label.side): label for label in labels}

    def _note(self, message: str | None) -> None:
        if message is not None:
            self._notes.append(message)
            self._progress.note(message)

    def _report(self, chosen: Sequence[Target], text: CorpusConfig) -> RescoreReport:
        made = self._dictionary.manifest
        return RescoreReport(
            subject=made.subject,
            corpus=made.corpus,
            other=text.corpus,
            n_tokens=self._n_tokens or text.n_tokens,
            n_dictionary=made.counts.labels,
            labels=tested([self._results[key] for key in chosen]),
            notes=tuple(self._notes),
            seconds=self._seconds,
            folder=None if self._kept is None else self._kept.folder,
        )

"""How many neurons of two models one rule explains, judged blind: rules, an LLM, a person."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import TypeAdapter, ValidationError

from autointerp.core import VERSION
from autointerp.core.blind_study import RULES, Answer, ItemVerdict, StudyItem
from autointerp.core.config import NO_LLM, CorpusConfig, JobSpec
from autointerp.core.errors import DamagedError, InputError, first_problem
from autointerp.core.files import read_file, write_atomic
from autointerp.core.progress import Progress, SilentProgress
from autointerp.core.study_report import Asked, StudyReport
from autointerp.corpora import TokenCorpus
from autointerp.corpora.corpus_loading import load_corpus_texts
from autointerp.explainers.prompting import UnansweredError
from autointerp.explainers.rule_judge import RuleJudge
from autointerp.explainers.single_rule import fit_rule
from autointerp.settings import Settings
from autointerp.subjects import SubjectModel, load_subject
from autointerp.wiring.blind_folder import VERDICTS, BlindFolder
from autointerp.wiring.llms import JobBudget, named_job, open_llm
from autointerp.wiring.solu_items import Arm, ArmItems, arms_of, items_of, shuffled
from autointerp.wiring.solu_report import solu_report
from autointerp.wiring.study_folder import begin_study, finish_study

_MADE = "made.json"
_MADE_OF = TypeAdapter(dict[str, dict[str, Any]])
_AT_ONCE = 8
"""Items that an LLM is asked about at the same time."""


def study_solu(  # noqa: PLR0913 - a convenience for notebooks
    first: str,
    second: str | None = None,
    *,
    sites: Sequence[str] = (),
    neurons: int = 60,
    firings: int = 20,
    corpus: str = "wiki=0.5,python=0.5",
    tokens: int = 262_144,
    llm: str = NO_LLM,
    llm_model: str | None = None,
    seed: int = 0,
    out: Path | str | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> StudyReport:
    """Compares the shares of neurons whose strongest firings one rule covers.

    Rules judge always, as they cost nothing; an LLM judges what it has not judged yet where one is
    named; a person judges on a page (`autointerp study solu ... --judge person`). Called again
    with the same folder it goes on, and adds judges.

    Args:
        first: a model, as on the command line.
        second: another with the same tokenizer; None compares several sites of the first.
        sites: of ``pre``, ``mid`` and ``post``; where each model's neurons are read by default
            where empty.
        neurons: drawn of each model, from all layers alike.
        firings: strongest windows of each, in either half of the text.
        corpus: text that is read.
        tokens: of it.
        llm: ``none``, ``embedded`` or the base URL of an endpoint.
        llm_model: model at that endpoint.
        seed: of the text, the units and their order.
        out: folder of items, key, verdicts and report; nowhere if None.
        settings: from the environment where None.
        progress: told about every stage.

    Raises:
        InputError: something cannot be done as asked.
        DamagedError: the folder's key or verdicts cannot be read.
        UpstreamError: the LLM cannot be used; verdicts that there are stay.
        StorageError: the disk refuses.
    """
    asked: dict[str, Asked] = {
        "first": first,
        "second": second,
        "sites": ",".join(sites) or None,
        "neurons": neurons,
        "firings": firings,
        "corpus": corpus,
        "tokens": tokens,
        "seed": seed,
    }
    _check(neurons, firings)
    known, told = settings or Settings(), progress or SilentProgress()
    if out is None:
        with TemporaryDirectory(prefix="autointerp-study-") as made:
            return _study(Path(made), asked, (llm, llm_model), known, told)
    return _study(Path(out), asked, (llm, llm_model), known, told)


def _study(
    folder: Path,
    asked: dict[str, Asked],
    judge: tuple[str, str | None],
    settings: Settings,
    progress: Progress,
) -> StudyReport:
    # Verdicts and judges are added to a study that is there.
    begin_study(folder, "solu", asked, resume=True)
    blind = BlindFolder(folder)
    if not blind.has_items:
        _make_items(blind, asked, settings, progress)
    failed = {}
    if judge[0] != NO_LLM:
        name, n_failed = asyncio.run(_ask_llm(blind, judge, settings, progress))
        failed[name] = n_failed
    return report_of(blind, asked, failed)


def report_of(
    blind: BlindFolder, asked: dict[str, Asked], failed: dict[str, int] | None = None
) -> StudyReport:
    """The report of the verdicts in a folder, written there too.

    Raises:
        DamagedError: its key or verdicts cannot be read.
        StorageError: the disk refuses.
    """
    made = _made(blind.folder / _MADE)
    report = solu_report(
        asked=asked,
        keys=blind.keys(),
        verdicts=blind.verdicts(),
        silent=made["silent"],
        failed=failed or {},
        seed=int(asked["seed"] or 0),
        provenance=made["provenance"],
    )
    finish_study(blind.folder, report)
    return report


def _check(neurons: int, firings: int) -> None:
    for name, value, least, most in (("neurons", neurons, 1, 10_000), ("firings", firings, 5, 100)):
        if not least <= value <= most:
            raise InputError(f"{name} is {value}; give a number from {least} to {most:,}")


def _make_items(
    blind: BlindFolder, asked: dict[str, Asked], settings: Settings, progress: Progress
) -> None:
    names = [str(asked[name]) for name in ("first", "second") if asked[name] is not None]
    subjects = [
        load_subject(name, device=settings.device, cache_dir=settings.cache_dir) for name in names
    ]
    _refuse_other_tokenizer(subjects)
    arms = arms_of(subjects, tuple(filter(None, str(asked["sites"] or "").split(","))))
    corpus = _corpus(asked, subjects[0], progress)
    seed, numbers = (
        int(asked["seed"] or 0),
        (int(asked["neurons"] or 0), int(asked["firings"] or 0)),
    )
    parts = []
    for arm in arms:
        progress.note(f"reading {arm.name}")
        n_units, n_firings = numbers
        parts.append(
            items_of(
                arm, corpus, n_units=n_units, n_firings=n_firings, seed=seed, progress=progress
            )
        )
    if not any(part.items for part in parts):
        raise InputError(
            f"none of the {numbers[0]} units drawn is active in 5 windows of both halves of "
            f"{asked['corpus']}; read more --tokens"
        )
    made: dict[str, dict[str, Any]] = {
        "silent": {arm.name: part.n_silent for arm, part in zip(arms, parts, strict=True)},
        "provenance": _provenance(arms, corpus),
    }
    write_atomic(blind.folder / _MADE, _MADE_OF.dump_json(made, indent=1) + b"\n")
    # What a run that was killed before it had items left.
    (blind.folder / VERDICTS).unlink(missing_ok=True)
    for verdict in _by_rules(parts):
        blind.add(verdict)
    blind.put_items(shuffled(parts, seed), [key for part in parts for key in part.keys])


def _refuse_other_tokenizer(subjects: Sequence[SubjectModel]) -> None:
    tokenizers = {subject.name: subject.tokenizer.name for subject in subjects}
    if len(set(tokenizers.values())) > 1:
        first, second = tokenizers
        raise InputError(
            f"{first} and {second} have different tokenizers, so that they read no windows in "
            "common; compare models that share one"
        )


def _corpus(asked: dict[str, Asked], subject: SubjectModel, progress: Progress) -> TokenCorpus:
    try:
        config = CorpusConfig(
            corpus=str(asked["corpus"]),
            n_tokens=int(asked["tokens"] or 0),
            seed=int(asked["seed"] or 0),
        )
    except ValidationError as error:
        raise InputError(first_problem(error, whole="the text")) from error
    return load_corpus_texts(config, subject, progress=progress)[0]


def _by_rules(parts: Sequence[ArmItems]) -> list[ItemVerdict]:
    verdicts = []
    for part in parts:
        for item in part.items:
            fitted = fit_rule(part.learned[item.id], item.firings, part.everywhere)
            answer = Answer.YES if fitted is not None and fitted.holds else Answer.NO
            n_covered = None if fitted is None else round(fitted.covered * len(item.firings))
            rule = None if fitted is None else fitted.told
            verdicts.append(ItemVerdict(RULES, item.id, answer, rule, n_covered))
    return verdicts


async def _ask_llm(
    blind: BlindFolder, judge: tuple[str, str | None], settings: Settings, progress: Progress
) -> tuple[str, int]:
    """The judge's name, and how many items got no verdict because of failures."""
    job = named_job(JobSpec(llm=judge[0], llm_model=judge[1], units="all"), settings)
    model = open_llm(job, settings, budget=JobBudget(folder=blind.folder), progress=progress)
    assert model is not None
    try:
        asking = RuleJudge(model)
        done = {verdict.item for verdict in blind.verdicts(asking.name)}
        left = [item for item in blind.items() if item.id not in done]
        if not left:
            progress.note(f"{asking.name} has judged every item")
        progress.start("judge", len(left), "items")
        gate, failures = asyncio.Semaphore(_AT_ONCE), list[str]()

        async def one(item: StudyItem) -> None:
            async with gate:
                try:
                    blind.add(await asking.verdict(item))
                except UnansweredError as error:
                    failures.append(str(error))
            progress.advance("judge", 1)

        await asyncio.gather(*map(one, left))
        if failures:
            progress.note(f"{len(failures)} items have no verdict of the LLM: {failures[0]}")
        return asking.name, len(failures)
    finally:
        await model.close()


def _made(path: Path) -> dict[str, dict[str, Any]]:
    data = read_file(path)
    try:
        made = _MADE_OF.validate_json(data or b"")
        return {name: made[name] for name in ("silent", "provenance")}
    except (ValidationError, KeyError) as error:
        msg = f"{path} does not say what the items were made from; begin again with another --out"
        raise DamagedError(msg) from error


def _provenance(arms: Sequence[Arm], corpus: TokenCorpus) -> dict[str, str]:
    weights = {arm.subject.name: arm.subject.revision for arm in arms}
    return {
        "models": ", ".join(f"{name} ({revision})" for name, revision in weights.items()),
        "tokenizer": arms[0].subject.tokenizer.name,
        "corpus": f"{corpus.id}, {corpus.n_tokens:,} tokens in windows of {corpus.n_ctx}",
        "text": corpus.hash[:16],
        "study made by": f"autointerp {VERSION}",
    }

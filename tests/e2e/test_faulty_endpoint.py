"""A labelling job on an endpoint that is faulty, refuses, or outlives the job's process."""

from __future__ import annotations

import json
import math
import re
import signal
import threading
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from fake_endpoint import FakeEndpoint, Fault, cut, is_probe, status
from faulty import PASSING, SPOILT, Disturbance, answering
from held_requests import HeldRequests
from labelling import IMPATIENT, Ended, Labelling, wait_until

from autointerp.core.explanations import Label, LabelStatus
from autointerp.core.seeds import derive_seed
from autointerp.scorers import ScoringSet
from autointerp.scorers.scorer_inputs import predicted_scores
from autointerp.store.labels import FolderLabelStore

ALONE = ("--explainer", "token_activation")
LOOKUP = ("--explainer", "token_lookup")
N_HELDOUT = 20
EVERYTHING = (
    *("--units", "0:0-3,1:0-3", "--samples", "3", "--heldout", str(N_HELDOUT)),
    *("--explainer", "token_activation", "--explainer", "contrastive"),
    *("--scorer", "simulation", "--scorer", "detection", "--scorer", "fuzzing"),
)
PATIENT = replace(IMPATIENT, attempts=6, first_wait_s=0.0005, longest_wait_s=0.002)


def run_under_faults(labelling: Labelling, disturbance: Disturbance, out: str, *more: str) -> Ended:
    with FakeEndpoint(answering(0)) as endpoint:
        endpoint.disturb = disturbance
        arguments = labelling.arguments(out, *EVERYTHING, *more, llm=endpoint.base_url)
        ended = labelling(arguments, options=PATIENT)
        share = disturbance.injected.total() / len(endpoint.bodies)
        assert 0.2 < share < 0.4
    assert "Traceback" not in ended.err
    return ended


def judged_alone(store: FolderLabelStore, label: Label) -> float | None:
    """The headline score where the windows of failed trials were never there."""
    sets = store.get_sets(label.unit, label.side)
    main = label.result(label.preferred or "")
    assert sets is not None
    assert main is not None
    seed = derive_seed(0, "bootstrap", str(label.unit), label.side)
    whole = ScoringSet.of(sets.held_out, seed=seed, n_bootstrap=100, confidence=0.95)
    # What stands beside an LLM's explanation is scored on the same windows.
    asked = whole.first(N_HELDOUT)
    judged = tuple(trial for trial in main.trials if trial.failure is None)
    kept = {trial.window for trial in judged}
    part = replace(asked, records=tuple(r for r in asked.records if r.window in kept))
    return next(s.value for s in predicted_scores(part, judged) if s.name == "population")


@pytest.mark.parametrize(("seed", "more"), [(1, ()), (2, LOOKUP)])
def test_every_unit_ends_with_a_status_and_no_score_holds_a_failed_trial(
    labelling: Labelling, seed: int, more: tuple[str, ...]
) -> None:
    disturbance = Disturbance(seed, share=0.3)
    ended = run_under_faults(labelling, disturbance, "a", *more)
    assert set(disturbance.injected) == {*PASSING, *SPOILT}
    store = FolderLabelStore(labelling.folder / "a")
    labels = list(store.labels())
    assert len(labels) == 8
    assert all((x.status is LabelStatus.OK) == (x.reason is None) for x in labels)
    assert ended.code == any(x.status is LabelStatus.FAILED for x in labels), ended.err
    assert sum(result.n_failed for label in labels for result in label.results) > 20
    for result in (result for label in labels for result in label.results):
        failed = [t for t in result.trials if t.failure is not None]
        assert result.n_asked == result.n_judged + len(failed) == len(result.trials)
        assert all(t.predicted is None and t.verdict is None and t.failure for t in failed)
        # The trials of the token table are not kept.
        kept = result.scorer != "lookup"
        assert all(score.n_windows <= result.n_judged for score in result.scores if kept)
        assert all(s.value is None or math.isfinite(s.value) for s in result.scores)
    for label in labels:
        if label.status is LabelStatus.OK:
            assert label.headline.value == pytest.approx(judged_alone(store, label), abs=1e-12)


def test_the_same_faults_give_the_same_labels(labelling: Labelling) -> None:
    for out in ("a", "b"):
        run_under_faults(labelling, Disturbance(3, share=0.3), out, "--units", "0:0-2")
    assert labelling.tables("a") == labelling.tables("b")


@pytest.mark.parametrize("kind", [*PASSING, *SPOILT])
def test_a_job_ends_under_three_tenths_of_one_fault(labelling: Labelling, kind: str) -> None:
    few = ("--units", "0:0-1", "--samples", "2", "--heldout", "8")
    disturbance = Disturbance(4, share=0.3, only=kind)
    with FakeEndpoint(answering(0)) as endpoint:
        endpoint.disturb = disturbance
        arguments = labelling.arguments("a", *EVERYTHING, *few, llm=endpoint.base_url)
        ended = labelling(arguments, options=PATIENT)
    labels = list(FolderLabelStore(labelling.folder / "a").labels())
    failed = [x for x in labels if x.status is LabelStatus.FAILED]
    assert ended.code == bool(failed), ended.err
    assert len(labels) == 2
    assert set(disturbance.injected) == {kind}
    results = [result for label in labels for result in label.results]
    assert all(r.n_asked == r.n_judged + r.n_failed for r in results)
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("units", ["0:0", "0:0-5"])
def test_an_endpoint_that_cuts_every_long_question_stops_the_run_soon(
    labelling: Labelling, units: str
) -> None:
    with FakeEndpoint(answering(0)) as endpoint:
        endpoint.dress = lambda body: cut() if len(json.dumps(body)) > 1_500 else None
        arguments = labelling.arguments("a", "--units", units, llm=endpoint.base_url)
        ended = labelling(arguments, options=replace(PATIENT, attempts=5))
        assert ended.code == 3
        said = f"the LLM at {endpoint.base_url} cut the connection; it is asked again, for at most"
        assert ended.err.count(said) == 1
        assert f"{endpoint.base_url} cut the connection, " in ended.err
        assert len(endpoint.bodies) < 80


def test_a_question_that_is_always_cut_fails_its_unit_and_others_go_on(
    labelling: Labelling,
) -> None:
    def dress(body: dict[str, Any]) -> Fault | None:
        # In the plain form instructions stand before it.
        questions = [one["messages"][-1]["content"][-200:] for one in endpoint.bodies]
        return (
            cut() if questions and body["messages"][-1]["content"].endswith(questions[0]) else None
        )

    with FakeEndpoint(answering(0)) as endpoint:
        endpoint.dress = dress
        arguments = labelling.arguments("a", *ALONE, "--samples", "1", llm=endpoint.base_url)
        ended = labelling(arguments, options=PATIENT)
    assert ended.code == 1
    labels = list(FolderLabelStore(labelling.folder / "a").labels())
    assert [x.status for x in labels].count(LabelStatus.FAILED) == 1
    assert len(labels) == 6
    [reason] = [str(x.reason) for x in labels if x.status is LabelStatus.FAILED]
    # One time-out more where the machine is busy.
    assert re.search(rf"{re.escape(endpoint.base_url)} cut the connection, [67] times", reason)


class Refusing:
    """Answers well so many times, and from then on with one status."""

    def __init__(self, number: int, *, after: int) -> None:
        self.number, self.left, self.refused = number, after, 0
        self._lock = threading.Lock()

    def __call__(self, body: dict[str, Any], good: Fault) -> Fault:
        with self._lock:
            self.left -= 1
            if self.left >= 0:
                return good
            self.refused += not is_probe(body)
        return status(self.number, "no more of this")


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (401, "does not accept the API key; set AUTOINTERP_LLM_API_KEY"),
        (402, "the account has no credit left; add credit or use another endpoint"),
        (403, "the API key may not use model 'fake'"),
        (404, "answered 404 for model 'fake': check AUTOINTERP_LLM_BASE_URL"),
        (413, "the request is larger than it takes; show fewer exemplars or shorter windows"),
        (422, "it does not understand the request; check that it is OpenAI-compatible"),
    ],
)
def test_a_refusal_stops_the_job_with_one_sentence_and_is_not_repeated(
    labelling: Labelling, number: int, message: str
) -> None:
    with FakeEndpoint(answering(0)) as endpoint:
        # Explaining takes 84 questions, a unit's scores 16 more, four units at once.
        endpoint.disturb = refusing = Refusing(number, after=160)
        endpoint.disturbs_probes = True
        arguments = labelling.arguments("a", *ALONE, llm=endpoint.base_url)
        ended = labelling(arguments)
        assert ended.code == 3
        assert ended.err.count(message) == 1
        assert "Traceback" not in ended.err
        # Those on their way, and those that took their place before the job had stopped.
        assert 1 <= refusing.refused <= 2 * IMPATIENT.max_in_flight
        asked = Counter(json.dumps(body, sort_keys=True) for body in endpoint.bodies)
        assert set(asked.values()) == {1}
        kept = labelling.contents("a")
        assert 0 < len(kept) < 6

        endpoint.disturb = lambda _, good: good
        assert labelling([*arguments, "--resume"]).code == 0
        again = Counter(json.dumps(body, sort_keys=True) for body in endpoint.bodies)
        # What was refused, and what was on its way when the job stopped.
        assert sum(again[body] > 1 for body in asked) <= 2 * IMPATIENT.max_in_flight
        assert max(again.values()) <= 2
    assert {row: row.content for row in kept} == kept


@pytest.mark.parametrize("n_answered", [10, 70])
def test_after_a_kill_only_answers_that_were_not_kept_are_paid_again(
    labelling: Labelling, n_answered: int
) -> None:
    more = (*EVERYTHING, "--units", "0:0-1", "--heldout", "12")
    with FakeEndpoint(answering(0)) as endpoint:
        arguments = labelling.arguments("a", *more, llm=endpoint.base_url)
        # Killed in full flow, and surely before the end.
        held = HeldRequests(endpoint, hold_when=lambda: len(endpoint.answered) >= n_answered + 8)
        running = labelling.spawn(arguments)
        wait_until(lambda: len(endpoint.answered) >= n_answered or running.poll() is not None)
        running.send_signal(signal.SIGKILL)
        _, printed = running.communicate(timeout=300)
        assert running.returncode == -signal.SIGKILL, printed
        held.release()
        endpoint.until_quiet()
        replies = list((labelling.folder / "cache" / "replies").rglob("*.json"))
        n_lost = len(endpoint.answered) - len(replies)
        # What was on its way, or answered and not yet on the disk: a call each.
        assert 0 <= n_lost <= 4

        resumed = labelling([*arguments, "--resume"])
        assert resumed.code == 0, resumed.err
        paid = Counter(json.dumps(body, sort_keys=True) for body in endpoint.answered)
        assert max(paid.values()) <= 2
        assert sum(times == 2 for times in paid.values()) == n_lost
        n_paid = len(endpoint.answered)
        assert labelling(labelling.arguments("whole", *more, llm=endpoint.base_url)).code == 0
        assert len(endpoint.answered) == n_paid
    assert labelling.tables("a") == labelling.tables("whole")

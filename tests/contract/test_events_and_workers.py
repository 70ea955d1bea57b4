"""What every implementation keeps to: events, workers, requests to them, notes."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from stored_jobs import commit, put_up

from autointerp.core.errors import InputError
from autointerp.store.jobs import JobBackend


def test_events_are_read_from_where_one_was(backend: JobBackend) -> None:
    job = put_up(backend)
    for index in range(5):
        commit(backend, job, index)
    events = backend.jobs.events(job)
    assert [event.data.get("index") for event in events] == [None, 0, 1, 2, 3, 4]
    assert [e.data["index"] for e in backend.jobs.events(job, after=events[3].id)] == [3, 4]
    assert len(backend.jobs.events(job, limit=2)) == 2
    assert backend.jobs.events(job, after=events[-1].id) == []
    order = [tuple(map(int, event.id.split("-"))) for event in events]
    assert order == sorted(set(order))


@pytest.mark.parametrize("bad", ["x", "1-", "1-x", "-1", "1-2-3", "", "9" * 40])
def test_an_id_that_is_none_of_an_event_is_refused(backend: JobBackend, bad: str) -> None:
    job = put_up(backend)
    with pytest.raises(InputError, match="invalid event id"):
        backend.jobs.events(job, after=bad)


def test_a_reader_waits_for_the_next_event(backend: JobBackend) -> None:
    job = put_up(backend)
    last = backend.jobs.events(job)[-1].id
    began = time.monotonic()
    assert backend.jobs.events(job, after=last, wait_s=0.1) == []
    assert time.monotonic() - began >= 0.09
    later = threading.Timer(0.1, commit, (backend, job, 7))
    later.start()
    assert [e.data["index"] for e in backend.jobs.events(job, after=last, wait_s=600)] == [7]
    assert time.monotonic() - began < 300
    later.join()


def test_workers_are_listed_while_their_sign_of_life_holds(backend: JobBackend) -> None:
    assert backend.workers.alive() == []
    backend.workers.heartbeat("b", "labels", None, ttl_s=60)
    backend.workers.heartbeat("a", "activations", "job_1/plan/0", ttl_s=60)
    backend.workers.heartbeat("c", "labels", None, ttl_s=0.02)
    time.sleep(0.05)
    found = backend.workers.alive()
    assert [(w.name, w.queue, w.doing) for w in found] == [
        ("a", "activations", "job_1/plan/0"),
        ("b", "labels", None),
    ]
    assert all(0 <= worker.seen_s_ago < 300 for worker in found)


def test_one_leads_until_it_is_silent(backend: JobBackend) -> None:
    assert backend.workers.lead("reconciler", "a", ttl_s=60)
    assert not backend.workers.lead("reconciler", "b", ttl_s=60)
    assert backend.workers.lead("reconciler", "a", ttl_s=0.05)
    assert backend.workers.lead("other", "b", ttl_s=60)
    time.sleep(0.1)
    assert backend.workers.lead("reconciler", "b", ttl_s=60)
    assert not backend.workers.lead("reconciler", "a", ttl_s=60)


def test_an_answer_reaches_everybody_who_asks(backend: JobBackend) -> None:
    assert backend.mailbox.await_reply("q", wait_s=0.02) is None
    later = threading.Timer(0.1, backend.mailbox.reply, ("q", "é 42"))
    later.start()
    with ThreadPoolExecutor(3) as pool:
        answers = pool.map(lambda _: backend.mailbox.await_reply("q", wait_s=300), range(3))
        assert list(answers) == ["é 42"] * 3
    later.join()
    backend.mailbox.reply("q", "late")
    assert backend.mailbox.await_reply("q", wait_s=0) == "é 42"


def test_questions_are_taken_once_oldest_first(backend: JobBackend) -> None:
    assert backend.mailbox.next_request("labels") is None
    for name in ("a", "b"):
        backend.mailbox.send("labels", name, f"{name}?", ttl_s=600)
    backend.mailbox.send("activations", "c", "c?", ttl_s=60)
    taken = [backend.mailbox.next_request("labels"), backend.mailbox.next_request("labels")]
    assert [(q.id, q.text) for q in taken if q] == [("a", "a?"), ("b", "b?")]
    assert all(300 < q.left_s <= 600 for q in taken if q)
    assert backend.mailbox.next_request("labels", wait_s=0.02) is None
    last = backend.mailbox.next_request("activations")
    assert last is not None
    assert last.text == "c?"


def test_a_question_is_waited_for_and_given_to_one(backend: JobBackend) -> None:
    with ThreadPoolExecutor(2) as pool:
        waiting = [
            pool.submit(backend.mailbox.next_request, "labels", wait_s=300) for _ in range(2)
        ]
        time.sleep(0.1)
        for name in ("q", "r"):
            backend.mailbox.send("labels", name, f"{name} é?", ttl_s=600)
        taken = [one.result() for one in waiting]
    assert sorted(q.text for q in taken if q is not None) == ["q é?", "r é?"]


def test_a_question_that_nobody_waits_for_any_more_is_passed_over(backend: JobBackend) -> None:
    backend.mailbox.send("labels", "old", "old?", ttl_s=0.02)
    backend.mailbox.send("labels", "new", "new?", ttl_s=60)
    time.sleep(0.05)
    taken = backend.mailbox.next_request("labels")
    assert taken is not None
    assert taken.id == "new"


def test_an_answer_is_forgotten_after_a_while(backend: JobBackend) -> None:
    backend.mailbox.reply("q", "42", ttl_s=0.02)
    time.sleep(0.05)
    assert backend.mailbox.await_reply("q", wait_s=0) is None


def test_notes_are_kept_by_owner_and_name(backend: JobBackend) -> None:
    backend.jobs.put_note("models", "tiny", "{}")
    backend.jobs.put_note("models", "tiny", '{"n": 1}')
    assert backend.jobs.note("models", "tiny") == '{"n": 1}'
    assert backend.jobs.note("models", "other") is None
    assert backend.jobs.note("other", "tiny") is None


def test_of_notes_that_are_written_once_the_first_stays(backend: JobBackend) -> None:
    assert backend.jobs.first_note("sessions", "secret", "a") == "a"
    assert backend.jobs.first_note("sessions", "secret", "b") == "a"
    assert backend.jobs.note("sessions", "secret") == "a"
    backend.jobs.put_note("sessions", "other", "c")
    assert backend.jobs.first_note("sessions", "other", "d") == "c"


def test_a_brief_note_is_gone_after_its_time(backend: JobBackend) -> None:
    for owner, ttl_s in (("short", 0.02), ("long", 60.0)):
        backend.jobs.put_brief_note(owner, "a", ttl_s=ttl_s)
    assert backend.jobs.note("long", "") == "a"
    time.sleep(0.05)
    assert [backend.jobs.note(owner, "") for owner in ("short", "long")] == [None, "a"]
    backend.jobs.put_brief_note("short", "b", ttl_s=60.0)
    assert backend.jobs.note("short", "") == "b"

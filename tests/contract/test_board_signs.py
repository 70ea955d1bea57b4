"""What every implementation of the Board protocol keeps to: events, workers, answers, notes."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from boards import commit, put_up

from autointerp.core.errors import InputError
from autointerp.store.board import Board


def test_events_are_read_from_where_one_was(board: Board) -> None:
    job = put_up(board)
    for index in range(5):
        commit(board, job, index)
    events = board.events(job)
    assert [event.data.get("index") for event in events] == [None, 0, 1, 2, 3, 4]
    assert [e.data["index"] for e in board.events(job, after=events[3].id)] == [3, 4]
    assert len(board.events(job, limit=2)) == 2
    assert board.events(job, after=events[-1].id) == []
    order = [tuple(map(int, event.id.split("-"))) for event in events]
    assert order == sorted(set(order))


@pytest.mark.parametrize("bad", ["x", "1-", "1-x", "-1", "1-2-3", "", "9" * 40])
def test_an_id_that_is_none_of_an_event_is_refused(board: Board, bad: str) -> None:
    job = put_up(board)
    with pytest.raises(InputError, match="is no id of an event"):
        board.events(job, after=bad)


def test_a_reader_waits_for_the_next_event(board: Board) -> None:
    job = put_up(board)
    last = board.events(job)[-1].id
    began = time.monotonic()
    assert board.events(job, after=last, wait_s=0.1) == []
    assert time.monotonic() - began >= 0.09
    later = threading.Timer(0.1, commit, (board, job, 7))
    later.start()
    assert [e.data["index"] for e in board.events(job, after=last, wait_s=600)] == [7]
    assert time.monotonic() - began < 300
    later.join()


def test_workers_are_listed_while_their_sign_of_life_holds(board: Board) -> None:
    assert board.workers() == []
    board.say_alive("b", "labels", None, ttl_s=60)
    board.say_alive("a", "activations", "job_1/plan/0", ttl_s=60)
    board.say_alive("c", "labels", None, ttl_s=0.02)
    time.sleep(0.05)
    found = board.workers()
    assert [(w.name, w.queue, w.doing) for w in found] == [
        ("a", "activations", "job_1/plan/0"),
        ("b", "labels", None),
    ]
    assert all(0 <= worker.seen_s_ago < 300 for worker in found)


def test_one_leads_until_it_is_silent(board: Board) -> None:
    assert board.lead("reconciler", "a", ttl_s=60)
    assert not board.lead("reconciler", "b", ttl_s=60)
    assert board.lead("reconciler", "a", ttl_s=0.05)
    assert board.lead("other", "b", ttl_s=60)
    time.sleep(0.1)
    assert board.lead("reconciler", "b", ttl_s=60)
    assert not board.lead("reconciler", "a", ttl_s=60)


def test_an_answer_reaches_everybody_who_asks(board: Board) -> None:
    assert board.await_answer("q", wait_s=0.02) is None
    later = threading.Timer(0.1, board.answer, ("q", "é 42"))
    later.start()
    with ThreadPoolExecutor(3) as pool:
        answers = pool.map(lambda _: board.await_answer("q", wait_s=300), range(3))
        assert list(answers) == ["é 42"] * 3
    later.join()
    board.answer("q", "late")
    assert board.await_answer("q", wait_s=0) == "é 42"


def test_questions_are_taken_once_oldest_first(board: Board) -> None:
    assert board.next_question("labels") is None
    for name in ("a", "b"):
        board.ask("labels", name, f"{name}?", ttl_s=600)
    board.ask("activations", "c", "c?", ttl_s=60)
    taken = [board.next_question("labels"), board.next_question("labels")]
    assert [(q.id, q.text) for q in taken if q] == [("a", "a?"), ("b", "b?")]
    assert all(300 < q.left_s <= 600 for q in taken if q)
    assert board.next_question("labels", wait_s=0.02) is None
    last = board.next_question("activations")
    assert last is not None
    assert last.text == "c?"


def test_a_question_is_waited_for_and_given_to_one(board: Board) -> None:
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(board.next_question, "labels", wait_s=300) for _ in range(2)]
        time.sleep(0.1)
        for name in ("q", "r"):
            board.ask("labels", name, f"{name} é?", ttl_s=600)
        taken = [one.result() for one in waiting]
    assert sorted(q.text for q in taken if q is not None) == ["q é?", "r é?"]


def test_a_question_that_nobody_waits_for_any_more_is_passed_over(board: Board) -> None:
    board.ask("labels", "old", "old?", ttl_s=0.02)
    board.ask("labels", "new", "new?", ttl_s=60)
    time.sleep(0.05)
    taken = board.next_question("labels")
    assert taken is not None
    assert taken.id == "new"


def test_an_answer_is_forgotten_after_a_while(board: Board) -> None:
    board.answer("q", "42", ttl_s=0.02)
    time.sleep(0.05)
    assert board.await_answer("q", wait_s=0) is None


def test_notes_are_kept_by_owner_and_name(board: Board) -> None:
    board.put_note("models", "tiny", "{}")
    board.put_note("models", "tiny", '{"n": 1}')
    assert board.note("models", "tiny") == '{"n": 1}'
    assert board.note("models", "other") is None
    assert board.note("other", "tiny") is None

"""A feature that a worker is asked to look for, in a real model."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny_texts
from worker_in_process import WorkerInProcess

from autointerp.api.schemas.find_schemas import FindRequest, FoundFeature
from autointerp.core.causal_json import causal_json
from autointerp.core.ids import Side
from autointerp.jobs.worker.requests import RequestHandler
from autointerp.jobs.worker.resources import LoadedModels
from autointerp.store.jobs import WorkerRequest
from autointerp.wiring.find_runs import find

WITH = [f"the river runs {n}" for n in range(30)]
WITHOUT = [f"old stones sleep {n}" for n in range(30)]


@pytest.fixture(scope="module")
def room(
    tmp_path_factory: pytest.TempPathFactory, model_folder: Path, texts: Path
) -> WorkerInProcess:
    return WorkerInProcess(tmp_path_factory.mktemp("room"), model_folder, texts)


def asked_of(room: WorkerInProcess, *, left_s: float = 600.0, **asked: Any) -> Any:
    """A worker's reply."""
    body = FindRequest.model_validate({"n_ctx": 16, "n": 3, "k": [2, 1], **asked})
    payload = body.model_dump(mode="json", exclude_none=True) | {"model": "tiny"}
    text = json.dumps(["find", json.dumps(payload)])
    name = secrets.token_hex(8)
    RequestHandler(room.dependencies, LoadedModels(room.dependencies)).handle(
        WorkerRequest(name, text, left_s)
    )
    return json.loads(room.backend.mailbox.await_reply(name, wait_s=1) or "null")


def test_texts_are_looked_in_as_the_command_looks_in_files(
    room: WorkerInProcess, model_folder: Path, tmp_path: Path
) -> None:
    found = FoundFeature.model_validate(asked_of(room, positive=WITH, negative=WITHOUT))
    for name, lines in (("p.txt", WITH), ("n.txt", WITHOUT)):
        (tmp_path / name).write_text("\n".join(lines))
    report = find(
        str(model_folder),
        positive=tmp_path / "p.txt",
        negative=tmp_path / "n.txt",
        **{"tokens": 8192, "n_ctx": 16, "n": 3, "ks": (2, 1), "exact_s": 5.0},
    )
    of_command = causal_json(report)
    of_request = found.model_dump(mode="json")
    assert [one["tested"] for one in of_request["units"]] == [
        one["tested"] for one in of_command["units"]
    ]
    assert of_request["probes"]["verdict"]["carrier"] == of_command["probes"]["verdict"]["carrier"]
    assert of_request["ranked"] == of_command["ranked"]
    assert [line["k"] for line in of_request["probes"]["lines"]] == [2, 1]


def test_the_score_on_held_out_documents_has_an_interval(room: WorkerInProcess) -> None:
    found = FoundFeature.model_validate(asked_of(room, positive=WITH, negative=WITHOUT, k=[], n=25))
    assert found.probes is None
    first, behind = found.units[:20], found.units[20:]
    assert all(
        one.tested_low is not None and one.tested_low <= (one.tested or 0) <= one.tested_high
        for one in first
        if one.tested_high is not None
    )
    assert all(one.tested_high is not None for one in first)
    assert [one.tested_low for one in behind] == [None] * 5


def test_labelled_spans_and_patterns_say_which_tokens_are_meant(
    room: WorkerInProcess, texts: Path
) -> None:
    rows = [
        {"text": text, "spans": [[text.index("river"), text.index("river") + 5]]}
        for text in tiny_texts(60, n_words=40)
        if "river" in text
    ]
    by_span = FoundFeature.model_validate(asked_of(room, examples=rows, k=[]))
    assert by_span.ranked.n_positive + by_span.tested.n_positive == len(rows)
    given = {"regex": "river|stones", "corpus": str(texts), "tokens": 2000, "k": []}
    by_pattern = FoundFeature.model_validate(asked_of(room, **given))
    assert by_pattern.hard == "the same tokens elsewhere"
    assert by_pattern.units[0].side in Side
    assert by_pattern.seconds.keys() == {"text", "rank", "record"}


def test_probes_of_more_units_than_there_are_leave_a_note(room: WorkerInProcess) -> None:
    reply = asked_of(room, positive=WITH, negative=WITHOUT, units="1:0-2", k=[16, 4, 2, 1])
    found = FoundFeature.model_validate(reply)
    assert found.probes is not None
    assert [line.k for line in found.probes.lines] == [2, 1]
    assert found.notes == ["no probe of 16, 4 units: 3 were to be ranked"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"positive": WITH, "negative": WITHOUT, "units": "layer:7"}, "there is no layer 7"),
        ({"positive": WITH[:6], "negative": WITHOUT[:6]}, "12 different texts are too few"),
        (
            {"positive": WITH[:1], "negative": WITHOUT},
            "give more texts of either kind, or longer ones",
        ),
        (
            {"regex": "qqqq", "corpus": "TEXTS", "tokens": 2000},
            "read more tokens, or another corpus",
        ),
        ({"positive": WITH, "negative": WITHOUT, "n_ctx": 1000}, "do not fit tiny"),
    ],
)
def test_what_cannot_be_looked_for_is_one_sentence(
    room: WorkerInProcess, texts: Path, asked: dict[str, Any], said: str
) -> None:
    given = {name: str(texts) if value == "TEXTS" else value for name, value in asked.items()}
    reply = asked_of(room, **given)
    assert reply.get("code") == "input", reply
    assert said in reply["error"]


def test_a_search_ends_when_nobody_waits_for_it_any_more(room: WorkerInProcess) -> None:
    reply = asked_of(room, positive=WITH, negative=WITHOUT, left_s=0.0)
    assert reply["code"] == "busy"
    assert "ask again, with fewer tokens or texts" in reply["error"]

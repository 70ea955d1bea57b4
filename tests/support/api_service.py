"""The API on jobs and stores in memory, with a job service that sends its work nowhere."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from causal_replies import find_evidence
from factories import make_label, make_results, make_sets, make_unit
from fastapi import FastAPI
from find_replies import find_feature
from memory_jobs import MemoryJobs
from memory_store import MemoryLabelStores
from pydantic import TypeAdapter

from autointerp.api import ApiConfig, Services, create_app
from autointerp.api.server import uvicorn_config
from autointerp.core.explanations import Label, LabelStatus
from autointerp.core.job_state import WorkItem
from autointerp.core.scores import ScorerResult
from autointerp.dictionary import row_json
from autointerp.orchestration import JobService, SubmissionPolicy
from autointerp.store.artifacts import Artifacts
from autointerp.store.jobs import JobBackend
from autointerp.store.labels import LabelStores

READ, SUBMIT, ADMIN = "read-key-0123456789", "submit-key-0123456789", "admin-key-0123456789"
HEADERS = {"host": "127.0.0.1"}
JOB = {"subject": "tiny", "units": "5:0-9", "llm": "none"}
LOST = make_unit(7, hook="blocks.12.mlp.hook_post")


@dataclass
class Worker:
    """Answers questions at once, by what a test puts here; never where that is None."""

    backend: JobBackend
    reply: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def ask(self, question: str, kind: str, payload: str, wait_s: float) -> None:
        assert wait_s > 0
        asked = json.loads(payload)
        self.asked.append((kind, asked))
        if self.reply is not None:
            self.backend.mailbox.reply(question, json.dumps(self.reply(asked)))


def read_words(asked: dict[str, Any]) -> dict[str, Any]:
    """What a worker says of activations: a token a word, and 0.5 on each."""
    ids = asked.get("token_ids")
    words = asked["text"].split(" ") if ids is None else [f"<{one}>" for one in ids]
    rows = [
        {"unit": f"{asked['model']}/blocks.5.mlp.hook_post/1", "activations": [0.5] * len(words)}
    ]
    found = {"token_ids": ids or list(range(len(words))), "tokens": words, "units": rows}
    return {"model": asked["model"], "text": asked.get("text", "".join(words)), **found}


def score_words(asked: dict[str, Any]) -> dict[str, Any]:
    """What a worker says of a person's explanation."""
    results = TypeAdapter(tuple[ScorerResult, ...]).dump_python(make_results()[:1], mode="json")
    text = asked["text"] or asked["program"]
    return {"unit": asked["unit"], "side": asked["side"], "text": text, "results": results}


def embed_letters(asked: dict[str, Any]) -> dict[str, Any]:
    """Vectors of texts by how often each letter stands in them."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    counts = [[text.lower().count(letter) for letter in letters] for text in asked["texts"]]
    vectors = np.array(counts, np.float32) + 0.01
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    packed = base64.b64encode(vectors.astype("<f2").tobytes()).decode()
    return {"width": len(letters), "vectors": packed}


def find_units(asked: dict[str, Any]) -> dict[str, Any]:
    """What a worker says of the strongest units: 5:131 of its label, and one without."""
    hook, maxima = "blocks.5.mlp.hook_post", {}
    for known in asked["maxima"]:
        if (known["hook"], known["side"]) == ("blocks.5.mlp.hook_post", "positive"):
            maxima = dict(zip(known["indices"], known["maxima"], strict=True))
    tokens = asked.get("text", "a b").split(" ")
    at = min(1, len(tokens) - 1)
    units = [
        {
            **{"unit": f"{asked['model']}/{hook}/{index}", "side": "positive", "position": at},
            **{"activation": 0.5 * maxima.get(index, 1.0), "maximum": maxima.get(index)},
            "relative": 0.5 if index in maxima else None,
        }
        for index in (131, 9)
    ]
    text = {"text": " ".join(tokens), "token_ids": list(range(len(tokens))), "tokens": tokens}
    return {"model": asked["model"], **text, "hooks": [hook], "units": units}


TEXT_AROUND = {
    **{"before": "Once ", "window": "the Rhine", "after": " ran."},
    **{"n_before": 0, "n_after": 7},
}


def answer_all(asked: dict[str, Any]) -> dict[str, Any]:
    """Any of them."""
    if "document" in asked:
        return TEXT_AROUND
    if "rank_by" in asked:
        return find_feature(asked)
    if "n_controls" in asked:
        return find_evidence(asked)
    if "texts" in asked:
        return embed_letters(asked)
    if "maxima" in asked:
        return find_units(asked)
    return read_words(asked) if "units" in asked else score_words(asked)


def say_alive(backend: JobBackend) -> None:
    """A worker of each kind."""
    for queue in ("activations", "labels"):
        backend.workers.heartbeat(f"{queue}-1", queue, None, ttl_s=3600)


@dataclass
class Service:
    """Everything that a test looks at."""

    app: FastAPI
    backend: JobBackend
    stores: LabelStores
    worker: Worker
    sent: list[WorkItem]


def make_service(
    folder: Path,
    *,
    stores: LabelStores | None = None,
    backend: JobBackend | None = None,
    artifacts: str | None = None,
    fill: bool = True,
    folders: tuple[Path, ...] = (),
    **config: Any,
) -> Service:
    """The API with three labels of the model ``tiny``, or with those that the stores have.

    Further keyword arguments are of `ApiConfig`.
    """
    backend = backend or MemoryJobs().backend
    stores = stores or MemoryLabelStores(row_json)
    if fill:
        seas = make_label(make_unit(132), text="names of seas", score=0.9)
        put_labels(stores, [make_label(), seas, make_label(LOST, status=LabelStatus.DEAD)])
        stores.of("tiny").put_sets(make_sets())
    worker, sent = Worker(backend), []
    jobs = JobService(
        backend,
        Artifacts(artifacts or str(folder / "artifacts")),
        send=_into(sent),
        send_request=worker.ask,
        policy=SubmissionPolicy(("tiny", "smollm2-135m"), ("none", "embedded"), folders=folders),
    )
    settings = {"refresh_s": 0.0, "folder": folder / "downloads", **config}
    services = Services(
        backend=backend, stores=stores, job_service=jobs, config=ApiConfig(**settings)
    )
    return Service(create_app(services), backend, stores, worker, sent)


def put_labels(stores: LabelStores, labels: Sequence[Label]) -> None:
    """Keeps them, each with its model."""
    for label in labels:
        stores.of(label.unit.subject).put_label(label)


def _into(sent: list[WorkItem]) -> Callable[[Sequence[WorkItem]], None]:
    def send(items: Sequence[WorkItem]) -> None:
        sent.extend(items)

    return send


@contextmanager
def listening(app: FastAPI, **limits: Any) -> Iterator[str]:
    """The base URL at which the application answers on a free port of this machine.

    Keyword arguments are of `uvicorn_config`.
    """
    config = uvicorn_config(app, host="127.0.0.1", port=0, **limits)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("uvicorn did not start")
        threading.Event().wait(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=300)

"""A real HTTP server on loopback that keeps files and runs batches as OpenAI does.

A batch moves on by one status each time it is looked at. Its results come in another order than
its requests; failed ones lie in a file of their own.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

STEPS = ("validating", "in_progress", "finalizing", "completed")
EXPIRED = "This request could not be executed before the completion window expired."
REQUIRED = {"custom_id", "method", "url", "body"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that was run and answered with an error."""

    status: int
    message: str


Answer = str | Refusal | None
"""A text; an error; None for a request without any result line."""


@dataclass
class _Batch:
    id: str
    input_file_id: str
    metadata: dict[str, str]
    step: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    n_done: int = 0
    n_failed: int = 0


class FakeBatches:
    """A server that runs while its ``with`` block does."""

    def __init__(self, handler: Callable[[dict[str, Any]], Answer]) -> None:
        self.handler = handler
        self.end = "completed"
        """How batches end: completed, expired, failed or cancelled."""
        self.n_before_the_end = 0
        """Requests run before a batch expires or is cancelled."""
        self.steps = STEPS[:-1]
        """Statuses before the end."""
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, _Batch] = {}
        self.paid: list[str] = []
        """Custom ids of requests that were run, in order."""
        self.headers: list[dict[str, str]] = []
        self.faults: dict[str, list[str]] = {}
        """``METHOD path`` to what goes wrong the next times: a status, or ``lost``: done, but the
        connection is cut before the answer."""
        self.lock = threading.RLock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.fake = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def base_url(self) -> str:
        """Address for clients."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def upload(self, content_type: str, body: bytes) -> tuple[int, Any]:
        fields = _multipart(content_type, body)
        if fields["purpose"] != b"batch":
            return _error(400, "purpose must be batch")
        return 200, self._keep(fields["file"], "batch")

    def create(self, wanted: dict[str, Any]) -> tuple[int, Any]:
        if wanted["completion_window"] != "24h" or wanted["endpoint"] != "/v1/chat/completions":
            return _error(400, "unknown window or endpoint")
        if wanted["input_file_id"] not in self.files:
            return _error(404, "no such file")
        batch = _Batch(
            f"batch_{len(self.batches) + 1}",
            wanted["input_file_id"],
            wanted.get("metadata") or {},
        )
        batch.errors = _faults(self.files[batch.input_file_id])
        self.batches[batch.id] = batch
        return 200, self._shown(batch)

    def look(self, name: str) -> tuple[int, Any]:
        batch = self.batches.get(name)
        if batch is None:
            return _error(404, f"No batch found with id '{name}'.")
        shown = self._shown(batch)
        if batch.step < len(self._road(batch)) - 1:
            batch.step += 1
            if batch.step == len(self._road(batch)) - 1:
                self._run(batch)
        return 200, shown

    def page(self) -> tuple[int, Any]:
        newest = [self._shown(batch) for batch in reversed(self.batches.values())]
        return 200, {"object": "list", "data": newest, "has_more": False}

    def _road(self, batch: _Batch) -> tuple[str, ...]:
        if batch.errors or self.end == "failed":
            return ("validating", "failed")
        return (*self.steps, self.end)

    def _run(self, batch: _Batch) -> None:
        status = self._road(batch)[batch.step]
        if status == "failed":
            return
        requests = [json.loads(line) for line in self.files[batch.input_file_id].splitlines()]
        n_run = len(requests) if status == "completed" else self.n_before_the_end
        good, bad = [], []
        for place, request in enumerate(requests):
            line = self._line(request, status) if place < n_run else _never_run(request, status)
            if line is not None:
                succeeded = line["response"] and line["response"]["status_code"] == 200
                (good if succeeded else bad).append(line)
        batch.n_done, batch.n_failed = len(good), len(bad)
        for name, lines in (("output_file_id", good), ("error_file_id", bad)):
            if lines:
                text = "".join(json.dumps(line) + "\n" for line in reversed(lines))
                batch.files[name] = self._keep(text.encode(), "batch_output")["id"]

    def _line(self, request: dict[str, Any], status: str) -> dict[str, Any] | None:
        answer = self.handler(request["body"])
        self.paid.append(request["custom_id"])
        if answer is None:
            return None
        if isinstance(answer, Refusal):
            code = answer.status
            body: dict[str, Any] = {"error": {"message": answer.message, "type": "fake"}}
        else:
            code, body = 200, _completion(answer, request["body"])
        response = {"status_code": code, "request_id": "req_1", "body": body}
        named = {"id": "batch_req_1", "custom_id": request["custom_id"]}
        return {**named, "response": response, "error": None}

    def _keep(self, data: bytes, purpose: str) -> dict[str, Any]:
        name = f"file-{len(self.files) + 1}"
        self.files[name] = data
        about = {"bytes": len(data), "created_at": 0, "filename": "x.jsonl", "purpose": purpose}
        return {"id": name, "object": "file", "status": "processed", **about}

    def _shown(self, batch: _Batch) -> dict[str, Any]:
        n = len(self.files[batch.input_file_id].splitlines())
        status = self._road(batch)[batch.step]
        ended = status not in STEPS[:-1]
        return {
            "id": batch.id,
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "errors": {"object": "list", "data": batch.errors} if status == "failed" else None,
            "input_file_id": batch.input_file_id,
            "completion_window": "24h",
            "status": status,
            "output_file_id": batch.files.get("output_file_id") if ended else None,
            "error_file_id": batch.files.get("error_file_id") if ended else None,
            "created_at": 0,
            "request_counts": {
                "total": n,
                "completed": batch.n_done if ended else 0,
                "failed": batch.n_failed if ended else 0,
            },
            "metadata": batch.metadata,
        }


class _Server(ThreadingHTTPServer):
    fake: FakeBatches


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""

    def do_GET(self) -> None:
        self._do("GET", b"")

    def do_POST(self) -> None:
        self._do("POST", self.rfile.read(int(self.headers["Content-Length"])))

    def _do(self, method: str, body: bytes) -> None:
        path = self.path.partition("?")[0].removeprefix("/v1")
        fake = self.server.fake
        with fake.lock:
            fake.headers.append({k.lower(): v for k, v in self.headers.items()})
            waiting = fake.faults.get(f"{method} {path}")
            fault = waiting.pop(0) if waiting else None
            if fault is not None and fault.isdigit():
                code, answer = _error(int(fault), f"fake {fault}")
            else:
                code, answer = self._answer(method, path, body)
        if fault == "lost":
            self.close_connection = True
            return
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(code)
        kind = "octet-stream" if isinstance(answer, bytes) else "json"
        self.send_header("Content-Type", f"application/{kind}")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        fake = self.server.fake
        if (method, path) == ("POST", "/files"):
            return fake.upload(self.headers["Content-Type"], body)
        if (method, path) == ("POST", "/chat/completions"):
            # To find out what is taken; questions go into batches.
            return 200, _completion("yes", json.loads(body))
        if (method, path) == ("POST", "/batches"):
            return fake.create(json.loads(body))
        if (method, path) == ("GET", "/batches"):
            return fake.page()
        found = re.fullmatch(r"/batches/([\w-]+)", path)
        if method == "GET" and found:
            return fake.look(found[1])
        found = re.fullmatch(r"/files/([\w-]+)/content", path)
        if method == "GET" and found and found[1] in fake.files:
            return 200, fake.files[found[1]]
        return _error(404, "not found")


def _multipart(content_type: str, body: bytes) -> dict[str, bytes]:
    boundary = content_type.partition("boundary=")[2].encode()
    fields = {}
    for part in body.split(b"--" + boundary)[1:-1]:
        head, _, data = part.partition(b"\r\n\r\n")
        name = re.search(rb'name="(\w+)"', head)
        assert name is not None
        fields[name[1].decode()] = data.removesuffix(b"\r\n")
    return fields


def _faults(data: bytes) -> list[dict[str, Any]]:
    """What validation finds in a file of requests."""
    lines = [json.loads(line) for line in data.splitlines()]
    ids = [line.get("custom_id") for line in lines]
    found = []
    for number, line in enumerate(lines, 1):
        if set(line) != REQUIRED or line["method"] != "POST" or "model" not in line["body"]:
            found.append(_fault(number, "invalid_request", "The request is malformed."))
        elif ids.count(line["custom_id"]) > 1:
            found.append(_fault(number, "duplicate_custom_id", "The custom_id is not unique."))
        elif line["body"]["model"] != lines[0]["body"]["model"]:
            found.append(_fault(number, "mismatched_model", "All requests need one model."))
    return found if lines else [_fault(None, "empty_file", "The file holds no request.")]


def _fault(line: int | None, code: str, message: str) -> dict[str, Any]:
    return {"code": code, "line": line, "message": message, "param": None}


def _never_run(request: dict[str, Any], status: str) -> dict[str, Any]:
    error = {"code": f"batch_{status}", "message": EXPIRED}
    named = {"id": "batch_req_1", "custom_id": request["custom_id"]}
    return {**named, "response": None, "error": error}


def _completion(text: str, body: dict[str, Any]) -> dict[str, Any]:
    n_prompt = sum(len(message["content"].split()) for message in body["messages"])
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
        "logprobs": None,
    }
    usage = {"prompt_tokens": n_prompt, "completion_tokens": len(text.split())}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": body["model"],
        "choices": [choice],
        "usage": usage,
    }


def _error(status: int, message: str) -> tuple[int, Any]:
    return status, {"error": {"message": message, "type": "fake"}}

"""A real HTTP server on loopback that speaks OpenAI's chat format and fails on demand.

Replies come from a handler like the one of `ScriptedModel`. Faults are queued and answered
first, one a request, in order.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from autointerp.llm import ChatReply, ChatRequest, Handler, JsonSchema, Message
from autointerp.llm.capabilities import PROBES


@dataclass(frozen=True, slots=True)
class Fault:
    """One answer that is not what the handler says."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    missing_bytes: int = 0
    """Bytes that the header announces and that never come."""
    hang_up: bool = False
    """Close the connection without a word."""
    drip: bool = False
    """Send a space every 50 ms until the client or the server gives up."""


def status(number: int, message: str = "", /, **more: Any) -> Fault:
    """An error in OpenAI's shape; ``headers`` and fields of the error may be added."""
    headers = more.pop("headers", {})
    error = {"message": message or f"fake {number}", "type": "fake", **more}
    return Fault(number, json.dumps({"error": error}).encode(), headers)


def json_body(value: object, code: int = 200) -> Fault:
    """Any JSON."""
    return Fault(code, json.dumps(value).encode(), {"Content-Type": "application/json"})


def completion(message: object, *, finish_reason: str | None = "stop", **choice: object) -> Fault:
    """A completion with one choice whose message is given as JSON."""
    one = {"index": 0, "message": message, "finish_reason": finish_reason, **choice}
    return json_body({"object": "chat.completion", "model": "fake", "choices": [one]})


def html(code: int = 200) -> Fault:
    """A page, as a proxy sends it."""
    return Fault(code, b"<html><body>Bad gateway</body></html>", {"Content-Type": "text/html"})


def cut() -> Fault:
    """Half an answer, then a closed connection."""
    return Fault(body=b'{"choices": [', missing_bytes=100)


def hang_up() -> Fault:
    """A closed connection without an answer."""
    return Fault(hang_up=True)


def slow() -> Fault:
    """An answer that drips for ever, so that no read of it times out."""
    return Fault(drip=True)


class FakeEndpoint:
    """A server that runs while its ``with`` block does."""

    def __init__(self, handler: Handler, *, models: tuple[str, ...] = ("fake",)) -> None:
        self.handler = handler
        self.models = models
        self.n_listed = 0
        """Times that its models were asked for."""
        self.faults: deque[Fault] = deque()
        self.faults_for_probes = False
        """Whether requests that only find out what is taken meet faults too."""
        self.rejected: dict[str, Fault] = {}
        """Answers to every request that holds the parameter."""
        self.dress: Callable[[dict[str, Any]], Fault | None] = lambda _: None
        """What a request of this form is answered, probes too; None where it is taken."""
        self.bodies: list[dict[str, Any]] = []
        """Questions received, as JSON."""
        self.probes: list[dict[str, Any]] = []
        """Requests that only find out what is taken; faults and disturbances are not for them."""
        self.headers: list[dict[str, str]] = []
        """Their headers, lower-case names."""
        self.paths: list[str] = []
        """Their paths with the query."""
        self.chat_path = "/v1/chat/completions"
        """The end of the path, with its query, where chat requests are answered."""
        self.elsewhere = status(404, "Resource not found")
        """The answer at any other path."""
        self.key_header = ("", "")
        """Name in small letters and value of a header without which 401 is answered."""
        self.completions: deque[Fault] = deque()
        """Answers to ``/v1/completions``, one a request; 404 once there are none."""
        self.prompts: list[dict[str, Any]] = []
        """What was sent there."""
        self.disturb: Callable[[dict[str, Any], Fault], Fault] = lambda _, good: good
        """What becomes of a good answer to a chat request, given its body."""
        self.disturbs_probes = False
        self.answered: list[dict[str, Any]] = []
        """Questions that a model answered."""
        self.charged: list[tuple[int, int]] = []
        """Tokens of prompts and replies of all that a model answered, probes too."""
        self.count_tokens: Callable[[str], int] = lambda text: len(text.split())
        self.in_flight = 0
        self.most_in_flight = 0
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.n_connections, self.disconnected = 0, threading.Condition()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.endpoint = self
        self._thread = threading.Thread(target=self._server.serve_until_stopped)

    @property
    def base_url(self) -> str:
        """Address for clients."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stopping.set()
        # Whoever waits for a connection gets one, and looks whether it was the last.
        socket.create_connection(self._server.server_address[:2]).close()
        self._thread.join()
        self._server.server_close()

    def until_quiet(self) -> None:
        """Returns when all is answered that was sent before, by clients that were killed too."""
        # Connections are accepted in turn: those from before this one are counted by then.
        link = http.client.HTTPConnection(self.base_url.split("/")[2], timeout=300)
        link.request("GET", "/v1/models")
        link.getresponse().close()
        with self.disconnected:
            assert self.disconnected.wait_for(lambda: not self.n_connections, timeout=300)

    def answer(self, body: dict[str, Any], headers: Mapping[str, str]) -> Fault:
        """What to send for one chat request."""
        probing = is_probe(body)
        with self.lock:
            (self.probes if probing else self.bodies).append(body)
            self.headers.append({key.lower(): value for key, value in headers.items()})
            if self.faults and (self.faults_for_probes or not probing):
                return self.faults.popleft()
        refused = self.dress(body)
        if refused is not None:
            return refused
        for name, fault in self.rejected.items():
            if name in body:
                return fault
        made = "yes" if probing else self.handler(read_request(body))
        if isinstance(made, Exception):
            return status(500, str(made))
        good = _completion(made, body, self.count_tokens)
        sent = json_body(good)
        if self.disturbs_probes or not probing:
            sent = self.disturb(body, sent)
        if sent.status == 200 and b'"usage"' in sent.body:
            with self.lock:
                if not probing:
                    self.answered.append(body)
                usage = good["usage"]
                self.charged.append((usage["prompt_tokens"], usage["completion_tokens"]))
        return sent


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    endpoint: FakeEndpoint

    def serve_until_stopped(self) -> None:
        """Waits for connections rather than looking for them: thousands of tests end one."""
        while True:
            accepted, client_address = self.get_request()
            if self.endpoint.stopping.is_set():
                accepted.close()
                return
            self.process_request(accepted, client_address)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self.endpoint.disconnected:
            self.endpoint.n_connections += 1
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        super().process_request_thread(request, client_address)
        with self.endpoint.disconnected:
            self.endpoint.n_connections -= 1
            self.endpoint.disconnected.notify()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone away is part of some tests."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    _counts = False

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""

    def do_GET(self) -> None:
        if self.path != "/v1/models":
            self._send(status(404))
            return
        self.server.endpoint.n_listed += 1
        names = [{"id": name, "object": "model"} for name in self.server.endpoint.models]
        self._send(json_body({"object": "list", "data": names}))

    def do_POST(self) -> None:
        endpoint = self.server.endpoint
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with endpoint.lock:
            endpoint.in_flight += 1
            endpoint.most_in_flight = max(endpoint.most_in_flight, endpoint.in_flight)
        self._counts = True
        try:
            endpoint.paths.append(self.path)
            name, value = endpoint.key_header
            if name and self.headers.get(name) != value:
                self._send(status(401, f"The {name} header is missing"))
            elif self.path.endswith(endpoint.chat_path):
                self._send(endpoint.answer(body, dict(self.headers)))
            elif self.path.endswith("/v1/completions"):
                endpoint.prompts.append(body)
                self._send(endpoint.completions.popleft() if endpoint.completions else status(404))
            else:
                self._send(endpoint.elsewhere)
        finally:
            self._is_answered()

    def _is_answered(self) -> None:
        endpoint = self.server.endpoint
        with endpoint.lock:
            endpoint.in_flight -= self._counts
        self._counts = False

    def _send(self, fault: Fault) -> None:
        if fault.hang_up:
            return
        length = len(fault.body) + fault.missing_bytes + (1_000_000 if fault.drip else 0)
        self.send_response(fault.status)
        for name, value in fault.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if not fault.drip:
            # Whoever has the last byte may ask again before this thread goes on.
            self._is_answered()
        self.wfile.write(fault.body)
        while fault.drip and not self.server.endpoint.stopping.wait(0.05):
            self.wfile.write(b" ")


def is_probe(body: dict[str, Any]) -> bool:
    """Whether a request only finds out what is taken."""
    return str(body["messages"][-1]["content"]).endswith(PROBES)


def read_request(body: dict[str, Any]) -> ChatRequest:
    """What a chat request asks."""
    schema = body.get("response_format", {}).get("json_schema")
    return ChatRequest(
        messages=tuple(Message(m["role"], m["content"]) for m in body["messages"]),
        max_tokens=body.get("max_tokens") or body.get("max_completion_tokens", 0),
        temperature=body.get("temperature", 0.0),
        seed=body.get("seed"),
        stop=tuple(body.get("stop", ())),
        schema=JsonSchema(schema["name"], json.dumps(schema["schema"])) if schema else None,
        grammar=body.get("grammar"),
        top_logprobs=body.get("top_logprobs", 0),
    )


def _completion(
    made: str | ChatReply, body: dict[str, Any], count_tokens: Callable[[str], int]
) -> dict[str, Any]:
    text = made if isinstance(made, str) else made.text
    n_prompt = sum(count_tokens(m["content"]) for m in body["messages"])
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop" if isinstance(made, str) else made.finish_reason,
        "logprobs": None,
    }
    if body.get("logprobs") and not isinstance(made, str) and made.tokens is not None:
        choice["logprobs"] = {"content": [_token(t, body["top_logprobs"]) for t in made.tokens]}
    n_tokens = count_tokens(text)
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [choice],
        "usage": {
            "prompt_tokens": n_prompt,
            "completion_tokens": n_tokens,
            "total_tokens": n_prompt + n_tokens,
            "prompt_tokens_details": {"cached_tokens": 0},
        },
    }


def _token(token: Any, n_alternatives: int) -> dict[str, Any]:
    return {
        "token": token.token,
        "logprob": token.logprob,
        "bytes": list(token.token.encode()),
        "top_logprobs": [
            {"token": name, "logprob": logprob, "bytes": list(name.encode())}
            for name, logprob in token.alternatives[:n_alternatives]
        ],
    }

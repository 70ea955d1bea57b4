"""An endpoint that echoes prompts with log-probabilities, computed by a real model.

It answers ``/v1/completions`` as vLLM does: BOS stands before the prompt, the first token has no
log-probability, alternatives are the most probable tokens by their text.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch


@contextmanager
def echo_endpoint(model: Any, tokenizer: Any) -> Iterator[str]:
    """The address of a server for this model of transformers, while the ``with`` block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.model, server.tokenizer, server.lock = model, tokenizer, threading.Lock()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def echoed(model: Any, tokenizer: Any, body: dict[str, Any]) -> dict[str, Any]:
    """The completion of one token that such a request gets, with its echo."""
    ids = [tokenizer.bos_token_id, *tokenizer.encode(body["prompt"], add_special_tokens=False)]
    with torch.no_grad():
        logprobs = model(torch.tensor([ids])).logits[0].float().log_softmax(-1)
    n_prompt, ids = len(ids), [*ids, int(logprobs[-1].argmax())]
    pieces = [tokenizer.decode([i]) for i in range(len(tokenizer))]
    tops: list[dict[str, float] | None] = [None]
    for row in logprobs:
        values, places = row.topk(body["logprobs"])
        pairs = zip(places.tolist(), values.tolist(), strict=True)
        tops.append({pieces[i]: value for i, value in pairs})
    own = [float(row[i]) for row, i in zip(logprobs, ids[1:], strict=True)]
    text = f"{body['prompt']}{pieces[ids[-1]]}"
    found = {
        "tokens": [pieces[i] for i in ids],
        "token_logprobs": [None, *own],
        "top_logprobs": tops,
    }
    usage = {"prompt_tokens": n_prompt, "completion_tokens": 1, "total_tokens": n_prompt + 1}
    choice = {"index": 0, "text": text, "logprobs": found, "finish_reason": "length"}
    return {"object": "text_completion", "choices": [choice], "usage": usage}


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""

    def do_POST(self) -> None:
        server: Any = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asks_echo = self.path == "/v1/completions" and body.get("echo") and body["max_tokens"] == 1
        with server.lock:
            answer = echoed(server.model, server.tokenizer, body) if asks_echo else {}
        sent = json.dumps(answer).encode()
        self.send_response(200 if asks_echo else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

from __future__ import annotations

import json
import re
import socket
import socketserver
import threading
import tomllib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli
from fake_endpoint import FakeEndpoint, status

from autointerp.wiring.diagnostics import EMBEDDED, REQUIRED

MODELS = json.dumps({"data": [{"id": "small"}, {"id": "large"}]})


class Endpoint(BaseHTTPRequestHandler):
    """Lists models to who has the key."""

    def do_GET(self) -> None:
        allowed = self.headers.get("Authorization") == "Bearer hush"
        body = (MODELS if self.path == "/v1/models" else "<html>no</html>").encode()
        status = 401 if not allowed else 503 if self.path == "/down/models" else 200
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


class RedisWithPassword(socketserver.StreamRequestHandler):
    """Reads commands as Redis does and wants user ``ada`` with the password ``p:w``."""

    def handle(self) -> None:
        known = False
        while head := self.rfile.readline():
            lines = [self.rfile.readline().strip() for _ in range(2 * int(head[1:]))]
            words = lines[1::2]
            known = known or words == [b"AUTH", b"ada", b"p:w"]
            answer = b"+OK" if words[0] == b"AUTH" else b"+PONG"
            refusal = b"-WRONGPASS no" if words[0] == b"AUTH" else b"-NOAUTH required"
            self.wfile.write((answer if known else refusal) + b"\r\n")


class RedisWithoutPassword(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while head := self.rfile.readline():
            for _ in range(2 * int(head[1:])):
                self.rfile.readline()
            self.wfile.write(b"+PONG\r\n")


class Greeter(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"220 mail.example ESMTP\r\n")


Serve = Callable[[type[socketserver.BaseRequestHandler]], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers on loopback and gives their ports."""
    servers: list[socketserver.BaseServer] = []

    def start(handler: type[socketserver.BaseRequestHandler]) -> int:
        kind = ThreadingHTTPServer if issubclass(handler, Endpoint) else socketserver.TCPServer
        server = kind(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return server.server_address[1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port at which nobody listens, and that nobody else is given meanwhile."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield int(reserved.getsockname()[1])


def report(cli: Cli) -> tuple[int, dict[str, dict[str, Any]], dict[str, str]]:
    ended = cli("doctor", "--json")
    found = json.loads(ended.out)
    return ended.code, {row["name"]: row for row in found["checks"]}, found["settings"]


def test_a_whole_machine_is_ok(cli: Cli) -> None:
    code, checks, settings = report(cli)
    assert code == 0
    assert {name for name, row in checks.items() if row["state"] == "problem"} == set()
    assert checks["device"]["state"] == "ok"
    assert "embedded" in checks["llm"]["detail"]
    assert settings["AUTOINTERP_DEVICE"] == "auto"


def test_every_required_library_of_the_project_is_looked_at() -> None:
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    project = tomllib.loads(text)["project"]
    names = [re.split(r"[\[<>=;]", r)[0] for r in project["dependencies"]]
    embedded = [re.split(r"[<>=]", r)[0] for r in project["optional-dependencies"]["embedded"]]
    assert sorted(names) == list(REQUIRED)
    assert sorted(embedded) == list(EMBEDDED)


@pytest.mark.parametrize("width", [40, 200])
def test_people_read_a_table_that_fits(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    table = cli("doctor").out.split("\nsettings\n")[0]
    assert "torch" in table
    assert max(len(line.rstrip()) for line in table.splitlines()) <= width


def test_no_secret_is_shown(cli: Cli, monkeypatch: pytest.MonkeyPatch, closed_port: int) -> None:
    port = closed_port
    monkeypatch.setenv("AUTOINTERP_LLM_API_KEY", "hush1")
    monkeypatch.setenv("OPENAI_API_KEY", "hush2")
    monkeypatch.setenv("AUTOINTERP_API_KEYS", "hush3,hush4")
    monkeypatch.setenv("AUTOINTERP_REDIS_URL", f"redis://u:hush5@127.0.0.1:{port}/0")
    monkeypatch.setenv("AUTOINTERP_LLM_BASE_URL", f"http://u:hush6@127.0.0.1:{port}/v1")
    ended = cli("doctor", "--json")
    assert "hush" not in ended.out + ended.err + cli("doctor").out
    assert f"redis://***@127.0.0.1:{port}/0" in ended.out


def test_an_endpoint_that_answers_is_ok_with_its_models(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, serve: Serve
) -> None:
    url = f"http://127.0.0.1:{serve(Endpoint)}/v1"
    monkeypatch.setenv("AUTOINTERP_LLM_BASE_URL", url)
    monkeypatch.setenv("AUTOINTERP_LLM_API_KEY", "hush")
    code, checks, _ = report(cli)
    assert code == 0
    assert checks["llm"]["detail"] == f"{url}: small, large"


@pytest.mark.parametrize(
    ("variables", "detail", "advice"),
    [
        ({"LLM_API_KEY": "wrong"}, "refuses the key (HTTP 401)", "set AUTOINTERP_LLM_API_KEY"),
        ({"LLM_MODEL": "huge"}, "has no model huge", "LLM_MODEL to one of small, large"),
        ({"LLM_API_KEY": "h\u00fcsh"}, "the key holds characters", "AUTOINTERP_LLM_BASE_URL"),
        ({"LLM_BASE_URL": "down"}, "HTTP 503", "start it, or correct AUTOINTERP_LLM_BASE_URL"),
    ],
)
def test_an_endpoint_that_cannot_be_used_is_a_problem_and_exits_with_3(  # noqa: PLR0917
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    serve: Serve,
    variables: dict[str, str],
    detail: str,
    advice: str,
) -> None:
    base = f"http://127.0.0.1:{serve(Endpoint)}"
    values = {"LLM_BASE_URL": "v1", "LLM_API_KEY": "hush", **variables}
    values["LLM_BASE_URL"] = f"{base}/{values['LLM_BASE_URL']}"
    for name, value in values.items():
        monkeypatch.setenv("AUTOINTERP_" + name, value)
    code, checks, _ = report(cli)
    assert code == 3
    assert checks["llm"]["state"] == "problem"
    assert detail in checks["llm"]["detail"]
    assert advice in checks["llm"]["advice"]


def test_an_endpoint_that_lists_no_models_is_ok(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, serve: Serve
) -> None:
    monkeypatch.setenv("AUTOINTERP_LLM_BASE_URL", f"http://127.0.0.1:{serve(Endpoint)}/html")
    monkeypatch.setenv("AUTOINTERP_LLM_API_KEY", "hush")
    code, checks, _ = report(cli)
    assert code == 0
    assert "it lists no models" in checks["llm"]["detail"]


def test_nothing_at_the_configured_addresses_is_told_for_each(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    port = closed_port
    monkeypatch.setenv("AUTOINTERP_LLM_BASE_URL", f"http://127.0.0.1:{port}/v1")
    monkeypatch.setenv("AUTOINTERP_REDIS_URL", f"redis://127.0.0.1:{port}/0")
    code, checks, _ = report(cli)
    assert code == 3
    assert "no answer (ConnectError)" in checks["llm"]["detail"]
    assert "no answer (ConnectionRefusedError)" in checks["redis"]["detail"]


def test_a_redis_that_answers_is_ok(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, serve: Serve
) -> None:
    port = serve(RedisWithoutPassword)
    monkeypatch.setenv("AUTOINTERP_REDIS_URL", f"redis://127.0.0.1:{port}/0")
    code, checks, _ = report(cli)
    assert (code, checks["redis"]["state"]) == (0, "ok")


@pytest.mark.parametrize(("credentials", "code"), [("", 3), ("ada:wrong@", 3), ("ada:p%3Aw@", 0)])
def test_a_redis_with_a_password_requires_the_right_one(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, serve: Serve, credentials: str, code: int
) -> None:
    port = serve(RedisWithPassword)
    monkeypatch.setenv("AUTOINTERP_REDIS_URL", f"redis://{credentials}127.0.0.1:{port}/0")
    found, checks, _ = report(cli)
    assert found == code
    assert ("requires a password" in checks["redis"]["detail"]) is (code == 3)


def test_another_server_is_not_taken_for_redis(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, serve: Serve
) -> None:
    monkeypatch.setenv("AUTOINTERP_REDIS_URL", f"redis://127.0.0.1:{serve(Greeter)}/0")
    code, checks, _ = report(cli)
    assert code == 3
    assert "the server there is not Redis" in checks["redis"]["detail"]


def test_a_cache_that_cannot_be_written_is_a_problem_but_no_upstream(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AUTOINTERP_CACHE_DIR", str(tmp_path / "file" / "cache"))
    code, checks, _ = report(cli)
    assert (code, checks["cache"]["state"]) == (0, "problem")
    assert "AUTOINTERP_CACHE_DIR" in checks["cache"]["advice"]


def test_the_size_of_the_cache_is_told(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cache" / "deep").mkdir(parents=True)
    (tmp_path / "cache" / "deep" / "file").write_bytes(bytes(2_500_000))
    monkeypatch.setenv("AUTOINTERP_CACHE_DIR", str(tmp_path / "cache"))
    assert "2.5 MB" in report(cli)[1]["cache"]["detail"]


def test_a_model_is_asked_what_it_takes(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeEndpoint(lambda _: "yes") as endpoint:
        endpoint.rejected["temperature"] = status(422, "недопустимо")
        monkeypatch.setenv("AUTOINTERP_LLM_BASE_URL", endpoint.base_url)
        monkeypatch.setenv("AUTOINTERP_LLM_MODEL", "fake")
        code, checks, _ = report(cli)
        assert code == 0
        assert checks["llm"]["detail"].endswith("the LLM was asked without: temperature")
        endpoint.dress = lambda _: status(400, "Schlüssel ungültig")
        code, checks, _ = report(cli)
    assert code == 3
    assert "Schlüssel ungültig" in checks["llm"]["detail"]


def test_an_address_without_scheme_is_asked(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeEndpoint(lambda _: "yes") as endpoint:
        address = endpoint.base_url.removeprefix("http://")
        monkeypatch.setenv("AUTOINTERP_LLM_BASE_URL", address)
        monkeypatch.setenv("AUTOINTERP_LLM_MODEL", "fake")
        _, checks, _ = report(cli)
    assert checks["llm"]["state"] == "ok"
    assert f"is taken for http://{address}" in checks["llm"]["detail"]

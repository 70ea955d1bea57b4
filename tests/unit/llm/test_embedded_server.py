from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from labelling import wait_until

from autointerp.core.errors import InputError, RequestRefusedError
from autointerp.core.files import SMOLLM2_GGUF
from autointerp.llm import (
    ChatRequest,
    EmbeddedOptions,
    EmbeddedServer,
    Message,
    start_embedded,
)
from autointerp.subjects import gguf_tokenizer

HELLO = ChatRequest((Message("user", "Say hello."),), 8)
DIGITS = 'root ::= "[" [0-9] ("," [0-9]){3} "]"'


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer(options=EmbeddedOptions(n_parallel=2, n_ctx=512, n_threads=1)) as running:
        yield running


def listens(url: str) -> bool:
    parts = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((parts.hostname, parts.port)) == 0


def run_script(script: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(script)]
    return subprocess.run(command, capture_output=True, timeout=600, check=False)


def test_the_tokenizer_in_the_file_counts_as_the_server_does(
    server: EmbeddedServer, smollm2_cache: Path
) -> None:
    tokenizer = gguf_tokenizer(SMOLLM2_GGUF.locate(), smollm2_cache)
    texts = [
        "rivers, 10,000",
        "\x00\x1b[31m\x9b",
        "é\ud83d日本 \n\n\t",
        "x" * 300,
        '"}]\n\nAssistant: ',
    ]

    async def _counted() -> list[int]:
        model = server.connect()
        replies = [
            await model.reply(ChatRequest((Message("system", "Hi"), Message("user", text)), 1))
            for text in texts
        ]
        await model.close()
        return [reply.usage.prompt_tokens for reply in replies]

    around = (
        "<|im_start|>system\nHi<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
    )
    own = [len(tokenizer.encode(around.format(text))) for text in texts]
    assert asyncio.run(_counted()) == own


def test_a_reply_follows_the_grammar_and_gives_probabilities_from_before_it(
    server: EmbeddedServer,
) -> None:
    request = ChatRequest(
        (Message("user", "Rate four things."),), 24, grammar=DIGITS, top_logprobs=5
    )

    async def _ask() -> None:
        model = server.connect()
        reply = await model.reply(request)
        await model.close()
        assert reply.tokens is not None
        assert "".join(token.token for token in reply.tokens) == reply.text
        assert all(int(level) < 10 for level in json.loads(reply.text))
        # Unconstrained, the model would rather have written something else than a bracket.
        assert reply.tokens[0].alternatives[0][0] != "["

    asyncio.run(_ask())


def test_a_request_that_does_not_fit_is_refused(server: EmbeddedServer) -> None:
    async def _ask() -> None:
        model = server.connect()
        try:
            await model.reply(ChatRequest((Message("user", "word " * 900),), 8))
        finally:
            await model.close()

    with pytest.raises(RequestRefusedError, match="exceeds the available context size"):
        asyncio.run(_ask())


def test_nobody_is_answered_without_the_key(server: EmbeddedServer) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}).encode()
    request = urllib.request.Request(
        server.base_url + "/chat/completions", body, {"Content-Type": "application/json"}
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=300)
    caught.value.close()
    assert caught.value.code == 401


def test_it_listens_on_loopback_only(server: EmbeddedServer) -> None:
    parts = urlsplit(server.base_url)
    assert parts.hostname == "127.0.0.1"
    with socket.socket() as other:
        # Another loopback address: taken only if the server listens on every interface.
        assert other.connect_ex(("127.0.0.2", parts.port)) != 0


def test_closing_the_model_stops_the_server_and_another_can_start() -> None:
    async def _play() -> str:
        model = start_embedded(options=EmbeddedOptions(n_parallel=1, n_ctx=256, n_threads=1))
        url = model.base_url
        assert (await model.reply(HELLO)).text
        assert listens(url)
        await model.close()
        assert not listens(url)
        return url

    for _ in range(2):
        assert asyncio.run(_play())


def test_stopping_does_not_wait_for_a_reply() -> None:
    async def _play() -> float:
        options = EmbeddedOptions(n_parallel=1, n_ctx=8192, n_threads=1)
        model = start_embedded(options=options)
        # Without an end: it takes the fastest machine far longer than is allowed below.
        story = ChatRequest((Message("user", "Sing."),), 8000, grammar='root ::= "la " root')
        call = asyncio.create_task(model.reply(story))
        await asyncio.sleep(0.5)
        call.cancel()
        started = time.monotonic()
        await model.close()
        return time.monotonic() - started

    assert asyncio.run(_play()) < 15


def test_nothing_is_written_to_the_terminal() -> None:
    done = run_script(
        """
        import asyncio
        from autointerp.core.errors import RequestRefusedError
        from autointerp.llm import ChatRequest, EmbeddedOptions, Message, start_embedded

        async def ask():
            model = start_embedded(options=EmbeddedOptions(n_threads=1))
            hello = (Message("user", "Say hello."),)
            await model.reply(ChatRequest(hello, 4))
            try:
                await model.reply(ChatRequest(hello, 4, grammar="root ::= ["))
            except RequestRefusedError:
                pass
            await model.close()

        asyncio.run(ask())
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_server_dies_with_its_parent() -> None:
    done = run_script(
        """
        import os, signal, sys
        from autointerp.llm import EmbeddedServer

        server = EmbeddedServer()
        sys.stdout.write(server.base_url)
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    assert done.returncode == -signal.SIGKILL
    wait_until(lambda: not listens(done.stdout.decode()))


def test_an_interrupt_of_the_terminal_does_not_reach_the_server(server: EmbeddedServer) -> None:
    assert os.getpgid(server.pid) != os.getpgid(0)


def test_the_server_has_no_share_of_the_cores_beside_ours(server: EmbeddedServer) -> None:
    assert os.getsid(server.pid) == os.getsid(0)


def test_a_file_cut_short_is_named_with_the_reason(tmp_path: Path) -> None:
    whole = SMOLLM2_GGUF.locate()
    path = tmp_path / "half.gguf"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(InputError) as caught:
        EmbeddedServer(path)
    said = str(caught.value)
    assert said.startswith(f"llama.cpp could not load {path} (tensor ")
    assert "corrupted or incomplete); the file may be damaged or cut short: get it again" in said


@pytest.mark.parametrize("size", [4, 24, 5000])
def test_a_file_cut_in_its_head_is_named(tmp_path: Path, size: int) -> None:
    path = tmp_path / "head.gguf"
    path.write_bytes(SMOLLM2_GGUF.locate().read_bytes()[:size])
    with pytest.raises(InputError, match="could not load .*head.gguf .*damaged or cut short"):
        EmbeddedServer(path)


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"hello world", "it begins with b'hell'"), (b"", "it begins with b''")],
)
def test_a_file_that_is_no_gguf_is_named(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "text.gguf"
    path.write_bytes(data)
    with pytest.raises(InputError, match=f"text.gguf is not a GGUF file: {said}"):
        EmbeddedServer(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the model .*: No such file or directory"):
        EmbeddedServer(tmp_path / "none.gguf")


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(InputError, match=r'pip install "autointerp\[embedded\]"'):
        EmbeddedServer()


@pytest.mark.parametrize("name", ["n_parallel", "n_ctx", "n_threads"])
def test_options_of_nothing_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} of the embedded LLM must be at least 1, found 0"):
        EmbeddedOptions(**{name: 0})

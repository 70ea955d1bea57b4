"""A page on this machine where a person judges a blinded study, one item after the other."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from urllib.parse import parse_qs

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from autointerp.core.blind_study import Answer, ItemVerdict, StudyItem
from autointerp.core.errors import AutointerpError, InputError
from autointerp.web.judging_page import judging_page
from autointerp.web.page_templates import ASSETS, asset
from autointerp.wiring.blind_folder import BlindFolder

_FILES = ("style.css", "judging.css", "judging.js")
_MOST_BYTES = 10_000
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class JudgingApp:
    """The pages of one judge on one study.

    An item that is judged twice, as in two tabs, has the last verdict.
    """

    def __init__(self, blind: BlindFolder, judge: str, finish: Callable[[], None]) -> None:
        """`finish` is called when the judge says so, all items being judged."""
        self._blind, self._judge, self._finish = blind, judge, finish
        self._items, self._token = blind.items(), secrets.token_urlsafe(16)
        routes = [
            Route("/", self._show),
            Route("/verdict", self._verdict, methods=["POST"]),
            Route("/undo", self._undo, methods=["POST"]),
            Route("/finish", self._end, methods=["POST"]),
            *(Route(f"/{name}", _file_of(name)) for name in _FILES),
        ]
        # A page from elsewhere may lead its own name to this machine.
        hosts = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
        self.app = Starlette(
            routes=routes,
            middleware=[hosts],
            exception_handlers={AutointerpError: _problem},
        )

    def next_item(self) -> tuple[StudyItem | None, int]:
        """The first item without a verdict of this judge, and how many have one."""
        done = {verdict.item for verdict in self._blind.verdicts(self._judge)}
        left = (item for item in self._items if item.id not in done)
        return next(left, None), len(done)

    async def _show(self, _request: Request) -> Response:
        item, n_judged = self.next_item()
        page = judging_page(item, n_judged=n_judged, n_items=len(self._items), token=self._token)
        return HTMLResponse(page, headers=_HEADERS)

    async def _verdict(self, request: Request) -> Response:
        form = await self._form(request)
        known = {item.id for item in self._items}
        if form is None or form.get("item") not in known or form.get("answer") not in set(Answer):
            return _refused("the form is not one of this page, or of an earlier start of it")
        rule = form.get("rule", "").strip()[:300] or None
        verdict = ItemVerdict(self._judge, form["item"], Answer(form["answer"]), rule)
        self._blind.add(verdict)
        return _back()

    async def _undo(self, request: Request) -> Response:
        if await self._form(request) is None:
            return _refused("the form is not one of this page, or of an earlier start of it")
        given = self._blind.verdicts(self._judge)
        if given:
            self._blind.take_back(self._judge, given[-1].item)
        return _back()

    async def _end(self, request: Request) -> Response:
        if await self._form(request) is None:
            return _refused("the form is not one of this page, or of an earlier start of it")
        self._finish()
        return PlainTextResponse("The report is being written. This page can be closed.")

    async def _form(self, request: Request) -> dict[str, str] | None:
        """What was sent; None where it is too much, or not of a page that this process showed."""
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _MOST_BYTES:
                return None
        sent = {
            name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()
        }
        return sent if secrets.compare_digest(sent.get("token", ""), self._token) else None


def _file_of(name: str) -> Callable[[Request], Response]:
    def answer(_request: Request) -> Response:
        return Response(asset(name), media_type=ASSETS[name], headers=_HEADERS)

    return answer


def _refused(why: str) -> Response:
    message = f"{why}; open the page again"
    return PlainTextResponse(message, status_code=400, headers=_HEADERS)


async def _problem(_request: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), status_code=500, headers=_HEADERS)


def _back() -> Response:
    return RedirectResponse("/", status_code=303, headers=_HEADERS)


def _listening(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise InputError(
            f"port {port} of 127.0.0.1 cannot be used: {error.strerror}; choose another --port, or "
            "0 for any that is free"
        ) from error


def judge_on_a_page(
    blind: BlindFolder, judge: str, *, port: int, tell: Callable[[str], None]
) -> None:
    """Serves the page on this machine until the judge finishes, or interrupts it.

    Args:
        blind: the study.
        judge: the name under which verdicts are kept.
        port: of the page; any that is free where 0.
        tell: is given the page's address.

    Raises:
        InputError: the folder holds no study, or the port cannot be used.
        DamagedError: its verdicts cannot be read.
        KeyboardInterrupt: it was interrupted; verdicts are kept.
    """
    server: uvicorn.Server

    def finish() -> None:
        server.should_exit = True

    app = JudgingApp(blind, judge, finish)
    server = uvicorn.Server(uvicorn.Config(app.app, log_level="warning"))
    listening = _listening(port)
    tell(f"judge at http://127.0.0.1:{listening.getsockname()[1]}/ ; Ctrl-C stops, and all is kept")
    server.run(sockets=[listening])

"""Answers that are pages for browsers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import ParamSpec

from fastapi import Request, Response

from autointerp.api.problems import OURS, Problem, problem_of, problem_response
from autointerp.web.page_links import Links
from autointerp.web.page_templates import render

HTML = "text/html; charset=utf-8"
_TITLES = {404: "There is nothing here", 503: "Not yet"}
_REST = ("/v1/", "/api/")
_P = ParamSpec("_P")


def html_page(read: Callable[_P, Awaitable[str]]) -> Callable[_P, Awaitable[Response]]:
    """Answers with a page, and with one that says what is wrong where that is so."""

    @wraps(read)
    async def answer(*args: _P.args, **kwargs: _P.kwargs) -> Response:
        try:
            return html_response(await read(*args, **kwargs))
        except Problem as problem:
            return _problem_page(problem)
        except OURS as error:
            return _problem_page(problem_of(error))

    return answer


def problem_answer(request: Request, problem: Problem) -> Response:
    """The problem as a page for a browser that looks for one, else as JSON."""
    is_rest = request.url.path.startswith(_REST)
    if not is_rest and "text/html" in request.headers.get("accept", ""):
        return _problem_page(problem)
    return problem_response(problem)


def _problem_page(problem: Problem) -> Response:
    title = _TITLES.get(problem.status, "This does not work")
    values = {"links": Links(), "title": title, "detail": sentence(problem.detail)}
    return html_response(render("problem.html", values), problem.status, problem.headers)


def html_response(
    page: str, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """The page as a response."""
    # A token may be half a surrogate pair, which no encoding writes.
    return Response(page.encode("utf-8", "backslashreplace"), status, headers, HTML)


def sentence(text: str) -> str:
    """What a problem says, as a sentence."""
    return f"{text[:1].upper()}{text[1:]}."

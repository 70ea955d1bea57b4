"""Sign-in and sign-out of browsers where API keys are configured, by forms without scripts."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Query, Request, Response

from autointerp.api.api_config import Scope
from autointerp.api.app_state import State
from autointerp.api.browser_sessions import refuse_foreign, set_cookie
from autointerp.api.middleware.request_log import audit
from autointerp.api.problems import Problem
from autointerp.api.routes.html_pages import html_response, sentence
from autointerp.web.page_links import Links
from autointerp.web.page_templates import render

router = APIRouter(include_in_schema=False)
_OWN_PATH = re.compile(r"/(?![/\\])[\x21-\x7e]{0,1999}")
"""A path of this server, which is where a sign-in may lead; ``//host`` is another one."""
_MOST_KEY, _MOST_FIELDS = 1_000, 20


@router.get("/sign-in")
async def sign_in_page(
    request: Request, state: State, to: Annotated[str, Query(max_length=2_000, alias="next")] = "/"
) -> Response:
    """Shows the form, or leads on who is signed in already."""
    signed_in = await state.sessions.caller_of(request.headers)
    if signed_in is not None or not state.config.keys:
        return _led_to(to)
    return _page(to)


@router.post("/sign-in")
async def sign_in(request: Request, state: State) -> Response:
    """Gives the browser a cookie for the key that was typed."""
    fields = await _fields(request)
    to = fields.get("next", "/")
    try:
        refuse_foreign(request.headers)
        key = fields.get("key", "").strip()
        if not key:
            raise Problem(401, "key_missing", "type an API key of this server")
        address = request.client.host if request.client else "localhost"
        caller = state.key_checks.caller_of(key[:_MOST_KEY], address)
        if Scope.READ not in caller.scopes:
            detail = "this API key lacks the scope read, without which pages show nothing"
            raise Problem(403, "scope_missing", detail)
    except Problem as problem:
        return _page(to, problem)
    audit("sign_in", key=caller.name)
    cookie = set_cookie(await state.sessions.cookie_for(caller), secure=_is_encrypted(request))
    return _led_to(to, cookie)


@router.post("/sign-out")
async def sign_out(request: Request, state: State) -> Response:
    """Takes the cookie back and ends every copy of it."""
    refuse_foreign(request.headers)
    await state.sessions.end(request.headers)
    return _led_to("/sign-in", set_cookie("", secure=_is_encrypted(request)))


async def _fields(request: Request) -> dict[str, str]:
    body = (await request.body()).decode("utf-8", "replace")
    try:
        found = parse_qs(body, max_num_fields=_MOST_FIELDS)
    except ValueError:
        return {}
    return {name: values[-1] for name, values in found.items()}


def _is_encrypted(request: Request) -> bool:
    """Whether the browser came by https, also where a proxy in front of this server took it."""
    headers = request.headers
    return (
        request.url.scheme == "https"
        or headers.get("origin", "").startswith("https:")
        or headers.get("x-forwarded-proto", "") == "https"
    )


def _led_to(to: str, cookie: str | None = None) -> Response:
    headers = {"Location": to if _OWN_PATH.fullmatch(to) else "/"}
    if cookie is not None:
        headers["Set-Cookie"] = cookie
    return Response(status_code=303, headers=headers)


def _page(to: str, problem: Problem | None = None) -> Response:
    said = None if problem is None else sentence(problem.detail)
    values = {"links": Links(), "to": to if _OWN_PATH.fullmatch(to) else "/", "problem": said}
    status, headers = (200, {}) if problem is None else (problem.status, problem.headers)
    return html_response(render("sign_in.html", values), status, headers)

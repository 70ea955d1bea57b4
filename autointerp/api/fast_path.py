"""Routes that are read most: their few arguments are taken without FastAPI's general machinery.

FastAPI knows such a route as any other, documents it, and answers whatever is not plain: its
machinery costs more than the answer, and what it says of a wrong request shall stay the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.routing import APIRoute

from autointerp.api.dependencies import AppState
from autointerp.api.keys import Caller, Scope

Arguments = Mapping[str, Any]
Take = Callable[[Request], Arguments | None]
Read = TypeVar("Read", bound=Callable[..., Awaitable[Response]])

_TAKES: dict[Callable[..., Any], Take] = {}


def fast_path(take: Take) -> Callable[[Read], Read]:
    """Marks a route of a router of `FastPathRoute`.

    Args:
        take: gives the route's arguments; None for a request that FastAPI shall look at.
    """

    def mark(read: Read) -> Read:
        _TAKES[read] = take
        return read

    return mark


class FastPathRoute(APIRoute):
    """A route that may be marked with `fast_path`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        usual, read = super().get_route_handler(), self.endpoint
        take = _TAKES.get(read)
        if take is None:
            return usual

        async def handle(request: Request) -> Response:
            arguments = take(request)
            if arguments is None:
                return await usual(request)
            response: Response = await read(**arguments)
            return response

        return handle


def reader_of(request: Request) -> tuple[AppState, Caller] | None:
    """The state, and the caller where it may read."""
    caller: Caller | None = request.scope.get("state", {}).get("caller")
    if caller is None or Scope.READ not in caller.scopes:
        return None
    return request.app.state.app_state, caller

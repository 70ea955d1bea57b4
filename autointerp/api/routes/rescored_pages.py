"""Pages of labels on text that they were not learned on."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path

from autointerp.api.app_state import Reader, State
from autointerp.api.problems import Problem
from autointerp.api.routes.html_pages import html_page
from autointerp.api.routes.pages import get_asset
from autointerp.api.store_reads import in_thread

router = APIRouter(include_in_schema=False)
router.add_api_route("/rescored/{_rescored}/assets/{name}", get_asset)


@router.get("/rescored/{name}/{path:path}")
@html_page
async def rescored_page(
    name: Annotated[str, Path(max_length=200)],
    path: Annotated[str, Path(max_length=400)],
    state: State,
    _caller: Reader,
) -> str:
    """Shows one of them."""
    page = await in_thread(partial(state.rescorings.page, name, path))
    if page is None:
        raise Problem(404, "route_unknown", "there is no such page of rescored labels")
    return page

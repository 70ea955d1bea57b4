"""Pages of the dictionary that comes with the package, for whoever has no labels yet."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

from fastapi import APIRouter, Path

from autointerp.api.app_state import Reader
from autointerp.api.problems import Problem
from autointerp.api.routes.html_pages import html_page
from autointerp.api.routes.pages import get_asset
from autointerp.api.store_reads import in_thread
from autointerp.dictionary import open_example
from autointerp.web.static_pages import pages_of

EXAMPLE = "/example/models/smollm2-135m/index.html"
"""Where they begin."""
router = APIRouter(include_in_schema=False)
router.add_api_route("/example/assets/{name}", get_asset)


@router.get("/example/{path:path}")
@html_page
async def example_page(path: Annotated[str, Path(max_length=200)], _caller: Reader) -> str:
    """Shows one of them."""
    page = (await in_thread(_pages)).get(path)
    if page is None:
        raise Problem(404, "route_unknown", "there is no such page of the example")
    return page


@lru_cache
def _pages() -> dict[str, str]:
    return dict(pages_of(open_example(), start="/"))

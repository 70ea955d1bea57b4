"""The page on which a feature is looked for."""

from __future__ import annotations

from fastapi import APIRouter

from autointerp.api.app_state import Reader, State
from autointerp.api.routes.html_pages import html_page
from autointerp.api.routes.units import Model
from autointerp.api.routes.worker_requests import refuse_unknown_model
from autointerp.corpora.features import ready_features
from autointerp.web.page_links import Links
from autointerp.web.page_templates import render

router = APIRouter(include_in_schema=False)
_LINKS = Links()
_EXAMPLE = '{"text": "It rained in 1912.", "spans": [[13, 17]]}'


@router.get("/models/{model}/find")
@html_page
async def find_page(model: Model, state: State, _caller: Reader) -> str:
    """Shows the form; its script asks a worker, and shows what that found."""
    refuse_unknown_model(state, await state.indexes.subject_of(model))
    values = {
        "links": _LINKS,
        "model": model,
        "path": f"/v1{_LINKS.find(model)}",
        "features": list(ready_features().values()),
        "example": _EXAMPLE,
    }
    return render("find.html", values)

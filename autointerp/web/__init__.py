"""Pages about labels, for browsers: the same from a server and as a folder of files.

They are rendered from labels, records and rows; nothing here knows of requests. Names are imported
when they are first used: a server needs no tables of dictionaries for a page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autointerp.core import lazy_names

if TYPE_CHECKING:
    from autointerp.web.model_view import ModelView
    from autointerp.web.page_links import Links
    from autointerp.web.static_pages import export_pages
    from autointerp.web.unit_profile import UnitProfile

__getattr__ = lazy_names(
    __name__,
    {
        "model_view": "ModelView",
        "page_links": "Links",
        "static_pages": "export_pages",
        "unit_profile": "UnitProfile",
    },
)

__all__ = ["Links", "ModelView", "UnitProfile", "export_pages"]

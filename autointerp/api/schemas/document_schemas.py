"""The document around a window, as it travels."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from autointerp.api.schemas import Wire
from autointerp.core.ids import Side


class DocumentRequest(Wire):
    """Around which window of a unit's records the text is asked for."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"window": 20}]})

    window: int = Field(ge=0, le=2**53, description="`window` of one of the unit's records.")
    side: Side | None = Field(
        default=None, description="Of the label; its only or its positive one where none is given."
    )
    corpus: str | None = Field(
        default=None, max_length=1000, description="Of the label that was made from this text."
    )
    explainer: str | None = Field(
        default=None, max_length=100, description="Of the label by this explainer."
    )


class TextAroundOut(Wire):
    """What a worker sends back of a window that it found."""

    before: str = Field(description="Up to 400 tokens before the window.")
    window: str
    after: str
    n_before: int = Field(
        description="Tokens of the document before what is shown, of a very long one of its part."
    )
    n_after: int


class DocumentOut(TextAroundOut):
    """The text around a window, from the corpus read again."""

    corpus: str
    source: str = Field(description="Title or path of the document.")
    document: str = Field(description="Digest of its text.")
    offset: int = Field(description="0-based position of the window's first token in it.")


class LostDocumentOut(Wire):
    """What a worker sends back of one that it did not find."""

    has_changed: bool
    reason: str

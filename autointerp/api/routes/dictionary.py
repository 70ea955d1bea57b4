"""The feature dictionary, streamed while it is made, and from its file afterwards."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from enum import StrEnum
from functools import partial
from typing import IO, Annotated, Any

import anyio
from fastapi import APIRouter, Query, Request, Response
from starlette.datastructures import Headers
from starlette.responses import StreamingResponse

from autointerp.api.app_state import Reader, State
from autointerp.api.dictionary_files import Download
from autointerp.api.dictionary_formats import FORMATS
from autointerp.api.problems import Problem
from autointerp.api.routes.responses import matches, problems
from autointerp.api.routes.units import Corpus, Model, OfExplainer
from autointerp.api.store_reads import in_thread
from autointerp.store.search.columns import Filters

router = APIRouter(prefix="/v1/models/{model}", tags=["dictionary"])

_RANGE = re.compile(r"bytes=(?P<first>\d{0,18})-(?P<last>\d{0,18})")
_PART = 1 << 18
_POLL_S = 0.01
_WAIT_S = 0.1


class DictionaryFormat(StrEnum):
    """How the dictionary is written."""

    PARQUET = "parquet"
    """The table, zstd."""
    JSONL = "jsonl"
    """The table, a line a label."""
    NEURONPEDIA = "neuronpedia"
    """A tar of the tree that Neuronpedia imports."""
    ARCHIVE = "archive"
    """A ZIP of the dictionary's folder: tables, scores, records and manifest."""


_CONTENT = {
    f.media_type: {"schema": {"type": "string", "format": "binary"}} for f in FORMATS.values()
}
_TAG = {"ETag": {"description": "Of these labels.", "schema": {"type": "string"}}}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The whole file.", "content": _CONTENT, "headers": _TAG},
    206: {"description": "The bytes that Range asks for.", "content": _CONTENT, "headers": _TAG},
    304: {"description": "What the caller has is what there is."},
}


@router.get("/dictionary", responses=_FILE | problems(404, 416))
@router.head("/dictionary", include_in_schema=False)
async def get_dictionary(
    request: Request,
    model: Model,
    state: State,
    _caller: Reader,
    fmt: Annotated[DictionaryFormat, Query(alias="format")] = DictionaryFormat.PARQUET,
    corpus: Corpus = None,
    explainer: OfExplainer = None,
) -> Response:
    """Downloads all labels of a model; Range and If-Range go on with a download that was cut.

    They are the newest of each side; with `corpus` or `explainer`, of `parquet` and `jsonl`, those
    made from that text or by that explainer, also where newer ones took their place.
    """
    filters = _filters(fmt, corpus, explainer)
    etags = await in_thread(partial(state.downloads.etags, model, fmt, filters))
    headers = _headers(model, fmt, etags[0])
    if matches(request.headers, *etags):
        return Response(status_code=304, headers=headers)
    if request.method == "HEAD":
        return Response(headers=headers, media_type=FORMATS[fmt].media_type)
    started = partial(state.downloads.download, model, fmt, filters)
    return await _body(request.headers, model, fmt, await in_thread(started))


def _filters(fmt: str, corpus: str | None, explainer: str | None) -> Filters | None:
    if corpus is None and explainer is None:
        return None
    if FORMATS[fmt].reads_store:
        detail = f"corpus and explainer select rows of parquet and jsonl, not of {fmt}"
        raise Problem(422, "bad_request", detail)
    return Filters(corpus=corpus, explainer=explainer)


async def _body(asked: Headers, model: str, fmt: str, download: Download) -> Response:
    headers = _headers(model, fmt, download.etag)
    media_type = FORMATS[fmt].media_type
    wanted = _RANGE.fullmatch(asked.get("range", "").strip())
    resumes = asked.get("if-range", download.etag) == download.etag
    file = await in_thread(download.open)
    if wanted is None or not resumes or wanted["first"] == wanted["last"] == "":
        if download.done.is_set():
            headers["Content-Length"] = str(os.fstat(file.fileno()).st_size)
        return StreamingResponse(_sent(download, file, 0, None), 200, headers, media_type)
    try:
        # Where a range ends depends on how long the file gets.
        while not download.done.is_set():
            await anyio.sleep(_WAIT_S)
        download.check()
        size = os.fstat(file.fileno()).st_size
        first, last = _span(wanted, size)
    except BaseException:
        file.close()
        raise
    headers |= {
        "Content-Range": f"bytes {first}-{last}/{size}",
        "Content-Length": str(last - first + 1),
    }
    return StreamingResponse(_sent(download, file, first, last), 206, headers, media_type)


def _headers(model: str, fmt: str, etag: str) -> dict[str, str]:
    name = re.sub(r"[^A-Za-z0-9._-]", "_", model) + FORMATS[fmt].suffix
    return {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'attachment; filename="{name}"',
    }


def _span(wanted: re.Match[str], size: int) -> tuple[int, int]:
    """First and last byte, both inclusive."""
    first, last = wanted["first"], wanted["last"]
    if first == "":
        start, end = max(0, size - int(last)), size - 1
    else:
        start, end = int(first), min(int(last), size - 1) if last else size - 1
    if start > end:
        detail = f"the file has {size:,} bytes"
        headers = {"Content-Range": f"bytes */{size}"}
        raise Problem(416, "range_not_satisfiable", detail, headers=headers)
    return start, end


async def _sent(
    download: Download, file: IO[bytes], first: int, last: int | None
) -> AsyncIterator[bytes]:
    """The bytes from `first` to `last`, as they are written.

    Raises:
        AutointerpError: the writing failed; the connection is cut, so that nobody takes a part
            for the whole.
    """
    with file:
        place = first
        while last is None or place <= last:
            # Looked at before reading: what was written until then is read.
            whole = download.done.is_set()
            n = _PART if last is None else min(_PART, last + 1 - place)
            part = await in_thread(partial(os.pread, file.fileno(), n, place))
            if part:
                place += len(part)
                yield part
            elif whole:
                download.check()
                return
            else:
                await anyio.sleep(_POLL_S)

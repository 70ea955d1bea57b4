"""One unit of a server as ``show`` prints it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from autointerp.cli.reading import Scored, UnitView, in_model_units
from autointerp.cli.remote import connected
from autointerp.client.client import label_of
from autointerp.core.errors import InputError
from autointerp.core.records import ActivationRecord

if TYPE_CHECKING:
    from autointerp.client import Client

_RECORD = TypeAdapter(ActivationRecord)
_UNIT = re.compile(
    r"(?:(?:(?P<model>[^/]+)/)?(?P<hook>blocks\.\d+\.[a-z0-9_.]+)|(?P<layer>\d+))[/:](?P<index>\d+)"
)


def read_remote_unit(server: str, text: str) -> tuple[UnitView, ...]:
    """Every labelled side of a unit, positive first.

    Args:
        server: its address.
        text: ``smollm2-135m/blocks.5.mlp.hook_post/131``, or ``5:131`` where the server has one
            model.

    Raises:
        InputError: no unit, or no label of it.
        UpstreamError: the server cannot be reached.
    """
    match = _UNIT.fullmatch(text.strip())
    if match is None:
        msg = f"{text!r} is not a unit; write 5:131 or smollm2-135m/blocks.5.mlp.hook_post/131"
        raise InputError(msg)
    with connected(server) as client:
        model = match["model"] or _only_model(client)
        hook = match["hook"] or match["layer"]
        page = client.unit(model, hook, int(match["index"]), trials=True)
    return tuple(_view(page, said) for said in page["sides"])


def _only_model(client: Client) -> str:
    models = client.models()
    if len(models) != 1:
        known = ", ".join(models) or "no labels"
        msg = f"say whose unit, MODEL/blocks.5.mlp.hook_post/131; the server has {known}"
        raise InputError(msg)
    return models[0]


def _view(page: dict[str, Any], said: dict[str, Any]) -> UnitView:
    label, peak = label_of(page, said), said["peak"]
    explain = [_RECORD.validate_python(r) for band in said["exemplars"] for r in band["records"]]
    held_out = [
        Scored(
            _RECORD.validate_python(r),
            in_model_units(r["predicted"], label.preferred, peak),
        )
        for r in said["held_out"]
    ]
    return UnitView(label, peak, tuple(explain), tuple(held_out))

"""``autointerp evidence --server``: a service answers in place of this machine."""

from __future__ import annotations

from typing import Any

from autointerp.cli.remote import connected, exit_for, follow_job
from autointerp.cli.rendering.console import print_json, result_console, say
from autointerp.cli.rendering.job_status import print_job
from autointerp.cli.text_units import DEFAULT_SUBJECT, NamedUnits
from autointerp.core.causal_evidence import EvidenceKind
from autointerp.core.causal_json import causal_json
from autointerp.core.causal_request import CausalRequest
from autointerp.core.errors import InputError

_LOCAL = {"folder": "--dir", "encoders": "--encoder"}
_OF_TEXT = ("corpus", "tokens")


def ask_server(  # noqa: PLR0913 - what the command was given
    server: str | None,
    named: NamedUnits,
    request: CausalRequest,
    where: dict[str, Any],
    *,
    keep: bool,
    as_json: bool,
) -> None:
    """Prints what a worker of the server answers.

    Raises:
        InputError: an option is for this machine alone, or the server refuses the request.
        UpstreamError: the server cannot be reached, or no worker answers in time.
    """
    _refuse_local(where)
    # Imported when the command runs: they bring pydantic's adapters and tables.
    from autointerp.cli.rendering.causal_tables import print_causal  # noqa: PLC0415
    from autointerp.store.packed_causal import read_causal  # noqa: PLC0415

    options = wire_options(request)
    options |= {name: where[name] for name in _OF_TEXT if where[name] is not None}
    options |= {name: True for name, on in (("together", request.together), ("keep", keep)) if on}
    with connected(server) as client:
        found = client.evidence(named.subject or DEFAULT_SUBJECT, named.spec, **options)
    if as_json:
        print_json(found)
    else:
        print_causal(read_causal(found), result_console())


def submit_evidence(  # noqa: PLR0913 - what the command was given
    server: str | None,
    named: NamedUnits,
    request: CausalRequest,
    where: dict[str, Any],
    *,
    wait: bool,
    as_json: bool,
) -> None:
    """Submits a job that asks for the evidence, and prints its id.

    Raises:
        InputError: an option is not one of jobs, or the server refuses the job.
        UpstreamError: the server cannot be reached.
    """
    _refuse_local(where)
    if request.together:
        raise InputError("a job answers of each unit by itself; leave out --together or --job")
    text = {name: where[name] for name in _OF_TEXT if where[name] is not None}
    with connected(server) as client:
        job = client.submit(
            named.spec,
            subject=named.subject or DEFAULT_SUBJECT,
            evidence=wire_options(request),
            **text,
        )
        if wait:
            say(f"submitted {job.id}")
            job = follow_job(client, job.id)
        print_job(job, result_console(), as_json=as_json)
        if wait:
            exit_for(client, job)


def wire_options(request: CausalRequest) -> dict[str, Any]:
    """The kind, and what is not as usual, by the names of REST."""
    usual = causal_json(CausalRequest(EvidenceKind.ABLATION))
    given = causal_json(request)
    given.pop("together")
    return {n: v for n, v in given.items() if n == "kind" or v != usual[n]}


def _refuse_local(where: dict[str, Any]) -> None:
    given = [option for name, option in _LOCAL.items() if where[name]]
    if given:
        raise InputError(
            f"{' and '.join(given)} cannot be given with --server, whose labels and files are its "
            "own; leave one of them out"
        )

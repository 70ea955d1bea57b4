"""`Client`: the REST API of a server, as methods."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from autointerp.client.http_session import HttpSession, NotThereError
from autointerp.client.job_events import Event, JobStatus, follow
from autointerp.client.resumed_download import fetch_file
from autointerp.core import VERSION
from autointerp.core.addresses import NO_PROXY, checked_address, shown_address
from autointerp.core.errors import AutointerpError, InputError, UpstreamError
from autointerp.core.explanations import Label
from autointerp.core.ids import Side, UnitId

_LABEL = TypeAdapter(Label)
_TIMEOUT = httpx.Timeout(150, connect=10)


class Client:
    """Talks to one autointerp server.

    Args:
        server: its address, ``http://127.0.0.1:8000``.
        api_key: one of its keys; None where it needs none.
        patience_s: how long to retry while it cannot be reached or is busy.
        transport: in place of the network, for tests.

    Raises:
        InputError: the address is not a URL, or the key cannot be sent.
    """

    def __init__(
        self,
        server: str = "http://127.0.0.1:8000",
        api_key: str | None = None,
        *,
        patience_s: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        try:
            checked_address(server, ("http", "https"), "http://127.0.0.1:8000")
        except ValueError as error:
            msg = f"{shown_address(server)!r} is not the address of a server; {error}"
            raise InputError(msg) from None
        headers = {"User-Agent": f"autointerp/{VERSION}"}
        if api_key:
            headers["Authorization"] = f"Bearer {_in_header(api_key, 'the API key')}"
        try:
            self._http = httpx.Client(
                base_url=server.rstrip("/"),
                headers=headers,
                timeout=_TIMEOUT,
                follow_redirects=False,
                transport=transport,
            )
        except (httpx.InvalidURL, ValueError, ImportError):
            raise InputError(NO_PROXY) from None
        self._session = HttpSession(self._http, patience_s=patience_s)

    def close(self) -> None:
        """Closes its connections."""
        self._http.close()

    def __repr__(self) -> str:
        return f"Client({shown_address(str(self._http.base_url))})"

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    # Jobs ------------------------------------------------------------------------------------

    def submit(self, units: str, *, idempotency_key: str | None = None, **job: object) -> JobStatus:
        """Submits a labelling job; retries after a bad connection do not submit it twice.

        Args:
            units: as on the command line, ``5:0-19``.
            idempotency_key: the same key gives the same job; None generates one.
            **job: other fields of a job: ``subject``, ``llm``, ``corpus``, ``budget`` ...

        Raises:
            InputError: the server refused the job, or the key cannot be sent.
            UpstreamError: the server cannot be reached.
        """
        key = idempotency_key or secrets.token_hex(16)
        headers = {"Idempotency-Key": _in_header(key, "idempotency_key")}
        body = {"units": units, **job}
        return JobStatus.of(self._session.json("POST", "/v1/jobs", body=body, headers=headers))

    def estimate(self, units: str, **job: object) -> dict[str, Any]:
        """What a job of the same fields as `submit` takes would cost; nothing is submitted.

        Raises:
            InputError: the server would refuse the job.
            UpstreamError: the server cannot be reached.
        """
        body = {"units": units, **job}
        estimate: dict[str, Any] = self._session.json("POST", "/v1/estimates", body=body)
        return estimate

    def status(self, job_id: str) -> JobStatus:
        """The current state of the job."""
        return JobStatus.of(self._session.json("GET", f"/v1/jobs/{_part(job_id)}"))

    def jobs(self, *, state: str | None = None, limit: int = 50) -> list[JobStatus]:
        """The newest jobs, newest first."""
        params = {"state": state, "limit": limit}
        return [
            JobStatus.of(item)
            for item in self._session.json("GET", "/v1/jobs", params=params)["items"]
        ]

    def jobs_in_short(self, *, states: Sequence[str] = (), limit: int = 50) -> list[dict[str, Any]]:
        """The newest jobs, newest first, each as the few values that tell it from others."""
        params = {"state": list(states), "limit": limit, "short": "true"}
        items: list[dict[str, Any]]
        items = self._session.json("GET", "/v1/jobs", params=params)["items"]
        return items

    def wait(
        self, job_id: str, *, on_change: Callable[[JobStatus], object] | None = None
    ) -> JobStatus:
        """Waits for the job to end and returns it.

        `on_change` is called with the job about once a second while it changes.
        """
        job = self.status(job_id)
        while not job.is_final:
            for event in self.events(job_id, kinds=("job",)):
                if on_change is not None:
                    on_change(JobStatus.of(event.data))
            job = self.status(job_id)
        if on_change is not None:
            on_change(job)
        return job

    def cancel(self, job_id: str) -> JobStatus:
        """Stops a job; finished labels are kept."""
        return JobStatus.of(self._session.json("POST", f"/v1/jobs/{_part(job_id)}/cancel"))

    def retry(self, job_id: str) -> JobStatus:
        """Runs the failed part of a job again."""
        path = f"/v1/jobs/{_part(job_id)}/retry"
        return JobStatus.of(self._session.json("POST", path, idempotent=False))

    def forget(self, job_id: str) -> None:
        """Removes a job that has ended from the list; its labels stay."""
        self._session.json("DELETE", f"/v1/jobs/{_part(job_id)}")

    def events(
        self, job_id: str, *, after: str | None = None, kinds: Sequence[str] = ()
    ) -> Iterator[Event]:
        """The events of a job until it has ended; resumes after an interrupted connection.

        Those after the event whose id is `after`; of these kinds, or of all where none is named.
        """
        return follow(self._session, _part(job_id), after=after, kinds=kinds)

    # Labels ----------------------------------------------------------------------------------

    def models(self) -> list[str]:
        """Names of the models that have labels."""
        items = self._session.json("GET", "/v1/models")["items"]
        return [item["model"] for item in items if item["n_labels"]]

    def labels(self, model: str, **query: object) -> Iterator[dict[str, Any]]:
        """Rows of labels, page by page.

        The query takes ``layer``, ``hook``, ``status``, ``score_min``, ``score_max``, ``corpus``,
        ``explainer``, ``q`` and ``sort``: ``unit``, or ``score``, ``llm_score`` or ``llm_added``,
        with ``-`` before it the greatest first. With ``corpus`` or ``explainer`` labels are listed
        whose place newer ones took, too.
        """
        path, cursor = f"/v1/models/{_part(model)}/labels", None
        while True:
            params = {"limit": 500, **query, "cursor": cursor}
            page = self._session.json("GET", path, params=params)
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return

    def unit(  # noqa: PLR0913 - what tells one label from others
        self,
        model: str,
        hook: str | int,
        index: int,
        *,
        trials: bool = False,
        corpus: str | None = None,
        explainer: str | None = None,
    ) -> dict[str, Any]:
        """Everything about a unit, as the server's JSON.

        With `corpus` or `explainer` the newest label from that text or by that explainer, else the
        newest of all; ``others`` names those that are not shown.

        `hook` may be a layer, for its ``mlp.hook_post``, or its ``mlp.hook_mid`` where that is
        labelled instead; `trials` adds what scorers were asked.
        """
        asked = {"corpus": corpus, "explainer": explainer}
        params = {"trials": "true" if trials else None, **asked}
        page: dict[str, Any] = self._of_unit("GET", model, hook, index, params=params)
        return page

    def label(  # noqa: PLR0913 - what tells one label from others
        self,
        model: str,
        hook: str | int,
        index: int,
        *,
        side: Side | str | None = None,
        corpus: str | None = None,
        explainer: str | None = None,
    ) -> Label:
        """The label of a side of a unit, by default of the first side that has one, as of `unit`.

        Raises:
            InputError: there is no such label.
        """
        page = self.unit(model, hook, index, trials=True, corpus=corpus, explainer=explainer)
        sides = [x for x in page["sides"] if side is None or x["side"] == side]
        if not sides:
            raise InputError(f"{page['unit']} has no label of its {side} side")
        return label_of(page, sides[0])

    def score_explanation(
        self,
        model: str,
        hook: str | int,
        index: int,
        text: str | None = None,
        *,
        program: str | None = None,
        **options: object,
    ) -> dict[str, Any]:
        """How well an explanation of your own predicts the unit on its held-out windows.

        In words, or as a program, which needs no LLM. The score ``over_label`` of a result is the
        paired difference to the unit's label. Options are ``side``, ``scorers``, ``n_heldout``,
        ``windows_per_call``, ``llm``, ``llm_model``, ``seed`` and ``keep``, which keeps it
        beside the label.
        """
        given = {"text": text, "program": program}
        body = {name: value for name, value in given.items() if value is not None} | options
        scores: dict[str, Any] = self._of_unit(
            "POST", model, hook, index, "/explanations", body=body
        )
        return scores

    def _of_unit(  # noqa: PLR0913, PLR0917 - the parts of the path
        self,
        method: str,
        model: str,
        hook: str | int,
        index: int,
        rest: str = "",
        **sent: Any,
    ) -> Any:
        base = f"/v1/models/{_part(model)}/units"
        first, *others = _hooks_of(str(hook))
        try:
            return self._session.json(method, f"{base}/{_part(first)}/{index:d}{rest}", **sent)
        except NotThereError:
            for other in others:
                with suppress(NotThereError):
                    path = f"{base}/{_part(other)}/{index:d}{rest}"
                    return self._session.json(method, path, **sent)
            raise

    def activations(self, model: str, units: str, text: str | Sequence[int]) -> dict[str, Any]:
        """The activations of the units on the text, token by token.

        Token ids in place of a text are read as they are.
        """
        body = {"model": model, "units": units, **_given(text)}
        activations: dict[str, Any] = self._session.json("POST", "/v1/activations", body=body)
        return activations

    def strongest(
        self,
        model: str,
        text: str | Sequence[int],
        *,
        n: int = 20,
        layers: Sequence[int] | None = None,
    ) -> dict[str, Any]:
        """The units of some layers, or all, that the text or the tokens make most active."""
        body = {"n": n, **({} if layers is None else {"layers": list(layers)}), **_given(text)}
        found: dict[str, Any] = self._session.json(
            "POST", f"/v1/models/{_part(model)}/strongest", body=body
        )
        return found

    def find(self, model: str, feature: str | None = None, **options: object) -> dict[str, Any]:
        """The units of a model that tell a feature best, tested on documents held out.

        A ready feature, or one of the options ``positive`` with ``negative`` (texts), ``examples``
        (as lines of a dataset) or ``regex``. Others are those of `POST /v1/models/{model}/find`:
        ``corpus``, ``units``, ``tokens``, ``n_ctx``, ``rank_by``, ``n``, ``k``, ``exact_s``,
        ``seed`` and ``dtype``.

        Raises:
            InputError: the server refused the request.
            UpstreamError: the server cannot be reached, or no worker answers in time.
        """
        body = options if feature is None else {"feature": feature, **options}
        found: dict[str, Any] = self._session.json(
            "POST", f"/v1/models/{_part(model)}/find", body=body
        )
        return found

    def evidence(
        self, model: str, units: str, kind: str = "ablation", **options: object
    ) -> dict[str, Any]:
        """What happens when units are held, put back or pushed, beside controls.

        Kinds are ``ablation``, ``patching``, ``attribution``, ``steering``, ``sites`` and
        ``rank``; options are those of `autointerp evidence` by the names of
        `POST /v1/models/{model}/evidence`: ``holds``, ``texts``, ``together``,
        ``n_windows``, ``n_texts``, ``n_controls``, ``against``, ``prompt``, ``counterfactual``,
        ``answers``, ``position``, ``prompts``, ``target_kl``, ``n_tokens``,
        ``seed``, ``dtype``; of sites ``corpus`` and ``tokens``; and ``keep``. For many units submit
        a job: `submit(units, evidence={"kind": kind})`.
        """
        body = {"units": units, "kind": kind, **options}
        found: dict[str, Any] = self._session.json(
            "POST", f"/v1/models/{_part(model)}/evidence", body=body
        )
        return found

    def kept_evidence(self, model: str, hook: str, index: int) -> list[dict[str, Any]]:
        """The causal evidence that is kept of a unit, by kind and the oldest first.

        Raises:
            InputError: there is no such model.
            UpstreamError: the server cannot be reached.
        """
        path = f"/v1/models/{_part(model)}/units/{_part(hook)}/{index}/evidence"
        found: list[dict[str, Any]] = self._session.json("GET", path)["items"]
        return found

    def download(
        self,
        model: str,
        out: Path | str,
        *,
        format: Literal["parquet", "jsonl", "neuronpedia", "archive", "evidence"] = "parquet",  # noqa: A002
        corpus: str | None = None,
        explainer: str | None = None,
    ) -> Path:
        """Downloads the feature dictionary as a file; resumes an interrupted download.

        Tables may be of the labels from one text or by one explainer. ``evidence`` is JSON lines of
        the causal evidence that is kept beside the labels.
        """
        if format == "evidence":
            path = f"/v1/models/{_part(model)}/evidence"
            return fetch_file(self._session, path, {}, Path(out))
        path = f"/v1/models/{_part(model)}/dictionary"
        given = {"format": format, "corpus": corpus, "explainer": explainer}
        params = {name: value for name, value in given.items() if value is not None}
        return fetch_file(self._session, path, params, Path(out))


def label_of(page: Mapping[str, Any], side: Mapping[str, Any]) -> Label:
    """The label of one side of a unit, from the server's JSON with trials.

    Raises:
        UpstreamError: the JSON cannot be read.
    """
    try:
        return _LABEL.validate_python({**side, "unit": UnitId.parse(page["unit"])})
    except (ValidationError, AutointerpError) as error:
        msg = "the server's label cannot be read; does it run another version of autointerp?"
        raise UpstreamError(msg, retryable=False) from error


def _hooks_of(text: str) -> tuple[str, ...]:
    """The hook point, or those that a layer's neurons may have been read at."""
    kinds = ("hook_post", "hook_mid")
    return tuple(f"blocks.{text}.mlp.{k}" for k in kinds) if text.isdecimal() else (text,)


def _given(text: str | Sequence[int]) -> dict[str, object]:
    return {"text": text} if isinstance(text, str) else {"token_ids": list(text)}


def _part(text: str) -> str:
    return quote(text, safe="")


def _in_header(key: str, name: str) -> str:
    """The key, which is not shown where a header cannot carry it."""
    if not (key.isascii() and key.isprintable()):
        raise InputError(f"{name} holds characters that an HTTP header cannot carry; correct it")
    return key

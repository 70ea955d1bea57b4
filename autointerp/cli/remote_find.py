"""``autointerp find --server``: a worker of a service looks in place of this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autointerp.cli.remote import connected
from autointerp.cli.rendering.console import print_json, result_console, say
from autointerp.core.errors import InputError, UpstreamError
from autointerp.core.feature_search import FindReport
from autointerp.core.ids import UnitId

_UNIT = ("unit", "best")


@dataclass(frozen=True, slots=True)
class Sought:
    """What is looked for, as the command names it."""

    feature: str | None
    regex: str | None
    positive: Path | None
    negative: Path | None
    dataset: Path | None

    @property
    def body(self) -> dict[str, Any]:
        """The same as a request; files are read here.

        Raises:
            InputError: a file cannot be read, or holds too few texts or of one class only.
        """
        body = {"feature": self.feature, "regex": self.regex}
        result: dict[str, Any] = {name: value for name, value in body.items() if value}
        # Imported when a file is read: it brings numpy.
        from autointerp.corpora.features import read_dataset, read_examples  # noqa: PLC0415

        if (self.positive is None) != (self.negative is None):
            other = "--negative" if self.negative is None else "--positive"
            raise InputError(
                f"texts of one class were given only; add {other} FILE with the others"
            )
        if self.positive is not None and self.negative is not None:
            examples = read_examples(self.positive, self.negative)
            result["positive"] = [one.text for one in examples if one.whole]
            result["negative"] = [one.text for one in examples if not one.whole]
        if self.dataset is not None:
            result["examples"] = [
                {"text": one.text, "spans": one.positive, "ignore": one.ignored}
                if one.whole is None
                else {"text": one.text, "label": int(one.whole)}
                for one in read_dataset(self.dataset)
            ]
        return result


def ask_server(
    server: str,
    subject: str,
    sought: Sought,
    options: Mapping[str, object],
    *,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Prints what a worker of the server finds; options that are None are the server's to choose.

    Raises:
        InputError: an option is for this machine alone, or the server refuses the request.
        UpstreamError: the server cannot be reached, or no worker answers in time.
    """
    if folder is not None:
        raise InputError(
            "--dir cannot be given with --server, whose labels are its own; leave one of them out"
        )
    from autointerp.cli.rendering.find_table import print_found  # noqa: PLC0415 - brings tables

    given = {name: value for name, value in options.items() if value is not None}
    with connected(server) as client:
        found = client.find(subject, **{**sought.body, **given})
    if as_json:
        print_json(found)
        return
    print_found(read_found(found), result_console())
    say(f"a server reads less text and fits fewer probes; all of it: {found['command']}")


def read_found(found: Mapping[str, Any]) -> FindReport:
    """The report, from what a server answers.

    Raises:
        UpstreamError: it is of another version.
    """
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415 - --help starts without it

    try:
        return TypeAdapter(FindReport).validate_python(_with_units(found))
    except (ValidationError, InputError) as error:
        msg = "the server's answer cannot be read; does it run another version of autointerp?"
        raise UpstreamError(msg, retryable=False) from error


def _with_units(value: Any) -> Any:
    """The same, with the names of units read; other names in it stay."""
    if isinstance(value, Mapping):
        return {
            key: UnitId.parse(own) if key in _UNIT and isinstance(own, str) else _read(key, own)
            for key, own in value.items()
        }
    return [_with_units(one) for one in value] if isinstance(value, list) else value


def _read(key: str, value: Any) -> Any:
    if key == "units" and isinstance(value, Sequence):
        return [UnitId.parse(one) if isinstance(one, str) else _with_units(one) for one in value]
    return _with_units(value)

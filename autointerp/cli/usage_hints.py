"""What to type where an option or argument was not understood, added to what the parser says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from autointerp.core.config import JobSpec
from autointerp.core.errors import InputError
from autointerp.core.unit_spec import parse_unit_spec

_OTHER_NAMES = {
    "dir": "dictionary folder directory path run runs input labels out output",
    "out": "output output-dir output-folder outdir out-dir dest destination to save save-dir file "
    "dir folder directory path run dictionary",
    "tokens": "n-tokens num-tokens max-tokens ntokens n-token",
    "n-ctx": "context context-length context-size ctx ctx-len seq-len seq-length max-length window",
    "corpus": "text texts dataset data documents source",
    "units": "neurons neuron feature features latent latents layer layers sae index indices hook",
    "subject": "model model-name subject-model lm checkpoint",
    "llm": "api-base base-url url endpoint api-url provider",
    "llm-model": "explainer-model scorer-model judge judge-model",
    "server": "url host address endpoint api",
    "budget-usd": "budget cost max-cost max-usd usd",
    "limit": "n count max top",
    "format": "fmt type to",
}
"""Other words for options and arguments, by the name that they have here."""
_KEY = "the key of an LLM is read from AUTOINTERP_LLM_API_KEY, which no list of processes shows"
_EXTRA = re.compile(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)")
_MOST = 3


def add_hint(error: Any) -> None:
    """Adds to a parser's error what was probably meant; other errors stay as they are."""
    context, message = getattr(error, "ctx", None), getattr(error, "message", None)
    if context is None or message is None:
        return
    option = getattr(error, "option_name", None)
    if option is not None and hasattr(error, "possibilities"):
        error.possibilities = None
        error.message = f"No such option: {option}" + _end(_about_option(option, context))
    elif match := _EXTRA.fullmatch(message):
        error.message = f"Unexpected argument: {match[1]}" + _end(_about_words(match[1], context))
    elif getattr(error, "param", None) is not None and not message and context.command.epilog:
        error.message = context.command.epilog


def _end(advice: str | None) -> str:
    return f"; {advice}" if advice else ""


def _about_option(option: str, context: Any) -> str | None:
    asked, written = option.lstrip("-").lower().replace("_", "-"), _written(context.command)
    if asked == "api-key":
        return _KEY
    near = _near(asked, written)
    if len(asked) == 1 and not option.startswith("--"):
        near = [whole for whole in written.values() if whole.startswith(f"--{asked}")][:_MOST]
    if near:
        return f"did you mean {' or '.join(near)}?"
    if "set_field" in {p.name for p in context.command.params}:
        fields = list(_fields(asked.replace("-", "_")))
        if fields:
            return f"did you mean --set {fields[0]}=...?"
    others = [
        name
        for name, command in sorted(_commands(context).items())
        if f"--{asked}" in _written(command).values()
    ]
    return f"it is an option of {', '.join(others)}" if others else None


def _near(asked: str, written: Mapping[str, str]) -> list[str]:
    """Names of the command, as they are written, that may be meant; the likeliest first."""
    if asked in written:
        return [_taken_as_word(written[asked])]
    close = get_close_matches(asked, written, n=1, cutoff=0.8)
    meant = [name for name in written if asked in _OTHER_NAMES.get(name, "").split()]
    holding = [name for name in written if asked in name.split("-")]
    found = dict.fromkeys(close or (*meant, *holding) or get_close_matches(asked, written, n=1))
    return [_taken_as_word(written[name]) for name in list(found)[:_MOST]]


def _taken_as_word(written: str) -> str:
    return written if written.startswith("-") else f"{written} without an option"


def _written(command: Any) -> dict[str, str]:
    """Options and arguments as they are written, by name without dashes."""
    result = {}
    for param in command.params:
        if param.param_type_name == "option":
            result.update({o.lstrip("-"): o for o in param.opts if o.startswith("--")})
    for param in command.params:
        if param.param_type_name == "argument":
            for name in (param.metavar or param.name).split("|"):
                result.setdefault(name.lower(), name.upper())
    return result


def _fields(asked: str) -> Iterator[str]:
    """Dotted names of a job's fields whose last name is this one."""
    for name, field in JobSpec.model_fields.items():
        if asked in getattr(field.annotation, "model_fields", ()):
            yield f"{name}.{asked}"


def _commands(context: Any) -> dict[str, Any]:
    group = context.command if context.parent is None else context.parent.command
    return dict(getattr(group, "commands", {}))


def _about_words(words: str, context: Any) -> str | None:
    written, first = _written(context.command), words.split(maxsplit=1)[0]
    if "units" in written and _names_units(first):
        return f"units are named with --units {first}"
    for option, fits in (("dir", Path(first).is_dir()), ("out", "/" in first)):
        if option in written and fits:
            return f"did you mean --{option} {first}?"
    return None


def _names_units(word: str) -> bool:
    try:
        return bool(parse_unit_spec(word))
    except InputError:
        return False

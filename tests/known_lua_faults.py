"""Faults of the Lua of the Redis scripts that change nothing, for `mutation.py`, with why."""

from __future__ import annotations

_SCRIPTS = "autointerp/store/jobs/redis_scripts.py"
_LABELS = "autointerp/store/labels/redis_store.py"
_LIMITS = "autointerp/store/redis_limits.py"

_YES = "any number but 0 is yes"
_UNREAD = "nobody reads what the script gives back"
_UNUSED = "not read where there is no limit of this kind"
_MOMENT = "two moments of the clock are not the same"

# File, stretch of a line, the stretch with the fault, why.
_KNOWN = (
    (_SCRIPTS, "return 1", "return 2", _YES),
    (_SCRIPTS, "and 1 or 0", "and 2 or 0", _YES),
    (_SCRIPTS, "100000", "100001", "a stream is cut about there"),
    (_SCRIPTS, "ARGV[3], 0)", "ARGV[3], 1)", "a job that runs keeps its events anyway"),
    (_SCRIPTS, "KEYS[2], 1, 'NX'", "KEYS[2], 2, 'NX'", "a mark is there or not"),
    (_SCRIPTS, "'unpriced', 1", "'unpriced', 2", "a mark is there or not"),
    (_SCRIPTS, "600000", "600001", "a millisecond of ten minutes"),
    (_SCRIPTS, "600000) then return 0", "600000) then return 1", _UNREAD),
    (_SCRIPTS, "== 1 then return 0", "== 1 then return 1", _UNREAD),
    (_LABELS, "== 0 then return 0", "== 0 then return 1", _UNREAD),
    (_LABELS, "return 1", "return 2", _UNREAD),
    (_LIMITS, "s < now", "s <= now", "what is set is then equal"),
    (_LIMITS, "ends < now", "ends <= now", _MOMENT),
    (_LIMITS, "ends > now +", "ends >= now +", _MOMENT),
    (_LIMITS, "now + 600000", "now + 600001", "a millisecond of ten minutes"),
    (_LIMITS, "e < now", "e <= now", _MOMENT),
    (_LIMITS, "n_succeeded > 0", "n_succeeded >= 0", "no success adds nothing"),
    (_LIMITS, "allowed < most then", "allowed <= most then", "min leaves it at most"),
    (_LIMITS, "paused > now", "paused >= now", _MOMENT),
    (_LIMITS, "now + 3600000", "now + 3600001", "a millisecond of an hour"),
    (_LIMITS, "requests = 0, 0, 0", "requests = 1, 0, 0", _UNUSED),
    (_LIMITS, "requests = 0, 0, 0", "requests = 0, 1, 0", _UNUSED),
    (_LIMITS, "tokens = 0, 0, 0, 0", "tokens = 0, 1, 0, 0", _UNUSED),
    (_LIMITS, "tokens = 0, 0, 0, 0", "tokens = 0, 0, 1, 0", _UNUSED),
    (_LIMITS, "other[2] > 0", "other[2] >= 0", "one that waits for nothing reserves nothing"),
    (_LIMITS, "other[3] < since", "other[3] <= since", _MOMENT),
    (_LIMITS, "requests < 0.999999", "requests <= 0.999999", "it is never just that"),
    (_LIMITS, "cost - 0.000001", "cost + 0.000001", "the wait for nothing is 0, which is none"),
    (_LIMITS, "tokens < cost", "tokens <= cost", "it is never just that"),
)


def changes_nothing(shown: str) -> bool:
    """Whether a fault, as `Fault.shown` shows it, is one of those."""
    path, _, lines = shown.partition(": ")
    before, _, after = lines.partition(" -> ")
    return any(
        path == name and sound in before and before.replace(sound, faulty, 1) == after
        for name, sound, faulty, _ in _KNOWN
    )

"""The audit log: one JSON line for what somebody asked or did. Neither keys nor texts are in it."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

LOGGER = logging.getLogger("autointerp.audit")
_FIELDS = "audit_fields"


def audit(event: str, **fields: str | int | float | None) -> None:
    """Writes a line: ``request``, ``submit``, ``cancel``, ``retry``, ``denied``, ``error``."""
    LOGGER.info(event, extra={_FIELDS: fields})


class JsonLines(logging.Formatter):
    """A record as one line of JSON: time, level, logger, event and what belongs to it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, _FIELDS, {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True)

"""What a server logs: a line of JSON for each request and each thing worth telling, on standard error.

No line has a value of a row, a text of SQL or a credential: of a request it says the server's own path, never the one
that came; of a fault, its class and where it was, never its message, which may quote any of these.
"""

from __future__ import annotations

import datetime
import logging
import sys
import traceback
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from kalamdb.server.call import Call

_REQUESTS = logging.getLogger("kalamdb.server.requests")
_FIELDS = "fields"
_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH"})


def log_to_standard_error(level: str) -> None:
    """Have everything that this process logs written so. `level`: info, warning or error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # What it says of its steps is said here in words of ours.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


def log_request(call: Call) -> None:
    """Tell of a request that was answered, or whose client went away (status 0)."""
    if not _REQUESTS.isEnabledFor(logging.INFO):
        return
    method = call.scope["method"]
    fields = {
        "request_id": call.request_id,
        "method": method if method in _METHODS else "other",
        "route": call.route,
        "status": call.status,
        "duration_ms": round(call.took_ms, 3),
        "user": call.user,
        "address": call.application.peers.address_of(call.scope),
    }
    _REQUESTS.info("request", extra={_FIELDS: fields})


class JsonLines(logging.Formatter):
    """A record as one line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            "time": datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            # Libraries put what they met into further lines.
            "message": record.getMessage().partition("\n")[0],
            **getattr(record, _FIELDS, {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line["error"] = type(error).__name__
            line["trace"] = [
                f"{frame.filename}:{frame.lineno} {frame.name}"
                for frame in traceback.extract_tb(error.__traceback__)
            ]
        return orjson.dumps(line, default=str).decode()

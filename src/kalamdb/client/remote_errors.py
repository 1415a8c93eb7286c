"""Errors that a server tells of, as the classes that they were there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kalamdb import errors
from kalamdb.client.json_text import loads
from kalamdb.client.steps import Answer

_BY_STATUS: dict[int, type[errors.Error]] = {
    401: errors.InvalidToken,
    403: errors.AccessDenied,
    408: errors.StatementTimeout,
    413: errors.StatementTooLarge,
    429: errors.RateLimitExceeded,
    500: errors.InternalError,
    503: errors.OperationalError,
}
"""What an error is whose class is the server's own."""
_BY_CODE: dict[str, type[errors.Error]] = {
    "AUTH_REQUIRED": errors.InvalidToken,
    "UNAUTHORIZED": errors.AccessDenied,
    "NOT_FOUND": errors.UndefinedTable,
    "INVALID_SQL": errors.InvalidSyntax,
    "UNSUPPORTED": errors.UnsupportedLiveQuery,
    "INTERNAL_ERROR": errors.InternalError,
}
"""Of a WebSocket's codes those that are not the class's own."""


def error_of(answer: Answer) -> errors.Error:
    """The error that an answer tells of, with the request's number. `retry_after_s`: where the server says when to
    come again."""
    told: Any = None
    try:
        told = loads(answer.body)["error"]
        details = told.get("details") or {}
        message, code = str(told["message"]), str(told["code"])
    except (ValueError, KeyError, TypeError, AttributeError):
        shown = answer.body[:200].decode("utf-8", "replace")
        details, code = {}, f"HTTP_{answer.status}"
        message = f"the server answered with status {answer.status}, which is not kalamdb's: {shown!r}"
    nearest = _BY_STATUS.get(answer.status)
    if nearest is None:
        nearest = errors.OperationalError if answer.status >= 500 else errors.InterfaceError
    error = _made(details, nearest, message, code)
    error.request_id = answer.headers.get("x-request-id")
    wait_s = answer.headers.get("retry-after", "")
    if wait_s.isdigit():
        error.retry_after_s = float(wait_s)  # type: ignore[attr-defined]
    elif isinstance(error, (errors.RateLimitExceeded, errors.AccountLocked)):
        error.retry_after_s = 1.0
    return error


def error_of_frame(frame: Mapping[str, Any]) -> errors.Error:
    """The error that a message of a WebSocket tells of."""
    code = str(frame.get("code", ""))
    return _made(frame.get("details") or {}, _class_of_code(code), str(frame.get("message", code)), code)


def _made(details: Mapping[str, Any], nearest: type[errors.Error], message: str, code: str) -> errors.Error:
    kind = getattr(errors, str(details.get("error")), None)
    known = isinstance(kind, type) and issubclass(kind, errors.Error)
    made: type[errors.Error] = kind if known else nearest  # type: ignore[assignment]
    # Some of them are made with what the server does not tell.
    error = made.__new__(made, message)
    position = details.get("position")
    errors.Error.__init__(error, message, position=position if isinstance(position, int) else None)
    if isinstance(details.get("sqlstate"), str):
        error.sqlstate = details["sqlstate"]
    if not known and code:
        error.code = code  # type: ignore[misc]
    return error


def _class_of_code(code: str) -> type[errors.Error]:
    if code in _BY_CODE:
        return _BY_CODE[code]
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.Error) and kind.code == code:
            return kind
    return errors.OperationalError

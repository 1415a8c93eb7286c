"""Which code an error has on a WebSocket. One table for every message."""

from __future__ import annotations

import logging

from kalamdb import errors
from kalamdb.server import refusals as request_refusals
from kalamdb.server.websocket import refusals

log = logging.getLogger("kalamdb.server")

INTERNAL_ERROR = "INTERNAL_ERROR"
CODES: dict[type[BaseException], str] = {
    # An error is told as the nearest class above it is; by its own code where there is none.
    errors.InvalidToken: "AUTH_REQUIRED",
    errors.TokenExpired: "AUTH_REQUIRED",
    request_refusals.MissingAuthorization: "AUTH_REQUIRED",
    refusals.NotAuthenticated: "AUTH_REQUIRED",
    errors.UndefinedTable: "NOT_FOUND",
    errors.UndefinedNamespace: "NOT_FOUND",
    refusals.UnknownSubscription: "NOT_FOUND",
    errors.AccessDenied: "UNAUTHORIZED",
    errors.InvalidSyntax: "INVALID_SQL",
    errors.EmptyStatement: "INVALID_SQL",
    errors.StatementTooLarge: "INVALID_SQL",
    errors.UndefinedColumn: "INVALID_SQL",
    errors.UndefinedFunction: "INVALID_SQL",
    errors.InvalidParameter: "INVALID_SQL",
    errors.DataError: "INVALID_SQL",
    errors.NotSupportedError: "UNSUPPORTED",
    errors.SubscriptionLimitExceeded: "SUBSCRIPTION_LIMIT_EXCEEDED",
    errors.RateLimitExceeded: "RATE_LIMIT_EXCEEDED",
    errors.SubscriptionLagged: "SUBSCRIPTION_LAGGED",
    errors.InternalError: INTERNAL_ERROR,
    errors.Corruption: INTERNAL_ERROR,
    errors.UnknownFormat: INTERNAL_ERROR,
}


def code_and_message(error: BaseException, user: str | None) -> tuple[str, str, dict[str, object] | None]:
    """Code, message and details, by which an error is told. What is a fault of ours goes to the log, and nothing of it
    to the client."""
    code = next((CODES[one] for one in type(error).__mro__ if one in CODES), None)
    if code == INTERNAL_ERROR or not isinstance(error, errors.Error):
        log.error("a subscription of %s failed", user, exc_info=error)
        return INTERNAL_ERROR, "internal error; the server's log tells of it", None
    details: dict[str, object] = {
        "error": type(error).__name__,
        "sqlstate": error.sqlstate,
        "position": error.position,
    }
    return code or error.code, error.message, details

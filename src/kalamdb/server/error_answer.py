"""Which status and code an error has over HTTP, and the answer that tells of it. One table for every call."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from kalamdb import errors
from kalamdb.server import refusals

log = logging.getLogger("kalamdb.server")

STATEMENT_FAILED = "SQL_EXECUTION_ERROR"
"""The code of what a statement met that has no code of its own here; `details` tell what it was."""


@dataclass(frozen=True, slots=True)
class Told:
    """How an error is told. `code`: None for the error's own. `hidden`: its message is for the log alone."""

    status: int
    code: str | None = None
    hidden: bool = False


ANSWERS: dict[type[BaseException], Told] = {
    # An error is told as the nearest class above it is.
    BaseException: Told(500, "INTERNAL_ERROR", hidden=True),
    errors.Error: Told(400, STATEMENT_FAILED),
    errors.InternalError: Told(500, "INTERNAL_ERROR", hidden=True),
    errors.Corruption: Told(500, "INTERNAL_ERROR", hidden=True),
    errors.UnknownFormat: Told(500, "INTERNAL_ERROR", hidden=True),
    errors.ForkedProcess: Told(500, "INTERNAL_ERROR", hidden=True),
    # The request.
    refusals.InvalidRequest: Told(400),
    refusals.UnknownPath: Told(404),
    refusals.MethodNotAllowed: Told(405),
    refusals.UnsupportedMediaType: Told(415),
    refusals.RequestTooLarge: Told(413),
    refusals.HeadersTooLarge: Told(431),
    refusals.RequestTimeout: Told(408),
    refusals.ResultTooLarge: Told(400),
    # The statement.
    errors.EmptyStatement: Told(400),
    errors.InvalidSyntax: Told(400),
    errors.InvalidParameter: Told(400),
    errors.ParametersWithBatch: Told(400),
    errors.UndefinedTable: Told(400),
    errors.UndefinedBackup: Told(400),
    errors.StatementTimeout: Told(408),
    errors.SerializationFailure: Told(409),
    # Who sends it.
    refusals.MissingAuthorization: Told(401),
    errors.InvalidCredentials: Told(401),
    errors.InvalidToken: Told(401),
    errors.TokenExpired: Told(401),
    errors.AccessDenied: Told(403),
    errors.RemoteAccessDenied: Told(403),
    errors.AccountLocked: Told(403),
    errors.RateLimitExceeded: Told(429),
    errors.AlreadySetUp: Told(409),
    # Not just now.
    refusals.ServerClosing: Told(503),
    errors.DatabaseClosed: Told(503, "SERVER_CLOSING"),
    errors.IssuerUnavailable: Told(503),
    errors.StorageUnavailable: Told(503, "STORAGE_UNAVAILABLE"),
    errors.StorageConflict: Told(503, "STORAGE_UNAVAILABLE"),
    errors.DatabasePoisoned: Told(503),
    errors.CommitOutcomeUnknown: Told(503),
}


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """An answer that tells of an error. `headers`: what only some errors have."""

    status: int
    body: bytes
    headers: list[tuple[bytes, bytes]]


def error_answer(
    error: BaseException, request_id: str, took_ms: float, results: Sequence[bytes] = ()
) -> ErrorAnswer:
    """The answer to a request that ended with `error`. `results`: of the statements that succeeded before it, as JSON.

    What is a fault of ours goes to the log under the request's id, and nothing of it to the client.
    """
    told = next(ANSWERS[one] for one in type(error).__mro__ if one in ANSWERS)
    if told.hidden or not isinstance(error, errors.Error):
        log.error("request %s failed", request_id, exc_info=error)
        message = f"internal error; the server's log tells of request {request_id}"
        details: dict[str, object] = {"error": "InternalError", "sqlstate": "XX000", "position": None}
        code = told.code
    else:
        message = error.message
        details = {"error": type(error).__name__, "sqlstate": error.sqlstate, "position": error.position}
        code = told.code or error.code
    # A message may quote what the client sent, lone surrogates too, which are no UTF-8.
    shown = message.encode("utf-8", "backslashreplace").decode()
    body = b"".join(
        (
            b'{"status":"error","results":[',
            b",".join(results),
            b'],"error":',
            orjson.dumps({"code": code, "message": shown, "details": details}),
            b',"took_ms":%.3f,"took":%.3f}' % (took_ms, took_ms),
        )
    )
    return ErrorAnswer(told.status, body, _headers(error, told.status))


def _headers(error: BaseException, status: int) -> list[tuple[bytes, bytes]]:
    headers: list[tuple[bytes, bytes]] = []
    wait_s = getattr(error, "retry_after_s", None)
    if wait_s is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(wait_s))))
    elif status == 503:
        headers.append((b"retry-after", b"1"))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if isinstance(error, (refusals.RequestTooLarge, refusals.RequestTimeout)):
        # What is left of the body is not read, so nothing can follow it on this connection.
        headers.append((b"connection", b"close"))
    if isinstance(error, refusals.MethodNotAllowed):
        headers.append((b"allow", ", ".join(error.methods).encode()))
    return headers

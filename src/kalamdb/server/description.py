"""What a call takes and answers, said once: the OpenAPI document is made of it, beside the table of endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from kalamdb import errors
from kalamdb.server import refusals

Errors = tuple[type[Exception], ...]

ANY_CALL: Errors = (errors.InternalError, refusals.HeadersTooLarge, refusals.ServerClosing)
"""What every call may be answered."""
ANY_PATH: Errors = (refusals.UnknownPath, refusals.MethodNotAllowed)
"""What is answered where there is no call."""
BODY: Errors = (
    refusals.InvalidRequest,
    refusals.UnsupportedMediaType,
    refusals.RequestTooLarge,
    refusals.RequestTimeout,
)
TOKEN: Errors = (
    refusals.MissingAuthorization,
    refusals.InvalidRequest,
    errors.InvalidToken,
    errors.TokenExpired,
    errors.AccessDenied,
    errors.IssuerUnavailable,
    errors.RateLimitExceeded,
)
DATABASE: Errors = (
    errors.Error,
    errors.Corruption,
    errors.UnknownFormat,
    errors.DatabaseClosed,
    errors.ForkedProcess,
    errors.StorageUnavailable,
    errors.StorageConflict,
    errors.DatabasePoisoned,
    errors.CommitOutcomeUnknown,
    errors.SerializationFailure,
)
"""What may come of reading and writing at all."""
STATEMENT: Errors = (
    *DATABASE,
    errors.EmptyStatement,
    errors.InvalidSyntax,
    errors.InvalidParameter,
    errors.ParametersWithBatch,
    errors.UndefinedTable,
    errors.UndefinedBackup,
    errors.StatementTimeout,
    refusals.ResultTooLarge,
)
LOG_IN: Errors = (
    errors.InvalidCredentials,
    errors.RemoteAccessDenied,
    errors.AccountLocked,
    errors.RateLimitExceeded,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """One call.

    `name`: of the operation. `answer`: the shape of 200, None where it is no JSON; `others`: shapes by status.
    `media`: kinds of 200 beside JSON. `body`, `query`: what is given; `body_optional`: whether it may be left out.
    `token`: whether it needs an access token. `raises`: what it is answered but for ANY_CALL and those of its parts.
    """

    name: str
    summary: str
    answer: type[msgspec.Struct] | None = None
    others: Mapping[int, type[msgspec.Struct]] = field(default_factory=dict)
    media: tuple[str, ...] = ()
    body: type[msgspec.Struct] | None = None
    body_optional: bool = False
    query: type[msgspec.Struct] | None = None
    token: bool = False
    raises: Errors = ()

    @property
    def errors(self) -> Errors:
        """Every error that the call may be answered."""
        parts = (
            ANY_CALL,
            BODY if self.body is not None else (),
            (refusals.InvalidRequest,) if self.query is not None else (),
            TOKEN if self.token else (),
            self.raises,
        )
        return tuple(dict.fromkeys(one for part in parts for one in part))

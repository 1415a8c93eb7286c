"""Every call there is: method, path, and who answers it. A handler answers through its Call, or raises."""

from __future__ import annotations

from dataclasses import dataclass

from kalamdb import errors
from kalamdb.server import refusals
from kalamdb.server.arrow_answer import MEDIA_TYPE as ARROW
from kalamdb.server.auth import log_in, log_out, me, refresh
from kalamdb.server.auth_shapes import (
    LoginAnswer,
    LoginRequest,
    MessageAnswer,
    RefreshRequest,
    SetupAnswer,
    SetupRequest,
    StatusAnswer,
    UserAnswer,
)
from kalamdb.server.call import Handler
from kalamdb.server.description import DATABASE, LOG_IN, STATEMENT, TOKEN, Description
from kalamdb.server.front_page import front_page
from kalamdb.server.healthcheck import healthcheck
from kalamdb.server.metrics import metrics
from kalamdb.server.openapi import openapi
from kalamdb.server.setup import set_up, status
from kalamdb.server.sql import get_sql, post_sql
from kalamdb.server.sql_shapes import HealthAnswer, SqlAnswerShape, SqlQuery, SqlRequest


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One call. `description`: what it takes and answers, for the OpenAPI document."""

    method: str
    path: str
    handler: Handler
    description: Description


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST",
        "/v1/api/sql",
        post_sql,
        Description(
            name="runSql",
            summary="run statements as the token's user; parameters go with one alone",
            body=SqlRequest,
            answer=SqlAnswerShape,
            media=(ARROW.decode(),),
            token=True,
            raises=STATEMENT,
        ),
    ),
    Endpoint(
        "GET",
        "/v1/api/sql",
        get_sql,
        Description(
            name="readSql",
            summary="the same for one SELECT, SHOW or DESCRIBE",
            query=SqlQuery,
            answer=SqlAnswerShape,
            media=(ARROW.decode(),),
            token=True,
            raises=STATEMENT,
        ),
    ),
    Endpoint(
        "GET",
        "/v1/api/healthcheck",
        healthcheck,
        Description(
            name="healthcheck",
            summary="whether statements are served; 503 while the server or the database is closing",
            answer=HealthAnswer,
            others={503: HealthAnswer},
        ),
    ),
    Endpoint(
        "GET",
        "/v1/api/auth/status",
        status,
        Description(
            name="authStatus",
            summary="whether the first passwords are there",
            answer=StatusAnswer,
            raises=DATABASE,
        ),
    ),
    Endpoint(
        "POST",
        "/v1/api/auth/setup",
        set_up,
        Description(
            name="setUp",
            summary="give root its first password and make a user of role dba, once, from the server's own machine",
            body=SetupRequest,
            answer=SetupAnswer,
            raises=(
                errors.RemoteAccessDenied,
                errors.AlreadySetUp,
                errors.RateLimitExceeded,
                *DATABASE,
            ),
        ),
    ),
    Endpoint(
        "POST",
        "/v1/api/auth/login",
        log_in,
        Description(
            name="logIn",
            summary="tokens for a user's name and password",
            body=LoginRequest,
            answer=LoginAnswer,
            raises=(*LOG_IN, *DATABASE),
        ),
    ),
    Endpoint(
        "POST",
        "/v1/api/auth/refresh",
        refresh,
        Description(
            name="refresh",
            summary="the next tokens for a refresh token, in the body or as Bearer; it is used up",
            body=RefreshRequest,
            body_optional=True,
            answer=LoginAnswer,
            raises=(refusals.MissingAuthorization, errors.InvalidToken, *DATABASE),
        ),
    ),
    Endpoint(
        "POST",
        "/v1/api/auth/logout",
        log_out,
        Description(
            name="logOut",
            summary="let no more tokens come from the log-in of a refresh token, in the body or as Bearer",
            body=RefreshRequest,
            body_optional=True,
            answer=MessageAnswer,
            raises=(refusals.MissingAuthorization, errors.InvalidToken, *DATABASE),
        ),
    ),
    Endpoint(
        "GET",
        "/v1/api/auth/me",
        me,
        Description(
            name="whoAmI",
            summary="whom the access token speaks for",
            answer=UserAnswer,
            token=True,
            raises=DATABASE,
        ),
    ),
    Endpoint(
        "GET",
        "/v1/api/openapi.json",
        openapi,
        Description(name="openApi", summary="this document", media=("application/json",)),
    ),
    Endpoint(
        "GET",
        "/metrics",
        metrics,
        Description(
            name="metrics",
            summary="figures for Prometheus, where the setting metrics has them",
            media=("text/plain",),
            raises=(refusals.UnknownPath, *TOKEN),
        ),
    ),
    Endpoint(
        "GET",
        "/",
        front_page,
        Description(name="frontPage", summary="what this is, for people", media=("text/html",)),
    ),
)


def by_path() -> dict[str, dict[str, Handler]]:
    """The handlers by path and method. HEAD is answered as GET, of whose answer the ASGI server sends the headers."""
    found: dict[str, dict[str, Handler]] = {}
    for endpoint in ENDPOINTS:
        methods = found.setdefault(endpoint.path, {})
        methods[endpoint.method] = endpoint.handler
        if endpoint.method == "GET":
            methods["HEAD"] = endpoint.handler
    return found

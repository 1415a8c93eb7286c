"""Every call there is: method, path, and who answers it. A handler answers through its Call, or raises."""

from __future__ import annotations

from dataclasses import dataclass

from kalamdb.server.auth import log_in, log_out, me, refresh
from kalamdb.server.call import Handler
from kalamdb.server.healthcheck import healthcheck
from kalamdb.server.setup import set_up, status
from kalamdb.server.sql import get_sql, post_sql


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One call."""

    method: str
    path: str
    handler: Handler


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("POST", "/v1/api/sql", post_sql),
    Endpoint("GET", "/v1/api/sql", get_sql),
    Endpoint("GET", "/v1/api/healthcheck", healthcheck),
    Endpoint("GET", "/v1/api/auth/status", status),
    Endpoint("POST", "/v1/api/auth/setup", set_up),
    Endpoint("POST", "/v1/api/auth/login", log_in),
    Endpoint("POST", "/v1/api/auth/refresh", refresh),
    Endpoint("POST", "/v1/api/auth/logout", log_out),
    Endpoint("GET", "/v1/api/auth/me", me),
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

"""GET /metrics: figures of the server and its database for Prometheus. No label has a user's name or a word of SQL."""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from kalamdb.auth import Action, authorize
from kalamdb.engine.statistics import FIGURES
from kalamdb.errors import Error, InvalidSetting
from kalamdb.server.bearer import bearer_token, session_of
from kalamdb.server.refusals import UnknownPath
from kalamdb.version import __version__

if TYPE_CHECKING:
    from kalamdb.server.application import Application
    from kalamdb.server.call import Call

METRICS_MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OFF, OPEN, TOKEN = "off", "open", "token"
"""What the setting `metrics` can be."""
TOKEN_ENVIRONMENT_NAME = "KALAM_METRICS_TOKEN"
TOKEN_BYTES_MIN = 32
SQL_PATH = "/v1/api/sql"
NO_ROUTE = "none"
"""The route of a request to a path that is not there: what a client makes up is no label."""
_DURATIONS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH"})


class Metrics:
    """The figures of one application: what it counts by itself, and what the database tells when it is asked."""

    def __init__(self, application: Application) -> None:
        """Raises InvalidSetting for a token in the environment that is too short to be one."""
        self.registry = CollectorRegistry(auto_describe=False)
        self._requests = Counter(
            "kalamdb_http_requests",
            "Requests that were answered",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._durations = Histogram(
            "kalamdb_http_request_duration_seconds",
            "From a request's headers to the end of its answer",
            ("route",),
            buckets=_DURATIONS_S,
            registry=self.registry,
        )
        self._statements = Counter(
            "kalamdb_statements",
            "Statements that succeeded, and requests for statements that ended with an error",
            ("outcome",),
            registry=self.registry,
        )
        # Made once: to look one up by its labels costs more than to count.
        self._succeeded = self._statements.labels("success")
        self._failed = self._statements.labels("error")
        self._children: dict[tuple[str, str | None, int], tuple[Counter, Histogram]] = {}
        self.registry.register(_Now(application))
        ProcessCollector(registry=self.registry)
        self._token = _token()

    def observe(self, call: Call) -> None:
        """Count a request that was answered, or whose client went away."""
        key = (call.scope["method"], call.route, call.status)
        found = self._children.get(key)
        if found is None:
            method, route, status = key
            labels = (method if method in _METHODS else "other", route or NO_ROUTE, str(status))
            found = self._requests.labels(*labels), self._durations.labels(labels[1])
            if method in _METHODS:
                self._children[key] = found
        requests, durations = found
        requests.inc()
        durations.observe(call.took_ms / 1e3)
        if call.statements:
            self._succeeded.inc(call.statements)
        if call.status >= 400 and call.route == SQL_PATH:
            self._failed.inc()

    def is_token(self, given: str) -> bool:
        """Whether this is the token of the environment."""
        return self._token is not None and hmac.compare_digest(self._token, given.encode())


async def metrics(call: Call) -> None:
    """The figures, for whom the setting `metrics` has them."""
    application = call.application
    found = application.metrics
    if found is None:
        raise UnknownPath("there are no figures here; the setting metrics says for whom they are")
    if application.settings.metrics == TOKEN and not found.is_token(bearer_token(call)):
        session = await session_of(call)
        application.rates.take(session.user)
        authorize(session.rights, Action.SEE_ALL_STATISTICS)
    # The database counts some of them only now.
    text = await application.threads.at_the_door(lambda: generate_latest(found.registry))
    await call.answer(
        200,
        text,
        (b"content-type", METRICS_MEDIA_TYPE.encode()),
        (b"cache-control", b"no-store"),
    )


class _Now:
    """What is as it is in the moment of asking."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def collect(self) -> Iterator[Metric]:
        application = self._application
        turns = application.threads.turns
        info = GaugeMetricFamily(
            "kalamdb_info", "1, for the version that it is labelled with", labels=["version"]
        )
        info.add_metric([__version__], 1)
        yield info
        yield _gauge("requests_open", "Requests that are being answered", application.requests_open)
        sockets = application.sockets
        yield _gauge("websocket_connections", "WebSockets that are open", sockets.open)
        yield _gauge(
            "websocket_subscriptions",
            "Subscriptions of WebSockets that are told of changes",
            sockets.subscriptions,
        )
        yield _counter("websocket_messages", "Messages that came by WebSockets", sockets.counts.received)
        yield _counter(
            "websocket_slow", "WebSockets that were closed for not taking theirs", sockets.counts.slow
        )
        yield _counter(
            "websocket_failed", "Errors of WebSockets that were the server's fault", sockets.counts.failed
        )
        yield _gauge("statements_running", "Statements at work in threads", turns.running)
        yield _gauge("statements_waiting", "Statements that wait for their turn", turns.waiting)
        yield _gauge(
            "live_queries", "Live queries that are open", len(application.database.live_queries(None))
        )
        yield _gauge("closing", "1 while the server ends", int(application.closing))
        try:
            figures = application.database.stats()
        except Error:
            # Closed, or poisoned: what is known without it is told all the same.
            return
        for name, value in figures.items():
            yield _gauge(f"database_{name}", FIGURES[name], value)


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"kalamdb_{name}", about, value=value)


def _counter(name: str, about: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"kalamdb_{name}", about, value=value)


def _token() -> bytes | None:
    given = os.environ.get(TOKEN_ENVIRONMENT_NAME)
    if given is None:
        return None
    token = os.fsencode(given)
    if len(token) < TOKEN_BYTES_MIN:
        raise InvalidSetting(
            f"{TOKEN_ENVIRONMENT_NAME} has {TOKEN_BYTES_MIN} bytes or more; `openssl rand -base64 48` makes one"
        )
    return token

"""The ASGI application of one database: each request to its handler, and each error to its answer.

The endpoint of statements is plain ASGI, for it is called so often that a framework would cost more than the database;
the others use Starlette's requests and responses. Both leave by the same Call.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from kalamdb.server.call import Call, Handler, Receive, Scope, Send
from kalamdb.server.cors import Origins, answer_options
from kalamdb.server.costs import Costs
from kalamdb.server.endpoints import ENDPOINTS, by_path
from kalamdb.server.kept_sessions import KeptSessions
from kalamdb.server.log_ins import LogIns
from kalamdb.server.metrics import OFF, Metrics
from kalamdb.server.parameters import Parameters
from kalamdb.server.peer import Peers
from kalamdb.server.rates import Rates
from kalamdb.server.refusals import (
    ClientGone,
    HeadersTooLarge,
    MethodNotAllowed,
    ServerClosing,
    UnknownPath,
)
from kalamdb.server.slow_bodies import SlowBodies
from kalamdb.server.sql_answer import ResultsInJson
from kalamdb.server.threads import Threads
from kalamdb.server.websocket import Hub, serve_socket

if TYPE_CHECKING:
    from kalamdb.auth.identity import Identity
    from kalamdb.auth.tokens import TokenVerifier
    from kalamdb.database import Database

STATEMENT_TIMEOUT_S = 30.0
"""On a server, where `statement_timeout_s` says nothing."""
CLOSING_WAIT_S = 30.0
"""How long a server that ends waits for its statements."""

log = logging.getLogger("kalamdb.server")


class Application:
    """The database as an ASGI application, for one event loop. Whoever opened the database closes it."""

    def __init__(self, database: Database, *, loopback: bool = False, alone: bool = False) -> None:
        """Nothing is started before the first request. `loopback`: whoever made it serves it to this machine alone.
        `alone`: the process has nothing else to do."""
        self.database = database
        self._alone = alone
        self.loopback = loopback
        settings = self.settings = database.settings
        self.closing = False
        """Whether statements are not taken any more."""
        self.closing_wait_s = CLOSING_WAIT_S
        self.statement_timeout_s = settings.statement_timeout_s or STATEMENT_TIMEOUT_S
        self.threads = Threads(settings, self.statement_timeout_s, alone=alone)
        self.log_ins = LogIns()
        self.costs = Costs()
        self.rates = Rates(settings.user_requests_per_s_max)
        self.parameters = Parameters()
        self.json = ResultsInJson(settings.result_bytes_max)
        self.peers = Peers(settings.trusted_proxies)
        self.origins = Origins(settings.cors_origins)
        self.slow_bodies = SlowBodies(settings.request_timeout_s)
        self.kept_sessions = KeptSessions(database)
        self.endpoints = ENDPOINTS
        self.sockets = Hub(self)
        self._handlers = by_path()
        self._open: set[Call] = set()
        self.observers: list[Callable[[Call], None]] = []
        """Told of each request once it was answered."""
        self.metrics = None if settings.metrics == OFF else Metrics(self)
        if self.metrics is not None:
            self.observers.append(self.metrics.observe)
        # Unique in the process by the number, and among processes by the random part.
        self._request_ids = map(f"{os.urandom(6).hex()}-{{:x}}".format, itertools.count(1))
        self._verifier: TokenVerifier | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, one connection of another kind, or the server's start and end."""
        if scope["type"] == "http":
            task = asyncio.current_task()
            assert task is not None, "a server answers each request in a task"
            call = Call(self, scope, receive, send, next(self._request_ids), task)
            self._open.add(call)
            try:
                await self._handler_of(call)(call)
            except (Exception, asyncio.CancelledError) as error:
                await self._refuse(call, error)
            finally:
                self._open.discard(call)
                for observe in self.observers:
                    observe(call)
        elif scope["type"] == "websocket":
            await serve_socket(self.sockets, scope, receive, send, next(self._request_ids))
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    def _handler_of(self, call: Call) -> Handler:
        """Raises HeadersTooLarge, UnknownPath, MethodNotAllowed."""
        if b"origin" in call.headers:
            call.standing += self.origins.headers(call)
        self._check_headers(call)
        methods = self._methods_at(call)
        method = call.scope["method"]
        handler = methods.get(method)
        if handler is not None:
            return handler
        if method == "OPTIONS":
            return lambda call: answer_options(call, tuple(methods))
        raise MethodNotAllowed(f"this path takes {' and '.join(methods)}", methods=tuple(methods))

    async def _refuse(self, call: Call, error: BaseException) -> None:
        """Tell of an error where there is still somebody to tell; raises it where that is the server's to see to."""
        if isinstance(error, ClientGone):
            return
        if isinstance(error, asyncio.CancelledError):
            if call.answered or not self.closing:
                raise error
            error = ServerClosing(
                "the server ended before this was done; look whether it was, before you repeat it"
            )
        elif call.answered:
            # A body that was begun cannot be taken back. The server cuts it short: so it is no valid answer.
            log.error("request %s failed while it was answered", call.request_id, exc_info=error)
            raise error
        await call.refuse(error)

    def _check_headers(self, call: Call) -> None:
        headers = call.scope["headers"]
        settings = self.settings
        if len(headers) > settings.request_headers_max:
            raise HeadersTooLarge(
                f"the request has more than request_headers_max ({settings.request_headers_max}) headers"
            )
        size = sum(map(len, map(b"".join, headers))) + len(call.scope["query_string"])
        if size > settings.request_headers_bytes_max:
            raise HeadersTooLarge(
                "the request's headers and query are larger than request_headers_bytes_max "
                f"({settings.request_headers_bytes_max} bytes); send statements by POST"
            )

    def _methods_at(self, call: Call) -> dict[str, Handler]:
        path: str = call.scope["path"]
        root = call.scope.get("root_path", "")
        if root and path.startswith(root):
            path = path[len(root) :]
        methods = self._handlers.get(path)
        if methods is None:
            raise UnknownPath("there is nothing at this path; calls begin with /v1/api/")
        call.route = path
        return methods

    def known(self, token: str) -> Identity | None:
        """Whom a token speaks for, where that was found out before; nothing is waited for. Raises ServerClosing."""
        if self.closing:
            raise ServerClosing("the server is going down; send it again in a moment")
        return None if self._verifier is None else self._verifier.known(token)

    async def identity_of(self, token: str) -> Identity:
        """Whom a token speaks for. Raises InvalidToken, TokenExpired, IssuerUnavailable."""
        verifier = await self._ready() if self._verifier is None else self._verifier
        # A signature to compute, a user to look up, keys to fetch perhaps.
        return await self.threads.at_the_door(lambda: verifier.verify(token))

    async def start(self) -> None:
        """Have what the first request needs; without it that request waits. After `stop` it begins anew. Raises
        InvalidSetting for a secret that is too short, ReadOnlyDatabase."""
        if self.closing:
            self.threads = Threads(self.settings, self.statement_timeout_s, alone=self._alone)
            self.log_ins = LogIns()
            self.sockets = Hub(self)
            self.closing = False
        await self._ready()

    async def _ready(self) -> TokenVerifier:
        door = await self.threads.at_the_door(lambda: self.database.front_door)
        self._verifier = door.verifier
        return door.verifier

    @property
    def requests_open(self) -> int:
        """How many requests are being answered."""
        return len(self._open)

    def abandon(self) -> int:
        """Have the requests that are open answered that the server ends, whatever their statements do; how many."""
        left = list(self._open)
        for call in left:
            call.task.cancel()
        return len(left)

    async def stop(self) -> None:
        """Take no more statements, and wait for those that run."""
        self.closing = True
        await self.sockets.stop()
        await self.threads.end(self.closing_wait_s)
        self.log_ins.end()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.start()
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})


def lifespan(database: Database) -> Callable[[object], contextlib.AbstractAsyncContextManager[None]]:
    """The lifespan of a parent application that mounts `database.asgi()`: a parent does not run those of its parts.

    `Starlette(routes=[Mount("/db", db.asgi())], lifespan=lifespan(db))`; the database itself stays open.
    """

    @contextlib.asynccontextmanager
    async def living(parent: object) -> AsyncIterator[None]:
        application = database.asgi()
        await application.start()
        try:
            yield
        finally:
            await application.stop()

    return living

"""The ASGI application of one database: each request to its handler, and each error to its answer.

The endpoint of statements is plain ASGI, for it is called so often that a framework would cost more than the database;
the others use Starlette's requests and responses. Both leave by the same Call.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from kalamdb.server.call import Call, Handler, Receive, Scope, Send
from kalamdb.server.endpoints import by_path
from kalamdb.server.refusals import MethodNotAllowed, UnknownPath

if TYPE_CHECKING:
    from kalamdb.database import Database

Given = ParamSpec("Given")
Answer = TypeVar("Answer")
THREADS = 16


class Application:
    """The database as an ASGI application, for one event loop. Whoever opened the database closes it."""

    def __init__(self, database: Database) -> None:
        """Nothing is started before the first request."""
        self.database = database
        self.closing = False
        """Whether statements are not taken any more."""
        self._handlers = by_path()
        self._threads = ThreadPoolExecutor(THREADS, "kalamdb-http")
        # Unique in the process by the number, and among processes by the random part.
        self._request_ids = map(f"{os.urandom(6).hex()}-{{:x}}".format, itertools.count(1))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, one connection of another kind, or the server's start and end."""
        if scope["type"] == "http":
            await self._answer(Call(self, scope, receive, send, next(self._request_ids)))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    async def _answer(self, call: Call) -> None:
        try:
            handler = self._handler_of(call.scope)
            await handler(call)
        except Exception as error:
            if call.answered:
                # A body that was begun cannot be taken back: cut short, it is no valid answer.
                raise
            await call.refuse(error)

    def _handler_of(self, scope: Scope) -> Handler:
        path: str = scope["path"]
        root = scope.get("root_path", "")
        if root and path.startswith(root):
            path = path[len(root) :]
        methods = self._handlers.get(path)
        if methods is None:
            raise UnknownPath("there is nothing at this path; calls begin with /v1/api/")
        handler = methods.get(scope["method"])
        if handler is None:
            raise MethodNotAllowed(f"this path takes {' and '.join(methods)}", methods=tuple(methods))
        return handler

    async def in_thread(
        self, work: Callable[Given, Answer], *arguments: Given.args, **named: Given.kwargs
    ) -> Answer:
        """Do `work`, which may wait, without holding up the event loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: work(*arguments, **named))

    async def start(self) -> None:
        """What must be there before the first request; called by the lifespan, and otherwise when it is needed."""

    async def stop(self) -> None:
        """Take no more statements, and wait for those that run."""
        self.closing = True
        await asyncio.to_thread(self._threads.shutdown)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await self.start()
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

"""One request on its way: what came, and the one road by which an answer leaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from kalamdb.server.error_answer import error_answer

if TYPE_CHECKING:
    from starlette.responses import Response

    from kalamdb.server.application import Application

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON: Header = (b"content-type", b"application/json")
Handler = Callable[["Call"], Awaitable[None]]
"""Answers one call, or raises what the answer is to tell of."""


class Call:
    """A request. `headers`: by their names in lower case. `standing`: the headers of whatever is answered."""

    __slots__ = (
        "answered",
        "application",
        "headers",
        "receive",
        "request_id",
        "route",
        "scope",
        "send",
        "standing",
        "started_ns",
        "statements",
        "status",
        "task",
        "user",
    )

    def __init__(
        self,
        application: Application,
        scope: Scope,
        receive: Receive,
        send: Send,
        request_id: str,
        task: asyncio.Task[Any],
    ) -> None:
        """`task`: that which answers it."""
        self.task = task
        self.application = application
        self.scope = scope
        self.receive = receive
        self.send = send
        self.request_id = request_id
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.standing: list[Header] = [(b"x-request-id", request_id.encode())]
        self.started_ns = time.perf_counter_ns()
        self.answered = False
        """Whether the answer has begun: then there is no other one any more."""
        self.status = 0
        """Of the answer; 0 where the client was gone before there was one."""
        self.route: str | None = None
        """The path as the table of endpoints has it; None where it is not there."""
        self.user: str | None = None
        """Who sends it, once that is known."""
        self.statements = 0
        """How many have succeeded of those that it sends."""

    @property
    def took_ms(self) -> float:
        """Since the request came, in milliseconds."""
        return (time.perf_counter_ns() - self.started_ns) / 1e6

    async def answer(self, status: int, body: bytes, *headers: Header) -> None:
        """Answer with a body that is whole."""
        self.answered = True
        self.status = status
        head = [(b"content-length", b"%d" % len(body)), *headers, *self.standing]
        await self.send({"type": "http.response.start", "status": status, "headers": head})
        await self.send({"type": "http.response.body", "body": body})

    async def begin(self, status: int, *headers: Header) -> None:
        """Begin an answer whose body comes in pieces."""
        self.answered = True
        self.status = status
        await self.send(
            {"type": "http.response.start", "status": status, "headers": [*headers, *self.standing]}
        )

    async def piece(self, body: bytes) -> None:
        """The next piece. Raises TimeoutError where the client takes it not, which ends the connection."""
        async with asyncio.timeout(self.application.settings.request_timeout_s):
            await self.send({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self) -> None:
        """There are no more pieces."""
        await self.send({"type": "http.response.body", "body": b""})

    async def respond(self, response: Response) -> None:
        """Answer with a response of Starlette's."""
        self.answered = True
        self.status = response.status_code
        response.raw_headers.extend(self.standing)
        await response(self.scope, self.receive, self.send)

    async def refuse(self, error: BaseException, results: list[bytes] | None = None) -> None:
        """Answer with an error. `results`: of the statements that succeeded before it, as JSON."""
        told = error_answer(error, self.request_id, self.took_ms, results or ())
        await self.answer(told.status, told.body, JSON, *told.headers)

"""The calls that run statements: POST /v1/api/sql, and GET for those that only read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kalamdb.server import arrow_answer
from kalamdb.server.bearer import session_of
from kalamdb.server.body import read_json
from kalamdb.server.call import JSON, Header
from kalamdb.server.costs import WITHIN_S
from kalamdb.server.reading import require_reading
from kalamdb.server.running import Running, RunningForArrow
from kalamdb.server.sql_answer import PIECE_BYTES, answer_of
from kalamdb.server.sql_request import SqlRequest, decode_query, decode_request

if TYPE_CHECKING:
    from kalamdb.server.call import Call
    from kalamdb.session import Session

AT_ONCE_BYTES_MAX = 64 * 1024
"""Larger bodies are read in a thread: a megabyte of JSON takes milliseconds."""
ROWS_AT_ONCE_MAX = 100
"""Answers of more rows are written in a thread, however quick their statement was."""
_ARROW: Header = (b"content-type", arrow_answer.MEDIA_TYPE)


async def post_sql(call: Call) -> None:
    """Run what the body says as the token's user."""
    session = await session_of(call)
    body = await read_json(call)
    if len(body) <= AT_ONCE_BYTES_MAX:
        request = decode_request(body)
    else:
        request = await call.application.threads.run(session.user, lambda: decode_request(body))
    await _answer(call, session, request)


async def get_sql(call: Call) -> None:
    """Run what the query string says, if it only reads. No cache keeps the answer."""
    call.standing.append((b"cache-control", b"no-store"))
    session = await session_of(call)
    request = decode_query(call.scope["query_string"])
    require_reading(request.sql, "GET")
    await _answer(call, session, request)


async def _answer(call: Call, session: Session, request: SqlRequest) -> None:
    application = call.application
    application.rates.take(session.user)
    session.statement_timeout_s = application.statement_timeout_s
    if request.namespace_id is not None:
        session.use(request.namespace_id)
    if arrow_answer.is_wanted(call.headers.get(b"accept")):
        require_reading(request.sql, "an answer in Arrow")
        pieces = await application.threads.run(session.user, RunningForArrow(call, session, request).run)
        call.statements = 1
        await _send(call, session.user, pieces, _ARROW)
        return
    costs = application.costs
    shape = costs.shape(request.sql, parameters=bool(request.params))
    if shape is not None and costs.is_quick(shape) and await _answered_at_once(call, session, request, shape):
        return
    running = Running(call, session, request)
    try:
        await application.threads.run(session.user, running.run)
    except Exception as error:
        call.statements = len(running.results)
        await call.refuse(error, running.results)
        return
    call.statements = len(running.results) + (running.large is not None)
    if shape is not None:
        costs.note(shape, running.took_ms)
    if running.large is None:
        await call.answer(200, answer_of(running.results, call.took_ms), JSON)
    else:
        await _send(call, session.user, running.pieces(), JSON)


async def _answered_at_once(call: Call, session: Session, request: SqlRequest, shape: str) -> bool:
    """Whether the answer could be given without leaving the event loop."""
    application = call.application
    parameters = application.parameters.read(session, request.sql, request.params)
    result = session.execute_at_once(request.sql, parameters, within_s=WITHIN_S)
    if result is None:
        application.costs.note_slow(shape)
        return False
    application.costs.note(shape, result.took_ms)
    call.statements = 1
    if result.rowcount <= ROWS_AT_ONCE_MAX or not result.columns:
        text = application.json.whole(result, session.user)
    else:
        text = await application.threads.run(
            session.user, lambda: application.json.whole(result, session.user)
        )
    await call.answer(200, answer_of([text], call.took_ms), JSON)
    return True


async def _send(call: Call, user: str, pieces: Iterator[bytes], kind: Header) -> None:
    """Answer with pieces that are made while they are sent; in one with its length where there is little."""
    threads = call.application.threads
    first, more = await threads.run(user, lambda: _gathered(pieces))
    if not more:
        await call.answer(200, first, kind)
        return
    # All of the request was read: what comes now is that the client goes.
    gone = asyncio.ensure_future(call.receive())
    try:
        await call.begin(200, kind)
        await call.piece(first)
        while more and not gone.done():
            # A turn for each: whoever reads slowly keeps nobody from working.
            piece, more = await threads.run(user, lambda: _gathered(pieces))
            await call.piece(piece)
        await call.end()
    finally:
        gone.cancel()


def _gathered(pieces: Iterator[bytes]) -> tuple[bytes, bool]:
    """The next pieces as one of some size, and whether there may be more."""
    found: list[bytes] = []
    size = 0
    for piece in pieces:
        found.append(piece)
        size += len(piece)
        if size >= PIECE_BYTES:
            return b"".join(found), True
    return b"".join(found), False

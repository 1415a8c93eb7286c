"""The calls that run statements: POST /v1/api/sql, and GET for those that only read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kalamdb.server import arrow_answer
from kalamdb.server.bearer import new_session, sender_known, sender_of
from kalamdb.server.body import read_json
from kalamdb.server.call import JSON, Header
from kalamdb.server.costs import WITHIN_S
from kalamdb.server.leaving import run_while_there, until_gone
from kalamdb.server.reading import only_reads, require_reading
from kalamdb.server.refusals import ClientGone
from kalamdb.server.running import Running, RunningForArrow
from kalamdb.server.sql_answer import PIECE_BYTES, answer_of
from kalamdb.server.sql_request import SqlRequest, decode_query, decode_request

if TYPE_CHECKING:
    from kalamdb.auth.identity import Identity
    from kalamdb.result import Result
    from kalamdb.server.call import Call
    from kalamdb.session import Session

AT_ONCE_BYTES_MAX = 64 * 1024
"""Larger bodies are read in a thread: a megabyte of JSON takes milliseconds."""
ROWS_AT_ONCE_MAX = 100
"""Answers of more rows are written in a thread, however quick their statement was."""
_ARROW: Header = (b"content-type", arrow_answer.MEDIA_TYPE)


async def post_sql(call: Call) -> None:
    """Run what the body says as the token's user."""
    # Asked first without waiting: a coroutine more costs what a look-up does.
    sender = sender_known(call) or await sender_of(call)
    body = await read_json(call)
    if len(body) <= AT_ONCE_BYTES_MAX:
        request = decode_request(body)
    else:
        request = await call.application.threads.run(sender.user, lambda: decode_request(body))
    await _answer(call, sender, request)


async def get_sql(call: Call) -> None:
    """Run what the query string says, if it only reads. No cache keeps the answer."""
    call.standing.append((b"cache-control", b"no-store"))
    sender = await sender_of(call)
    request = decode_query(call.scope["query_string"])
    require_reading(request.sql, "GET")
    await _answer(call, sender, request)


async def _answer(call: Call, sender: Identity, request: SqlRequest) -> None:
    application = call.application
    application.rates.take(sender.user)
    if arrow_answer.is_wanted(call.headers.get(b"accept")):
        require_reading(request.sql, "an answer in Arrow")
        work = RunningForArrow(call, _session_for(call, sender, request), request).run
        pieces = await run_while_there(call, sender.user, work)
        call.statements = 1
        await _send(call, sender.user, pieces, _ARROW)
        return
    costs = application.costs
    shape = costs.shape(request.sql, parameters=bool(request.params))
    if shape is not None and costs.is_quick(shape):
        result = _result_at_once(call, sender, request, shape)
        if result is not None:
            await _answer_with(call, sender, result)
            return
    running = Running(call, _session_for(call, sender, request), request)
    try:
        waits = shape is not None and costs.only_waits(shape)
        if only_reads(request.sql):
            await run_while_there(call, sender.user, running.run, waits=waits)
        else:
            # What writes goes on to its end: whoever has gone may count on it.
            await application.threads.run(sender.user, running.run, waits=waits)
    except ClientGone:
        raise
    except Exception as error:
        call.statements = len(running.results)
        await call.refuse(error, running.results)
        return
    call.statements = len(running.results) + (running.large is not None)
    if shape is not None:
        costs.note(shape, running.processor_ms)
    if running.large is None:
        await call.answer(200, answer_of(running.results, call.took_ms), JSON)
    else:
        await _send(call, sender.user, running.pieces(), JSON)


def _session_for(call: Call, sender: Identity, request: SqlRequest) -> Session:
    session = new_session(call, sender)
    session.statement_timeout_s = call.application.statement_timeout_s
    if request.namespace_id is not None:
        session.use(request.namespace_id)
    return session


def _result_at_once(call: Call, sender: Identity, request: SqlRequest, shape: str) -> Result | None:
    """What the statement answers, where that can be had without leaving the event loop."""
    application = call.application
    address = application.peers.address_of(call.scope)
    session = application.kept_sessions.of(sender, address, request.namespace_id)
    parameters = application.parameters.read(session, request.sql, request.params)
    result = session.execute_at_once(request.sql, parameters, within_s=WITHIN_S)
    if result is None:
        application.costs.note_refused(shape)
    else:
        application.costs.note_at_once(shape, result.took_ms)
        call.statements = 1
    return result


async def _answer_with(call: Call, sender: Identity, result: Result) -> None:
    application, user = call.application, sender.user
    if result.rowcount <= ROWS_AT_ONCE_MAX or not result.columns:
        text = application.json.whole(result, user)
    else:
        text = await application.threads.run(user, lambda: application.json.whole(result, user))
    await call.answer(200, answer_of([text], call.took_ms), JSON)


async def _send(call: Call, user: str, pieces: Iterator[bytes], kind: Header) -> None:
    """Answer with pieces that are made while they are sent; in one with its length where there is little."""
    threads = call.application.threads
    first, more = await threads.run(user, lambda: _gathered(pieces))
    if not more:
        await call.answer(200, first, kind)
        return
    # All of the request was read: what comes now is that the client goes.
    gone = asyncio.ensure_future(until_gone(call))
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

"""POST /v1/api/sql: statements in, results out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalamdb.server.bearer import session_of
from kalamdb.server.body import read_body
from kalamdb.server.call import JSON
from kalamdb.server.sql_answer import HEAD, result_pieces, tail
from kalamdb.server.sql_request import SqlRequest, decode_request

if TYPE_CHECKING:
    from kalamdb.server.call import Call
    from kalamdb.session import Session


async def post_sql(call: Call) -> None:
    """Run what the body says as the token's user."""
    session = await session_of(call)
    request = decode_request(await read_body(call))
    results: list[bytes] = []
    try:
        await call.application.in_thread(run, session, request, results)
    except Exception as error:
        await call.refuse(error, results)
        return
    await call.answer(200, HEAD + b",".join(results) + tail(call.took_ms), JSON)


def run(session: Session, request: SqlRequest, results: list[bytes]) -> None:
    """Run every statement, and leave each result as JSON in `results`."""
    for result in session.execute_each(request.sql, request.params):
        results.append(b"".join(result_pieces(result, session.user)))

"""The calls of those who come and go: log in, go on, log out, and who one is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalamdb.errors import InvalidToken
from kalamdb.server.auth_shapes import (
    ADMINISTRATORS,
    LoginAnswer,
    LoginRequest,
    MessageAnswer,
    RefreshRequest,
    UserAnswer,
    login_answer,
    user_shape,
)
from kalamdb.server.bearer import bearer_token, session_of
from kalamdb.server.call import Header
from kalamdb.server.nearness import is_near
from kalamdb.server.refusals import ServerClosing
from kalamdb.server.structs import answer_struct, read_struct

if TYPE_CHECKING:
    from kalamdb.auth.account import Account
    from kalamdb.auth.front_door import FrontDoor
    from kalamdb.auth.login import LoggedIn
    from kalamdb.server.call import Call

NO_STORE: Header = (b"cache-control", b"no-store")
"""On every answer of these calls, refusals too: tokens are nothing to keep."""


async def log_in(call: Call) -> None:
    """Tokens for a user's name and password."""
    begin(call)
    wanted = await read_struct(call, LoginRequest)
    address, near = call.application.peers.address_of(call.scope), is_near(call)

    def work() -> LoginAnswer:
        door = front_door(call)
        return _told(call, door.log_in(wanted.user, wanted.password, address, loopback=near))

    answer = await call.application.log_ins.run(address, work)
    call.user = answer.user.id
    await answer_struct(call, answer)


async def refresh(call: Call) -> None:
    """The next tokens for a refresh token, which is used up."""
    begin(call)
    token = await _refresh_token(call)
    address = call.application.peers.address_of(call.scope)

    def work() -> LoginAnswer:
        return _told(call, front_door(call).refresh(token, address))

    answer = await call.application.threads.at_the_door(work)
    call.user = answer.user.id
    await answer_struct(call, answer)


async def log_out(call: Call) -> None:
    """End the tokens of this log-in, access tokens and what was opened with them too."""
    begin(call)
    token = await _refresh_token(call)
    address = call.application.peers.address_of(call.scope)
    await call.application.threads.at_the_door(lambda: front_door(call).log_out(token, address))
    await answer_struct(call, MessageAnswer("logged out"))


async def me(call: Call) -> None:
    """Whom the access token speaks for."""
    begin(call)
    session = await session_of(call)
    call.application.rates.take(session.user)
    account = await call.application.threads.at_the_door(lambda: _account(call, session.user))
    await answer_struct(call, UserAnswer(user_shape(account), account.role in ADMINISTRATORS))


def begin(call: Call) -> None:
    """What all of these calls begin with. Raises ServerClosing."""
    call.standing.append(NO_STORE)
    if call.application.closing:
        raise ServerClosing("the server is going down; send it again in a moment")


def front_door(call: Call) -> FrontDoor:
    """Log-ins and tokens of the database. REQUIRES: not in the event loop, for the first call builds it."""
    return call.application.database.front_door


async def _refresh_token(call: Call) -> str:
    """Of the body; without one, of the Authorization header."""
    length = call.headers.get(b"content-length", b"0")
    if length == b"0" and b"transfer-encoding" not in call.headers:
        return bearer_token(call)
    return (await read_struct(call, RefreshRequest)).refresh_token


def _told(call: Call, made: LoggedIn) -> LoginAnswer:
    return login_answer(_account(call, made.user.name), made)


def _account(call: Call, user: str) -> Account:
    account = call.application.database.accounts.find(user)
    if account is None or account.deleted_at is not None:
        raise InvalidToken("the user is not there any more")
    return account

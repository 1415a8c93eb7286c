"""The first passwords of a server: whether they are there, and the one call that gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalamdb.auth.set_up import SetUp
from kalamdb.errors import DuplicateObject, InvalidName, InvalidValue, RemoteAccessDenied
from kalamdb.server.auth import begin, front_door
from kalamdb.server.auth_shapes import SetupAnswer, SetupRequest, StatusAnswer, user_shape
from kalamdb.server.nearness import is_near
from kalamdb.server.refusals import InvalidRequest
from kalamdb.server.structs import answer_struct, read_struct

if TYPE_CHECKING:
    from kalamdb.auth.account import Account
    from kalamdb.server.call import Call

HOW = "POST /v1/api/auth/setup with user, password and root_password, from the server's own machine"
_READY = "the server is set up"


async def status(call: Call) -> None:
    """Whether somebody has to give `root` a password first."""
    begin(call)
    needed = await call.application.threads.at_the_door(lambda: front_door(call).needs_setup())
    await answer_struct(call, StatusAnswer(needed, f"not set up yet: {HOW}" if needed else _READY))


async def set_up(call: Call) -> None:
    """Give `root` its first password and make a first user of role dba: both, once, from this machine."""
    begin(call)
    if not is_near(call):
        raise RemoteAccessDenied(
            "a server is set up from its own machine alone, and only where it listens to nothing else; use "
            "ALTER USER root SET PASSWORD in the process otherwise"
        )
    body = await read_struct(call, SetupRequest)
    wanted = SetUp(body.user, body.password, body.root_password)
    address = call.application.peers.address_of(call.scope)

    def work() -> Account:
        try:
            return front_door(call).set_up(wanted, address)
        except (DuplicateObject, InvalidName, InvalidValue) as error:
            raise InvalidRequest(error.message) from None

    made = await call.application.log_ins.run(address, work)
    await answer_struct(call, SetupAnswer(user_shape(made), "set up; log in for tokens"))

"""Bodies as msgspec Structs, and back. The same Structs describe the calls in the OpenAPI document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from kalamdb.server.body import read_json
from kalamdb.server.call import JSON
from kalamdb.server.refusals import InvalidRequest

if TYPE_CHECKING:
    from kalamdb.server.call import Call

Shape = TypeVar("Shape", bound=msgspec.Struct)


async def read_struct(call: Call, shape: type[Shape]) -> Shape:
    """The body as a Struct. Raises InvalidRequest, which quotes nothing of it, and as read_json."""
    body = await read_json(call)
    try:
        found = msgspec.json.decode(body, type=shape)
        # Of two members of one name, another reader on the way may have taken the other one.
        json.loads(body, object_pairs_hook=_each_once)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"the body is no request: {error}") from None
    return found


async def answer_struct(call: Call, answer: msgspec.Struct, status: int = 200) -> None:
    """Answer with a Struct as JSON."""
    await call.answer(status, msgspec.json.encode(answer), JSON)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is there twice; send each once")
    return members

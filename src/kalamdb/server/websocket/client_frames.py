"""The messages that clients send, each a class of its own; what a message says beyond it counts for nothing."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

ID_CHARACTERS_MAX = 256


class Protocol(msgspec.Struct, frozen=True):
    """How messages are written on a connection."""

    serialization: Literal["json", "msgpack"] = "json"
    compression: Literal["none", "gzip"] = "none"


class Authenticate(msgspec.Struct, tag_field="type", tag="authenticate"):
    """Who the client is, by a token. `protocol`: absent: as the upgrade said."""

    token: str
    method: Literal["jwt"] = "jwt"
    protocol: Protocol | None = None


class Options(msgspec.Struct):
    """How a subscription begins. `from_seq_id` is another name of `from`."""

    last_rows: int | None = None
    batch_size: int | None = None
    resume_from: int | str | None = msgspec.field(default=None, name="from")
    from_seq_id: int | str | None = None


class Wanted(msgspec.Struct):
    """A subscription. Without `options` it begins with what comes from now on. `params`: for the `?` of `sql`, as over
    HTTP. `namespace_id`: what unqualified names mean."""

    id: str
    sql: str
    options: Options | None = None
    params: list[Any] | None = None
    namespace_id: str | None = None


class Subscribe(msgspec.Struct, tag_field="type", tag="subscribe"):
    """Listen to a live query."""

    subscription: Wanted


class NextBatch(msgspec.Struct, tag_field="type", tag="next_batch"):
    """The client has room for more of the rows that were there. The server knows itself up to where they were sent."""

    subscription_id: str


class Unsubscribe(msgspec.Struct, tag_field="type", tag="unsubscribe"):
    """Listen no more."""

    subscription_id: str


class Ping(msgspec.Struct, tag_field="type", tag="ping"):
    """Are you there?"""


ClientFrame = Authenticate | Subscribe | NextBatch | Unsubscribe | Ping

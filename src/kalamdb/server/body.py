"""The body of a request, within its limits: its kind, its size before and after gzip, and the time it takes to come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from kalamcore.nesting import is_json_deeper
from kalamdb.server.gunzip import GzipTooLarge, NotGzip, unzipped
from kalamdb.server.nesting import DEPTH_MAX
from kalamdb.server.refusals import (
    ClientGone,
    InvalidRequest,
    RequestTimeout,
    RequestTooLarge,
    UnsupportedMediaType,
)

if TYPE_CHECKING:
    from kalamdb.server.call import Call, Message

_JSON = frozenset(
    {b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8"}
)
"""What clients say most, and what needs no reading."""


async def read_json(call: Call) -> bytes:
    """The text of a JSON body, still to be read.

    Raises UnsupportedMediaType, RequestTooLarge before anything of the body is read where its length is told,
    RequestTimeout, InvalidRequest for gzip that is none and for what is nested too deeply, ClientGone.
    """
    kind = call.headers.get(b"content-type", b"")
    if kind not in _JSON:
        _check_kind(kind)
    encoding = call.headers.get(b"content-encoding")
    zipped = encoding is not None and _is_zipped(encoding)
    body = await read_body(call)
    if zipped:
        application, packed = call.application, body
        size_max = application.settings.request_bytes_max
        body = await application.threads.at_the_door(lambda: _unzipped(packed, size_max))
    if is_json_deeper(body, DEPTH_MAX):
        raise InvalidRequest(f"the body is nested more than {DEPTH_MAX} deep; send fewer levels")
    return body


async def read_body(call: Call) -> bytes:
    """All bytes of the body as they came. Raises RequestTooLarge, RequestTimeout, ClientGone."""
    settings = call.application.settings
    size_max = settings.request_bytes_max
    told = call.headers.get(b"content-length")
    if told is not None and (not told.isdigit() or len(told) > 18 or int(told) > size_max):
        raise _too_large(size_max)
    watch = call.application.slow_bodies
    watch.begin(call)
    try:
        message = await call.receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            body: bytes = message.get("body", b"")
            if len(body) <= size_max:
                return body
        return await _gathered(call, message, size_max)
    except asyncio.CancelledError:
        if not watch.was_late(call):
            raise
        raise RequestTimeout(
            f"the body did not come within request_timeout_s ({settings.request_timeout_s:g} s)"
        ) from None
    finally:
        watch.end(call)


async def _gathered(call: Call, message: Message, size_max: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise ClientGone
        piece = message.get("body", b"")
        size += len(piece)
        if size > size_max:
            raise _too_large(size_max)
        pieces.append(piece)
        if not message.get("more_body", False):
            return b"".join(pieces)
        message = await call.receive()


def _is_zipped(encoding: bytes) -> bool:
    encoding = encoding.strip().lower()
    if encoding not in (b"identity", b"gzip"):
        raise UnsupportedMediaType("the body is encoded as neither identity nor gzip; send it as it is")
    return encoding == b"gzip"


def _check_kind(told: bytes) -> None:
    kind, _, parameters = told.partition(b";")
    if kind.strip().lower() != b"application/json":
        raise UnsupportedMediaType("the body must be JSON; send it with Content-Type: application/json")
    name, _, value = parameters.partition(b"=")
    if name.strip().lower() == b"charset" and value.strip(b' "').lower() not in (b"utf-8", b"utf8"):
        raise UnsupportedMediaType("the body must be UTF-8; send it with charset=utf-8, or with none")


def _unzipped(body: bytes, size_max: int) -> bytes:
    try:
        return unzipped(body, size_max)
    except GzipTooLarge:
        raise _too_large(size_max) from None
    except NotGzip:
        raise InvalidRequest(
            "the body is no gzip, though its Content-Encoding says so, or not the whole of one alone"
        ) from None


def _too_large(size_max: int) -> RequestTooLarge:
    return RequestTooLarge(
        f"the body is larger than request_bytes_max ({size_max} bytes); send less at a time"
    )
